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
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from ..errors import DeviceError
from ..settings import Settings
from .chirp import chirp, find_delay
from .trip import LoopResult, Trip

if TYPE_CHECKING:
    from ..engine import Denoiser
    from ..live.session import LiveOptions
    from ..live.summary import Status

__all__ = [
    "NotHeardError",
    "Probe",
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


INTERVAL: Final = 1.0
"""Seconds between two chirps, and the longest way that can be measured."""

SETTLE: Final = 2.5
"""Seconds until devices and buffer run steadily."""

FloatArray = NDArray[np.float32]


class NotHeardError(DeviceError):
    """The input does not hear what the output plays."""


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
