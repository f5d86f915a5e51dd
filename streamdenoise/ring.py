"""A bounded ring between two threads, and the bridge between two clocks.

`Ring` carries samples from one thread to another without a lock: one side only
writes, the other only reads, and each owns one counter. `Bridge` puts a policy on
it: how much to hold back, what to do when the fill leaves its bounds. Nothing here
waits, and nothing grows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]


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
        done = self._read
        count = min(len(out), self._written - done)
        start = done % self.capacity
        first = min(count, self.capacity - start)
        out[:first] = self._data[start : start + first]
        if count > first:
            out[first:count] = self._data[: count - first]
        self._read = done + count
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
    fills up to its target again; when it exceeds `limit`, the oldest frames are
    dropped down to the target, so that the delay never creeps up. Both are counted.

    `pull` is the one place that decides how many frames are taken from the ring for
    the frames that are played; a controller that trims the rate by the fill level
    belongs there and changes nothing else.

    Parameters
    ----------
    target
        Frames left in the ring after a pull once it is running.
    limit
        Frames left in the ring after a pull from which on the oldest are dropped;
        more than `target`.
    channels
        Samples in a frame.
    capacity
        Frames that the ring can hold; twice `limit` plus a second's worth is plenty.

    Attributes
    ----------
    underruns, overruns
        Times that silence had to be inserted, and that audio had to be dropped.
    inserted, dropped
        Frames so inserted and dropped. Silence before the first start is not counted.
    """

    def __init__(
        self, target: int, limit: int, channels: int = 1, capacity: int | None = None
    ) -> None:
        if not 0 <= target < limit:
            raise ValueError(
                f"target {target} and limit {limit} do not fit: 0 <= target < limit"
            )
        self.target = target
        self.limit = limit
        self.ring = Ring(4 * limit if capacity is None else capacity, channels)
        self.underruns = 0
        self.overruns = 0
        self.inserted = 0
        self.dropped = 0
        self._running = False
        self._started = False
        # The producer's own counters: one writer for each attribute.
        self._refused = 0
        self._refused_frames = 0

    @property
    def fill(self) -> int:
        """Frames waiting in the ring."""
        return self.ring.fill

    @property
    def refused(self) -> int:
        """Times that a push found the ring full, because nobody pulled."""
        return self._refused

    @property
    def refused_frames(self) -> int:
        """Frames that a full ring did not take."""
        return self._refused_frames

    def push(self, block: FloatArray) -> None:
        """Hand in `block`, shape (n, channels); input side only."""
        missing = len(block) - self.ring.write(block)
        if missing:
            self._refused += 1
            self._refused_frames += missing

    def pull(self, out: FloatArray) -> None:
        """Fill all of `out`, shape (n, channels); output side only."""
        wanted = len(out)
        left = self.ring.fill - wanted
        if not self._running:
            if left < self.target:
                out.fill(0.0)
                if self._started:
                    self.inserted += wanted
                return
        if left > self.limit:
            gone = self.ring.skip(left - self.target)
            if self._started:  # before, the input merely started earlier
                self.overruns += 1
                self.dropped += gone
        self._running = self._started = True
        got = self.ring.read(out)
        if got < wanted:
            out[got:] = 0.0
            self.inserted += wanted - got
            self.underruns += 1
            self._running = False
