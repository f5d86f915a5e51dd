"""How much an output asks for at once, found out before it plays.

A device asks for a block whenever one was played, or for several after each turn of
its own, of which it tells nothing. More must be held for that from the start.
"""

from __future__ import annotations

from typing import Final

__all__ = ["Asked"]

GAP_SECONDS: Final = 0.001
"""What follows sooner belongs together."""

LISTEN_SECONDS: Final = 0.2
"""Long enough for four turns of the slowest usual devices."""


class Asked:
    """Watches the requests of an output; counts in frames.

    The first of them fill an empty queue, and the last may not be complete: neither
    counts. Nor does the largest of all, which a stumble of the machine may have made.

    Parameters
    ----------
    rate
        Frames per second.
    seconds
        To listen for; 0: it is known from the start that blocks come one by one.

    Attributes
    ----------
    known
        Whether it has listened for long enough.
    most
        Frames of the longest turn but one; 0 where none was seen.
    """

    def __init__(self, rate: int, seconds: float = 0.0) -> None:
        self._left = round(seconds * rate)
        self.known = self._left == 0
        self.most = self._longest = 0
        self._turn, self._at = 0, 0.0
        self._first = True

    def add(self, frames: int, now: float) -> int:
        """Note one request; return how many are still to come in this turn.

        Parameters
        ----------
        frames
            That are asked for.
        now
            Time in seconds.
        """
        if now - self._at > GAP_SECONDS:
            if not self.known:
                self._end()
            self._turn = 0
        self._turn, self._at = self._turn + frames, now
        self._left -= frames
        self.known = self.known or self._left <= 0
        return max(0, self.most - self._turn)

    def _end(self) -> None:
        """Take note of a turn that is over."""
        if self._turn and not self._first:
            self.most = max(self.most, min(self._turn, self._longest))
            self._longest = max(self._longest, self._turn)
        self._first = self._first and not self._turn
