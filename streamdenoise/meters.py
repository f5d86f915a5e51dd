"""Plain counters that the audio path writes and a user interface reads.

There is one writer, no lock and no growth. A reader may see numbers of two
neighbouring hops side by side, which no eye can tell.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

BANDS: Final = 16
"""Bands of a `BandMeter`."""

TOP_BAND_HZ: Final = 16_000.0
"""Where the picture of the bands ends, or at half of the rate."""

_SILENCE_DB = -120.0
_SMOOTHING_HOPS = 12
_BAND_SECONDS = 0.1


@dataclass(frozen=True)
class StepTimes:
    """How long the work of one hop took, in seconds, over the hops remembered."""

    count: int
    mean: float
    p50: float
    p99: float
    p999: float
    max: float


class Meter:
    """Counters and levels of one `Denoiser`.

    Parameters
    ----------
    remember
        Hops whose times are kept for the percentiles (default: 8192, about a minute).

    Attributes
    ----------
    hops
        Hops done since the start.
    bad_samples
        Samples that were NaN, infinite or absurd, and became silence.
    bad_frames
        Frames for which the model gave no finite spectrum, and that became silence.
    analysis_seconds, model_seconds, synthesis_seconds, total_seconds
        Time spent since the start, all channels together. What `total_seconds` has
        beyond the three others is settings, high band and book-keeping.
    max_seconds
        The longest hop since the start.
    power_in, power_out
        Mean square of the signal, smoothed over about 0.1 s. Input and output of one
        hop are not aligned; the smoothing makes that invisible.
    """

    def __init__(self, remember: int = 8192) -> None:
        self._times = np.zeros(remember, np.float64)
        self.clear()

    def clear(self) -> None:
        """Set everything back to zero."""
        self.hops = 0
        self.bad_samples = 0
        self.bad_frames = 0
        self.analysis_seconds = 0.0
        self.model_seconds = 0.0
        self.synthesis_seconds = 0.0
        self.total_seconds = 0.0
        self.max_seconds = 0.0
        self.power_in = 0.0
        self.power_out = 0.0

    def record(
        self,
        analysis: float,
        model: float,
        synthesis: float,
        total: float,
        power_in: float,
        power_out: float,
        hops: int = 1,
    ) -> None:
        """Add the times in seconds of `hops` hops done at once, and their power."""
        each = total / hops
        for at in range(self.hops, self.hops + hops):
            self._times[at % self._times.shape[0]] = each
        self.hops += hops
        self.analysis_seconds += analysis
        self.model_seconds += model
        self.synthesis_seconds += synthesis
        self.total_seconds += total
        if each > self.max_seconds:
            self.max_seconds = each
        keep = (1.0 - 1.0 / _SMOOTHING_HOPS) ** hops
        self.power_in += (1.0 - keep) * (power_in - self.power_in)
        self.power_out += (1.0 - keep) * (power_out - self.power_out)

    @property
    def level_in(self) -> float:
        """Level of the input in dB below a full-scale square wave."""
        return _decibels(self.power_in)

    @property
    def level_out(self) -> float:
        """Level of the output in dB below a full-scale square wave."""
        return _decibels(self.power_out)

    @property
    def reduction(self) -> float:
        """How much quieter the output is than the input, in dB; never negative."""
        return max(0.0, self.level_in - self.level_out)

    def times(self) -> NDArray[np.float64]:
        """Return a copy of the remembered hop times in seconds, in no order."""
        remembered: NDArray[np.float64] = self._times[: self.hops].copy()
        return remembered

    def step_times(self) -> StepTimes:
        """Return mean, percentiles and maximum; zeros when nothing has run yet.

        The maximum is over the whole run, the others over the hops remembered.
        """
        times = self.times()
        if times.size == 0:
            return StepTimes(0, 0.0, 0.0, 0.0, 0.0, 0.0)
        p50, p99, p999 = (float(v) for v in np.percentile(times, (50, 99, 99.9)))
        mean = self.total_seconds / self.hops
        return StepTimes(self.hops, mean, p50, p99, p999, self.max_seconds)


class Shares:
    """How often each share of the time that there is was taken, in steps of 0.1 %.

    Counts of a whole day take as much room as those of a second.
    """

    steps = 1000
    top = 2.0

    def __init__(self) -> None:
        self._counts = [0] * (int(self.top * self.steps) + 1)
        self.most = 0.0

    def add(self, share: float) -> None:
        """Count one; 1 is all the time that there is."""
        self._counts[min(int(share * self.steps), len(self._counts) - 1)] += 1
        if share > self.most:
            self.most = share

    @property
    def count(self) -> int:
        """How many there were."""
        return sum(self._counts)

    def percentile(self, percent: float) -> float:
        """Return the share that so many percent do not exceed; 0 without any."""
        wanted = math.ceil(percent / 100.0 * self.count)
        if wanted == 0:
            return 0.0
        so_far = 0
        for step, count in enumerate(self._counts[:-1]):
            so_far += count
            if so_far >= wanted:
                return min((step + 1) / self.steps, self.most)
        return self.most


class BandMeter:
    """Levels of input and output in `BANDS` bands, for a picture.

    The audio thread only copies its blocks into two rings, about a microsecond each.
    The spectrum is computed by who looks at it, over the last 0.1 s. A look while a
    block is being copied sees some samples of the next one, which no eye can tell.

    Parameters
    ----------
    sample_rate
        In Hz.

    Attributes
    ----------
    edges : float64 array of shape (BANDS + 1,)
        Where the bands begin and end in Hz; equally wide for the ear (mel scale).
    """

    def __init__(self, sample_rate: int) -> None:
        size = 1 << round(math.log2(_BAND_SECONDS * sample_rate))
        self._rings = np.zeros((2, size), np.float32)
        self._at = 0
        window = np.hanning(size)
        self._window = (window / math.sqrt(float(np.sum(window**2)))).astype(np.float32)
        top = 1127.0 * math.log1p(min(TOP_BAND_HZ, sample_rate / 2) / 700.0)
        self.edges = 700.0 * np.expm1(np.linspace(0.0, top, BANDS + 1) / 1127.0)
        bins = np.round(self.edges * size / sample_rate).astype(np.intp)
        # Bin 0 is left out: a constant offset of a cheap sound card is no bass.
        bins[0] = 1
        self._starts = np.maximum.accumulate(bins + 0)
        self._scale = 2.0 / size

    def push(self, dirty: NDArray[np.float32], clean: NDArray[np.float32]) -> None:
        """Take a block of input and output, shape (n, channels); the first is shown."""
        rings, size = self._rings, self._rings.shape[1]
        count = min(len(dirty), size)
        first = min(count, size - self._at)
        rings[0, self._at : self._at + first] = dirty[:first, 0]
        rings[1, self._at : self._at + first] = clean[:first, 0]
        if count > first:
            rings[0, : count - first] = dirty[first:count, 0]
            rings[1, : count - first] = clean[first:count, 0]
        self._at = (self._at + count) % size

    def levels(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Return the levels of input and output by band, low to high, in dB.

        Full scale is a square wave: all bands together have the level of the `Meter`.
        """
        turned = np.roll(self._rings, -self._at, axis=1)
        power = np.abs(np.fft.rfft(turned * self._window, axis=1)) ** 2
        bands = np.add.reduceat(power, self._starts[:-1], axis=1)
        # The last segment of reduceat goes to the end; bands end at the top edge.
        bands[:, -1] -= power[:, self._starts[-1] :].sum(axis=1)
        before, after = (
            tuple(_decibels(max(0.0, float(p)) * self._scale) for p in row)
            for row in bands
        )
        return before, after


def _decibels(power: float) -> float:
    if not power > 10.0 ** (_SILENCE_DB / 10.0):
        return _SILENCE_DB
    return 10.0 * math.log10(power)
