"""Our streams, brought to the sink and the source that the environment names.

PulseAudio's client library opens a stream where ``PULSE_SINK`` and ``PULSE_SOURCE``
say. PipeWire's own ALSA device, the only door to it where ALSA's plugins for PulseAudio
are not installed, knows nothing of them: there the server moves the streams once they
run. It takes that for a wish of the user and keeps to it the next time a program of
that name plays, so streams get a name of their own for each place they are brought to.
"""

from __future__ import annotations

import contextlib
import json
import os
from typing import Final

from ..closing import Closing
from ..errors import DeviceError
from ..live.devices import SOUND_SERVERS, Device, Kind
from . import soundserver
from .absence import Stay

__all__ = [
    "SINK_VARIABLE",
    "SOURCE_VARIABLE",
    "VARIABLES",
    "Fed",
    "Variables",
    "bring",
    "door",
    "follow_environment",
    "prepare",
    "stream_name",
]

SINK_VARIABLE: Final = "PULSE_SINK"
SOURCE_VARIABLE: Final = "PULSE_SOURCE"

VARIABLES: Final[dict[Kind, str]] = {"input": SOURCE_VARIABLE, "output": SINK_VARIABLE}
"""By direction."""

_PROPERTIES: Final = "PIPEWIRE_ALSA"
"""Properties of the streams of PipeWire's ALSA device, which reads this."""


class Variables(Closing):
    """Variables of the environment that are set until `close`."""

    def __init__(self) -> None:
        self._before: dict[str, str | None] = {}

    def set(self, name: str, value: str) -> None:
        """Set one; what it was before the first time comes back."""
        self._before.setdefault(name, os.environ.get(name))
        os.environ[name] = value

    def close(self) -> None:
        """Restore them all; may be called twice."""
        for name, value in self._before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        self._before.clear()


def bring(
    sink: str | None = None, source: str | None = None, process: int | None = None
) -> None:
    """Move a process's streams where they are to go; others stay.

    Parameters
    ----------
    sink, source
        Names; None: wherever it is.
    process
        Whose streams; None: this process's.

    Raises
    ------
    NoServerError, RefusedError
        If no server answers, or it has none of that name.
    """
    process = os.getpid() if process is None else process
    if sink is not None:
        _move("sink-inputs", sink, soundserver.entries("sinks"), process)
    if source is not None:
        sources = soundserver.entries("sources")
        _move("source-outputs", source, sources, process)


def _move(
    kind: soundserver.Streams,
    target: str,
    targets: list[soundserver.Entry],
    process: int,
) -> None:
    there = {entry.index for entry in targets if entry.name == target}
    for stream in soundserver.streams_of(kind, process):
        if stream.attached not in there:
            soundserver.move(kind, stream.index, target)


class Fed:
    """Keeps what this process plays in a sink.

    Parameters
    ----------
    sink
        Its name.
    """

    def __init__(self, sink: str) -> None:
        self._sink = sink
        self._stay = Stay()

    def mend(self) -> bool:
        """Bring the stream there; return whether it had been there for long.

        Raises
        ------
        NoServerError, RefusedError
            As from `bring`.
        """
        sinks = (e for e in soundserver.entries("sinks") if e.name == self._sink)
        index = next((entry.index for entry in sinks), -1)
        left = False
        for stream in soundserver.streams_of("sink-inputs", os.getpid()):
            if stream.attached == index:
                self._stay.note(stream.index, index)
            else:
                soundserver.move("sink-inputs", stream.index, self._sink)
                left = self._stay.lasted(stream.index, index)
        return left


def _wishes() -> tuple[str | None, str | None]:
    sink, source = (os.environ.get(n) for n in (SINK_VARIABLE, SOURCE_VARIABLE))
    return sink or None, source or None


def stream_name() -> str:
    """Return what streams are called that are opened now: by where they are to go."""
    places = ", ".join(filter(None, _wishes()))
    return f"streamdenoise ({places})" if places else "streamdenoise"


def prepare() -> None:
    """Name the streams that PortAudio will open."""
    name = json.dumps(stream_name())
    os.environ.setdefault(_PROPERTIES, f"{{ application.name = {name} }}")


def follow_environment() -> None:
    """Move this process's streams where the environment says, if it says and can."""
    sink, source = _wishes()
    if sink or source:
        with contextlib.suppress(DeviceError):  # the devices may be of no server
            bring(sink, source)


def door(devices: list[Device]) -> str:
    """Return the output device that leads to the sound server."""
    outputs = [d for d in devices if d.outputs and not d.server_name]
    for wanted in ("pulse", "pipewire", "default"):
        for device in outputs:
            if device.name == wanted and device.name in SOUND_SERVERS:
                return device.name
    for device in outputs:
        if device.host_api == "PulseAudio":
            return device.name
    raise DeviceError(
        "the sound server runs, but PortAudio has no way to it; install the bridge "
        "with: sudo apt install libasound2-plugins (Fedora: alsa-plugins-pulseaudio "
        "or pipewire-alsa, Arch: pipewire-alsa)"
    )
