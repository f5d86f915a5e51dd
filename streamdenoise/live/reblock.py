"""Blocks of any size in, blocks of one size through the engine, the same size out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .ring import FloatArray, Ring


class Reblocker:
    """For devices that do not keep the block size that the denoiser was promised.

    Parameters
    ----------
    block
        Samples that the engine takes at once.
    channels
        Samples in a frame.
    most
        Longest block that is ever pushed.

    Attributes
    ----------
    latency
        Samples by which it is later: as many as a block can lack.
    """

    def __init__(self, block: int, channels: int, most: int) -> None:
        self.latency = block - 1
        self._ahead: FloatArray = np.zeros((block - 1, channels), np.float32)
        self._part: FloatArray = np.zeros((block, channels), np.float32)
        self._parted = 0
        self._ready = Ring(most + 2 * block, channels)
        self.reset()

    def reset(self) -> None:
        """Forget all sound."""
        self._parted = 0
        self._ready.skip(self._ready.fill)
        self._ready.write(self._ahead)

    def push(
        self,
        dirty: FloatArray,
        clean: FloatArray,
        process: Callable[[FloatArray, FloatArray], None],
    ) -> None:
        """Collect blocks, and fill `clean` with what is ready.

        Parameters
        ----------
        dirty, clean
            Shape (n, channels).
        process
            Called with each full block as input and output.
        """
        part, size = self._part, len(self._part)
        done, total = 0, len(dirty)
        while done < total:
            count = min(size - self._parted, total - done)
            part[self._parted : self._parted + count] = dirty[done : done + count]
            self._parted += count
            done += count
            if self._parted == size:
                process(part, part)
                self._ready.write(part)
                self._parted = 0
        self._ready.read(clean)
