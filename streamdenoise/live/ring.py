"""A bounded ring that carries samples from one thread to another without a lock."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]


class Ring:
    """Single-producer, single-consumer ring of audio frames; lock-free and bounded.

    The producer calls `write` only, the consumer `read`, `peek` and `skip` only. Each
    side stores one ever-growing counter and merely loads the other's. A counter is
    stored after the samples were copied, so the other side never sees frames that are
    not there yet. Neither side allocates anything but array views.

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

    def peek(self, out: FloatArray, offset: int = 0) -> int:
        """Like `read`, but what is read stays in the ring.

        `offset` is how many of the oldest frames are passed over.
        """
        count = max(0, min(len(out), self._written - self._read - offset))
        start = (self._read + offset) % self.capacity
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
