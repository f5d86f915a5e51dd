"""Plain counters that the audio path writes and a user interface reads.

There is one writer, no lock and no growth. A reader may see numbers of two
neighbouring hops side by side, which no eye can tell.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_SILENCE_DB = -120.0
_SMOOTHING_HOPS = 12


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


def _decibels(power: float) -> float:
    if not power > 10.0 ** (_SILENCE_DB / 10.0):
        return _SILENCE_DB
    return 10.0 * math.log10(power)
