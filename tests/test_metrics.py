"""Measures of quality: known values, invariances, and refusals instead of NaN."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
import pytest

from streamdenoise.errors import AudioFormatError
from streamdenoise.eval import metrics

DATA = Path(
    os.environ.get("STREAMDENOISE_DATA", Path(__file__).parents[2] / "shared" / "data")
)


@pytest.fixture
def speech(rng: np.random.Generator) -> np.ndarray:
    """Two seconds of modulated, coloured noise: busy enough for all measures."""
    white = np.fft.rfft(rng.standard_normal(32000))
    coloured = np.fft.irfft(white / (1 + np.arange(white.size) / 900), 32000)
    beat = 0.55 + 0.45 * np.sin(2 * np.pi * 3 * np.arange(32000) / 16000)
    return 0.1 * coloured / np.std(coloured) * beat


@pytest.mark.parametrize("db", [-5.0, 0.0, 20.0])
def test_si_sdr_is_the_snr_of_orthogonal_noise(
    speech: np.ndarray, rng: np.random.Generator, db: float
) -> None:
    """With noise orthogonal to the signal SI-SDR is the SNR, at any level."""
    clean = speech - speech.mean()
    noise = rng.standard_normal(clean.size)
    noise -= noise.mean()
    noise -= clean * (noise @ clean) / (clean @ clean)
    noise *= np.linalg.norm(clean) / np.linalg.norm(noise) * 10 ** (-db / 20)
    assert metrics.si_sdr(clean, 0.03 * (clean + noise)) == pytest.approx(db, abs=1e-6)


def test_si_sdr_has_limits_instead_of_infinities(speech: np.ndarray) -> None:
    """A perfect and a silent estimate give numbers that a mean survives."""
    assert metrics.si_sdr(speech, 2 * speech) == metrics.SI_SDR_LIMIT
    assert metrics.si_sdr(speech, np.zeros_like(speech)) == -metrics.SI_SDR_LIMIT


@pytest.mark.parametrize(
    "measure",
    [metrics.si_sdr, metrics.pesq_wb, metrics.stoi, metrics.log_spectral_distance],
)
@pytest.mark.parametrize(
    "spoil",
    [
        lambda x: (np.zeros_like(x), x),
        lambda x: (x, x[:-1]),
        lambda x: (x, np.where(np.arange(x.size) == 5, np.nan, x)),
        lambda x: (x[:0], x[:0]),
        lambda x: (x[:, None], x[:, None]),
    ],
    ids=["silent", "length", "nan", "empty", "shape"],
)
def test_what_cannot_be_scored_is_refused(measure, spoil, speech: np.ndarray) -> None:
    """No measure turns a bad input into NaN or a number."""
    with pytest.raises(AudioFormatError):
        measure(*spoil(speech))


def test_pesq_refuses_other_rates_short_and_silent_signals(speech: np.ndarray) -> None:
    """PESQ's own failures come out as sentences."""
    with pytest.raises(AudioFormatError, match="16000 Hz"):
        metrics.pesq_wb(speech, speech, 48000)
    with pytest.raises(AudioFormatError, match="PESQ"):
        metrics.pesq_wb(speech[:1000], speech[:1000])
    with pytest.raises(AudioFormatError, match="zeros"):
        metrics.pesq_wb(speech, 0 * speech)


def test_stoi_refuses_what_is_too_short(speech: np.ndarray) -> None:
    """The value 1e-5 that stands for 'too short' in pystoi never gets into a mean."""
    with pytest.raises(AudioFormatError, match="STOI"):
        metrics.stoi(speech[:3000], speech[:3000])


def test_equal_signals_score_best(speech: np.ndarray) -> None:
    """Every measure is at its end for equal signals."""
    assert metrics.pesq_wb(speech, speech) > 4.6
    assert metrics.stoi(speech, speech) == pytest.approx(1, abs=1e-6)
    assert metrics.stoi(speech, speech, extended=True) == pytest.approx(1, abs=1e-6)
    assert metrics.log_spectral_distance(speech, speech) == 0


def test_log_spectral_distance_of_a_factor_is_its_decibels(speech: np.ndarray) -> None:
    """A gain of 6 dB on all bins is 6 dB away; in an empty band nothing is measured."""
    got = metrics.log_spectral_distance(speech, speech * 10**0.3, floor_db=200)
    assert got == pytest.approx(6.0, abs=1e-6)
    with pytest.raises(AudioFormatError):
        metrics.log_spectral_distance(speech, speech, band=(9000, 9500))


def test_levels_match_and_lags_are_found(
    speech: np.ndarray, rng: np.random.Generator
) -> None:
    """A quieter, later or earlier and noisy copy comes back into place."""
    noisy = speech + 0.01 * rng.standard_normal(speech.size)
    for late in (0, 384, -37):
        moved = np.roll(noisy, late)
        assert metrics.lag(speech, moved, 1600) == late
        clean, estimate, found = metrics.align(speech, 0.2 * moved, 1600)
        assert found == late and clean.size == estimate.size == speech.size - abs(late)
        matched = metrics.match_level(clean, estimate)
        assert np.std(matched - clean) < 0.02
    with pytest.raises(AudioFormatError):
        metrics.match_level(speech, -speech)


@pytest.mark.skipif(not (DATA / "dev").is_dir(), reason="needs the dev set of pairs")
def test_noisy_dev_pairs_score_as_published() -> None:
    """The noisy input of the dev set has the scores that all tables quote."""
    soundfile = pytest.importorskip("soundfile")
    with (DATA / "dev" / "index.csv").open(encoding="utf-8") as file:
        names = [row["name"] for row in csv.DictReader(file)]
    rows = []
    for name in names:
        clean, noisy = (
            soundfile.read(DATA / "dev" / side / f"{name}.flac")[0]
            for side in ("clean", "noisy")
        )
        measures = (metrics.pesq_wb, metrics.stoi, metrics.si_sdr)
        rows.append([measure(clean, noisy) for measure in measures])
    assert np.mean(rows, axis=0) == pytest.approx([1.825, 0.9073, 7.85], abs=0.005)
