"""Comparing sound that went through a sound server on a busy machine."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import fftconvolve

ALIKE = 0.95
"""Correlation of two pieces that are the same sound."""


def share_heard(
    played: NDArray[np.float32], heard: NDArray[np.float32], rate: int
) -> float:
    """Share of the loud pieces of 50 ms that are in what was heard, as they are.

    A busy machine leaves gaps between pieces, but does not change them.
    """
    size = rate // 20
    found = []
    for begin in range(0, len(played) - size, size):
        piece = played[begin : begin + size]
        energy = float(np.square(piece).sum())
        if energy / size < 1e-4 or len(heard) < size:
            continue
        product = fftconvolve(heard, piece[::-1], "valid")
        sums = np.cumsum(np.square(np.pad(heard, (1, 0)), dtype=np.float64))
        other = np.maximum(sums[size:] - sums[:-size], 1e-6)
        found.append(float((product / np.sqrt(energy * other)).max()) > ALIKE)
    return sum(found) / max(len(found), 1)
