"""Text to a terminal that may be slow, held, or gone, without ever waiting for it.

A terminal whose output is held (Ctrl-S), or that hangs behind a slow line, makes
whoever writes to it wait. The main thread of a session also watches devices and answers
the control socket, so it must not. An `Outlet` keeps what the terminal does not take
yet, up to a bound, and says when it is through.
"""

from __future__ import annotations

import contextlib
import io
import os
import select
import sys
import time
from typing import Any, Final, TextIO

__all__ = ["Outlet", "is_terminal", "terminal_size"]

MOST_BYTES: Final = 65536
"""What is kept at most; text behind that is left out."""

LAST_SECONDS: Final = 0.3
"""How long `drain` waits."""


class Outlet(io.TextIOBase):
    """A text stream onto standard error; what it writes to may do as it likes.

    Onto a terminal it writes through a descriptor of its own, for which alone it asks
    not to wait. Anything else it hands to standard error as it is, and where standard
    error is closed nothing is said.
    """

    def __init__(self) -> None:
        super().__init__()
        # Closed by who started us, as with 2>&-, it is None.
        self._stream: TextIO | None = sys.stderr
        self._pending = b""
        self._fd = _own_descriptor(self._stream)

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """Of the terminal."""
        return getattr(self._stream, "encoding", None) or "utf-8"

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return is_terminal()

    def fileno(self) -> int:
        """Return the descriptor of standard error; OSError if that is closed."""
        if self._stream is None:
            raise io.UnsupportedOperation("standard error is closed")
        return self._stream.fileno()

    def writable(self) -> bool:
        """Text can be written."""
        return True

    def write(self, text: str) -> int:
        """Take `text`; what the terminal's encoding lacks is escaped."""
        data = text.encode(self.encoding, "backslashreplace")
        if self._stream is None:
            return len(text)
        if self._fd is None:
            with contextlib.suppress(OSError, ValueError):
                self._stream.write(data.decode(self.encoding))
        elif len(self._pending) + len(data) <= MOST_BYTES:
            self._pending += data
        return len(text)

    def flush(self) -> None:
        """Hand over what the terminal takes now."""
        if self._stream is None:
            return
        if self._fd is None:
            with contextlib.suppress(OSError, ValueError):
                self._stream.flush()
            return
        try:
            while self._pending:
                self._pending = self._pending[os.write(self._fd, self._pending) :]
        except BlockingIOError:
            pass
        except OSError:  # the window was closed
            self._pending = b""

    def through(self) -> bool:
        """Whether the terminal has taken everything, so that more makes sense."""
        self.flush()
        return not self._pending

    def drain(self) -> None:
        """Hand over the rest; wait a moment for it, but not longer."""
        end = time.monotonic() + LAST_SECONDS
        while not self.through() and (left := end - time.monotonic()) > 0:
            if self._fd is not None:
                select.select([], [self._fd], [], left)

    def in_front(self) -> bool:
        """Whether the terminal is ours to paint on, not the shell's for the moment.

        It is the shell's after Ctrl-Z and ``bg``, and after a start with ``&``. A
        terminal that does not control us, or none at all, counts as ours.
        """
        try:
            fd = self.fileno() if self._fd is None else self._fd
            return os.tcgetpgrp(fd) == os.getpgrp()
        except (OSError, ValueError, AttributeError):
            return True

    def close(self) -> None:
        """Give the descriptor back."""
        fd, self._fd = getattr(self, "_fd", None), None
        if fd is not None:
            with contextlib.suppress(OSError):
                os.close(fd)
        super().close()


def _own_descriptor(stream: Any) -> int | None:
    """Open the terminal of `stream` anew, without waiting; None if it is none.

    A flag on the descriptor that is there would change the shell's, too.
    """
    try:
        name = os.ttyname(stream.fileno())
        flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        return os.open(name, flags)
    except (OSError, ValueError, AttributeError):
        return None


def is_terminal() -> bool:
    """Whether standard error is a terminal."""
    return bool(getattr(sys.stderr, "isatty", lambda: False)())


def terminal_size() -> tuple[int, int]:
    """Return columns and lines of the terminal on standard error."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        # A terminal that does not know its size says 0.
        columns, lines = os.get_terminal_size(sys.stderr.fileno())
        return columns or 80, lines or 24
    return 80, 24
