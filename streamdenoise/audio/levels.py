"""Level and noise floor of a recording of any length, in constant memory."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["SILENCE_DB", "LevelMeter", "si_sdr"]

SILENCE_DB: Final = -120.0
"""What silence is reported as, in dBFS."""

_FRAME_SECONDS: Final = 0.02
_BINS_PER_DB: Final = 4
_FLOOR_SHARE: Final = 0.1


class LevelMeter:
    """Overall level, peak and noise floor of a stream.

    The noise floor is the level that the quietest tenth of all 20 ms frames stays
    under: speech pauses at that pace, so that this tenth is noise. The frame levels
    are kept as a histogram of quarter decibels, not one by one.

    Parameters
    ----------
    sample_rate
        In Hz.
    channels
        Number of channels; levels are means over all of them.
    """

    def __init__(self, sample_rate: int, channels: int = 1) -> None:
        self._frame = max(1, round(sample_rate * _FRAME_SECONDS))
        self._histogram = np.zeros(int(-SILENCE_DB) * _BINS_PER_DB + 1, np.int64)
        self._power = 0.0
        self._frames = 0
        self._channels = channels
        self._partial = np.zeros((0, channels), np.float32)
        self.peak = 0.0

    def push(self, block: NDArray[np.float32]) -> None:
        """Add a block of shape (n, channels), full scale 1.0."""
        if not len(block):
            return
        self.peak = max(self.peak, float(block.max()), -float(block.min()))
        waiting = len(self._partial)
        if waiting:
            taken = min(self._frame - waiting, len(block))
            self._partial = np.concatenate([self._partial, block[:taken]])
            block = block[taken:]
            if len(self._partial) < self._frame:
                return
            self._add(self._partial)
        whole = len(block) // self._frame * self._frame
        self._add(block[:whole])
        self._partial = block[whole:].copy()

    def _add(self, block: NDArray[np.float32]) -> None:
        """Add whole frames."""
        rows = np.ascontiguousarray(block).reshape(-1, self._frame * self._channels)
        # einsum sums squares without an array of them, in float32: 20 ms are short
        # enough for that.
        power = np.einsum("ij,ij->i", rows, rows).astype(np.float64) / rows.shape[1]
        power = power.clip(1e-30, 1e30)  # float files may overflow a float32 square
        self._power += float(power.sum())
        self._frames += len(power)
        levels = 10.0 * np.log10(power)
        # bincount takes indices of the machine's own size, 32 bits on a 32-bit system.
        bins = np.rint((levels - SILENCE_DB) * _BINS_PER_DB).astype(np.intp)
        bins = bins.clip(0, len(self._histogram) - 1)
        self._histogram += np.bincount(bins, minlength=len(self._histogram))

    @property
    def level(self) -> float:
        """RMS level of everything in dBFS; a full-scale square wave has 0."""
        rest = float(np.square(self._partial, dtype=np.float64).sum())
        total = self._power + rest / (self._frame * self._channels)
        frames = self._frames + len(self._partial) / self._frame
        return _db(total / frames) if frames else SILENCE_DB

    @property
    def noise_floor(self) -> float:
        """Level of the quietest tenth in dBFS; the level if all is under 20 ms."""
        total = int(self._histogram.sum())
        if not total:
            return self.level
        place = int(np.searchsorted(np.cumsum(self._histogram), _FLOOR_SHARE * total))
        return place / _BINS_PER_DB + SILENCE_DB


def _db(power: float) -> float:
    return 10.0 * math.log10(power) if power > 1e-12 else SILENCE_DB


def si_sdr(estimate: NDArray[Any], reference: NDArray[Any]) -> float:
    """Scale-invariant signal-to-distortion ratio in dB.

    As in Le Roux et al., "SDR - half-baked or well done?" (ICASSP 2019), equation 5:
    the energy of the part of `estimate` that is a multiple of `reference` over the
    energy of the rest. Means are removed first.

    Parameters
    ----------
    estimate, reference
        Signals of shape (n,).

    Returns
    -------
    float
        -inf for a silent `estimate` or `reference`, inf for a perfect one.
    """
    e = np.asarray(estimate, np.float64) - np.mean(estimate, dtype=np.float64)
    r = np.asarray(reference, np.float64) - np.mean(reference, dtype=np.float64)
    energy = float(r @ r)
    if energy == 0.0:
        return -math.inf
    target = (float(e @ r) / energy) * r
    rest = e - target
    signal, noise = float(target @ target), float(rest @ rest)
    if signal == 0.0:
        return -math.inf
    return math.inf if noise == 0.0 else 10.0 * math.log10(signal / noise)
