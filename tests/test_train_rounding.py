"""Int8 weights: on the converter's steps, and better than rounding to the nearest."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("keras")

from streamdenoise.train import export, nets, rounding
from streamdenoise.train.parity import speech_like

CONFIG = nets.NetConfig("filter", "gru", 40, 2, taps=2, filter_bins=48)


@pytest.fixture(scope="module")
def net() -> nets.SpectralNet:
    """Return a net whose every matrix does something."""
    net = nets.build(CONFIG)
    rng = np.random.default_rng(4)
    net.set_weights([w + 0.1 * rng.standard_normal(w.shape) for w in net.get_weights()])
    return net


def test_errors_cancel_where_inputs_go_together() -> None:
    """Products with such inputs change less than with the nearest steps."""
    rng = np.random.default_rng(1)
    weights = rng.uniform(-1.0, 1.0, (60, 20))
    heard = rng.standard_normal((3000, 12)) @ rng.standard_normal((12, 60))
    heard += 0.3 * rng.standard_normal(heard.shape) + 1.0
    moment = heard.T @ heard / len(heard)
    steps = rounding.rounded_matrix(weights, moment)
    whole = steps * rounding.LEVELS
    np.testing.assert_allclose(whole, np.round(whole), atol=1e-3)
    assert np.max(np.abs(steps)) <= 1.0
    nearest = np.round(weights * rounding.LEVELS) / rounding.LEVELS
    errors = [np.mean((heard @ (each - weights)) ** 2) for each in (steps, nearest)]
    assert errors[0] < 0.5 * errors[1]


def test_without_anything_in_common_the_nearest_is_best() -> None:
    """Inputs that have nothing to do with each other leave nothing to make up for."""
    weights = np.random.default_rng(2).uniform(-1.0, 1.0, (30, 9))
    moment = np.diag(np.linspace(3.0, 1.0, 30))
    nearest = np.round(weights * rounding.LEVELS) / rounding.LEVELS
    got = rounding.rounded_matrix(weights, moment)
    np.testing.assert_allclose(got, nearest, atol=1e-6)
    # An input that is never there says nothing either.
    got = rounding.rounded_matrix(weights, np.zeros((30, 30)))
    np.testing.assert_allclose(got, nearest, atol=1e-6)


@pytest.mark.parametrize("kind", ["filter", "gain"])
def test_moments_are_of_what_each_matrix_hears(kind: str) -> None:
    """One moment for each matrix, of its input's size; listening leaves no trace."""
    net = nets.build(nets.NetConfig(kind, "gru", 12, 2, filter_bins=9))
    sounds = np.stack([speech_like(0.4, seed) for seed in (1, 2)])[:, : 40 * 128]
    before = net.get_weights()
    moments = rounding.moments_of(net, sounds)
    sizes = {name: [len(m) for m in each] for name, each in moments.items()}
    wanted = {"dense_in": [257], "rnn_0": [12, 12], "rnn_1": [12, 12], "gain": [12]}
    if kind == "filter":
        wanted["filter"] = [12]
    assert sizes == wanted
    assert all(np.all(np.diag(m) >= 0.0) for each in moments.values() for m in each)
    assert np.trace(moments["dense_in"][0]) > 0.0
    for a, b in zip(before, net.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    again = rounding.moments_of(net, sounds)
    np.testing.assert_allclose(again["rnn_1"][1], moments["rnn_1"][1], rtol=1e-4)


def test_the_file_holds_these_very_steps(net: nets.SpectralNet) -> None:
    """The converter's own rounding changes nothing any more."""
    pytest.importorskip("tensorflow")
    if nets.keras.backend.backend() != "tensorflow":
        pytest.skip("export runs on TensorFlow")
    import tensorflow as tf

    content = export.convert(net, quantised=True, steps=0)
    interpreter = tf.lite.Interpreter(model_content=content)
    stored = [
        interpreter.get_tensor(detail["index"])
        for detail in interpreter.get_tensor_details()
        if detail["dtype"] == np.int8
    ]
    other = rounding.rounded(net)
    for layer in nets.matrix_layers(other):
        for kernel in map(np.asarray, layer.kernels):
            if kernel.size < rounding.SMALL:
                continue
            steps = np.round(kernel.T * rounding.LEVELS)
            same = [s for s in stored if s.shape == steps.shape]
            assert any(np.array_equal(s, steps) for s in same), layer.name
