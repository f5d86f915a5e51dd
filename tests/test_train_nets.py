"""Layers and nets: Keras's equations, and one code for all ways to run."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests import training  # noqa: F401  (skips where Keras is absent)

import keras  # isort: skip

from streamdenoise.errors import ModelError
from streamdenoise.train import nets
from streamdenoise.train.growing import grow
from streamdenoise.train.layers import CELLS, LOOP_LIMIT, Dense, Recurrent
from streamdenoise.train.running import running_mean

KERAS_LAYERS = {
    "gru": keras.layers.GRU,
    "lstm": keras.layers.LSTM,
    "simple_rnn": keras.layers.SimpleRNN,
}
CONFIGS = [
    nets.NetConfig("gain", "gru", 16, 2),
    nets.NetConfig("gain", "lstm", 12, 1),
    nets.NetConfig("gain", "simple_rnn", 12, 2),
    nets.NetConfig("filter", "gru", 8, 2, filter_bins=40),
    nets.NetConfig("filter", "lstm", 10, 1, taps=1),
    nets.NetConfig("filter", "gru", 8, 1, filter_bins=30, floor=0.1),
    nets.NetConfig("tutorial", "lstm", 16, 2, dropout=0.5),
]


def spectra(frames: int, batch: int = 1, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((batch, frames, 257, 2)).astype(np.float32)


@pytest.mark.parametrize("cell", list(CELLS))
@pytest.mark.parametrize("frames", [1, 5, LOOP_LIMIT + 7])
def test_recurrent_is_keras(cell: str, frames: int) -> None:
    """With Keras's weights the layer gives Keras's outputs, whatever loop it takes."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((3, frames, 6)).astype(np.float32)
    theirs = KERAS_LAYERS[cell](10, return_sequences=True)
    expected = np.asarray(theirs(x))
    ours = Recurrent(cell, 10)
    ours.build((None, None, 6))
    ours.set_weights(
        [w + 0.1 * rng.standard_normal(w.shape) for w in theirs.get_weights()]
    )
    theirs.set_weights(ours.get_weights())
    expected = np.asarray(theirs(x))
    y, _ = ours(x.transpose(1, 0, 2), ours.zero_state(3))
    np.testing.assert_allclose(np.asarray(y).transpose(1, 0, 2), expected, atol=2e-6)


def test_the_gradient_that_is_written_out_is_the_derived_one() -> None:
    """The GRU's own backward pass gives what the backend derives from the loop."""
    if keras.backend.backend() != "jax":
        pytest.skip("the gradient is compared on JAX (set KERAS_BACKEND=jax)")
    import jax

    layer = Recurrent("gru", 10)
    layer.build((None, None, 6))
    rng = np.random.default_rng(1)
    x = rng.standard_normal((LOOP_LIMIT + 9, 3, 6)).astype(np.float32)
    start = rng.standard_normal((3, 10)).astype(np.float32)

    def loss(frames: object, state: object, block: int) -> object:
        total, carry = 0.0, [state]
        for at in range(0, len(x), block):
            y, carry = layer(frames[at : at + block], carry)
            total = total + (y * y).sum()
        return total

    ours, derived = (
        jax.grad(loss, (0, 1))(x, start, block) for block in (len(x), LOOP_LIMIT // 32)
    )
    for a, b in zip(ours, derived, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("layer", ["dense", "gru"])
def test_products_of_16_bits_keep_the_gradient(layer: str) -> None:
    """Rounded products move outputs and gradients by their rounding, 2^-8, no more."""
    if keras.backend.backend() != "jax":
        pytest.skip("gradients are taken on JAX (set KERAS_BACKEND=jax)")
    import jax

    net = Recurrent("gru", 24) if layer == "gru" else Dense(24, "tanh")
    net.build((None, None, 16))
    rng = np.random.default_rng(1)
    net.set_weights([0.3 * rng.standard_normal(w.shape) for w in net.get_weights()])
    x = rng.standard_normal((LOOP_LIMIT + 9, 3, 16)).astype(np.float32)
    weights = [np.asarray(w) for w in net.trainable_variables]

    def loss(weights: list[object], x: object) -> tuple[object, object]:
        inputs = (x, net.zero_state(3)) if layer == "gru" else (x,)
        rest = [v.value for v in net.non_trainable_variables]
        y, _ = net.stateless_call(weights, rest, *inputs)
        y = y[0] if layer == "gru" else y
        return (y * y).sum(), y

    whole = jax.grad(loss, (0, 1), has_aux=True)(weights, x)
    net.half = True
    rounded = jax.grad(loss, (0, 1), has_aux=True)(weights, x)
    for a, b in zip(*map(jax.tree.leaves, (whole, rounded)), strict=True):
        assert 0.0 < np.std(a - b) < 0.01 * np.std(a)


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_step_by_step_is_whole_sequence(config: nets.NetConfig) -> None:
    """Frames one by one with carried states give what the whole sequence gives."""
    net = nets.build(config)
    x = spectra(30, batch=2)
    whole = np.asarray(net(x))
    states = net.zero_states(2)
    for t in range(30):
        y, states = net.step(x[:, t], states)
        np.testing.assert_allclose(np.asarray(y), whole[:, t], atol=2e-5)


def test_a_filter_net_forgets_the_level() -> None:
    """Seconds into a stream, features do not show how loud it was recorded."""
    net = nets.build(CONFIGS[3])
    now = np.random.default_rng(0).uniform(0.4, 1.4, (1500, 1)).astype(np.float32)
    usual, loud, quiet = (
        np.asarray(running_mean(now * gain, net.zero_states(1), 0.6)) / gain
        for gain in (1.0, 4.0, 0.25)
    )
    assert np.all(loud[0] < 0.5 * usual[0]) and np.all(quiet[0] > 2.0 * usual[0])
    np.testing.assert_allclose(loud[-1], usual[-1], rtol=0.01)
    np.testing.assert_allclose(quiet[-1], usual[-1], rtol=0.02)


@pytest.mark.parametrize("frames", [1, 7, 120])
def test_a_running_level_is_the_same_in_every_loop(frames: int) -> None:
    """One frame, a block, or a scan: the level agrees, and is a leaky mean."""
    net = nets.build(CONFIGS[3])
    now = np.random.default_rng(0).uniform(0.1, 2.0, (120, 2)).astype(np.float32)
    states = net.zero_states(2)
    parts = [now[at : at + frames] for at in range(0, 120, frames)]
    levels = [running_mean(part[..., None], states, 0.6) for part in parts]
    level = np.concatenate([np.asarray(each)[..., 0] for each in levels])
    leak = np.exp(-0.008 / 2.5) ** np.arange(119, -1, -1)
    prior = 30.0 * leak[0] * np.exp(-0.008 / 2.5)
    expected = ((now.T * leak).sum(axis=1) + 0.6 * prior) / (leak.sum() + prior)
    np.testing.assert_allclose(level[-1], expected, rtol=1e-4)


def test_a_floor_stays_under_a_voice_and_sinks_without_one() -> None:
    """With a voice `floor` of what was taken away stays; 6 s later next to nothing."""
    bare = nets.build(nets.NetConfig("filter", "gru", 8, 1, filter_bins=30))
    net = nets.with_floor(bare, 0.1)
    x = spectra(750)
    y = np.asarray(bare(x))  # Untrained gains are about a half: a voice throughout.
    np.testing.assert_allclose(net(x), y + 0.1 * (x - y), atol=1e-5)
    deaf = bare.get_weights()
    at = next(i for i, w in enumerate(bare.weights) if w.path.endswith("gain/bias"))
    deaf[at] = deaf[at] - 8.0
    bare.set_weights(deaf)
    y, floored = np.asarray(bare(x)), np.asarray(nets.with_floor(bare, 0.1)(x))
    share = np.linalg.norm((floored - y)[0], axis=(1, 2)) / np.linalg.norm(
        (x - y)[0], axis=(1, 2)
    )
    assert share[0] == pytest.approx(0.1, rel=0.01)
    assert share[188] == pytest.approx(0.1 / np.e, rel=0.02)
    assert share[-1] < 0.002
    assert not np.any(nets.with_floor(bare, 0.1)(np.zeros((1, 9, 257, 2), np.float32)))
    with pytest.raises(ModelError, match="floor"):
        nets.with_floor(nets.build(nets.NetConfig("gain", "gru", 8, 1)), 0.1)


@pytest.mark.parametrize("kind", ["gain", "filter"])
@pytest.mark.parametrize("cell", list(CELLS))
def test_a_grown_net_begins_as_the_small_one(kind: str, cell: str) -> None:
    """Wider, and with more taps: the output is the small net's until it is trained."""
    small = nets.build(nets.NetConfig(kind, cell, 12, 2, filter_bins=20))
    rng = np.random.default_rng(2)
    small.set_weights(
        [w + 0.1 * rng.standard_normal(w.shape) for w in small.get_weights()]
    )
    grown = grow(small, nets.NetConfig(kind, cell, 17, 2, 4, 20))
    x = spectra(20)
    np.testing.assert_allclose(np.asarray(grown(x)), np.asarray(small(x)), atol=1e-5)
    with pytest.raises(ModelError, match="shrink"):
        grow(grown, small.config)


def test_a_gain_net_grows_into_a_filter_net() -> None:
    """At the usual level a filter net grown from a gain net begins as that net."""
    small = nets.build(nets.NetConfig("gain", "gru", 12, 2))
    grown = grow(small, nets.NetConfig("filter", "gru", 12, 2))
    x = np.full((1, 9, 257, 2), 0.6 ** (1 / 0.3) / np.sqrt(2.0), np.float32)
    np.testing.assert_allclose(np.asarray(grown(x)), np.asarray(small(x)), rtol=1e-4)


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_a_levelled_net_is_the_same_net(config: nets.NetConfig) -> None:
    """With its columns at one size a net gives the same outputs, in every loop."""
    net = nets.build(config)
    other = nets.levelled(net)
    kernels = [w for w in other.weights if w.path.endswith("kernel")]
    assert all(np.max(np.abs(np.asarray(w))) <= 1.0 + 1e-6 for w in kernels)
    for frames in (1, 4, LOOP_LIMIT + 3):
        x = spectra(frames)
        np.testing.assert_allclose(
            np.asarray(other(x)), np.asarray(net(x)), rtol=1e-3, atol=2e-4
        )


def test_a_filter_grows_over_more_bins_and_frames() -> None:
    """A filter that spans more begins as the one it was, however weights are laid."""
    small = nets.build(nets.NetConfig("filter", "gru", 12, 2, 2, 20))
    rng = np.random.default_rng(3)
    small.set_weights(
        [w + 0.1 * rng.standard_normal(w.shape) for w in small.get_weights()]
    )
    grown = grow(small, nets.NetConfig("filter", "gru", 12, 2, 5, 33))
    x = spectra(20)
    np.testing.assert_allclose(np.asarray(grown(x)), np.asarray(small(x)), atol=1e-5)
    with pytest.raises(ModelError, match="shrink"):
        grow(grown, small.config)


def test_silence_stays_silence_and_finite() -> None:
    """All nets map digital silence to finite values; gain nets to exact silence."""
    for config in CONFIGS:
        y = np.asarray(nets.build(config)(np.zeros((1, 4, 257, 2), np.float32)))
        assert np.all(np.isfinite(y))
        assert np.max(np.abs(y)) == 0.0


def test_dropout_only_while_training() -> None:
    """Two runs agree outside of training and differ in it."""
    net = nets.build(nets.NetConfig("gain", "gru", 32, 1, dropout=0.5))
    x = spectra(4)
    np.testing.assert_array_equal(np.asarray(net(x)), np.asarray(net(x)))
    one, two = (np.asarray(net(x, training=True)) for _ in range(2))
    assert np.max(np.abs(one - two)) > 1e-3


def test_bidirectional_hears_the_future() -> None:
    """A change in the last frame reaches the first only in a bidirectional net."""
    x = spectra(9)
    changed = x.copy()
    changed[:, -1] *= 3.0
    for both in (False, True):
        net = nets.build(nets.NetConfig("gain", units=8, bidirectional=both))
        first = np.abs(np.asarray(net(x)) - np.asarray(net(changed)))[:, 0].max()
        assert (first > 1e-7) == both
        assert net.causal != both


def test_saved_net_is_the_same_net(tmp_path) -> None:
    """Saving and loading keeps configuration and output."""
    for config in (CONFIGS[0], CONFIGS[3], CONFIGS[5]):
        net = nets.build(config)
        folder = tmp_path / f"{config.kind}"
        nets.save(net, folder, "last")
        again = nets.load(folder)
        assert again.config == config
        x = spectra(3)
        np.testing.assert_array_equal(np.asarray(net(x)), np.asarray(again(x)))


def test_a_compact_checkpoint_is_nearly_the_same_net(tmp_path) -> None:
    """Half precision keeps the output to a thousandth."""
    for config in (CONFIGS[0], CONFIGS[3]):
        net = nets.build(config)
        nets.save_compact(net, tmp_path / "net.npz")
        again = nets.load(tmp_path / "net.npz")
        assert again.config == config
        x = spectra(6)
        np.testing.assert_allclose(np.asarray(net(x)), np.asarray(again(x)), atol=5e-3)


def test_a_file_of_something_else_is_no_net(tmp_path) -> None:
    """One sentence, whatever is in the file."""
    np.savez(tmp_path / "other.npz", weights=np.zeros(3))
    (tmp_path / "text.npz").write_text("no archive")
    for name in ("other.npz", "text.npz"):
        with pytest.raises(ModelError, match="holds no trained net"):
            nets.load(tmp_path / name)


def test_a_mean_of_nets_is_the_mean_of_their_weights(tmp_path) -> None:
    """Weighted as asked for, with or without a floor, and only of nets alike."""
    config = nets.NetConfig("filter", "gru", 6, 1, filter_bins=16)
    one, other = nets.build(config), nets.build(replace(config, floor=0.03))
    mean = nets.mean_of([(one, 1.0), (other, 3.0)])
    for a, b, m in zip(*(n.get_weights() for n in (one, other, mean)), strict=True):
        np.testing.assert_allclose(m, 0.25 * a + 0.75 * b, atol=1e-6)
    assert mean.config.floor == 0.0
    with pytest.raises(ModelError, match="different layers"):
        nets.mean_of([(one, 1.0), (nets.build(replace(config, units=7)), 1.0)])
    with pytest.raises(ModelError, match="sum to"):
        nets.mean_of([(one, 0.0)])


def test_unknown_and_impossible_nets_are_refused(tmp_path) -> None:
    """What cannot be built ends in a sentence that names the choices."""
    with pytest.raises(ModelError, match="gain"):
        nets.build(nets.NetConfig("transformer"))
    with pytest.raises(ValueError, match="taps"):
        nets.build(nets.NetConfig("filter", taps=0))
    with pytest.raises(ValueError, match="lstm"):
        nets.build(nets.NetConfig("gain", "mgu"))
    with pytest.raises(ModelError, match=r"config\.json"):
        nets.load(tmp_path)
