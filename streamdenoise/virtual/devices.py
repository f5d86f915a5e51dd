"""The virtual devices of one live session, and what keeps them while it runs."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Sequence
from functools import partial
from types import TracebackType
from typing import Final

from ..errors import DeviceError
from ..live.devices import Device, Kind
from . import DEFAULT_NAME, route, soundserver
from .events import DeviceEvents
from .incoming import Incoming
from .mic import VirtualMic
from .places import Places
from .route import SINK_VARIABLE, SOURCE_VARIABLE
from .soundserver import NoServerError, RefusedError

__all__ = ["VirtualDevices"]

LOOKS: Final = (0.0, 1.0, 2.0, 4.0, 8.0)
"""Seconds after a change at which is looked: servers move streams in their own time."""


class VirtualDevices:
    """A microphone, a loudspeaker, both or none; a context manager that removes them.

    Parameters
    ----------
    warn
        Called with a sentence when something is odd.

    Attributes
    ----------
    mic : VirtualMic or None
    incoming : Incoming or None
    """

    def __init__(self, warn: Callable[[str], None]) -> None:
        self.mic: VirtualMic | None = None
        self.incoming: Incoming | None = None
        self._warn = warn
        self._stack = contextlib.ExitStack()
        self._events: DeviceEvents | None = None
        self._places: Places | None = None
        self._running = False
        self._looks: list[float] = []
        self._moves: Callable[[], int] = int
        self._moved = 0

    def add_mic(self, name: str) -> str:
        """Make the microphone; return the output device to open, see `route`.

        Raises
        ------
        DeviceError
            If it cannot be made, or nothing leads to it.
        """
        self.mic = self._stack.enter_context(VirtualMic.create(name))
        self._watch()
        return self.mic.route(self._warn)

    def add_incoming(self, name: str | None, words: Sequence[str]) -> None:
        """Denoise the other direction as well; for the arguments see `Incoming`.

        Raises
        ------
        DeviceError
            If its loudspeaker cannot be made.
        """
        incoming = Incoming(DEFAULT_NAME if name is None else name, words)
        self.incoming = self._stack.enter_context(incoming)
        self._watch()

    def attend(
        self,
        source: Device,
        sink: Device,
        hold: Callable[[str], None],
        moves: Callable[[], int] = int,
        place: Callable[[Kind, str], None] = lambda kind, name: None,
    ) -> None:
        """Look after the streams of a live, where a sound server may move them.

        Parameters
        ----------
        source, sink
            What it has opened.
        hold
            See `Places`.
        moves
            Tells how often a server has moved its streams, as a person may bid it.
        place
            See `Places`.
        """
        if not any(d.is_server or d.host_api == "PulseAudio" for d in (source, sink)):
            return
        mic = self.mic
        if mic is not None and mic.chose_input:
            return  # which is looked after there
        wished = _named(SINK_VARIABLE, "sinks"), _named(SOURCE_VARIABLE, "sources")
        said = sink.real("output").server_name, source.real("input").server_name
        self._places = Places(
            *wished, hold, microphone_only=mic is not None, place=place, said=said
        )
        self._moves = moves
        self._watch()

    def _watch(self) -> None:
        if self._events is None:
            self._events = self._stack.enter_context(DeviceEvents())

    def lines(self) -> list[str]:
        """Say what to choose in the call."""
        lines = []
        if self.mic is not None:
            lines.append(f"choose the microphone '{self.mic.description}' in your call")
        if self.incoming is not None:
            lines.append(
                f"choose the loudspeaker '{self.incoming.description}' in your call; "
                f"you hear it on '{self.incoming.output}', and control it with: "
                f"streamdenoise ctl --name {self.incoming.control_name}"
            )
        return lines

    def resumed(self) -> None:
        """Bring our streams to where they belong, when devices have been opened.

        Raises
        ------
        DeviceError
            If the server does not answer, or refuses.
        """
        self._running = True
        self._look()
        if self.mic is not None:
            self.mic.check(self._warn)
        else:
            route.follow_environment()
        if self.incoming is not None:
            self.incoming.restore(self._warn)

    def waiting(self) -> None:
        """While devices are waited for: make anew what a new server does not know.

        Raises
        ------
        DeviceError
            If the server refuses; one that is not there yet is no error.
        """
        self._running = False
        self._mend(running=False)

    def always(self) -> None:
        """Look after the other direction, and after devices that come and go.

        Asks a server only while the other direction waits, and for some seconds when
        one has; what it refuses is tried again then.

        Raises
        ------
        DeviceError
            If the server refuses to the end.
        """
        if self.incoming is not None:
            self.incoming.check(self._warn)
        if self._events is not None and self._events.seen():
            if self._places is not None:
                self._places.changed()
            self._look()
        moved, self._moved = self._moved, self._moves()
        if moved != self._moved:
            self._look()
        due = sum(time.monotonic() >= at for at in self._looks)
        if not due:
            return
        # All at once, where one had to wait for a server that hangs.
        del self._looks[:due]
        if self._running:  # else `waiting` sees to it
            # A sink that has just come may not take streams yet.
            again = [RefusedError] if self._looks else []
            with contextlib.suppress(*again):
                self._mend(running=True)

    def _look(self) -> None:
        now = time.monotonic()
        self._looks = [now + seconds for seconds in LOOKS]

    def _mend(self, *, running: bool) -> None:
        """Mend what there is; one that fails does not keep the others from it.

        A server that does not answer is not asked again: each answer may take it long.
        """
        jobs: list[Callable[[], None]] = []
        if self.mic is not None:
            mend = self.mic.mend if running else self.mic.restore
            jobs.append(partial(mend, self._warn))
        if self._places is not None:
            look = partial(self._places.look, self._warn)
            jobs.append(look if running else self._places.waiting)
        if self.incoming is not None:
            jobs.append(partial(self.incoming.restore, self._warn))
        with contextlib.suppress(NoServerError):
            self._do(jobs)

    def _do(self, jobs: Sequence[Callable[[], None]]) -> None:
        """Do each, and raise at the end what has failed."""
        for number, job in enumerate(jobs):
            try:
                job()
            except NoServerError:
                raise
            except DeviceError:
                self._do(jobs[number + 1 :])
                raise

    def __enter__(self) -> VirtualDevices:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Remove what was made."""
        self._stack.__exit__(kind, value, trace)

    def close(self) -> None:
        """Remove what was made; may be called twice."""
        self._stack.close()


def _named(variable: str, kind: soundserver.Kind) -> str | None:
    """Return the name of the device that the environment asks for, if it does."""
    wish = os.environ.get(variable, "")
    if wish.isdecimal():  # the server takes numbers, too
        with contextlib.suppress(NoServerError):
            there = {str(e.index): e.name for e in soundserver.entries(kind)}
            return there.get(wish)
    # Its own words for the default ones begin with @.
    return None if not wish or wish.startswith("@") else wish
