"""The report card: right rows from right files, and figures that tell bad models."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from streamdenoise.errors import AudioFormatError
from streamdenoise.eval.behaviour import (
    after_waiting,
    behaviour,
    onsets,
    pause_reduction,
)
from streamdenoise.eval.pairs import load_pairs
from streamdenoise.eval.reportcard import bootstrap, evaluate
from streamdenoise.eval.systems import System, references

soundfile = pytest.importorskip("soundfile")
pytest.importorskip("pesq", reason="the package pesq is not installed (extra 'eval')")
pytest.importorskip("pystoi", reason="pystoi is not installed (extra 'eval')")


def words(seed: int) -> np.ndarray:
    """Hisses followed by harmonics, with pauses: words that begin with an S."""
    rng = np.random.default_rng(seed)
    t = np.arange(5000) / 16000
    vowel = sum(np.sin(2 * np.pi * k * (120 + 20 * seed) * t) / k for k in range(1, 20))
    vowel *= np.sin(np.pi * np.arange(5000) / 5000)
    hiss = np.diff(rng.standard_normal(1601)) * 0.3
    word = np.concatenate([np.zeros(4000), hiss, vowel])
    return (0.1 * np.tile(word, 3)).astype(np.float32)


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Two pairs, one clip of clean speech and one of noise."""
    rng = np.random.default_rng(3)
    folder = tmp_path / "set"
    rows = []
    for number, kind in enumerate(("pair", "pair", "clean", "noise")):
        clean = words(number) * (kind != "noise")
        noisy = clean + 0.02 * rng.standard_normal(clean.size) * (kind != "clean")
        rows.append((f"{number}-{kind}", kind))
        for side, samples in (("noisy", noisy), ("clean", clean)):
            (folder / side).mkdir(parents=True, exist_ok=True)
            soundfile.write(folder / side / f"{number}-{kind}.wav", samples, 16000)
    with (folder / "index.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("name", "kind"), *rows])
    return folder


def late_copies(folder: Path, pairs: Path, late: int) -> Path:
    """Write the noisy files a little later, as a foreign denoiser might."""
    folder.mkdir()
    for pair in load_pairs(pairs):
        noisy = pair.load()[0]
        delayed = np.concatenate([np.zeros(late, np.float32), noisy])
        soundfile.write(folder / f"{pair.name}.wav", delayed, 16000)
    return folder


def test_card_has_references_and_undoes_the_lag_of_a_folder(
    pairs: Path, tmp_path: Path
) -> None:
    """A folder of late copies scores as the input does, and its lag is told."""
    foreign = late_copies(tmp_path / "other", pairs, 384)
    systems = [*references(), System("other", "folder", str(foreign))]
    seen = []
    card = evaluate(pairs, systems, progress=lambda *done: seen.append(done))
    assert seen == [(1, 2), (2, 2)]
    assert card.systems == ["noisy", "oracle-magnitude", "oracle-phase", "other"]
    assert card.values("other", "lag") == [384, 384]
    for measure in ("pesq_wb", "stoi", "si_sdr"):
        noisy, other = (np.array(card.values(s, measure)) for s in ("noisy", "other"))
        assert np.allclose(noisy, other, atol=0.02)
        assert np.all(np.array(card.values("oracle-phase", measure)) > noisy)
    result = json.loads(json.dumps(card.as_dict()))
    assert result["pairs"] == 2 and set(result["systems"]) == set(card.systems)
    assert len(card.table()) == 2 + len(card.systems)
    part = evaluate(pairs, systems, every=2)
    assert part.clips == {"0-pair": card.clips["0-pair"]}
    card.write_csv(tmp_path / "rows.csv")
    assert len((tmp_path / "rows.csv").read_text().splitlines()) == 1 + 2 * 4


def test_two_processes_give_the_same_card(pairs: Path) -> None:
    """Where the work is done changes no number."""
    systems = references()[:1]
    assert evaluate(pairs, systems).clips == evaluate(pairs, systems, jobs=2).clips


def test_models_and_their_engine_make_a_row(pairs: Path, tiny_model_path: Path) -> None:
    """A model given by path runs through the engine, without lag."""
    path = str(tiny_model_path)
    rows = [System("tiny", "model", path), System("wide", "model", path, 48000)]
    card = evaluate(pairs, rows)
    for name in ("tiny", "wide"):
        assert card.values(name, "lag") == [0, 0]
    assert card.values("wide", "si_sdr") == pytest.approx(
        card.values("tiny", "si_sdr"), abs=0.3
    )


def test_what_is_no_set_is_refused(pairs: Path, tmp_path: Path) -> None:
    """Missing folders, files and double names are told in a sentence."""
    with pytest.raises(AudioFormatError, match="'noisy' and 'clean'"):
        load_pairs(tmp_path)
    with pytest.raises(AudioFormatError, match="one output for each file"):
        evaluate(pairs, [System("none", "folder", str(tmp_path))])
    with pytest.raises(ValueError, match="same name"):
        evaluate(pairs, references() * 2)
    (pairs / "clean" / "0-pair.wav").unlink()
    with pytest.raises(AudioFormatError, match="0-pair"):
        load_pairs(pairs)


def test_bootstrap_interval_holds_the_mean_and_narrows() -> None:
    """More clips make a narrower interval; equal clips make none."""
    rng = np.random.default_rng(0)
    few, many = (bootstrap(rng.normal(2, 1, n).tolist()) for n in (10, 1000))
    assert few.low < few.mean < few.high
    assert many.high - many.low < 0.3 * (few.high - few.low)
    same = bootstrap([1.5, 1.5])
    assert same.low == same.mean == same.high == 1.5


def test_behaviour_of_the_identity_is_perfect_and_useless(pairs: Path) -> None:
    """Passing all through keeps speech whole and removes nothing."""
    figures = behaviour(lambda x: x, pairs)
    assert figures["clean_si_sdr"] == 100 and figures["clean_pesq_wb"] > 4.6
    assert figures["onset_clean_db"] == pytest.approx(0, abs=1e-6)
    assert figures["noise_reduction_worst_db"] == pytest.approx(0, abs=1e-6)
    assert figures["pause_reduction_db"] == pytest.approx(0, abs=1e-6)
    assert figures["level_pesq_spread"] < 0.02
    assert figures["waited_si_sdr_db"] == figures["waited_level_worst_db"] == 0
    assert figures["silence_peak"] == 0
    assert figures["click_peak_ratio"] == pytest.approx(1)


def test_behaviour_shows_what_a_minute_of_noise_does(pairs: Path) -> None:
    """A denoiser that is ten times as quiet by then is found out."""

    def tiring(x: np.ndarray) -> np.ndarray:
        return x * np.float32(1.0 if x.size < 60 * 16_000 else 0.1)

    found = after_waiting(tiring, [pair.load() for pair in load_pairs(pairs)])
    assert found["waited_level_worst_db"] == pytest.approx(-20, abs=0.01)
    assert found["waited_si_sdr_db"] == pytest.approx(0, abs=0.1)


def test_only_pauses_count_as_pauses() -> None:
    """What is done to words changes nothing of what pauses are said to lose."""
    clean = words(0)
    noisy = clean + 0.01 * np.random.default_rng(5).standard_normal(clean.size)
    pair = noisy.astype(np.float32), clean
    voiced = np.abs(clean) > 0.03 * np.max(clean)
    loud = np.convolve(voiced, np.ones(1200), "same") > 0.5

    def gate(x: np.ndarray) -> np.ndarray:
        return np.where(loud, 5.0 * x, 0.1 * x).astype(np.float32)

    found = pause_reduction(gate, [pair])
    assert found["pause_reduction_db"] == pytest.approx(20, abs=0.5)
    assert 0.1 < found["pause_seconds"] < 3 * 0.25


def test_words_begin_in_recordings_of_rooms_too() -> None:
    """A hum 28 dB under the voice hides no word."""
    clean = words(1)
    hum = np.sin(2 * np.pi * 50 * np.arange(clean.size) / 16000)
    loud = float(np.sqrt(np.max(np.convolve(clean**2, np.ones(512) / 512))))
    roomy = clean + loud * 10 ** (-28 / 20) * np.sqrt(2) * hum
    assert onsets(roomy.astype(np.float32)) == onsets(clean)


def test_behaviour_shows_eaten_onsets_and_a_gate_that_lifts_silence(
    pairs: Path,
) -> None:
    """A lowpass loses its S, a quieter output is reduction, an offset is no silence."""

    def dull(x: np.ndarray) -> np.ndarray:
        spectrum = np.fft.rfft(x)
        spectrum[round(spectrum.size * 3500 / 8000) :] *= 0.1
        return (0.1 * np.fft.irfft(spectrum, x.size) + 1e-3).astype(np.float32)

    assert len(onsets(words(0))) == 3
    figures = behaviour(dull, pairs)
    assert figures["onset_clean_db"] == pytest.approx(-40, abs=1)
    assert figures["onset_noisy_quarter_db"] <= figures["onset_noisy_db"] < -35
    assert figures["onset_words"] == 6  # three in each of two pairs
    assert 19 < figures["noise_reduction_db"] < 26
    assert 19 < figures["pause_reduction_db"] < 26
    assert figures["silence_peak"] == pytest.approx(1e-3, rel=0.01)
