"""Training of the head above 8 kHz: it learns, it is exported, it is what runs."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

pytest.importorskip("tensorflow", reason="TensorFlow is not installed (extra 'train')")

from streamdenoise import load_model
from streamdenoise.errors import AudioFormatError, ModelError
from streamdenoise.head import HIGH_BANDS, POWERS
from streamdenoise.modelcheck import check_model
from streamdenoise.train import (
    export,
    fullband,
    highfit,
    highheard,
    highjudge,
    highnet,
    nets,
)
from streamdenoise.train.fullmix import FullMixer
from streamdenoise.train.parity import gate_head, measure_head_parity

INDEX = "file,start,length,class,source,origin,split\n"


def voice(seconds: float, reach: float, seed: int, rate: int = 48_000) -> np.ndarray:
    """Return bursts of noise up to `reach` Hz, with pauses: what an "s" is like."""
    rng = np.random.default_rng(seed)
    spectrum = np.fft.rfft(rng.standard_normal(round(seconds * rate)))
    hz = np.arange(spectrum.size) / seconds
    x = np.fft.irfft(spectrum * (hz < reach), round(seconds * rate))
    x *= np.maximum(np.sin(2 * np.pi * 2 * np.arange(x.size) / rate), 0) ** 2
    return (0.05 * x / np.std(x)).astype(np.float32)


@pytest.fixture(scope="module")
def clones(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a few files where the repositories would have theirs."""
    folder = tmp_path_factory.mktemp("clones")
    for k, language in enumerate(("fr", "de", "it", "sl")):
        path = folder / fullband.VOICES / language / "words"
        path.mkdir(parents=True)
        soundfile.write(path / "one.flac", voice(1.5, 16_000, k), 48_000)
    (folder / fullband.VOICES / "fr" / "README.md").write_text("no sound")
    rng = np.random.default_rng(9)
    noises = folder / fullband.NOISES["kitchen20"] / "audio"
    noises.mkdir(parents=True)
    for name in ("a", "b"):
        hiss = 0.1 * rng.standard_normal(2 * 44_100)
        soundfile.write(noises / f"{name}.wav", hiss, 44_100)
    soundfile.write(noises / "dull.wav", 0.1 * rng.standard_normal(16_000), 16_000)
    rows = [
        "k.opus,0,1,pan,kitchen20,audio/a.wav (Freesound 1 by somebody),train",
        "k.opus,0,1,fan,kitchen20,audio/b.wav [0-25 s],valid",
        "k.opus,0,1,fan,kitchen20,audio/dull.wav,train",
        "k.opus,0,1,fan,kitchen20,audio/missing.wav,train",
        "k.opus,0,1,dog,esc50,audio/a.wav,train",
    ]
    (folder / "index.csv").write_text(INDEX + "\n".join(rows) + "\n")
    return folder


@pytest.fixture(scope="module")
def pack(clones: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a full-band pack of these files."""
    folder = tmp_path_factory.mktemp("pack")
    sources = fullband.sources_of(clones, clones / "index.csv")
    fullband.build_full_pack(sources, folder)
    return folder


@pytest.fixture(scope="module")
def heard(pack: Path) -> highheard.Heard:
    """Return what the small model makes of a few mixtures."""
    return highheard.hear(pack, ("pi",), range(6))


def test_the_index_says_what_is_noise(clones: Path, pack: Path) -> None:
    """Authors and time spans are no part of a path; what is missing is left out."""
    sources = fullband.sources_of(clones, clones / "index.csv")
    names = {(s.path.name, s.kind, s.group, s.valid) for s in sources}
    assert ("a.wav", "noise", "pan", False) in names
    assert ("b.wav", "noise", "fan", True) in names
    assert ("one.flac", "speech", "it", True) in names
    assert not any(s.group == "sl" or s.path.name == "missing.wav" for s in sources)
    rows = json.loads((pack / "index.json").read_text())
    assert len(rows) == 5 and all(row["reach"] > 9000 for row in rows)


@pytest.mark.parametrize("reach", [10_000, 16_000, 20_000])
def test_reach_is_where_a_recording_ends(reach: int) -> None:
    """The wall that a codec leaves is found to a third of a kilohertz."""
    assert fullband.reach_of(voice(2.0, reach, 1)) == pytest.approx(reach, abs=350)


def test_stretching_moves_pitch_and_length() -> None:
    """A tone of 1 kHz in a fifth less time is one of 1250 Hz, as loud."""
    x = np.sin(2 * np.pi * 1000 * np.arange(48_000) / 48_000).astype(np.float32)
    y = fullband.stretched(x, 38_400)
    assert y.size == 38_400
    assert np.argmax(np.abs(np.fft.rfft(y))) * 48_000 / y.size == pytest.approx(1250)
    assert np.std(y) == pytest.approx(np.std(x), rel=1e-3)


def test_mixtures_repeat_and_keep_the_splits_apart(pack: Path) -> None:
    """A number is a mixture; validation has its own voices; nothing clips."""
    noisy, clean, reach = FullMixer(pack, seed=3).pair(11)
    again = FullMixer(pack, seed=3).pair(11)
    np.testing.assert_array_equal(noisy, again[0])
    assert reach == again[2] and noisy.shape == clean.shape == (8 * 48_000,)
    assert np.abs(noisy).max() <= 0.99 + 1e-6
    train, valid = (FullMixer(pack, valid=v)._voices for v in (False, True))
    assert set(train) == {"fr", "de"} and set(valid) == {"it"}
    with pytest.raises(AudioFormatError, match="train-high-band pack"):
        FullMixer(pack / "nowhere")


def test_a_head_learns_what_the_rule_cannot(heard: highheard.Heard) -> None:
    """After some updates on a few mixtures it is nearer to clean than doing nothing."""
    nothing = highjudge.judge(heard, np.ones_like(heard.clean))
    net = highfit.fit(
        heard, heard, 8, updates=80, batch=8, rate=1e-2, say=lambda _: None
    )
    head = highjudge.judge(heard, highjudge.gains_of(net, heard))
    ideal = highjudge.ideal_gains(heard)
    assert head.loss < 0.8 * nothing.loss
    assert highjudge.judge(heard, ideal).loss < head.loss
    assert nothing.hiss_db == pytest.approx(0.0, abs=1e-3)


def test_bands_that_a_recording_lacks_do_not_count(heard: highheard.Heard) -> None:
    """Where nobody knows the clean sound, no gain is wrong."""
    dull = dataclasses.replace(heard, reach=np.full(len(heard.reach), 12_000.0))
    wanted = highfit.targets(dull)
    gains = np.full(heard.clean.shape, 0.5, np.float32)
    other = np.where(dull.known[:, None], gains, np.float32(0.9))
    assert dull.known.any() and not dull.known.all()
    np.testing.assert_allclose(
        highfit.loss(wanted, gains), highfit.loss(wanted, other), rtol=1e-6
    )


def test_level_does_not_matter(heard: highheard.Heard) -> None:
    """Once a stream has run for a while, 20 dB more change no gain."""
    net = highnet.build(8)
    quiet, loud = (
        net.predict(scale * heard.powers[:1], verbose=0) for scale in (1.0, 100.0)
    )
    audible = heard.powers[0, :, :HIGH_BANDS].min(axis=1) > 1e-6
    late = np.flatnonzero(audible)[-100:]
    assert np.abs(quiet - loud)[0, late].max() < 0.05


@pytest.mark.parametrize("quantised", [False, True])
def test_the_exported_head_is_the_net(quantised: bool, tmp_path: Path) -> None:
    """The file's head equals Keras over a thousand carried frames, alone and in groups,
    and a model with a head passes every check."""
    net = nets.build(nets.NetConfig(kind="filter", units=16, layers=1, filter_bins=48))
    head = highnet.build(18)
    content = export.convert(net, quantised=quantised, steps=8, high=head)
    gate_head(measure_head_parity(head, content))
    other = highnet.build(18)
    with pytest.raises(ModelError, match="does not hold this head"):
        gate_head(measure_head_parity(other, content))
    path = tmp_path / "net.tflite"
    path.write_bytes(content)
    model = load_model(path)
    assert model.head is not None and model.head.group == 8
    results = {r.name: r for r in check_model(model, 300)}
    assert results["the head above 8 kHz keeps to gains over 300 steps"].ok


def test_a_file_without_a_head_has_none(tmp_path: Path) -> None:
    """Older models and nets of others load as before."""
    net = nets.build(nets.NetConfig(units=16, layers=1))
    content = export.convert(net, steps=4)
    path = tmp_path / "net.tflite"
    path.write_bytes(content)
    assert load_model(path).head is None
    assert measure_head_parity(highnet.build(8), content) == float("inf")


def test_weights_are_kept_in_one_file(tmp_path: Path) -> None:
    """What was saved does the same after loading; something else is refused."""
    net, path = highnet.build(8), tmp_path / "head.npz"
    highnet.save(net, path)
    powers = np.random.default_rng(0).exponential(1.0, (1, 5, POWERS)).astype("f4")
    np.testing.assert_array_equal(net(powers), highnet.load(path)(powers))
    (tmp_path / "other.npz").write_bytes(b"nothing")
    for wrong in ("other.npz", "missing.npz"):
        with pytest.raises(ModelError, match="holds no head"):
            highnet.load(tmp_path / wrong)


def test_what_was_heard_is_kept_and_joined(
    heard: highheard.Heard, tmp_path: Path
) -> None:
    """Two files of mixtures are one set."""
    heard.save(tmp_path / "a.npz")
    both = highheard.Heard.load(tmp_path / "a.npz", tmp_path / "a.npz")
    assert len(both.powers) == 2 * len(heard.powers)
    np.testing.assert_array_equal(both.rule[: len(heard.rule)], heard.rule)
    with pytest.raises(AudioFormatError, match="train-high-band hear"):
        highheard.Heard.load(tmp_path / "b.npz")
