"""Noticing that devices of the sound server come and go, without asking it.

When a sink is removed, the server moves what plays into it to another one, and no
program is told: what was meant for a call would come out of the loudspeaker. So the
server's own list of events is read as it comes, from a program that waits for them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from typing import Final

from ..closing import Closing
from .pactl import environment

__all__ = ["DeviceEvents"]

PAUSE_SECONDS: Final = 5.0
"""After the server's end, until it is looked for again."""

_EVENTS: Final = (
    b"'new' on sink #",
    b"'new' on source #",
    b"'remove' on sink #",
    b"'remove' on source #",
    b"'change' on server",  # another default device, which streams may go to
)
_LONGEST: Final = 65536


class DeviceEvents(Closing):
    """Says whether a device has come or gone, or another is the default."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._tail = b""
        self._again = 0.0
        self._start()

    def seen(self) -> bool:
        """Return whether one has, since this was last asked; never waits.

        True as well if nobody could tell for a while.
        """
        if self._process is None:
            if time.monotonic() < self._again:
                return False
            return self._start()
        assert self._process.stdout is not None
        try:
            new = os.read(self._process.stdout.fileno(), _LONGEST)
        except BlockingIOError:
            return False
        if not new:  # the server has gone, or never was there
            self._end()
            self._again = time.monotonic() + PAUSE_SECONDS
            return False
        *lines, self._tail = (self._tail + new).split(b"\n")
        return any(event in line for event in _EVENTS for line in lines)

    def _start(self) -> bool:
        program = shutil.which("pactl")
        if program is None:
            self._again = float("inf")
            return False
        self._process = subprocess.Popen(
            [program, "subscribe"],
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for us
        )
        assert self._process.stdout is not None
        os.set_blocking(self._process.stdout.fileno(), False)
        self._tail = b""
        return True

    def close(self) -> None:
        """End the program that waits; may be called twice."""
        self._again = float("inf")
        self._end()

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
