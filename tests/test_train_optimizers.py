"""Orthogonal momentum beside Adam."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from streamdenoise.train import optimizers
from tests import training  # noqa: F401  (skips where Keras is missing)


@pytest.mark.parametrize("shape", [(3, 64, 64), (1, 96, 200), (1, 200, 96)])
def test_steps_have_singular_values_near_one(shape) -> None:
    """Directions that gradients hold a thousandth of get nearly the same step."""
    rng = np.random.default_rng(3)
    x = rng.standard_normal(shape)
    u, s, v = np.linalg.svd(x, full_matrices=False)
    s = np.geomspace(1.0, 1e-2, s.shape[-1])
    y = np.asarray(optimizers._orthogonal(((u * s) @ v).astype(np.float32)))
    values = np.linalg.svd(y, compute_uv=False)
    assert values.max() < 1.3
    assert values.min() > 0.3
    # Directions stay what they were: only sizes change.
    inside = np.swapaxes(u, 1, 2) @ y @ np.swapaxes(v, 1, 2)
    off = inside - np.eye(inside.shape[-1]) * inside
    assert np.abs(off).max() < 1e-3


def step_of(optimizer, shape, gradient):
    """Return what one update does to a zero weight."""
    weight = keras.Variable(np.zeros(shape, np.float32))
    optimizer.build([weight])
    optimizer.apply([keras.ops.convert_to_tensor(gradient)])
    return np.asarray(weight)


def test_gates_are_made_orthogonal_one_by_one() -> None:
    """A gate with a thousand times the gradient does not drown its neighbours."""
    rng = np.random.default_rng(4)
    gates = [rng.standard_normal((64, 64)) * size for size in (1.0, 1000.0, 1e-3)]
    gradient = np.concatenate(gates, axis=1).astype(np.float32)
    moved = step_of(optimizers.NormedMuon(1e-2), (64, 192), gradient)
    sizes = [float(np.std(moved[:, k : k + 64])) for k in (0, 64, 128)]
    assert max(sizes) / min(sizes) < 1.2
    # Matched to Adam: about a fifth of the rate per weight.
    assert np.mean(sizes) == pytest.approx(0.2e-2, rel=0.3)


@pytest.mark.parametrize("shape", [(64,), (2, 192), (32, 64)])
def test_vectors_and_small_matrices_are_left_to_adam(shape) -> None:
    """Biases and the like move exactly as Adam moves them."""
    gradient = np.random.default_rng(5).standard_normal(shape).astype(np.float32)
    ours = step_of(optimizers.NormedMuon(1e-2), shape, gradient)
    np.testing.assert_allclose(
        ours, step_of(optimizers.NormedAdam(1e-2), shape, gradient), atol=1e-7
    )


@pytest.mark.parametrize("kind", [optimizers.NormedAdam, optimizers.NormedMuon])
def test_the_norm_told_is_the_norm_before_clipping(kind) -> None:
    """The log shows what the gradients were, not what clipping left of them."""
    optimizer = kind(1e-3, global_clipnorm=1.0)
    gradient = np.full((64, 64), 0.5, np.float32)
    step_of(optimizer, (64, 64), gradient)
    assert float(optimizer.gradient_norm) == pytest.approx(32.0, rel=1e-4)


@pytest.mark.parametrize("make", [optimizers.NormedAdam, optimizers.NormedMuon])
def test_matrices_decay_and_biases_do_not(make) -> None:
    """Without a gradient, an update takes away rate times decay of each matrix."""
    # Both biases of a Keras GRU are one variable of two rows.
    weights = [keras.Variable(np.ones(s, np.float32)) for s in ((64, 64), (2, 9), (9,))]
    optimizer = make(1e-2, weight_decay=0.5)
    optimizer.build(weights)
    optimizer.apply([keras.ops.zeros(w.shape) for w in weights])
    for weight, left in zip(weights, (0.995, 1.0, 1.0), strict=True):
        np.testing.assert_allclose(np.asarray(weight), left, atol=1e-6)
