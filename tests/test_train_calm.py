"""Stretches without a voice: as often and as long as they should be, states carried."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from streamdenoise.train import fit, models, nets
from streamdenoise.train.calm import RUN, calm, kept_rows
from streamdenoise.train.data import Pack, build_pack
from streamdenoise.train.fit import Run
from streamdenoise.train.fitconfig import FitConfig
from streamdenoise.train.mix import Mixer
from streamdenoise.train.mixconfig import MixConfig
from tests.training import make_corpus


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("corpus")
    build_pack(make_corpus(root / "data"), root / "pack")
    return root / "pack"


def calms(rows: int, batches: int, share: float) -> np.ndarray:
    """Return which mixtures are calm, ``[rows, batches]``."""
    return np.array(
        [
            [calm(5, number, row, share) is not None for number in range(batches)]
            for row in range(rows)
        ]
    )


def test_share_and_length() -> None:
    """A fifth of the runs begins with a calm, of half a run on average."""
    found = calms(64, 8 * RUN, 0.2)
    assert found.mean() == pytest.approx(0.2 * (RUN + 1) / (2 * RUN), abs=0.03)
    assert not calms(8, 2 * RUN, 0.0).any()
    # Rows take turns: in no batch are many more calm than in another.
    assert found.mean(axis=0).max() < 3 * found.mean()
    padded = np.pad(found, ((0, 0), (1, 1))).astype(int)
    begins, ends = np.argwhere(np.diff(padded) == 1), np.argwhere(np.diff(padded) == -1)
    lengths = ends[:, 1] - begins[:, 1]
    assert lengths.max() > RUN // 2 and lengths.min() >= 1


def test_a_calm_is_one_noise_all_along_and_has_no_voice(folder) -> None:
    """Its mixtures are the same sound, and the target is silence."""
    mixer = Mixer(Pack.open(folder), MixConfig(seconds=1.0, calm=1.0), seed=5)
    found = calms(4, 2 * RUN, 1.0)
    row = int(np.argmax(found[:, :-1].sum(1)))
    numbers = np.flatnonzero(found[row])
    pairs = [n for n in numbers if n + 1 in numbers and (n + 1 + row) % RUN]
    for number in pairs[:3]:
        (first, quiet), (second, _) = (mixer.batch(n, 4) for n in (number, number + 1))
        np.testing.assert_array_equal(first[row], second[row])
        assert not quiet[row].any() and np.abs(first[row]).max() < 1.0


def test_somebody_speaks_in_the_noise_that_was_there_before(folder) -> None:
    """What follows a calm has its noise, at its level, under the voice."""
    mix = MixConfig(seconds=1.0, calm=0.7, noise_only=0.0, clip=0.0, level_high=-30.0)
    mix = replace(mix, room=0.0)
    mixer = Mixer(Pack.open(folder), mix, seed=5)
    found = calms(4, 2 * RUN, 0.7)
    ends = np.argwhere(found[:, :-1] & ~found[:, 1:])
    heard = 0
    for row, number in ends:
        (calmed, _), (noisy, clean) = (mixer.batch(n, 4) for n in (number, number + 1))
        if calmed[row].any():
            np.testing.assert_allclose(noisy[row] - clean[row], calmed[row], atol=1e-6)
            assert clean[row].any()
            heard += 1
    assert heard > 3


def test_states_go_on_through_a_calm_and_out_of_it() -> None:
    """Kept within, kept into what follows, and not kept into its beginning."""
    found = calms(6, 3 * RUN, 0.5)
    for number in range(1, 3 * RUN):
        kept = kept_rows(5, number, 6, 0.5)
        np.testing.assert_array_equal(kept, found[:, number] | found[:, number - 1])
    assert kept_rows(5, 0, 6, 0.5).tolist() == found[:, 0].tolist()


def test_the_run_forgets_only_other_rows(folder, tmp_path, monkeypatch) -> None:
    """What `Run` keeps is what the mixer has made calm, wherever it goes on."""
    mix = MixConfig(seconds=0.512, calm=0.7)
    config = FitConfig(batch=3, parts=2, mix=mix, seed=5, warmup=1)
    net = nets.NetConfig("filter", "gru", 8, 1, filter_bins=16)
    run = Run(tmp_path / "run", folder, net, config, say=lambda _: None)
    told = []
    monkeypatch.setattr(
        models.CarriedModel, "forget", lambda _, kept: told.append(kept)
    )
    first = 7
    with fit.Feed(folder, replace(mix, seconds=1.024), 3, 5, first) as feed:
        parts = run._parts(feed, first)
        for _ in range(4 * config.parts):
            next(parts)
    wanted = [kept_rows(5, first + k, 3, 0.7) for k in range(4)]
    np.testing.assert_array_equal(told[:4], wanted)
