"""Products of matrices with operands of 16 bits: quicker training on some processors.

Processors with matrix units (AMX on x86, GPUs) multiply bfloat16 several times as fast
as float32, and sum in float32. Weights, states and all that is not a product stay
float32. See Micikevicius et al., "Mixed precision training" (2018); bfloat16 has the
range of float32, so the loss needs no scaling.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

_ON_JAX = keras.backend.backend() == "jax"


def halved(x: Any) -> Any:
    """Return a tensor rounded to 16 bits."""
    return ops.cast(x, "bfloat16")


def half_dot(a: Any, b: Any) -> Any:
    """Multiply matrices or stacks of them, rounded.

    The sum is float32 on JAX; elsewhere it is as wide as the operands.
    """
    a, b = halved(a), halved(b)
    if not _ON_JAX:
        return ops.cast(ops.matmul(a, b), "float32")
    # Keras cannot ask for a result wider than the operands, and with a narrow one XLA
    # does not use the matrix units of a CPU.
    from jax import numpy

    return numpy.matmul(a, b, preferred_element_type="float32")


def _half_and_gradient(x: Any, kernel: Any) -> tuple[Any, Callable[..., Any]]:
    flat, kernel = halved(ops.reshape(x, (-1, x.shape[-1]))), halved(kernel)
    y = ops.reshape(half_dot(flat, kernel), (*x.shape[:-1], kernel.shape[-1]))

    def backward(*args: Any, upstream: Any = None) -> tuple[Any, Any]:
        dy = args[0] if upstream is None else upstream
        dy = halved(ops.reshape(dy, (-1, dy.shape[-1])))
        dx = half_dot(dy, ops.transpose(kernel))
        return ops.reshape(dx, x.shape), half_dot(ops.transpose(flat), dy)

    return y, backward


half_product: Any = ops.custom_gradient(_half_and_gradient)
"""Multiply ``[..., K]`` by a kernel ``[K, M]``, rounded, forwards and backwards."""
