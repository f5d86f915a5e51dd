"""Optimizers that tell the norm of the gradients they were given."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from streamdenoise.train.products import half_dot

MOMENTUM = 0.95
"""Of the matrices in `NormedMuon`."""

SMALLEST = 64
"""Matrices with a side shorter than this are left to Adam."""

_POLYNOMIAL = (3.4445, -4.7750, 2.0315)
"""Coefficients of the Newton-Schulz iteration (Jordan 2024)."""

_ITERATIONS = 5


class _Normed:
    """Keeps the norm of the last gradients, before clipping."""

    def build(self, variables: list[Any]) -> None:
        """Create the optimizer's variables and the one that holds the norm."""
        if not self.built:  # type: ignore[attr-defined]
            self.gradient_norm = self.add_variable(  # type: ignore[attr-defined]
                shape=(), initializer="zeros", name="gradient_norm"
            )
        super().build(variables)  # type: ignore[misc]

    def _use_weight_decay(self, variable: Any) -> bool:
        """Return whether a weight decays: matrices do, biases do not.

        A GRU of Keras has its two biases in one variable of two rows.
        """
        return len(variable.shape) > 1 and min(variable.shape) > 2

    def _clip_gradients(self, grads: list[Any]) -> list[Any]:
        total = sum(ops.sum(ops.square(g)) for g in grads if g is not None)
        self.gradient_norm.assign(ops.sqrt(total))
        clipped: list[Any] = super()._clip_gradients(grads)  # type: ignore[misc]
        return clipped


class NormedSGD(_Normed, keras.optimizers.SGD):  # type: ignore[misc]
    """Gradient descent, with momentum if wanted."""


class NormedAdam(_Normed, keras.optimizers.Adam):  # type: ignore[misc]
    """Adam."""


class NormedMuon(NormedAdam):
    """Momentum made orthogonal for matrices, Adam for all else.

    The step of a matrix is its momentum with all singular values made about one, so
    that rare directions are learned as fast as common ones: Jordan et al., "Muon: an
    optimizer for hidden layers in neural networks" (2024). The step's size is matched
    to Adam's as in Liu et al., "Muon is scalable for LLM training" (2025), section
    2.2, so that one learning rate serves both. The gates of a recurrent layer lie side
    by side in one matrix; each is treated by itself.

    Parameters
    ----------
    half
        Round what is multiplied to 16 bits while a step is made orthogonal.
    """

    def __init__(self, *args: Any, half: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.half = half

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Update one variable."""
        shape = variable.shape
        if len(shape) != 2 or min(shape) < SMALLEST:
            super().update_step(gradient, variable, learning_rate)
            return
        momentum = self._momentums[self._get_variable_index(variable)]
        gradient = ops.cast(gradient, variable.dtype)
        mean = MOMENTUM * momentum + (1.0 - MOMENTUM) * gradient
        self.assign(momentum, mean)
        ahead = MOMENTUM * mean + (1.0 - MOMENTUM) * gradient
        rows, columns = shape
        gates = columns // rows if columns % rows == 0 else 1
        blocks = ops.reshape(ahead, (rows, gates, columns // gates))
        dot = half_dot if self.half else ops.matmul
        blocks = _orthogonal(ops.transpose(blocks, (1, 0, 2)), dot)
        step = ops.reshape(ops.transpose(blocks, (1, 0, 2)), shape)
        size = 0.2 * max(rows, columns // gates) ** 0.5
        self.assign_sub(variable, ops.cast(learning_rate, variable.dtype) * size * step)


def _orthogonal(x: Any, dot: Any = ops.matmul) -> Any:
    """Bring the singular values of each matrix ``[N, rows, columns]`` near one."""
    a, b, c = _POLYNOMIAL
    tall = x.shape[1] > x.shape[2]
    if tall:
        x = ops.transpose(x, (0, 2, 1))
    norm = ops.sqrt(ops.sum(ops.square(x), axis=(1, 2), keepdims=True))
    x = x / (norm + 1e-12)
    for _ in range(_ITERATIONS):
        gram = dot(x, ops.transpose(x, (0, 2, 1)))
        x = a * x + dot(b * gram + c * dot(gram, gram), x)
    return ops.transpose(x, (0, 2, 1)) if tall else x
