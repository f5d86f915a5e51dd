"""Oracle gains: they stay in bounds, and nothing else real-valued does better."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from streamdenoise.errors import AudioFormatError
from streamdenoise.eval import metrics
from streamdenoise.eval.oracle import ORACLES, oracle, oracle_gains
from streamdenoise.eval.pairs import load_pairs
from streamdenoise.stft import StftParams

DATA = Path(
    os.environ.get("STREAMDENOISE_DATA", Path(__file__).parents[2] / "shared" / "data")
)


@pytest.fixture
def pair(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A modulated tone complex, clean and in white noise."""
    t = np.arange(16000) / 16000
    tones = sum(np.sin(2 * np.pi * f * t) for f in (220, 440, 1330, 2900))
    clean = (0.05 * tones * (0.5 + 0.5 * np.sin(2 * np.pi * 4 * t))).astype("f4")
    return clean, clean + 0.05 * rng.standard_normal(clean.size).astype("f4")


@pytest.mark.parametrize("kind", ORACLES)
def test_without_noise_an_oracle_changes_nothing(pair, kind) -> None:
    """Gain one everywhere reconstructs the input, sample for sample, at any length."""
    for size in (1, 127, 128, 129, 16000):
        clean = pair[0][:size]
        assert np.allclose(oracle(clean, clean, kind), clean, atol=2e-6)


def test_gains_are_bounded_and_the_phase_sensitive_one_wins(pair, rng) -> None:
    """The phase-sensitive oracle has the least error of all gains in [0, 1]."""
    clean, noisy = pair
    s, x = (
        np.complex64(rng.standard_normal((9, 257)) + 1j * rng.standard_normal((9, 257)))
        for _ in range(2)
    )
    errors = {}
    for kind in ORACLES:
        gains = oracle_gains(s, x, kind)
        assert gains.min() >= 0 and gains.max() <= 1
        errors[kind] = np.sum(np.abs(gains * x - s) ** 2)
    assert errors["phase"] <= errors["magnitude"]
    before = metrics.si_sdr(clean, noisy)
    scores = [metrics.si_sdr(clean, oracle(clean, noisy, kind)) for kind in ORACLES]
    assert before + 5 < scores[0] < scores[1]


def test_silent_bins_and_other_windows_and_rates_work(pair) -> None:
    """Digital silence gives no NaN, and the grid may be another one."""
    silence = np.zeros(4000, np.float32)
    assert not np.any(oracle(silence, silence))
    for params in (StftParams.for_rate(48000), StftParams.for_rate(16000, 4, 1.5)):
        same = oracle(pair[0], pair[0], "phase", params)
        assert np.allclose(same, pair[0], atol=1e-5)


def test_unequal_signals_and_unknown_kinds_are_refused(pair) -> None:
    """An oracle needs its reference."""
    with pytest.raises(AudioFormatError):
        oracle(pair[0][:-1], pair[1])
    with pytest.raises(ValueError, match="magnitude, phase"):
        oracle_gains(np.zeros((1, 257), "c8"), np.zeros((1, 257), "c8"), "ideal")


@pytest.mark.skipif(not (DATA / "dev").is_dir(), reason="needs the dev set of pairs")
@pytest.mark.parametrize(
    ("kind", "scores"),
    [("magnitude", (3.57, 0.978, 18.2)), ("phase", (3.80, 0.980, 20.9))],
)
def test_ceilings_of_dev_are_the_known_ones(kind, scores) -> None:
    """On every second dev pair the ceilings are those that the field notes state."""
    rows = []
    for pair in load_pairs(DATA / "dev")[::2]:
        noisy, clean = pair.load()
        out = oracle(clean, noisy, kind)
        measures = (metrics.pesq_wb, metrics.stoi, metrics.si_sdr)
        rows.append([measure(clean, out) for measure in measures])
    for got, known, within in zip(
        np.mean(rows, axis=0), scores, (0.01, 0.001, 0.06), strict=True
    ):
        assert got == pytest.approx(known, abs=within)
