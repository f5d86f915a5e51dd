"""Keeping libraries quiet that write to standard error behind our back."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from typing import Final, TextIO

__all__ = ["quiet_alone", "quiet_stderr"]


class _Shared:
    """One change for all who want it at the same time, in whatever thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._undo = contextlib.ExitStack()

    def enter(self) -> None:
        with self._lock:
            if not self._users:
                self._undo.enter_context(_led_nowhere())
            self._users += 1

    def leave(self) -> None:
        with self._lock:
            self._users -= 1
            if not self._users:
                self._undo.close()


_SHARED: Final = _Shared()


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Keep what C libraries print on standard error off the terminal.

    ALSA and PortAudio write there for each rate that a device refuses and for each
    xrun, libmpg123 what it finds odd in an MP3, and none can be told not to. What
    Python itself prints still arrives.

    Several threads may do so at once: it is as before when the last of them is done.
    """
    _SHARED.enter()
    try:
        yield
    finally:
        _SHARED.leave()


@contextlib.contextmanager
def _led_nowhere() -> Iterator[None]:
    before = sys.stderr
    try:
        before.flush()
        ours = before.fileno() == 2
        kept = os.dup(2)  # last: who cannot do the rest has nothing to close
    except (OSError, ValueError, AttributeError):  # no standard error, or not a file
        yield
        return
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, kept)
        if ours:
            stack.enter_context(_stderr_on(kept, before))
        with open(os.devnull, "wb") as nowhere:  # noqa: PTH123
            os.dup2(nowhere.fileno(), 2)
        stack.callback(os.dup2, kept, 2)
        yield


@contextlib.contextmanager
def _stderr_on(descriptor: int, before: TextIO) -> Iterator[None]:
    with open(
        descriptor,
        "w",
        buffering=1,
        encoding=before.encoding,
        errors=before.errors,
        closefd=False,
    ) as stream:
        sys.stderr = stream
        try:
            yield
        finally:
            sys.stderr = before


@contextlib.contextmanager
def quiet_alone(wanted: bool = True) -> Iterator[None]:
    """Do the same, unless there are other threads.

    What libraries say in them for good reasons must not be lost.

    Parameters
    ----------
    wanted
        Do nothing if false.
    """
    if wanted and threading.active_count() == 1:
        with quiet_stderr():
            yield
    else:
        yield
