"""Telling a device that has been unplugged from one that is about to be there."""

from __future__ import annotations

import time
from typing import Final

__all__ = ["GONE_SECONDS", "Absence"]

GONE_SECONDS: Final = 2.5
"""Time that a real device must be away before another takes its place.

A sound server that has just begun gets its devices one after the other.
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
