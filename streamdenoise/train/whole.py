"""A trained net over whole recordings, before it is exported."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from keras import ops
from numpy.typing import NDArray

from streamdenoise.constants import GRID_HOP, GRID_RATE
from streamdenoise.train.losses import istft, stft
from streamdenoise.train.nets import load_mean, with_floor

_WHOLE = 4 * GRID_RATE
"""Recordings are filled up to multiples of this: each length is compiled for anew."""


def net_enhancer(
    names: Sequence[str], floor: float | None = None
) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    """Return a function that denoises a 16 kHz signal as the exported net will.

    That is with float32 weights, and with zero lag.

    Parameters
    ----------
    names
        Nets, or what a mean of nets is made of: see `nets.load_mean`.
    floor
        Share of the noisy sound that stays under the voice; None as exported.

    Raises
    ------
    ModelError
        If there is no such net.
    """
    net = with_floor(load_mean(names), floor)

    def enhance(x: NDArray[np.float32]) -> NDArray[np.float32]:
        # One hop more: the last frame is complete only with the one after it.
        size = -(-(x.size + GRID_HOP) // _WHOLE) * _WHOLE
        padded = np.zeros((1, size), np.float32)
        padded[0, : x.size] = x
        y = ops.convert_to_numpy(istft(net(stft(padded))))
        return np.asarray(y[0, : x.size])

    return enhance
