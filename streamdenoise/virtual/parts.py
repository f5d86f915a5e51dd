"""Virtual devices of ours on the sound server: their parts, and whose they are.

A microphone is a null sink that live plays into, and a remapped source in front of its
monitor, because browsers and call programs hide monitors; both are mono, with the
position set. A loudspeaker is a null sink alone, and stereo, as what calls play. All
carry a name and an owner, so that what a killed process left is recognised.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from ..errors import DeviceError
from . import soundserver
from .owner import Owner
from .soundserver import Entry

__all__ = [
    "KEPT",
    "Found",
    "find_all",
    "is_ours",
    "keep_defaults",
    "make",
    "make_loudspeaker",
    "microphone_name",
    "remove_stale",
    "slug_of",
    "taken",
]

KEPT: Final = "kept"
"""Owner of a microphone that stays until it is removed by command."""

_MARK: Final = "streamdenoise.mic"
_OWNER: Final = "streamdenoise.owner"
_KIND: Final = "streamdenoise.kind"
_LOUDSPEAKER: Final = "loudspeaker"
_APPEARS_SECONDS: Final = 3.0


@dataclass(frozen=True)
class Found:
    """A virtual device of ours on the server, whole or in part.

    Attributes
    ----------
    name
        As it was asked for.
    sink, source
        Its halves; None where one is missing. A loudspeaker has no source.
    owner
        Who made it; None if it is to stay.
    users
        Names of the programs that record from a microphone now, or that play into a
        loudspeaker.
    """

    name: str
    sink: Entry | None
    source: Entry | None
    owner: Owner | None
    users: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """Either ``microphone`` or ``loudspeaker``."""
        if self.sink is not None and self.sink.properties.get(_KIND) == _LOUDSPEAKER:
            return _LOUDSPEAKER
        return "microphone"

    @property
    def stale(self) -> bool:
        """Whether its process is gone without having removed it."""
        return self.owner is not None and self.owner.gone

    @property
    def state(self) -> str:
        """One of ``kept``, ``live``, ``left over``, ``broken``."""
        if self.stale:
            return "left over"
        if self.sink is None or (self.source is None and self.kind == "microphone"):
            return "broken"
        return "kept" if self.owner is None else "live"

    @property
    def in_use(self) -> bool:
        """Whether it is whole, and of a process of this machine that runs."""
        return (
            self.state == "live" and self.owner is not None and not self.owner.elsewhere
        )

    @property
    def description(self) -> str:
        """What call programs call it."""
        shown = self.sink if self.kind == _LOUDSPEAKER else self.source
        return shown.description if shown is not None else ""

    def as_dict(self) -> dict[str, Any]:
        """All of it in plain types, for JSON."""
        return {
            "name": self.name,
            "kind": self.kind,
            "description": self.description,
            "state": self.state,
            "source": self.source.name if self.source else None,
            "sink": self.sink.name if self.sink else None,
            "pid": self.owner.pid if self.owner else None,
            "users": list(self.users),
        }

    def remove(self) -> None:
        """Take both halves off the server."""
        for half in (self.source, self.sink):
            if half is not None and half.module is not None:
                soundserver.unload_module(half.module)


def find_all() -> list[Found]:
    """Return all virtual devices of ours on the server, by name.

    Raises
    ------
    DeviceError
        If no sound server answers.
    """
    sinks = {e.properties[_MARK]: e for e in soundserver.entries("sinks") if is_ours(e)}
    sources = {
        e.properties[_MARK]: e
        for e in soundserver.entries("sources")
        if is_ours(e) and not e.is_monitor
    }
    recording = _users("source-outputs") if sources else {}
    playing = _users("sink-inputs") if sinks else {}
    found = []
    for name in sorted({*sinks, *sources}):
        sink, source = sinks.get(name), sources.get(name)
        half = sink or source
        assert half is not None
        owner = Owner.parse(half.properties.get(_OWNER, ""))
        users = recording.get(source.index) if source else playing.get(half.index)
        found.append(Found(name, sink, source, owner, tuple(users or ())))
    return found


def _users(kind: soundserver.Kind) -> dict[int | None, list[str]]:
    """Names of the programs that have streams, by the sink or source."""
    users: dict[int | None, list[str]] = {}
    for stream in soundserver.entries(kind):
        name = stream.properties.get("application.name", "a program")
        users.setdefault(stream.attached, []).append(name)
    return users


def is_ours(entry: Entry) -> bool:
    """Say whether a sink or source is part of one of ours."""
    return bool(entry.properties.get(_MARK))


def microphone_name(sink: Entry, sources: Sequence[Entry]) -> str:
    """Return what people call the microphone that a sink of ours feeds; else nothing.

    Parameters
    ----------
    sink
        Any.
    sources
        All that the server has.
    """
    mark = sink.properties.get(_MARK)
    fed = (e for e in sources if mark and not e.is_monitor)
    return next((e.known_as for e in fed if e.properties.get(_MARK) == mark), "")


def remove_stale() -> list[str]:
    """Remove what processes that are gone have left; return the names.

    Raises
    ------
    DeviceError
        If no sound server answers.
    """
    stale = [found for found in find_all() if found.stale]
    for found in stale:
        found.remove()
    return [found.name for found in stale]


def keep_defaults(before: soundserver.Server, made: Found) -> None:
    """Undo it where a server made the new devices its defaults."""
    assert made.sink is not None
    after = soundserver.server()
    sinks = {entry.name for entry in soundserver.entries("sinks")}
    sources = {e.name for e in soundserver.entries("sources") if not e.is_monitor}
    if after.default_sink == made.sink.name and before.default_sink in sinks:
        soundserver.set_default("sinks", before.default_sink)
    ours = {f"{made.sink.name}.monitor", made.source.name if made.source else ""}
    if after.default_source in ours and before.default_source in sources:
        soundserver.set_default("sources", before.default_source)


def taken(found: Found) -> DeviceError:
    """Return the error of somebody who wants what another process has."""
    what = f"the virtual {found.kind} '{found.name}'"
    owner = found.owner
    if owner is not None and owner.elsewhere:
        return DeviceError(
            f"{what} belongs to another machine or container (process {owner.pid} "
            "there), or to one that has ended; end the live there, or choose another "
            "name; if it has ended, type: streamdenoise virtual-mic remove --name "
            f"{found.name}"
        )
    process = f"process {owner.pid}" if owner is not None else "another process"
    return DeviceError(
        f"{what} belongs to {process}, which runs; end that, or choose another name"
    )


def slug_of(name: str) -> str:
    """Return a name as the server takes it."""
    slug = re.sub(r"[^a-z0-9_.-]+", "-", name.strip().lower()).strip("-.")[:64]
    if not slug:
        raise DeviceError(
            f"a virtual microphone cannot be called '{name}'; use letters and digits"
        )
    return slug


def make(name: str, description: str, rate: int, owner: str) -> Found:
    """Load both modules; nothing stays if one is refused."""
    marks = {_MARK: name, _OWNER: owner, _KIND: "microphone"}
    sink, source = f"{name}.sink", f"{name}.mic"
    shape = ("channels=1", "channel_map=mono")
    labels = {**marks, "device.description": f"{description}: what it says"}
    loaded = []
    try:
        loaded.append(
            _null_sink(
                f"sink_name={sink}",
                f"rate={rate}",
                "format=float32le",
                *shape,
                f"sink_properties={soundserver.quoted(labels)}",
            )
        )
        # Monitors are hidden from people, a "sound" device is shown as a microphone.
        labels |= {"device.description": description, "device.class": "sound"}
        loaded.append(
            soundserver.load_module(
                "module-remap-source",
                f"source_name={source}",
                f"master={sink}.monitor",
                *shape,
                "remix=no",
                f"source_properties={soundserver.quoted(labels)}",
            )
        )
        return _appeared(name)
    except BaseException:
        for number in reversed(loaded):
            with contextlib.suppress(DeviceError):
                soundserver.unload_module(number)
        raise


def make_loudspeaker(name: str, description: str, rate: int, owner: str) -> Found:
    """Load a null sink alone."""
    marks = {_MARK: name, _OWNER: owner, _KIND: _LOUDSPEAKER}
    number = _null_sink(
        f"sink_name={name}",
        f"rate={rate}",
        "format=float32le",
        "channels=2",
        "channel_map=front-left,front-right",
        "sink_properties="
        + soundserver.quoted({**marks, "device.description": description}),
    )
    try:
        return _appeared(name)
    except BaseException:
        with contextlib.suppress(DeviceError):
            soundserver.unload_module(number)
        raise


def _null_sink(*arguments: str) -> int:
    # An idle null sink runs two seconds ahead, and what is then played into it is lost
    # as long. One that never rewinds keeps to 50 ms; PulseAudio before 15 has none.
    try:
        return soundserver.load_module("module-null-sink", "norewinds=1", *arguments)
    except soundserver.RefusedError:
        return soundserver.load_module("module-null-sink", *arguments)


def _appeared(name: str) -> Found:
    """Wait until all of it is listed; PipeWire takes a moment."""
    until = time.monotonic() + _APPEARS_SECONDS
    while True:
        for found in find_all():
            if found.name == name and found.state != "broken":
                return found
        if time.monotonic() > until:
            raise DeviceError(
                f"the sound server took the virtual device '{name}' but does not list "
                "it; start the server again with: systemctl --user restart "
                "pipewire-pulse (or: pulseaudio -k)"
            )
        time.sleep(0.05)
