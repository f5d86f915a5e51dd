"""Transforms, loss and the training loop."""

from __future__ import annotations

import csv
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pytest

from streamdenoise.errors import StreamDenoiseError
from streamdenoise.train import fit, losses, models, nets
from streamdenoise.train.data import build_pack
from streamdenoise.train.fit import Run
from streamdenoise.train.fitconfig import FitConfig
from streamdenoise.train.mixconfig import MixConfig
from tests import training

MIX = MixConfig(seconds=0.5)
FIT = FitConfig(batch=2, mix=MIX, warmup=2)
NET = nets.NetConfig("gain", "gru", 8, 1)


@pytest.fixture(scope="module")
def pack(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    build_pack(training.make_corpus(folder / "data"), folder / "pack")
    return folder / "pack"


def waves(rows: int, samples: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (0.1 * rng.standard_normal((rows, samples))).astype(np.float32)


def train_updates(run: Run, count: int) -> list[float]:
    """Run a fixed number of updates instead of a time."""
    from streamdenoise.train.feed import Feed

    c = run.config
    values = []
    with Feed(run.pack, c.mix, c.batch, c.seed, int(run.progress["update"])) as feed:
        for _ in range(count):
            values.append(run._update(*feed.next(), c.learning_rate)[0])
    return values


def test_training_transforms_reconstruct() -> None:
    """Forward and back gives the waveform, but for the last hop."""
    x = waves(2, 128 * 40)
    y = np.asarray(losses.istft(losses.stft(x)))
    np.testing.assert_allclose(y, x[:, : y.shape[1]], atol=2e-6)
    assert y.shape[1] == 128 * 39


def test_training_frames_are_the_engine_frames() -> None:
    """What the net learns on is, bin for bin, what the engine will hand it."""
    from streamdenoise.offline import analyse
    from streamdenoise.stft import StftParams

    x = waves(1, 128 * 20)
    ours = np.asarray(losses.stft(x))[0]
    theirs = np.asarray(analyse(x[0], StftParams.for_rate(16000)))
    if np.iscomplexobj(theirs):
        theirs = np.stack([theirs.real, theirs.imag], axis=-1)
    count = min(len(ours), len(theirs))
    assert count >= 20
    np.testing.assert_allclose(ours[:count], theirs[:count], atol=1e-4)


def test_loss_is_finite_without_sound_and_least_for_the_truth() -> None:
    """Silence gives no NaN; the clean spectrum scores best, eaten speech worst."""
    config = losses.LossConfig()
    silent = np.zeros((1, 128 * 20), np.float32)
    assert np.isfinite(
        np.asarray(losses.spectral_loss(config, silent, silent, losses.stft(silent)))
    ).all()
    clean, noise = waves(1, 128 * 60), waves(1, 128 * 60, 1)
    truth = np.asarray(losses.stft(clean))
    score = [
        float(losses.spectral_loss(config, clean + noise, clean, estimate)[0])
        for estimate in (truth, truth * 0.8, np.asarray(losses.stft(clean + noise)))
    ]
    assert score[0] < score[1] < score[2]
    quiet = float(losses.spectral_loss(config, clean, clean, truth * 0.5)[0])
    loud = float(losses.spectral_loss(config, clean, clean, truth * 1.5)[0])
    assert quiet > loud


def test_what_is_left_in_pauses_counts_until_it_is_silent() -> None:
    """Pauses are asked to fall, by the dB, to -40; a word is not asked for anything."""
    config = losses.LossConfig(magnitude=0.0, complex=0.0, snr=0.0, silence=1.0)
    size = losses._PAUSE_HOPS * 128
    noise, voice = waves(1, 4 * size), waves(1, 4 * size, 1)

    def left(clean: Any, *gains: float) -> list[float]:
        return [
            float(
                losses.spectral_loss(
                    config, clean + noise, clean, losses.stft(clean + g * noise)
                )[0]
            )
            for g in gains
        ]

    alone = left(0.0 * voice, 1.0, 0.1, 0.01, 0.001, 0.0)
    np.testing.assert_allclose(alone[:2], [0.0, -2.0], atol=0.05)
    assert alone[1] - alone[2] == pytest.approx(1.7, abs=0.05)
    assert alone[2] - alone[3] < 0.35 and alone[4] == pytest.approx(-4.0, abs=0.01)
    assert max(map(abs, left(voice, 1.0, 0.1))) < 0.02
    half = voice.copy()
    half[:, 2 * size :] = 0.0
    # Frames make a hop less than they are: the first part is cut, and left out.
    paused = left(half, 1.0, 0.1)
    assert paused[0] - paused[1] == pytest.approx(2.0 / 3.0, abs=0.1)
    # A recording's own noise is the target, and is not asked to go.
    own = losses.spectral_loss(config, noise, noise, losses.stft(noise))
    assert float(own[0]) > -0.02


def test_loss_does_not_depend_on_level() -> None:
    """The same mixture 20 dB quieter weighs the same."""
    clean, noise = waves(1, 128 * 60), waves(1, 128 * 60, 1)
    values = [
        float(
            losses.spectral_loss(
                losses.LossConfig(),
                (clean + noise) * gain,
                clean * gain,
                np.asarray(losses.stft(clean + noise)) * np.float32(gain),
            )[0]
        )
        for gain in (1.0, 0.1)
    ]
    assert values[1] == pytest.approx(values[0], rel=0.02)


def test_an_interrupted_run_goes_on_as_if_nothing_had_been(pack, tmp_path) -> None:
    """Four updates at once and two and two give the same weights and losses."""
    whole = Run(tmp_path / "whole", pack, NET, FIT, say=lambda _: None)
    expected = train_updates(whole, 4)
    first = Run(tmp_path / "parts", pack, NET, FIT, say=lambda _: None)
    got = train_updates(first, 2)
    first._checkpoint(0.0, got, got, 1e-3)
    second = Run(tmp_path / "parts", pack, NET, FIT, say=lambda _: None)
    got += train_updates(second, 2)
    assert got == pytest.approx(expected, rel=1e-4)
    for a, b in zip(whole.net.get_weights(), second.net.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=2e-5)
    for a, b in zip(whole.average, second.average, strict=True):
        np.testing.assert_allclose(a, b, atol=2e-5)


def test_a_run_learns_and_writes_its_log(pack, tmp_path) -> None:
    """The loss falls within seconds, and the log has its columns."""
    run = Run(tmp_path, pack, NET, replace(FIT, learning_rate=1e-2), lambda _: None)
    values = train_updates(run, 40)
    assert np.mean(values[-8:]) < np.mean(values[:8])
    run._checkpoint(0.0, values, values, 1e-2)
    with (tmp_path / "log.csv").open(newline="") as file:
        row = list(csv.DictReader(file))[-1]
    assert int(row["update"]) == 40
    assert float(row["valid_loss"]) > 0.0


@pytest.mark.parametrize("kind", ["clipnorm", "clipvalue", "global_clipnorm"])
def test_clipping_bounds_the_update_but_the_norm_is_logged_whole(
    pack, tmp_path, kind
) -> None:
    """The logged norm is the one before clipping, whatever clips."""
    free = Run(tmp_path / "a", pack, NET, replace(FIT, global_clipnorm=None), print)
    train_updates(free, 1)
    tight = Run(
        tmp_path / "b",
        pack,
        NET,
        replace(FIT, **{"global_clipnorm": None, kind: 1e-3}),
        print,
    )
    train_updates(tight, 1)
    assert float(tight.model.optimizer.gradient_norm) == pytest.approx(
        float(free.model.optimizer.gradient_norm), rel=1e-4
    )
    assert float(free.model.optimizer.gradient_norm) > 1e-2


def test_nan_stops_with_a_sentence(pack, tmp_path) -> None:
    """A loss that is no number ends the run and leaves the checkpoint alone."""
    run = Run(tmp_path, pack, NET, FIT, lambda _: None)
    run.net.set_weights([w * np.nan for w in run.net.get_weights()])
    with pytest.raises(StreamDenoiseError, match="last checkpoint"):
        run.train(1.0)
    assert not (tmp_path / "progress.json").exists()


def test_the_tutorial_learns_magnitudes(pack, tmp_path) -> None:
    """The ancestor trains by name, on statistics of the data."""
    config = nets.NetConfig("tutorial", "lstm", 12, 2, dropout=0.5)
    run = Run(tmp_path, pack, config, replace(FIT, learning_rate=1e-2), lambda _: None)
    assert np.asarray(run.net.deviation).max() > 1e-3
    values = train_updates(run, 30)
    assert np.mean(values[-6:]) < np.mean(values[:6])


def test_carried_parts_are_one_long_stream(pack) -> None:
    """Batch after batch with carried states equals the whole sequence at once."""
    net = nets.build(nets.NetConfig("filter", "gru", 8, 2, filter_bins=16))
    model = models.make_model(net, replace(FIT, parts=4))
    lead, part = models.LEAD * 128, 128 * 40
    x = np.pad(waves(2, part * 3), ((0, 0), (lead, 0)))
    whole = np.asarray(net(losses.stft(x[:, lead:])))
    for _ in range(2):  # The second time from a state that must be forgotten.
        model.forget()
        got = [
            np.asarray(model(x[:, at : at + lead + part]))
            for at in range(0, 3 * part, part)
        ]
        np.testing.assert_allclose(np.concatenate(got, 1), whole, atol=1e-5)


@pytest.mark.parametrize("optimizer", ["adam", "muon"])
def test_accumulated_batches_are_one_large_batch(optimizer) -> None:
    """Two batches of two make the update that one of four makes, and only one."""
    noisy, clean = waves(4, 128 * 40), waves(4, 128 * 40, seed=1)
    ends, norms = [], []
    for batch in (2, 4):
        fit = replace(FIT, batch=batch, accumulate=4 // batch, optimizer=optimizer)
        keras.utils.set_random_seed(3)
        net = nets.build(nets.NetConfig("gain", "gru", 64, 1))
        model = models.make_model(net, fit)
        begin = net.get_weights()
        for at in range(0, 4, batch):
            if at:  # nothing has moved yet
                for before, now in zip(begin, net.get_weights(), strict=True):
                    np.testing.assert_array_equal(before, now)
            model.train_on_batch(noisy[at : at + batch], clean[at : at + batch])
        ends.append(net.get_weights())
        norms.append(float(model.optimizer.gradient_norm))
    assert norms[0] == pytest.approx(norms[1], rel=1e-4) and norms[0] > 0.0
    moved = max(float(np.abs(a - b).max()) for a, b in zip(begin, ends[1], strict=True))
    for a, b in zip(*ends, strict=True):
        np.testing.assert_allclose(a, b, atol=0.05 * moved)


def test_some_streams_go_on_into_the_next_mixture(pack) -> None:
    """Rows that are kept go on from their states, the others begin anew."""
    net = nets.build(nets.NetConfig("filter", "gru", 8, 2, filter_bins=16))
    model = models.make_model(net, replace(FIT, parts=2))
    lead, part = models.LEAD * 128, 128 * 40
    x = np.pad(waves(2, 2 * part), ((0, 0), (lead, 0)))
    first, second = (x[:, at : at + lead + part] for at in (0, part))
    model(first)
    went_on = np.asarray(model(second))
    model.forget()
    anew = np.asarray(model(second))
    model.forget()
    model(first)
    model.forget(np.array([True, False]))
    got = np.asarray(model(second))
    np.testing.assert_allclose(got[0], went_on[0], atol=1e-6)
    np.testing.assert_allclose(got[1], anew[1], atol=1e-6)
    assert np.abs(got[0] - anew[0]).max() > 1e-4


def test_a_stream_that_goes_on_has_heard_the_end_before(pack, tmp_path) -> None:
    """A kept row's first window reaches into its last mixture, another's does not."""
    config = replace(FIT, parts=2, kept=0.5, mix=MixConfig(seconds=0.512))
    run = Run(tmp_path / "leads", pack, NET, config, say=lambda _: None)
    lead = models.LEAD * 128
    kept = []
    run.model.forget = kept.append
    with fit.Feed(pack, replace(config.mix, seconds=1.024), 2, config.seed) as feed:
        parts = run._parts(feed, 0)
        rows = [next(parts) for _ in range(12)]
    for number in range(1, 6):
        before, after = rows[2 * number - 1], rows[2 * number]
        for row in range(2):
            for old, new in zip(before, after, strict=True):
                wanted = old[row, -lead:] if kept[number][row] else np.zeros(lead)
                np.testing.assert_array_equal(new[row, :lead], wanted)
    assert 0 < np.sum(kept[1:]) < 10


def test_the_first_window_of_a_part_is_left_out_of_the_loss() -> None:
    """A later part's loss is the loss over its own frames, whatever came before."""
    clean, noise = waves(1, 128 * 60), waves(1, 128 * 60, 1)
    lead = models.LEAD
    estimate = np.asarray(losses.stft(clean + noise))
    config = losses.LossConfig(snr=0.0)
    value = losses.spectral_loss(config, clean + noise, clean, estimate[:, lead:], lead)
    spoiled = clean.copy()
    target = np.asarray(losses.stft(spoiled))[:, lead:]
    assert float(value[0]) > 0.0
    perfect = losses.spectral_loss(config, clean + noise, clean, target, lead)
    assert float(perfect[0]) == pytest.approx(0.0, abs=1e-6)
    ratio = replace(config, magnitude=0.0, complex=0.0, snr=1.0)
    best = losses.spectral_loss(ratio, clean + noise, clean, target, lead)
    assert float(best[0]) < -2.5


def test_a_run_with_parts_counts_only_new_audio_and_goes_on(pack, tmp_path) -> None:
    """Parts are cut without overlap, states included in nothing but the model."""
    config = replace(FIT, parts=3, mix=MixConfig(seconds=0.512))
    run = Run(tmp_path / "parts", pack, NET, config, say=lambda _: None)
    long = replace(config.mix, seconds=3 * 0.512)
    with fit.Feed(pack, long, 2, config.seed) as feed:
        parts = run._parts(feed, 0)
        before = run.model.carried["rnn_0_h"]
        for _ in range(4):
            loss, _ = run._update(*next(parts), 1e-3)
            assert np.isfinite(loss)
    assert np.abs(np.asarray(before)).max() > 0.0
    assert run.progress["seconds"] == pytest.approx(4 * 2 * 0.512)
    run._checkpoint(0.0, [1.0], [1.0], 1e-3)
    again = Run(tmp_path / "parts", pack, NET, config, say=lambda _: None)
    assert len(again.net.get_weights()) == len(run.net.get_weights())
    assert again.progress["update"] == 4


def test_states_are_not_carried_where_they_cannot_be() -> None:
    """A net that runs backwards in time says so instead of learning nonsense."""
    net = nets.build(nets.NetConfig("gain", "gru", 8, 1, bidirectional=True))
    with pytest.raises(StreamDenoiseError, match="--parts"):
        models.make_model(net, replace(FIT, parts=2))
