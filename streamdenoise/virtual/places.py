"""Where the streams of a live are on the sound server, and where they are to be.

When a device is unplugged, PipeWire puts the streams on another one and tells nobody.
Sound from a microphone that nobody chose may be none of the call's business, and the
monitor of what is played would howl. So a live whose named device has gone waits for
it, as it does where the server ends the stream; one that names none goes along, and
says where to, unless no microphone is left there. A stream that leaves a device while
none comes or goes was moved by a person, who is obeyed while the device that it was
moved to is there.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from ..live.devices import Kind
from ..names import shown
from . import soundserver
from .absence import Stay
from .found import is_ours
from .route import bring
from .soundserver import Entry

__all__ = ["Places"]

UNREST_SECONDS: Final = 5.0
"""Time for which a server may move streams because a device has come or gone."""

NEWS_SECONDS: Final = 0.5
"""Time in which one hears of a device that has come or gone, at the latest."""

Warn = Callable[[str], None]

_SINK: Final[tuple[soundserver.Kind, soundserver.Streams]] = ("sinks", "sink-inputs")
_SOURCE: Final[tuple[soundserver.Kind, soundserver.Streams]] = (
    "sources",
    "source-outputs",
)


@dataclass
class _End:
    """One direction: what it is called, asked for, said to be at, and was at last.

    Attributes
    ----------
    moved
        Where a person has moved its stream to, from the device that was asked for.
    stay
        How long its stream has been where it should be.
    strayed
        When it was first seen elsewhere; 0 if it is not.
    """

    kind: Kind
    what: str
    kinds: tuple[soundserver.Kind, soundserver.Streams]
    wish: str | None
    said: str = ""
    last: Entry | None = None
    moved: Entry | None = None
    stay: Stay = field(default_factory=Stay)
    strayed: float = 0.0

    @property
    def before(self) -> str:
        """Name of the device that a person takes it to be at."""
        return self.last.name if self.last is not None else self.said

    @property
    def shown(self) -> str:
        """What a person calls the device that was asked for."""
        return self.last.known_as if self.last is not None else str(self.wish)


class Places:
    """Looks after our streams; to be asked when devices have come or gone.

    Parameters
    ----------
    sink, source
        Names that were asked for; None: whichever the server takes.
    hold
        Called with the reason why the devices are to stay closed, and with an empty
        text when they need not any more.
    microphone_only
        Whether somebody else looks after what is played.
    place
        Called with a direction and what people call the device that it has, whenever
        that was looked at.
    said
        Names of the sink and the source that a person was told of: a server may put a
        stream where one of its name was moved to the last time. Empty: of none.
    """

    def __init__(
        self,
        sink: str | None,
        source: str | None,
        hold: Callable[[str], None],
        *,
        microphone_only: bool = False,
        place: Callable[[Kind, str], None] = lambda kind, name: None,
        said: tuple[str, str] = ("", ""),
    ) -> None:
        self._source = _End("input", "the microphone", _SOURCE, source, said[1])
        self._sink = _End("output", "the loudspeaker", _SINK, sink, said[0])
        self._place = place
        self._ends = [self._source] + ([] if microphone_only else [self._sink])
        self._plays = not microphone_only
        self._hold = hold
        self._held = False
        self._changed = 0.0

    def changed(self) -> None:
        """Note that devices have come or gone, when servers move streams at will."""
        self._changed = time.monotonic()

    def look(self, warn: Warn) -> None:
        """Bring streams back, wait for a device that has gone, or say where they are.

        Raises
        ------
        DeviceError
            If no server answers, or it refuses.
        """
        for end in self._ends:
            if not self._settled(end, warn):
                return
            if end.last is not None:
                self._place(end.kind, end.last.known_as)
        self._beware()

    def waiting(self) -> None:
        """While devices are closed: let them open again once all are there.

        Raises
        ------
        DeviceError
            If no server answers.
        """
        for end in self._ends:
            end.stay, end.strayed = Stay(), 0.0  # a new server counts from 0 again
        if self._held and not self._missing():
            self._held = False
            self._hold("")

    def _settled(self, end: _End, warn: Warn) -> bool:
        """See to one direction; return whether it has a device."""
        devices = {entry.index: entry for entry in soundserver.entries(end.kinds[0])}
        streams = soundserver.streams_of(end.kinds[1], os.getpid())
        stream = next((s for s in streams if s.attached in devices), None)
        now = None if stream is None else devices[stream.attached or 0]
        if end.wish is None:
            if now is not None:
                if self._astray(end, now, devices):
                    self._wait(f"{end.what} '{end.shown}' went away")
                    return False
                if end.before not in ("", now.name):
                    warn(f"{end.what} is {_called(now, devices)} now")
                end.last = now
            return True
        goal = self._goal(end, devices, warn)
        if goal is None:
            self._wait(f"{end.what} '{end.shown}' went away")
            return False
        end.last = goal
        if stream is None or now is None:
            return True
        if now.index == goal.index:
            end.stay.note(stream.index, now.index)
            end.strayed = 0.0
        elif not end.stay.lasted(stream.index, goal.index):
            self._bring_back(end, goal)
        elif time.monotonic() - self._changed < UNREST_SECONDS:
            self._bring_back(end, goal)
            end.stay = Stay()  # it is said once
            warn(
                f"the sound server had moved {end.what} to {_called(now, devices)}; it "
                f"is {_called(goal, devices)} again"
            )
        elif not end.strayed:  # the news that a device has come may be on its way
            end.strayed = time.monotonic()
        elif time.monotonic() - end.strayed > NEWS_SECONDS:
            self._obey(end, now, _called(now, devices), warn)
            end.stay.settle(stream.index, now.index)  # the next move is one as well
        return True

    def _bring_back(self, end: _End, goal: Entry) -> None:
        bring(*((goal.name, None) if end is self._sink else (None, goal.name)))
        end.strayed = 0.0

    def _goal(
        self, end: _End, devices: Mapping[int, Entry], warn: Warn
    ) -> Entry | None:
        """Return the device of a direction for which one was asked, if it is there."""
        wished = next((e for e in devices.values() if e.name == end.wish), None)
        # By name as well: a server that was started again counts from 0.
        there = None if end.moved is None else devices.get(end.moved.index)
        if end.moved is not None and (there is None or there.name != end.moved.name):
            end.moved = None
            if wished is not None:
                warn(f"{end.what} is {_called(wished, devices)} again")
        return end.moved or wished

    def _obey(self, end: _End, now: Entry, called: str, warn: Warn) -> None:
        """Note that a person has moved a stream, and say what that means."""
        end.last, end.strayed = now, 0.0
        if now.name == end.wish:
            end.moved = None
            warn(f"{end.what} is {called} again")
            return
        end.moved = now
        warn(
            f"{end.what} is {called} now, as its stream was moved there by hand; it "
            "stays there while that is connected"
        )

    def _astray(self, end: _End, now: Entry, devices: Mapping[int, Entry]) -> bool:
        """Whether the microphone has gone, and no other one is in its place."""
        last = end.last
        if end is not self._source or last is None:
            return False
        worse = is_ours(now) or (_played(now) and not _played(last))
        return worse and all(each.name != last.name for each in devices.values())

    def _beware(self) -> None:
        """Wait where the server lets us hear what we play, which nobody asked for."""
        source, sink = self._source, self._sink
        if source.wish is not None or source.last is None or sink.last is None:
            return
        if source.last.name == sink.last.monitor:
            self._wait(
                "no microphone is there; the sound server offers what is played in its "
                "place, which would howl"
            )

    def _wait(self, why: str) -> None:
        self._held = True
        self._hold(why)

    def _missing(self) -> bool:
        """Whether something that was asked for is not there, or no microphone is."""
        for end in self._ends:
            names = {entry.name for entry in soundserver.entries(end.kinds[0])}
            if end.wish is not None and end.wish not in names:
                return True
        if self._source.wish is not None:
            return False
        default, last = soundserver.server().default_source, self._source.last
        sources = soundserver.entries("sources")
        real = {each.name for each in sources if not _played(each)}
        if any(each.name == default and is_ours(each) for each in sources):
            # The owner of a virtual microphone leads from that to a real one.
            return self._plays or not real
        if last is None or _played(last):
            return self._sink.last is not None and default == self._sink.last.monitor
        return default not in real


def _called(device: Entry, devices: Mapping[int, Entry]) -> str:
    """Return what people call a device; with its name where two are called the same."""
    twins = sum(each.known_as == device.known_as for each in devices.values())
    called = f"'{device.known_as}'"
    return called if twins < 2 else f"{called} ({shown(device.name)})"


def _played(source: Entry) -> bool:
    """Whether a source carries what is played somewhere, or made here."""
    return source.is_monitor or is_ours(source)
