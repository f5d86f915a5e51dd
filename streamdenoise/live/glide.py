"""Weights that move without a click."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]


class Glide:
    """A weight from 0 to 1 that moves in a straight line, over blocks of any size.

    Parameters
    ----------
    frames
        How many it takes from one end to the other.
    most
        Frames of the longest block.
    value
        To begin with.

    Attributes
    ----------
    value : float
        Where the last block ended.
    """

    def __init__(self, frames: int, most: int, value: float = 0.0) -> None:
        self.value = value
        self._step = 1.0 / frames
        self._count: FloatArray = np.arange(1, most + 1, dtype=np.float32)[:, None]
        self._weights: FloatArray = np.empty((most, 1), np.float32)

    def start(self, value: float) -> None:
        """Jump to a weight."""
        self.value = value

    def towards(self, goal: float, count: int) -> FloatArray:
        """Return the weights of the next `count` frames, shape (count, 1).

        The array is overwritten by the next call.
        """
        weights = self._weights[:count]
        if self.value == goal:
            weights.fill(goal)
            return weights
        step = self._step if goal > self.value else -self._step
        np.multiply(self._count[:count], step, out=weights)
        weights += self.value
        np.clip(weights, min(self.value, goal), max(self.value, goal), out=weights)
        moved = self.value + step * count
        # Rounding must not leave it a hair away from where it is to arrive.
        left = (goal - moved) * step
        self.value = goal if left <= 1e-9 else moved
        return weights
