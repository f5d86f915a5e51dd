"""Ctrl-C, ``kill`` and a closed terminal: what they do to a command.

`stop_on_sigterm` interrupts, so that work is undone. `Stopping` takes note, so that a
stream can be finished, and ends the process where not even that is possible.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType, TracebackType
from typing import Any, Final

from ..errors import EXIT_ENVIRONMENT
from .printing import say

__all__ = ["Stopping", "stop_on_sigterm"]

TOGETHER_SECONDS: Final = 1.0
"""Signals that come within this time are one: a closed terminal sends several, and the
next would cut off the cleaning up after the first."""

AT_ONCE_SECONDS: Final = 0.3
"""The same where the first is only taken note of: a second Ctrl-C soon counts."""

ANSWER_SECONDS: Final = 5.0
"""Time in which Python must have taken note of a signal; else its thread hangs in a
library."""

SLOW_SECONDS: Final = 6.0
"""Time that ending may take before what is most dear is done by the other thread."""

SILENT_SECONDS: Final = 30.0
"""Time without a look at the stream after which something hangs."""

POLL_SECONDS: Final = 1.0
LAST_ACT_SECONDS: Final = 3.0

_NUMBERS: Final = frozenset(
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP")  # the last is unknown to Windows
    if hasattr(signal, name)
)
_Handler = Callable[[int, FrameType | None], None]


@contextlib.contextmanager
def stop_on_sigterm() -> Iterator[None]:
    """Let ``kill`` and a closed terminal clean up as Ctrl-C does, while inside."""
    came: list[float] = []

    def interrupt(number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if came and now - came[-1] < TOGETHER_SECONDS:
            return
        came.append(now)
        raise KeyboardInterrupt

    with _caught(interrupt):
        yield


@contextlib.contextmanager
def _caught(handler: _Handler) -> Iterator[bool]:
    """Handle what asks a program to end; tell whether that is possible here."""
    before: dict[int, Any] = {}
    for number in _NUMBERS:
        # What nohup ignores stays ignored.
        if signal.getsignal(number) is not signal.SIG_IGN:
            with contextlib.suppress(ValueError):  # not in the main thread
                before[number] = signal.signal(number, handler)
    try:
        yield bool(before)
    finally:
        for number, old in before.items():
            signal.signal(number, old)


class Stopping:
    """Takes note of what asks a stream to end; a context manager.

    A second Ctrl-C interrupts at once. If Python cannot take note at all, because its
    thread hangs in a library (PortAudio waits for ever for a device that dies while it
    is started), a thread of its own ends the process, after `at_worst` has been done.

    Parameters
    ----------
    hint
        What to say of a library that hangs, as the end of a sentence.

    Attributes
    ----------
    asked
        Whether to end.
    """

    def __init__(self, hint: str = "") -> None:
        self.asked = False
        self._hint = hint
        self._acts: list[Callable[[], object]] = []
        self._dear: list[Callable[[], object]] = []
        self._noted_at = float("-inf")
        self._looked_at: float | None = None
        self._stack = contextlib.ExitStack()

    def look(self) -> bool:
        """Return `asked`; who once begins to ask must not cease to for long."""
        self._looked_at = time.monotonic()
        return self.asked

    def at_worst(self, act: Callable[[], object], *, dear: bool = False) -> None:
        """Have something done before the process is ended from outside, last first.

        It is called in another thread than the one that hangs, and is given a few
        seconds.

        Parameters
        ----------
        act
            May be called more than once, and while the other thread does the same.
        dear
            Do it also where that one has taken note and does not come to an end, before
            systemd loses its patience.
        """
        self._acts.insert(0, act)
        if dear:
            self._dear.append(act)

    def __enter__(self) -> Stopping:
        """Catch the signals."""
        if self._stack.enter_context(_caught(self._note)):
            ours, theirs = socket.socketpair()
            self._stack.callback(ours.close)
            self._stack.callback(theirs.close)
            theirs.setblocking(False)
            before = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
            guard = threading.Thread(
                target=self._guard, args=(ours,), name="streamdenoise-stop", daemon=True
            )
            guard.start()
            self._stack.callback(guard.join, 1.0)
            self._stack.callback(theirs.shutdown, socket.SHUT_RDWR)
            self._stack.callback(signal.set_wakeup_fd, before)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Put the signals back as they were."""
        self._stack.close()

    def _note(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        again = self.asked and now - self._noted_at >= AT_ONCE_SECONDS
        self.asked, self._noted_at = True, now
        if again:
            raise KeyboardInterrupt

    # In the other thread ------------------------------------------------------------

    def _guard(self, signals: socket.socket) -> None:
        """Wait for signals, and see whether they are taken note of."""
        signals.settimeout(POLL_SECONDS)
        waits_since, told, before = float("inf"), False, time.monotonic()
        while True:
            came = None
            with contextlib.suppress(TimeoutError):
                came = signals.recv(64)
            if came == b"":  # the end
                return
            now = time.monotonic()
            if came and _NUMBERS.intersection(came):
                waits_since = min(waits_since, now)
            # The handler may have been faster than this thread.
            if self._noted_at >= waits_since - AT_ONCE_SECONDS:
                waits_since = float("inf")
            if now - waits_since >= ANSWER_SECONDS:
                self._end()
            if self._dear and self.asked and now - self._noted_at >= SLOW_SECONDS:
                dear, self._dear = self._dear, []
                _do(dear)
            silent = 0.0 if self._looked_at is None else now - self._looked_at
            # Where this thread stood still as well, Ctrl-Z say, nothing hangs.
            if silent >= SILENT_SECONDS and not told and now - before < SILENT_SECONDS:
                told = True
                say(f"streamdenoise: {self._trouble(silent)}. Ctrl-C ends")
            told, before = told and silent >= SILENT_SECONDS, now

    def _trouble(self, seconds: float) -> str:
        return f"nothing has moved for {seconds:.0f} s{self._hint}"

    def _end(self) -> None:
        _do(self._acts)
        silent = ANSWER_SECONDS
        if self._looked_at is not None:
            silent = max(silent, time.monotonic() - self._looked_at)
        say(f"streamdenoise: ended by force, {self._trouble(silent)}")
        os._exit(EXIT_ENVIRONMENT)


def _do(acts: list[Callable[[], object]]) -> None:
    """Do each in a thread of its own, that none is in the way of the next."""
    for act in acts:
        last = threading.Thread(target=_quietly, args=(act,), daemon=True)
        last.start()
        last.join(LAST_ACT_SECONDS)


def _quietly(act: Callable[[], object]) -> None:
    with contextlib.suppress(Exception):
        act()
