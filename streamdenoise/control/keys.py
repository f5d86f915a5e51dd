"""Single keys from a terminal, without waiting and without a thread.

The terminal gives keys at once and does not echo them while a `Keyboard` is open. It
is put back whatever happens: at the end, at an exception, when the program is stopped
with Ctrl-Z (and taken again when it goes on), at hang-up and at SIGQUIT. In the
background nothing is read and nothing is changed, so that the shell does not stop us.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import select
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

__all__ = ["HELP", "KEYS", "Keyboard", "keys_in"]

KEYS: Final[dict[str, tuple[str, ...]]] = {
    "b": ("bypass",),
    "r": ("removed",),
    "up": ("strength", "up"),
    "+": ("strength", "up"),
    "=": ("strength", "up"),
    "down": ("strength", "down"),
    "-": ("strength", "down"),
    "m": ("mute",),
    "R": ("record",),
    "n": ("model", "next"),
    "q": ("stop",),
}
"""The words of `commands` that a key stands for."""

HELP: Final = (
    ("b", "bypass", "the input as it is, with the same delay"),
    ("r", "removed", "hear what is taken away"),
    ("+ -", "strength", "take away more or less (arrows do it, too)"),
    ("m", "mute", "silence"),
    ("R", "record", "begin or end a recording in this folder"),
    ("n", "model", "the next model"),
    ("?", "help", "this list, or the view again"),
    ("q", "quit", "end with a summary, as Ctrl-C does"),
)
"""Key, name, and what it does."""

_ESCAPES: Final = {"A": "up", "B": "down", "C": "right", "D": "left"}
_MAX_BYTES: Final = 256


def keys_in(text: str) -> tuple[list[str], str]:
    """Cut what a terminal sent into keys.

    Returns
    -------
    keys
        Characters as they are, arrows as ``"up"``, ``"down"``, ``"left"``,
        ``"right"``; other escape sequences are left out.
    rest
        The beginning of an escape sequence whose end has not come yet.
    """
    keys, at = [], 0
    while at < len(text):
        if text[at] != "\x1b":
            keys.append(text[at])
            at += 1
            continue
        if at + 1 == len(text):
            return keys, text[at:]
        if text[at + 1] not in "[O":
            at += 1  # Alt and a key, or the key Escape: the key alone counts
            continue
        end = at + 2
        while end < len(text) and not "@" <= text[end] <= "~":
            end += 1
        if end == len(text):
            return keys, text[at:] if end - at < 16 else ""
        if text[end] in _ESCAPES:
            keys.append(_ESCAPES[text[end]])
        at = end + 1
    return keys, ""


class Keyboard:
    """Keys of the terminal on standard input; a context manager.

    Parameters
    ----------
    pause
        Called before the program is stopped by Ctrl-Z, or ended by Ctrl-backslash, to
        tidy the screen.

    Attributes
    ----------
    works
        Whether there is a terminal to read from.
    """

    def __init__(self, pause: Callable[[], None] = lambda: None) -> None:
        self._pause = pause
        self._fd = _terminal()
        self._rest = ""
        self._saved: list[Any] | None = None
        self._handlers: dict[int, Any] = {}
        self.works = self._fd is not None

    def __enter__(self) -> Keyboard:
        """Take the terminal, if there is one and we are in the foreground."""
        if self.works and sys.platform != "win32":
            atexit.register(self.restore)
            self._catch_signals()
            self._take()
        return self

    def __exit__(self, *_: object) -> None:
        """Put the terminal back."""
        self.restore()
        for number, handler in self._handlers.items():
            with contextlib.suppress(ValueError, TypeError):
                signal.signal(number, handler)
        self._handlers.clear()
        if sys.platform != "win32":
            atexit.unregister(self.restore)

    def read(self) -> list[str]:
        """Return the keys pressed since the last call; never waits."""
        if not self.works:
            return []
        if sys.platform == "win32":
            return _windows_keys()
        if not self._foreground():
            return []
        self._take()
        assert self._fd is not None
        try:
            if not select.select([self._fd], [], [], 0.0)[0]:
                self._rest = ""  # an escape that nothing followed
                return []
            data = os.read(self._fd, _MAX_BYTES)
        except (OSError, ValueError):
            data = b""
        if not data:  # the terminal is gone
            self.works = False
            return []
        keys, self._rest = keys_in(self._rest + data.decode("utf-8", "ignore"))
        return keys

    def restore(self) -> None:
        """Put the terminal back as it was; may be called at any time."""
        if self._saved is None or self._fd is None or not self._foreground():
            return
        import termios

        saved, self._saved = self._saved, None
        with contextlib.suppress(termios.error, OSError):
            termios.tcsetattr(self._fd, termios.TCSADRAIN, saved)

    def _take(self) -> None:
        """Let the terminal give single keys without echo; Ctrl-C works as before."""
        if self._saved is not None or self._fd is None or not self._foreground():
            return
        import termios

        with contextlib.suppress(termios.error, OSError):
            saved = termios.tcgetattr(self._fd)
            mode = [*saved[:6], [*saved[6]]]
            mode[3] &= ~(termios.ICANON | termios.ECHO)
            mode[6][termios.VMIN], mode[6][termios.VTIME] = 1, 0
            termios.tcsetattr(self._fd, termios.TCSADRAIN, mode)
            self._saved = saved

    def _foreground(self) -> bool:
        """Whether the terminal is ours: who touches it from behind is stopped."""
        if self._fd is None:
            return False
        try:
            return os.tcgetpgrp(self._fd) == os.getpgrp()
        except OSError:
            # A terminal that is not the controlling one stops nobody.
            return True

    def _catch_signals(self) -> None:
        for name, handler in (
            ("SIGTSTP", self._stop),
            ("SIGQUIT", self._die),
            ("SIGABRT", self._die),
        ):
            number = getattr(signal, name)
            with contextlib.suppress(ValueError):  # not in the main thread
                if signal.getsignal(number) == signal.SIG_DFL:
                    self._handlers[number] = signal.signal(number, handler)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        """Ctrl-Z: leave the terminal to the shell, stop, and come back."""
        self._pause()
        self.restore()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        # Here it goes on, in the foreground or behind; `read` sees which.
        signal.signal(number, self._stop)

    def _die(self, number: int, frame: FrameType | None) -> None:
        """Ctrl-backslash: leave a terminal that can be used, cursor and all."""
        self._pause()
        self.restore()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)


def _terminal() -> int | None:
    """Return the descriptor of standard input if it is a terminal."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        if sys.stdin.isatty():
            return sys.stdin.fileno()
    return None


def _windows_keys() -> list[str]:
    if sys.platform != "win32":
        return []
    import msvcrt

    keys = []
    while msvcrt.kbhit() and len(keys) < _MAX_BYTES:
        char = msvcrt.getwch()
        if char in ("\0", "\xe0"):  # an arrow, in two parts
            char = {"H": "up", "P": "down"}.get(msvcrt.getwch(), "")
        if char:
            keys.append(char)
    return keys
