"""A progress bar of one line, for commands that take a while."""

from __future__ import annotations

import os
import sys
import time

from .printing import quiet_exit

__all__ = ["Progress"]


class Progress:
    """A one-line bar on standard error; nothing where that is no terminal.

    Parameters
    ----------
    label
        What is going on, safe to print.
    """

    _BAR = 24

    def __init__(self, label: str) -> None:
        self._label = label
        self._stream = sys.stderr
        self._live = bool(getattr(self._stream, "isatty", lambda: False)())
        self._begin = self._last = time.monotonic()
        self._width = 0

    def __call__(self, done: int, total: int) -> None:
        """Show `done` of `total`, at most ten times a second."""
        now = time.monotonic()
        if not self._live or (now - self._last < 0.1 and done < total):
            return
        self._last = now
        share = min(done / total, 1.0) if total else 1.0
        filled = round(share * self._BAR)
        left = (now - self._begin) * (1 / share - 1) if share > 0 else 0.0
        bar = "#" * filled + "." * (self._BAR - filled)
        text = f"[{bar}] {share:4.0%}  {left:4.0f} s left  {self._label}"
        self._show(text)

    def _show(self, text: str) -> None:
        encoding = getattr(self._stream, "encoding", None) or "utf-8"
        text = text[: max(_terminal_width() - 1, 20)]
        text = text.encode(encoding, "backslashreplace").decode(encoding)
        self._put("\r" + text.ljust(self._width))
        self._width = len(text)

    def clear(self) -> None:
        """Wipe the line."""
        if self._live and self._width:
            self._put("\r" + " " * self._width + "\r")
            self._width = 0

    def _put(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError:
            # The terminal has gone, as that of a job in the background does.
            self._live = False
            quiet_exit()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()


def _terminal_width() -> int:
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns
    except (OSError, ValueError, AttributeError):
        return 80
