"""Telling systemd how live sound is: ready, alive, what it does, about to end.

One datagram on the socket that systemd names in ``NOTIFY_SOCKET``, and no library. It
is sent from the thread that looks after the session: if that hangs, in a driver for
instance, systemd hears no more and starts the service anew. Without such a socket
nothing is sent.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, MutableMapping
from types import TracebackType
from typing import TYPE_CHECKING, Final

from .names import shown

if TYPE_CHECKING:
    from .live.session import Status

__all__ = ["STATUS_PAUSE", "Notifier", "status_line"]

STATUS_PAUSE: Final = 10.0
"""Least seconds between two lines of status about the same state."""

_VARIABLES: Final = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")


class Notifier:
    """What systemd is told; a context manager that says when it ends.

    Parameters
    ----------
    environ
        Where systemd's variables are; they are taken out, for programs that are
        started from here are not what it asks about.

    Attributes
    ----------
    works
        Whether anybody listens.
    """

    def __init__(self, environ: MutableMapping[str, str] | None = None) -> None:
        environ = os.environ if environ is None else environ
        name, period, pid = (environ.pop(key, "") for key in _VARIABLES)
        self._socket = _open(name)
        self._every = _seconds(period, pid) / 2.0
        self._ready = False
        self._state = ""
        self._fed_at = self._said_at = -1e9

    @property
    def works(self) -> bool:
        """Whether anybody listens."""
        return self._socket is not None

    def following(
        self, tick: Callable[[Status], None] = lambda status: None
    ) -> Callable[[Status], None]:
        """Return `tick` with the telling behind it; see `LiveSession.run`."""

        def both(status: Status) -> None:
            tick(status)
            self(status)

        return both if self.works else tick

    def __call__(self, status: Status) -> None:
        """Tell what is new of a session that is looked after."""
        if self._socket is None:
            return
        now, fresh = time.monotonic(), status.state != self._state
        # A device that is waited for is no reason to be started anew: it is ready.
        lines = [] if self._ready else ["READY=1"]
        feeds = now - self._fed_at >= self._every
        says = fresh or now - self._said_at >= STATUS_PAUSE
        if feeds:
            lines.append("WATCHDOG=1")
        if says:
            lines.append(f"STATUS={status_line(status)}")
        if not lines or not self._send("\n".join(lines)):
            return
        self._ready = True
        if feeds:
            self._fed_at = now
        if says:
            self._state, self._said_at = status.state, now

    def __enter__(self) -> Notifier:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Say that it ends, and close the socket."""
        if self._socket is not None:
            self._send("STOPPING=1")
            self._socket.close()
            self._socket = None

    def _send(self, text: str) -> bool:
        """Send without waiting; return whether it went, else the next look repeats."""
        if self._socket is None:
            return False
        try:
            self._socket.send(text.encode())
        except OSError:
            return False
        return True


def status_line(status: Status) -> str:
    """Return the line that ``systemctl --user status`` shows."""
    if status.state != "running":
        return status.state
    said = f"latency {1000.0 * status.latency:.0f} ms, xruns {status.xrun_count}"
    return f"running, {said}, model {shown(status.model)}"


def _open(name: str) -> socket.socket | None:
    """Return a socket that reaches systemd, or None where there is none."""
    if not name.startswith(("/", "@")) or not hasattr(socket, "AF_UNIX"):
        return None
    # An abstract name is written with @ in the environment, and begins with 0.
    address = "\0" + name[1:] if name.startswith("@") else name
    found = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    found.setblocking(False)
    try:
        found.connect(address)
    except OSError:
        found.close()
        return None
    return found


def _seconds(period: str, pid: str) -> float:
    """Return how long systemd waits for a sign of life; inf if it does not."""
    if not period.isdecimal() or int(period) == 0 or pid not in ("", str(os.getpid())):
        return float("inf")
    return int(period) / 1e6
