"""Reading a stream at a rate a hair from 1, for two clocks that differ.

A windowed sinc whose taps are polynomials of the position between two samples
(C. W. Farrow, "A continuously variable digital delay element", ISCAS 1988): one
matrix product gives all coefficients of a block, Horner's rule the samples.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

HALF: Final = 24
"""Samples on either side of a position that its value depends on."""

TAPS: Final = 2 * HALF + 1
ORDER: Final = 7
"""Degree of the polynomials; their error is below the last bits of float32."""

MAX_SHIFT: Final = 1e-3
"""Largest rate change that is ever needed."""

_BETA = 8.0


@lru_cache(maxsize=1)
def _polynomials() -> FloatArray:
    """Return the coefficients, shape (ORDER + 1, TAPS), lowest power first.

    Tap k at position m in [-1/2, 1/2] is the windowed sinc at k - m. Least squares on
    Chebyshev points, with the constant term held at its exact value, so that position
    0 gives the sample itself.
    """
    points = 0.5 * np.cos(np.pi * (np.arange(64) + 0.5) / 64)
    at = np.arange(-HALF, HALF + 1) - points[:, None]
    window = np.i0(_BETA * np.sqrt(1.0 - (at / (HALF + 0.5)) ** 2)) / np.i0(_BETA)
    taps = np.sinc(at) * window
    middle = np.zeros(TAPS)
    middle[HALF] = 1.0
    powers = (2.0 * points[:, None]) ** np.arange(1, ORDER + 1)
    fitted = np.linalg.lstsq(powers, taps - middle, rcond=None)[0]
    fitted *= 2.0 ** np.arange(1, ORDER + 1)[:, None]
    return np.concatenate([middle[None], fitted]).astype(np.float32)


class Resampler:
    """A stage that reads `ratio` frames for each frame that it gives.

    It adds no delay: `HALF` frames beyond those that are read must be known, and lie
    waiting in a buffer anyway.

    Parameters
    ----------
    channels
        Samples in a frame.
    most
        Frames of the longest block that is asked for.

    Attributes
    ----------
    ratio
        Frames read for each one given, within `MAX_SHIFT` of 1.
    phase
        Where the next frame lies, from the next unread one, in [-1/2, 1/2).
    source : float32 array of shape (HALF + `room` + HALF, channels)
        To be filled before `process`: the last `HALF` frames that were read, those to
        be read, and `HALF` beyond.
    """

    def __init__(self, channels: int, most: int) -> None:
        self.most = most
        self.room = most + math.ceil(MAX_SHIFT * most) + 1
        self.ratio = 1.0
        self.phase = 0.0
        self.source: FloatArray = np.zeros((self.room + 2 * HALF, channels), "f4")
        self._windows = np.lib.stride_tricks.sliding_window_view(
            self.source, TAPS, axis=0
        )
        self._polynomials = _polynomials()
        self._count = np.arange(most, dtype=np.float64)
        self._position = np.empty(most)
        self._whole = np.empty(most)
        self._between: FloatArray = np.empty(most, np.float32)
        self._rows: FloatArray = np.empty((most, TAPS), np.float32)
        self._terms: FloatArray = np.empty((ORDER + 1) * most, np.float32)

    @property
    def idle(self) -> bool:
        """Whether the frames would pass unchanged."""
        return self.ratio == 1.0 and self.phase == 0.0

    def reset(self) -> None:
        """Start at a whole frame again; the ratio stays."""
        self.phase = 0.0

    def needed(self, count: int) -> int:
        """Return how many frames `process` reads to give `count`."""
        return math.floor(self.phase + count * self.ratio + 0.5)

    def process(self, out: FloatArray) -> int:
        """Fill `out`, shape (n, channels), from `source`; return how many are read."""
        count = len(out)
        position, whole = self._position[:count], self._whole[:count]
        np.multiply(self._count[:count], self.ratio, out=position)
        position += self.phase
        np.add(position, 0.5, out=whole)
        np.floor(whole, out=whole)
        between = self._between[:count]
        np.subtract(position, whole, out=between, casting="same_kind")
        whole -= self._count[:count]  # frames slipped so far: a few steps of 1
        terms = self._terms[: (ORDER + 1) * count].reshape(ORDER + 1, count)
        rows = self._rows[:count]
        slips = np.flatnonzero(np.diff(whole)) + 1
        for channel in range(out.shape[1]):
            start = 0
            for stop in (*slips.tolist(), count):
                first = start + int(whole[start])
                last = first + stop - start
                rows[start:stop] = self._windows[first:last, channel]
                start = stop
            np.matmul(self._polynomials, rows.T, out=terms)
            value = terms[ORDER]
            for power in range(ORDER - 1, -1, -1):
                value *= between
                value += terms[power]
            out[:, channel] = value
        read = self.needed(count)
        self.phase += count * self.ratio - read
        return read

    def land(self, count: int) -> None:
        """Choose a ratio for the next `count` frames that leads to a whole frame."""
        step = self.phase / count
        self.ratio = 1.0 - min(max(step, -LANDING_SHIFT), LANDING_SHIFT)

    def landed(self) -> None:
        """End on the whole frame that `land` led to, rounding aside."""
        if abs(self.phase) < 1e-9:
            self.phase, self.ratio = 0.0, 1.0


LANDING_SHIFT: Final = 2e-5
"""Rate change with which it goes back to whole frames when clocks agree."""
