"""What a live session tells: its status, its latency, its end, and what to try."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from .latency import Latency
from .seek import longer
from .stream import LiveStream

if TYPE_CHECKING:
    from pathlib import Path

    from .recorder import Recorder

State = Literal["running", "waiting for device"]

_SIDES = {
    "input overflow": "the input was not fetched in time",
    "input underflow": "the input device gave too little",
    "output underflow": "the output was not filled in time",
    "output overflow": "the output device took too little",
    "buffer underrun": "the input came too late for the output",
    "buffer overrun": "the output paused while the input went on",
}


@dataclass(frozen=True)
class Status:
    """What a meter shows; levels in dB below full scale.

    Attributes
    ----------
    seconds
        Since the start.
    level_in, level_out, reduction
        As in `Meter`.
    load
        Time in the callback over the time of its sound.
    xruns
        How often each kind happened.
    latency, buffer
        From microphone to loudspeaker, and the part of it between two clocks, in
        seconds.
    bands_in, bands_out
        Levels by band, low to high.
    muted
        Whether silence is played.
    recording
        File that is being written, or None.
    model
        Name of the model.
    state
        ``"running"``, or ``"waiting for device"`` while one is gone.
    advice
        One sentence on what to try, or None.
    drift
        How much faster the input's clock runs than the output's, as a ratio less 1;
        0 with one clock, and until a difference has been measured.
    openings
        How often devices were opened.
    """

    seconds: float
    level_in: float
    level_out: float
    reduction: float
    load: float
    xruns: dict[str, int]
    latency: float = 0.0
    buffer: float = 0.0
    bands_in: tuple[float, ...] = ()
    bands_out: tuple[float, ...] = ()
    muted: bool = False
    recording: Path | None = None
    model: str = ""
    state: State = "running"
    advice: str | None = None
    drift: float = 0.0
    openings: int = 1

    @property
    def xrun_count(self) -> int:
        """All kinds together."""
        return sum(self.xruns.values())


def advice(
    xruns: dict[str, int], seconds: float = 0.0, latency: float = 0.0, load: float = 0.0
) -> str | None:
    """Return one sentence on the commonest kind of xrun and what to type.

    Parameters
    ----------
    xruns
        How often each kind happened.
    seconds
        Time that it took; 0: not said.
    latency
        The longer one of both devices, in seconds: one above it is proposed.
    load
        Of the engine; above a half it is the cause.
    """
    worst = max(xruns, key=lambda kind: xruns[kind], default="")
    if not worst or not xruns[worst]:
        return None
    if worst == "buffer overrun" and xruns[worst] == 1:
        return None  # one pause of the machine, and it is healed
    often = f"{xruns[worst]} times" if xruns[worst] > 1 else "once"
    if seconds >= 60.0:
        often += f" in {seconds / 60.0:.0f} min"
    what = f"{_SIDES.get(worst, worst)} ({worst}, {often})"
    if load > 0.5:
        return (
            f"{what}: the engine needs {load:.0%} of the time; choose a smaller "
            "--model (streamdenoise models lists them), or close other programs"
        )
    if worst == "buffer overrun":
        return (
            f"{what}, and what was too much was dropped: close programs that keep the "
            "CPU busy, or choose another device with --output"
        )
    close = "close programs that keep the CPU busy"
    above = longer(latency)
    if not above:
        return f"{what}: {close}, or choose other devices (--input, --output)"
    return f"{what}: try --latency {above[0]:g}, and {close}"


def summarise(
    core: LiveStream,
    latency: Latency,
    recorders: Sequence[Recorder],
    **known: Any,
) -> dict[str, Any]:
    """Return all that is known of a session in plain types; seconds and dB.

    Parameters
    ----------
    core
        With its counters.
    latency
        In parts.
    recorders
        All that recorded.
    known
        What the session knows itself, put first.
    """
    meter = core.meter
    times = meter.step_times() if meter is not None else None
    return {
        **known,
        "duplex": core.bridge is None,
        "latency": {
            **{k.replace(" ", "_"): v for k, v in latency.parts().items()},
            "total": latency.total,
        },
        "xruns": core.xruns(),
        "late_callbacks": core.late,
        "priority": core.priority,
        "dropped_samples": core.dropped,
        "inserted_samples": core.inserted,
        "bad_samples": core.bad_samples,
        "load": core.load,
        "callback": {
            "count": core.shares.count,
            "p50": core.shares.percentile(50.0),
            "p99": core.shares.percentile(99.0),
            "p99_9": core.shares.percentile(99.9),
            "max": core.shares.most,
        },
        "hop_seconds": core.denoiser.params.hop / core.denoiser.sample_rate,
        "step": None
        if times is None
        else {
            "count": times.count,
            "p50": times.p50,
            "p99": times.p99,
            "max": times.max,
        },
        "recorded": _recorded(recorders),
    }


def _recorded(recorders: Sequence[Recorder]) -> dict[str, Any] | None:
    if not recorders:
        return None
    return {
        "files": [str(path) for r in recorders for path in r.paths],
        "seconds": sum(r.seconds for r in recorders),
        "lost_samples": sum(r.lost for r in recorders),
        "whole": all(r.error is None for r in recorders),
    }
