"""Telling a device that has been unplugged from one that is about to be there.

And a stream that a person moves from one that a server has not yet settled.
"""

from __future__ import annotations

import time
from typing import Final

__all__ = ["GONE_SECONDS", "SETTLED_SECONDS", "Absence", "Stay"]

GONE_SECONDS: Final = 2.5
"""Time that a real device must be away before another takes its place.

A sound server that has just begun gets its devices one after the other.
"""

SETTLED_SECONDS: Final = 3.0
"""Time after which a stream is where a server wants it.

PipeWire moves it at the beginning, where it remembers another device for it.
"""


class Absence:
    """How long one device has been away, as far as was looked.

    Attributes
    ----------
    noted
        Whether it was away at the last look.
    """

    def __init__(self) -> None:
        self._since: float | None = None

    @property
    def noted(self) -> bool:
        """Whether it was away at the last look."""
        return self._since is not None

    def lasts(self, there: bool) -> bool:
        """Note whether it is there; return whether it has been away for long."""
        if there:
            self._since = None
            return False
        now = time.monotonic()
        if self._since is None:
            self._since = now
        return now - self._since >= GONE_SECONDS

    def forget(self) -> None:
        """Begin anew at the next look."""
        self._since = None


class Stay:
    """How long one stream has been at one device, as far as was looked."""

    def __init__(self) -> None:
        self._at: tuple[int, int] | None = None
        self._since = 0.0

    def note(self, stream: int, device: int) -> None:
        """Note that a stream is at a device, by their numbers."""
        if self._at != (stream, device):
            self._at, self._since = (stream, device), time.monotonic()

    def settle(self, stream: int, device: int) -> None:
        """Note that a stream is where a person has put it: it had settled before."""
        self._at, self._since = (stream, device), float("-inf")

    def lasted(self, stream: int, device: int) -> bool:
        """Return whether this stream has been at this device, and for long."""
        long = time.monotonic() - self._since >= SETTLED_SECONDS
        return long and self._at == (stream, device)
