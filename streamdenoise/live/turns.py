"""How many frames a device gives or takes at once, found out before sound is played.

A device hands over a block whenever it is full, or several after each turn of its own,
of which it tells nothing; it asks for blocks likewise.
"""

from __future__ import annotations

from typing import Final

__all__ = ["LISTEN_SECONDS", "Turns"]

LISTEN_SECONDS: Final = 0.2
"""Long enough for some turns of the slowest usual devices."""

GAP: Final = 0.5
"""What follows within this share of a block's own time belongs together."""

OFTEN: Final = 0.27
"""Of the turns; what is rarer was a stumble of the machine."""

_LONGEST: Final = 32


class Turns:
    """Watches the blocks of one direction; one thread adds, another may read.

    The first turn fills an empty queue, or empties a full one, and the last may not be
    complete: neither counts.

    Parameters
    ----------
    rate
        Frames per second.
    seconds
        To listen for; 0: it is known from the start that blocks come one by one.

    Attributes
    ----------
    most
        Frames of the longest turn that is no exception; 0 where none was seen.
    """

    def __init__(self, rate: int, seconds: float = 0.0) -> None:
        self._rate, self._left = rate, round(seconds * rate)
        self.most = 0
        self._counts = [0] * (_LONGEST + 1)
        self._turn, self._at = 0, 0.0
        self._first = True

    @property
    def known(self) -> bool:
        """Whether it has listened for long enough."""
        return self._left <= 0

    def add(self, frames: int, now: float) -> int:
        """Note one block; return how many frames are still to come in this turn.

        Parameters
        ----------
        frames
            In the block.
        now
            Time in seconds.
        """
        if now - self._at > GAP * frames / self._rate:
            if not self.known:
                self._end(frames)
            self._turn = 0
        self._turn, self._at = self._turn + frames, now
        self._left -= frames
        return max(0, self.most - self._turn)

    def _end(self, block: int) -> None:
        """Take note of a turn that is over."""
        if not self._turn:
            return
        if self._first:
            self._first = False
            return
        self._counts[min(self._turn // block, _LONGEST)] += 1
        enough, seen, blocks = OFTEN * sum(self._counts), 0, _LONGEST + 1
        while seen < enough:
            blocks -= 1
            seen += self._counts[blocks]
        self.most = blocks * block
