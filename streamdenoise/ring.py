"""A bounded ring between two threads, and the bridge between two clocks.

`Ring` carries samples from one thread to another without a lock: one side only
writes, the other only reads, and each owns one counter. `Bridge` puts a policy on
it: how much to hold back, what to do when the fill leaves its bounds. Nothing here
waits, and nothing grows.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

FADE: Final = 96
"""Frames over which dropped audio is cross-faded."""


class Ring:
    """Single-producer, single-consumer ring of audio frames; lock-free and bounded.

    The producer calls `write` only, the consumer `read` and `skip` only. Each side
    stores one ever-growing counter and merely loads the other's. A counter is stored
    after the samples were copied, so the other side never sees frames that are not
    there yet. Neither side allocates anything but array views.

    Parameters
    ----------
    capacity
        Frames that it can hold, at least 1.
    channels
        Samples in a frame, at least 1.

    Raises
    ------
    ValueError
        If `capacity` or `channels` is below 1.
    """

    def __init__(self, capacity: int, channels: int = 1) -> None:
        if capacity < 1 or channels < 1:
            raise ValueError(
                f"a ring of {capacity} frames x {channels} channels cannot be made; "
                "both must be 1 or more"
            )
        self.capacity = capacity
        self._data: FloatArray = np.zeros((capacity, channels), np.float32)
        self._written = 0
        self._read = 0

    @property
    def channels(self) -> int:
        """Samples in a frame."""
        return int(self._data.shape[1])

    @property
    def fill(self) -> int:
        """Frames waiting to be read. The other side may change it at any moment."""
        return self._written - self._read

    def write(self, block: FloatArray) -> int:
        """Store as much of `block`, shape (n, channels), as fits; return how much."""
        done = self._written
        count = min(len(block), self.capacity - (done - self._read))
        start = done % self.capacity
        first = min(count, self.capacity - start)
        self._data[start : start + first] = block[:first]
        if count > first:
            self._data[: count - first] = block[first:count]
        self._written = done + count
        return count

    def read(self, out: FloatArray) -> int:
        """Fill `out`, shape (n, channels), from the front; return how many frames.

        What could not be filled is left as it was.
        """
        count = self.peek(out)
        self._read += count
        return count

    def peek(self, out: FloatArray) -> int:
        """Like `read`, but what is read stays in the ring."""
        count = min(len(out), self._written - self._read)
        start = self._read % self.capacity
        first = min(count, self.capacity - start)
        out[:first] = self._data[start : start + first]
        if count > first:
            out[first:count] = self._data[: count - first]
        return count

    def skip(self, count: int) -> int:
        """Throw away up to `count` of the oldest frames; return how many went."""
        count = max(0, min(count, self._written - self._read))
        self._read += count
        return count


class Bridge:
    """Carries audio from an input clock to an output clock through a `Ring`.

    Holds about `target` frames back, so that neither side waits for the other. Clocks
    drift, machines stall: when the fill runs out, silence is inserted and the bridge
    fills up to its target again. When the fill exceeds `limit`, or has not once come
    near the target within `window`, the oldest frames are dropped down to the target
    with a cross-fade, so that the delay never creeps up. Both are counted.

    `pull` is the one place that decides how many frames are taken from the ring for
    the frames that are played; a controller that trims the rate by the fill level
    belongs there and changes nothing else.

    Parameters
    ----------
    target
        Frames left in the ring after a pull once it is running.
    limit
        Frames left after a pull from which on the oldest are dropped at once; more
        than `target`.
    channels
        Samples in a frame.
    capacity
        Frames that the ring can hold, by default four times `limit`.
    window
        Frames played over which the lowest fill is watched.
    slack
        How far the lowest fill may lie above the target; by default half of it.

    Attributes
    ----------
    underruns, overruns
        Times that silence had to be inserted, and that audio had to be dropped.
    inserted, dropped
        Frames so inserted and dropped. Silence before the first start is not counted.

    Raises
    ------
    ValueError
        If `target` and `limit` do not fit.
    """

    def __init__(
        self,
        target: int,
        limit: int,
        channels: int = 1,
        capacity: int | None = None,
        *,
        window: int = 96_000,
        slack: int | None = None,
    ) -> None:
        if not 0 <= target < limit:
            raise ValueError(
                f"target {target} and limit {limit} do not fit: 0 <= target < limit"
            )
        self.target = target
        self.limit = limit
        self.window = window
        self.slack = target // 2 if slack is None else slack
        self.ring = Ring(4 * limit if capacity is None else capacity, channels)
        self.underruns = 0
        self.overruns = 0
        self.inserted = 0
        self.dropped = 0
        self._running = False
        self._started = False
        self._watched = 0
        self._lowest = limit
        self._tail: FloatArray = np.zeros((FADE, channels), np.float32)
        self._rise = (np.arange(FADE, dtype=np.float32)[:, None] + 0.5) / FADE
        self._fall = 1 - self._rise
        # The producer's own counters: one writer for each attribute.
        self._refused = 0
        self._refused_frames = 0
        self._full = False

    @property
    def fill(self) -> int:
        """Frames waiting in the ring."""
        return self.ring.fill

    @property
    def refused(self) -> int:
        """Times that the ring became full, because nobody pulled."""
        return self._refused

    @property
    def refused_frames(self) -> int:
        """Frames that a full ring did not take."""
        return self._refused_frames

    @property
    def lost_frames(self) -> int:
        """Frames that were not played: dropped, or refused."""
        return self.dropped + self._refused_frames

    def push(self, block: FloatArray) -> None:
        """Hand in `block`, shape (n, channels); input side only."""
        missing = len(block) - self.ring.write(block)
        if missing:
            self._refused += not self._full
            self._refused_frames += missing
        self._full = missing > 0

    def pull(self, out: FloatArray) -> None:
        """Fill all of `out`, shape (n, channels); output side only."""
        wanted = len(out)
        left = self.ring.fill - wanted
        if not self._running and left < self.target:
            out.fill(0.0)
            if self._started:
                self.inserted += wanted
            return
        tail = 0
        if left > self.limit:
            tail = self._drop(left - self.target)
        elif self._settled(left, wanted):
            tail = self._drop(self._lowest - self.target)
        if not self._running:
            self._watch()
        self._running = self._started = True
        got = self.ring.read(out)
        if tail:
            tail = min(tail, got)
            out[:tail] *= self._rise[:tail]
            out[:tail] += self._tail[:tail]
        if got < wanted:
            out[got:] = 0.0
            self.inserted += wanted - got
            self.underruns += 1
            self._running = False

    def _settled(self, left: int, wanted: int) -> bool:
        """Watch the lowest fill; say whether it lay too high for a whole window."""
        if self._watched >= self.window:
            if self._lowest > self.target + self.slack:
                return True
            self._watch()
        self._watched += wanted
        self._lowest = min(self._lowest, left)
        return False

    def _watch(self) -> None:
        self._watched, self._lowest = 0, self.limit

    def _drop(self, count: int) -> int:
        """Drop the oldest frames; return how many of them fade out over the next."""
        self._watch()
        if not self._started:  # the input merely started earlier
            self.ring.skip(count)
            return 0
        tail = self.ring.peek(self._tail)
        self._tail *= self._fall
        self.overruns += 1
        self.dropped += self.ring.skip(count)
        return tail
