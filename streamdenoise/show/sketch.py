"""The spectrogram of a stream of any length, in constant memory.

Columns of power spectra; when there are too many, neighbours are merged, and each
stands for twice the time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Sketch", "Sketches"]

_WINDOW_SECONDS: Final = 0.032
_TOP_HZ: Final = 12_000.0
_CHUNK: Final = 1024
_FLOOR: Final = 1e-13


class Sketch:
    """Power over time and frequency.

    Parameters
    ----------
    sample_rate
        In Hz.
    columns
        Most that a picture can use; up to twice as many are kept.

    Attributes
    ----------
    top_hz, bin_hz
        Highest frequency that is kept, and distance of the bins.
    samples
        Samples per channel so far.
    """

    def __init__(self, sample_rate: int, columns: int = 960) -> None:
        self._win = max(16, round(sample_rate * _WINDOW_SECONDS))
        self._hop = self._win // 2
        window = np.hanning(self._win + 1)[: self._win]
        # A full-scale sine has 0 dB.
        self._window = (window * (2.0 / window.sum())).astype(np.float32)
        self.top_hz = min(sample_rate / 2, _TOP_HZ)
        self.bin_hz = sample_rate / self._win
        bins = int(self.top_hz * self._win / sample_rate) + 1
        self._columns = np.zeros((2 * columns, bins), np.float32)
        self._count = 0
        self._each = 1
        self._partial = np.zeros(bins, np.float64)
        self._in_partial = 0
        self._rest = np.zeros(self._win // 2, np.float32)
        self.samples = 0

    def push(self, block: NDArray[np.float32]) -> None:
        """Add a block of shape (n, channels); channels are averaged."""
        if not len(block):
            return
        self.samples += len(block)
        x = np.concatenate([self._rest, block.mean(axis=1, dtype=np.float32)])
        frames = max(0, (len(x) - self._win) // self._hop + 1)
        for start in range(0, frames, _CHUNK):
            self._add(self._powers(x, start, min(frames, start + _CHUNK)))
        self._rest = x[frames * self._hop :]

    def _powers(
        self, x: NDArray[np.float32], first: int, end: int
    ) -> NDArray[np.float32]:
        span = x[first * self._hop : (end - 1) * self._hop + self._win]
        views = np.lib.stride_tricks.sliding_window_view(span, self._win)[:: self._hop]
        spectra = np.fft.rfft(views * self._window, axis=1)
        spectra = spectra[:, : self._columns.shape[1]]
        power = np.square(spectra.real) + np.square(spectra.imag)
        clipped: NDArray[np.float32] = power.clip(0.0, 1e20).astype(np.float32)
        return clipped

    def _add(self, powers: NDArray[np.float32]) -> None:
        at = 0
        while at < len(powers):
            take = min(self._each - self._in_partial, len(powers) - at)
            if self._in_partial or take < self._each:
                self._partial += powers[at : at + take].sum(axis=0, dtype=np.float64)
                self._in_partial += take
                at += take
                if self._in_partial == self._each:
                    self._put((self._partial / self._each)[None, :])
                    self._partial[:] = 0.0
                    self._in_partial = 0
                continue
            room = len(self._columns) - self._count
            whole = min((len(powers) - at) // self._each, room)
            part = powers[at : at + whole * self._each]
            at += len(part)
            self._put(part.reshape(whole, self._each, -1).mean(axis=1))

    def _put(self, columns: NDArray[np.floating]) -> None:
        self._columns[self._count : self._count + len(columns)] = columns
        self._count += len(columns)
        if self._count == len(self._columns):
            half = self._count // 2
            pairs = self._columns.reshape(half, 2, -1)
            self._columns[:half] = pairs.mean(axis=1)
            self._count = half
            self._each *= 2

    def powers(self) -> NDArray[np.float32]:
        """Return mean powers, a row for each stretch of time, a column for each bin."""
        if self._in_partial and (not self._count or self._in_partial * 2 > self._each):
            last = (self._partial / self._in_partial).astype(np.float32)
            columns = [self._columns[: self._count], last[None, :]]
            joined: NDArray[np.float32] = np.concatenate(columns)
            return joined
        if not self._count:  # shorter than a window
            x = np.zeros(self._win, np.float32)
            x[: len(self._rest)] = self._rest[: self._win]
            return self._powers(x, 0, 1)
        kept: NDArray[np.float32] = self._columns[: self._count].copy()
        return kept

    def levels(self) -> NDArray[np.float64]:
        """Return levels in dB re a full-scale sine; row 0 is the highest frequency."""
        powers = self.powers().T[::-1].astype(np.float64)
        levels: NDArray[np.float64] = 10.0 * np.log10(powers + _FLOOR)
        return levels


class Sketches:
    """A `Sketch` of what goes in and one of what comes out; see `batch.Tap`."""

    def __init__(self) -> None:
        self._pair: list[Sketch | None] = [None, None]
        self._rate = 1

    def before(self, block: NDArray[np.float32], sample_rate: int) -> None:
        """Take in a block of the input, shape (n, channels)."""
        self._push(0, block, sample_rate)

    def after(self, block: NDArray[np.float32], sample_rate: int) -> None:
        """Take in a block of the result."""
        self._push(1, block, sample_rate)

    def _push(self, which: int, block: NDArray[np.float32], sample_rate: int) -> None:
        sketch = self._pair[which]
        if sketch is None:
            self._rate = sample_rate
            sketch = self._pair[which] = Sketch(sample_rate)
        sketch.push(block)

    def picture(self) -> bytes:
        """Return a PNG: before, after, and what was removed over time."""
        from .picture import draw
        from .png import png

        before, after = self._both()
        a, b = (
            s.powers().sum(axis=1, dtype=np.float64) + _FLOOR for s in (before, after)
        )
        size = min(len(a), len(b))
        removed = 10.0 * np.log10(a[:size] / b[:size])
        panels = [("before", before.levels()), ("after", after.levels())]
        seconds = before.samples / self._rate
        return png(*draw(panels, seconds, before.top_hz, ("reduction", removed)))

    def thumbnail(self) -> bytes:
        """Return a small PNG of before and after, without axes."""
        from .picture import strip
        from .png import png

        return png(*strip([sketch.levels() for sketch in self._both()]))

    def _both(self) -> tuple[Sketch, Sketch]:
        before, after = self._pair
        if before is None or after is None:
            raise ValueError("nothing was pushed")
        return before, after
