"""Where the streams of a live are on the sound server, and where they are to be.

When a device is unplugged, PipeWire puts the streams on another one and tells nobody.
Sound from a microphone that nobody chose may be none of the call's business, and the
monitor of what is played would howl. So a live whose named device has gone waits for
it, as it does where the server ends the stream; one that names none goes along, and
says where to.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from . import pactl
from .pactl import Entry
from .route import bring

__all__ = ["Places"]

Warn = Callable[[str], None]

_SINK: Final[tuple[pactl.Kind, pactl.Streams]] = ("sinks", "sink-inputs")
_SOURCE: Final[tuple[pactl.Kind, pactl.Streams]] = ("sources", "source-outputs")


@dataclass
class _End:
    """One direction: what it is called, asked for, said to be at, and was at last."""

    what: str
    kinds: tuple[pactl.Kind, pactl.Streams]
    wish: str | None
    said: str = ""
    last: Entry | None = None

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
        said: tuple[str, str] = ("", ""),
    ) -> None:
        self._source = _End("the microphone", _SOURCE, source, said[1])
        self._sink = _End("the loudspeaker", _SINK, sink, said[0])
        self._ends = [self._source] + ([] if microphone_only else [self._sink])
        self._hold = hold
        self._held = False

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
        self._beware()

    def waiting(self) -> None:
        """While devices are closed: let them open again once all are there.

        Raises
        ------
        DeviceError
            If no server answers.
        """
        if self._held and not self._missing():
            self._held = False
            self._hold("")

    def _settled(self, end: _End, warn: Warn) -> bool:
        """See to one direction; return whether it has a device."""
        devices = {entry.index: entry for entry in pactl.entries(end.kinds[0])}
        streams = pactl.streams_of(end.kinds[1], os.getpid())
        now = next(
            (devices[s.attached] for s in streams if s.attached in devices), None
        )
        if end.wish is not None:
            wished = next((e for e in devices.values() if e.name == end.wish), None)
            if wished is None:
                self._wait(f"{end.what} '{end.shown}' went away")
                return False
            end.last = wished
            if now is not None and now.name != end.wish:
                bring(*((end.wish, None) if end is self._sink else (None, end.wish)))
            return True
        if now is not None:
            if end.before not in ("", now.name):
                warn(f"{end.what} is '{now.known_as}' now")
            end.last = now
        return True

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
            names = {entry.name for entry in pactl.entries(end.kinds[0])}
            if end.wish is not None and end.wish not in names:
                return True
        if self._source.wish is not None or self._sink.last is None:
            return False
        return pactl.server().default_source == self._sink.last.monitor
