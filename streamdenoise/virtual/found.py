"""Virtual devices of ours on the sound server, as they are found, and whose they are.

All carry a name and an owner, so that what a killed process left is recognised.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from ..errors import DeviceError
from . import soundserver
from .owner import Owner
from .soundserver import Entry

__all__ = [
    "KIND",
    "LOUDSPEAKER",
    "MARK",
    "OWNER",
    "Found",
    "carriers",
    "find_all",
    "is_ours",
    "microphone_name",
    "real_sink",
    "remove_stale",
    "taken",
]

MARK: Final = "streamdenoise.mic"
OWNER: Final = "streamdenoise.owner"
KIND: Final = "streamdenoise.kind"
LOUDSPEAKER: Final = "loudspeaker"


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
        if self.sink is not None and self.sink.properties.get(KIND) == LOUDSPEAKER:
            return LOUDSPEAKER
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
        shown = self.sink if self.kind == LOUDSPEAKER else self.source
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
    sinks = {e.properties[MARK]: e for e in soundserver.entries("sinks") if is_ours(e)}
    sources = {
        e.properties[MARK]: e
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
        owner = Owner.parse(half.properties.get(OWNER, ""))
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
    return bool(entry.properties.get(MARK))


def microphone_name(sink: Entry, sources: Sequence[Entry]) -> str:
    """Return what people call the microphone that a sink of ours feeds; else nothing.

    Parameters
    ----------
    sink
        Any.
    sources
        All that the server has.
    """
    mark = sink.properties.get(MARK)
    fed = (e for e in sources if mark and not e.is_monitor)
    return next((e.known_as for e in fed if e.properties.get(MARK) == mark), "")


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


def real_sink(*wanted: str | None) -> Entry | None:
    """Return the first that is there and not ours, else any other; None without any."""
    sinks = [e for e in soundserver.entries("sinks") if not is_ours(e)]
    for name in wanted:
        for entry in sinks:
            if entry.name == name:
                return entry
    return sinks[0] if sinks else None


def carriers(sources: Sequence[Entry], source: str, sink: str) -> set[str]:
    """Return the names of the sources that carry what is played into a microphone.

    Parameters
    ----------
    sources
        All that the server has.
    source, sink
        Names of the microphone's halves.
    """
    loops = {source, f"{sink}.monitor"}
    for entry in sources:
        if entry.properties.get("device.master_device") in loops:
            loops.add(entry.name)
    return loops
