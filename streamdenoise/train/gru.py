"""The equations of a GRU, and its backward pass over a training sequence."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import keras
from keras import ops

from streamdenoise.train.products import half_dot, halved

__all__ = ["WRITTEN_OUT", "gru_sequence", "gru_step", "half_gru_sequence"]

UNROLLED = 5
"""Frames of one turn of a training loop on a GPU: it takes longer to start a turn than
to compute it. A net of 512 units and batches of 128 learns a third faster so."""

WRITTEN_OUT = keras.backend.backend() != "tensorflow"
"""Whether `gru_sequence` works here: Keras's scan on TensorFlow packs every step's
outputs as the carried state is packed."""


def gru_step(xt: Any, state: Any, recurrent: Any) -> tuple[Any, tuple[Any, ...]]:
    """Return the next state of a GRU, and what its gradient needs.

    That is update, reset, the state's part of the candidate, and the candidate.
    `recurrent` is the state times its kernel, with its bias; the others are those of
    `_gru_and_gradient`, for one time step.
    """
    u = state.shape[-1]
    # Gates in Keras's order: update, reset, candidate.
    gates = ops.sigmoid(xt[:, : 2 * u] + recurrent[:, : 2 * u])
    z, r, turned = gates[:, :u], gates[:, u:], recurrent[:, 2 * u :]
    candidate = ops.tanh(xt[:, 2 * u :] + r * turned)
    return candidate + z * (state - candidate), (z, r, turned, candidate)


def _gru_and_gradient(
    projected: Any, start: Any, kernel: Any, bias: Any, half: bool = False
) -> tuple[Any, Callable[..., tuple[Any, ...]]]:
    """Run a GRU over a training sequence, with its backward pass written out.

    What a framework derives adds to the gradient of the kernel in each time step.
    Here the steps only go back through the state; the kernel's gradient is one large
    product over all steps at the end: the pass takes a fifth less time.

    Parameters
    ----------
    projected
        Input times kernel, with its bias, ``[T, rows, 3 units]``: update, reset,
        candidate.
    start
        First state, ``[rows, units]``.
    kernel, bias
        Of the state, ``[units, 3 units]`` and ``[3 units]``.
    half
        Round the operands of products to 16 bits.
    """
    u = start.shape[-1]
    dot = half_dot if half else ops.matmul
    if half:
        kernel = halved(kernel)
    unroll = _unroll(projected.shape[0])

    def forward(state: Any, xt: Any) -> tuple[Any, Any]:
        state, parts = gru_step(xt, state, dot(state, kernel) + bias)
        return state, (state, *parts)

    _, (y, z, r, turned, candidate) = ops.scan(forward, start, projected, unroll=unroll)

    def backward(*args: Any, upstream: Any = None) -> tuple[Any, ...]:
        dy = args[0] if upstream is None else upstream
        before = ops.concatenate([start[None], y[:-1]], axis=0)
        # Slopes of the sums inside the gates by the new state, for all steps at once.
        slope_z = (before - candidate) * z * (1.0 - z)
        slope_c = (1.0 - z) * (1.0 - candidate * candidate)
        slope_r = turned * r * (1.0 - r)
        back = ops.transpose(kernel)

        def step(later: Any, xs: Any) -> tuple[Any, Any]:
            dyt, zt, rt, sz, sc, sr = xs
            total = later + dyt
            dz, dc = total * sz, total * sc
            dr = dc * sr
            inner = ops.concatenate([dz, dr, dc * rt], axis=-1)
            return total * zt + dot(inner, back), (dz, dr, dc)

        first, (dz, dr, dc) = ops.scan(
            step,
            ops.zeros_like(start),
            (dy, z, r, slope_z, slope_c, slope_r),
            reverse=True,
            unroll=unroll,
        )
        inner = ops.concatenate([dz, dr, dc * r], axis=-1)
        flat = ops.reshape(inner, (-1, 3 * u))
        dkernel = dot(ops.transpose(ops.reshape(before, (-1, u))), flat)
        outer = ops.concatenate([dz, dr, dc], axis=-1)
        return outer, first, dkernel, ops.sum(flat, axis=0)

    return y, backward


def _unroll(frames: int) -> int:
    return UNROLLED if frames % UNROLLED == 0 and _on_gpu() else 1


@cache
def _on_gpu() -> bool:
    try:
        return bool(keras.distribution.list_devices("gpu"))
    except (RuntimeError, ValueError, ImportError):
        return False


gru_sequence: Any = ops.custom_gradient(_gru_and_gradient)
"""Runs a GRU over a training sequence; see `_gru_and_gradient` for what it takes."""

half_gru_sequence: Any = ops.custom_gradient(partial(_gru_and_gradient, half=True))
"""The same with operands of products rounded to 16 bits."""
