"""What a person asks of live sound."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ..settings import Settings


@dataclass(frozen=True)
class LiveOptions:
    """What a person asks of live sound.

    Attributes
    ----------
    input, output
        Part of a name, an index, or None for the default.
    model
        Name or path; None for the default.
    settings
        To begin with; change them later through `LiveSession.settings`.
    rate
        In Hz; None: what the devices prefer.
    channels, link_channels
        How many; denoised each by itself, or with one gain for all of them.
    heard, played
        Channels with which input and output open if they can; None: `channels`. Where
        a stream and a device of a sound server differ in them, the server sums them up
        in its own way: PipeWire makes stereo that becomes mono 3 dB louder.
    latency
        Asked of each device: seconds, ``"low"``, ``"high"``, or ``"auto"``: the
        shortest that runs without xruns for ten seconds.
    record, force
        File for what is played, and whether it may be replaced.
    reinitialise
        Whether PortAudio may be started anew to find a device that was lost. That
        ends all streams of the process: say no if there are others.
    """

    input: str | int | None = None
    output: str | int | None = None
    model: str | Path | None = None
    settings: Settings = field(default_factory=Settings)
    rate: int | None = None
    channels: int = 1
    link_channels: bool = False
    heard: int | None = None
    played: int = 2
    latency: float | str = "auto"
    record: Path | None = None
    force: bool = False
    reinitialise: bool = True
