"""Measures how long sound takes from microphone to loudspeaker, through the devices.

The output must be heard by the input: by a cable, the air, or a sink's monitor. Chirps
are put in the place of what the microphone gives, right before the engine; they pass
engine, buffer and output device, are heard again by the input device, and are looked
for in what it gives. Both ends are counted in samples of the input, so the distance is
the whole way, each part of it once, and no other clock is needed. What is heard is not
passed on, so nothing howls.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from ..errors import DeviceError
from ..live.pulse.streams import HIGH_SECONDS, LOW_SECONDS
from ..live.seek import longer
from ..settings import Settings
from .chirp import chirp, find_delay

if TYPE_CHECKING:
    from ..engine import Denoiser
    from ..live.session import LiveOptions
    from ..live.summary import Status

__all__ = [
    "LoopResult",
    "NotHeardError",
    "Probe",
    "Trip",
    "chirp",
    "find_delay",
    "measure_loop",
]

MODES: Final = (
    ("bypass", Settings(bypass=True)),
    # A chirp is no speech, and an engine that may do all would take it away.
    ("active", Settings(strength_db=12.0)),
)
"""What is measured: names and settings."""

TOLERANCE: Final = 0.005
"""Seconds between sum of parts and measurement that count as equal."""

MOST_XRUNS: Final = 2
"""Xruns with which a measurement still counts: each may move the buffer."""

INTERVAL: Final = 1.0
"""Seconds between two chirps, and the longest way that can be measured."""

SETTLE: Final = 2.5
"""Seconds until devices and buffer run steadily."""

FloatArray = NDArray[np.float32]


class NotHeardError(DeviceError):
    """The input does not hear what the output plays."""


@dataclass(frozen=True)
class Trip:
    """The way through the devices in one mode, measured several times; in seconds.

    Attributes
    ----------
    mode
        ``"bypass"`` or ``"active"``.
    played, heard
        How many chirps were played, and clearly found again.
    median, spread
        Of those found; spread is from the shortest to the longest.
    """

    mode: str
    played: int
    heard: int
    median: float
    spread: float


@dataclass(frozen=True)
class LoopResult:
    """What was measured, and what `LiveSession.latency` says.

    Attributes
    ----------
    input, output
        Names of the devices.
    sample_rate
        In Hz.
    trips
        For each mode.
    reported
        Parts by name, in seconds.
    xruns
        How often something was late, at any time; a measurement with many means
        little.
    """

    input: str
    output: str
    sample_rate: int
    trips: tuple[Trip, ...]
    reported: dict[str, float]
    xruns: int

    @property
    def total(self) -> float:
        """Sum of the reported parts in seconds."""
        return sum(self.reported.values())

    @property
    def measured(self) -> float:
        """Median way while the engine is active, in seconds."""
        return self.trips[-1].median

    @property
    def difference(self) -> float:
        """Measured less reported, in seconds."""
        return self.measured - self.total

    @property
    def variation(self) -> float:
        """How much the way varied, within a mode or from one to the other."""
        medians = [trip.median for trip in self.trips]
        apart = max(medians) - min(medians)
        return max(apart, *(trip.spread for trip in self.trips))

    @property
    def steady(self) -> bool:
        """Whether the way was as long each time, so that the median means something."""
        return self.variation <= TOLERANCE and self.xruns <= MOST_XRUNS

    @property
    def good(self) -> bool:
        """Whether the sum of the parts is known to be right."""
        return self.steady and abs(self.difference) <= TOLERANCE

    @property
    def verdict(self) -> str:
        """One sentence on the difference."""
        apart = 1000 * self.difference
        if not self.steady:
            return (
                "too unsteady to tell: the way varied by "
                f"{1000 * self.variation:.1f} ms, with {self.xruns} xruns"
            )
        if abs(self.difference) <= TOLERANCE:
            return f"the sum of the parts is right within {abs(apart):.1f} ms"
        if apart > 0:
            metres = 0.343 * apart
            return (
                f"the way takes {apart:.1f} ms longer than the devices say: hidden "
                f"buffers of a device or sound server, or {metres:.1f} m of air"
            )
        return (
            f"the way takes {-apart:.1f} ms less than the devices say, which name the "
            "most that they may hold"
        )

    def fix(self, asked: float | str) -> str:
        """Return what to type for a steady measurement; empty if this one is.

        Parameters
        ----------
        asked
            The latency that the devices were asked for.
        """
        if self.steady:
            return ""
        usual = HIGH_SECONDS if asked == "high" else max(LOW_SECONDS)
        above = longer(usual if isinstance(asked, str) else asked)
        more = f" with --latency {above[0]:g}" if above else ""
        return f"close programs that keep the CPU busy, and measure again{more}"

    def as_dict(self) -> dict[str, Any]:
        """All of it in plain types, for JSON."""
        return {
            **asdict(self),
            "total": self.total,
            "measured": self.measured,
            "difference": self.difference,
            "steady": self.steady,
            "verdict": self.verdict,
        }


class Probe:
    """Stands before a denoiser, plays chirps into it and keeps what came instead.

    Everything else of the denoiser shows through.

    Parameters
    ----------
    denoiser
        To stand before.
    starts
        Samples at which chirps begin.
    length
        Samples to keep; later blocks pass as silence.
    """

    def __init__(self, denoiser: Denoiser, starts: list[int], length: int) -> None:
        self._denoiser = denoiser
        sound = chirp(denoiser.sample_rate)
        self._plan: FloatArray = np.zeros(length, np.float32)
        for start in starts:
            part = self._plan[start : start + len(sound)]
            part[:] = sound[: len(part)]
        self.kept: FloatArray = np.zeros(length, np.float32)
        self.done = 0
        self._block: FloatArray = np.zeros((1, denoiser.channels), np.float32)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._denoiser, name)

    @property
    def settings(self) -> Settings:
        """Those of the denoiser."""
        return self._denoiser.settings

    @settings.setter
    def settings(self, settings: Settings) -> None:
        self._denoiser.settings = settings

    def process(self, block: FloatArray, out: FloatArray) -> FloatArray:
        """Keep `block`, and give the denoiser what is to be played."""
        if len(self._block) != len(block):  # once: all blocks are one hop
            self._block = np.zeros_like(block)
        begin, end = self.done, min(self.done + len(block), len(self.kept))
        self._block.fill(0.0)
        if end > begin:
            self.kept[begin:end] = block[: end - begin, 0]
            self._block[: end - begin] = self._plan[begin:end, None]
        self.done += len(block)
        return self._denoiser.process(self._block, out=out)


def measure_loop(
    options: LiveOptions,
    sd: Any = None,
    *,
    repeats: int = 5,
    warn: Callable[[str], None] = lambda sentence: None,
) -> LoopResult:
    """Run live through a loop of output and input, and time the way.

    Parameters
    ----------
    options
        As for live; settings and recording are not used.
    sd
        The sounddevice module, or what stands in for it.
    repeats
        Chirps for each mode.
    warn
        Gets sentences of the session.

    Raises
    ------
    DeviceError
        If a device does not open, or goes away meanwhile: what has opened again is
        another way, and a microphone that is passed on to a loudspeaker howls.
    NotHeardError
        If the chirps are not heard.
    """
    from ..live.opening import labels
    from ..live.session import LiveSession

    options = replace(options, settings=MODES[0][1], record=None)
    with LiveSession(options, sd, warn) as session:
        rate = session.rate
        hop = session.core.denoiser.params.hop
        step = round(INTERVAL * rate / hop) * hop
        first = round(SETTLE * rate / hop) * hop
        # An interval without a chirp between the modes, in which settings change.
        starts = [
            [first + (mode * (repeats + 1) + i) * step for i in range(repeats)]
            for mode in range(len(MODES))
        ]
        length = starts[-1][-1] + step
        probe = Probe(session.core.denoiser, [*chain(*starts)], length)
        core, openings = session.core, session.status().openings
        names = labels(session.source, session.sink)
        heard = core.replace(cast("Denoiser", probe))
        reported: dict[str, float] = {}

        def tick(status: Status) -> None:
            if status.state != "running" or status.openings != openings:
                raise DeviceError(_interrupted(names))
            begun = [probe.done >= begins[0] - step for begins in starts]
            settings = MODES[max(sum(begun), 1) - 1][1]
            if session.settings != settings:
                session.settings = settings
            if probe.done < length:
                reported.update(session.latency().parts())

        limit = 2 * length / rate + 5
        try:
            session.run(limit, lambda: probe.done >= length, tick)
        finally:
            core.replace(heard)
        xruns = sum(core.xruns().values())
    trips = []
    for (mode, _), begins in zip(MODES, starts, strict=True):
        pieces = [probe.kept[begin : begin + step] for begin in begins]
        found = [find_delay(piece, rate) for piece in pieces]
        delays = [delay for delay in found if delay is not None]
        if not delays:
            raise NotHeardError(_not_heard(names, probe.kept, mode))
        spread = max(delays) - min(delays)
        median = statistics.median(delays)
        trips.append(Trip(mode, len(pieces), len(delays), median, spread))
    return LoopResult(*names, rate, tuple(trips), reported, xruns)


def _interrupted(names: tuple[str, str]) -> str:
    what = " or ".join(dict.fromkeys(names))
    return (
        f"{what} went away or was opened again during the measurement, "
        "which says nothing then; see that it stays plugged in and nothing else takes "
        "it, and measure again with: streamdenoise doctor --loop"
    )


def _not_heard(names: tuple[str, str], kept: FloatArray, mode: str) -> str:
    source, sink = names
    peak = float(np.abs(kept).max(initial=0.0))
    level = f"{20 * math.log10(peak):.0f} dB at most" if peak > 1e-6 else "silence"
    return (
        f"the chirps played on {sink} were not heard on {source} ({mode}; it gave "
        f"{level}): put microphone and loudspeaker together, or join them with a "
        "cable, turn the volume up, and measure again"
    )
