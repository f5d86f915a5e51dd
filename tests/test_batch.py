"""Whole files through the engine."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from streamdenoise import OutputError, Settings, denoise
from streamdenoise.batch import plan
from streamdenoise.batch.file import (
    PlanError,
    default_target,
    denoise_file,
    plan_targets,
)
from tests.clitools import noise, write_noise
from tests.fakes import GainModel, IdentityModel, MemoryModel


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 44100, 48000, 192000])
@pytest.mark.parametrize("n", [1, 2, 127, 255, 5000])
def test_result_lies_on_its_input(tmp_path, rate, n):
    """A model that changes nothing gives the file back: same length, no lag."""
    source = write_noise(tmp_path / "a.wav", n, rate, channels=2)
    result = denoise_file(source, tmp_path / "b.wav", IdentityModel())
    before, after = (
        sf.read(tmp_path / f, dtype="int16")[0] for f in ("a.wav", "b.wav")
    )
    assert before.shape == after.shape == (n, 2)
    assert np.abs(before.astype(int) - after).max() <= 1
    assert (result.frames, result.sample_rate, result.channels) == (n, rate, 2)


def test_file_is_what_denoise_gives(tmp_path):
    """The file path and the function are one engine."""
    x = noise(200_001)
    sf.write(tmp_path / "a.wav", x, 16000, subtype="FLOAT")
    denoise_file(tmp_path / "a.wav", tmp_path / "b.wav", MemoryModel())
    y = sf.read(tmp_path / "b.wav", dtype="float32")[0]
    assert np.allclose(y, denoise(x[:, 0], 16000, MemoryModel()), atol=1e-6)


def test_32_channels_are_denoised_each_by_itself(tmp_path):
    """The most channels there may be; each keeps to itself."""
    x = np.zeros((4000, 32), np.float32)
    x[:, 7] = noise(4000)[:, 0]
    sf.write(tmp_path / "a.wav", x, 16000)
    denoise_file(tmp_path / "a.wav", tmp_path / "b.wav", GainModel(0.5))
    y = sf.read(tmp_path / "b.wav")[0]
    assert np.abs(y[:, 7] - 0.5 * x[:, 7]).max() < 1e-4
    assert not np.delete(y, 7, axis=1).any()


def test_settings_reach_the_engine(tmp_path):
    """Strength 6 dB leaves half of what the model takes away; removed is the rest."""
    source = write_noise(tmp_path / "a.wav", subtype="FLOAT")
    limit = Settings(strength_db=20 * np.log10(2))
    denoise_file(source, tmp_path / "b.wav", GainModel(0.0), limit)
    denoise_file(source, tmp_path / "c.wav", GainModel(0.25), Settings(removed=True))
    a, b, c = (sf.read(tmp_path / f"{n}.wav")[0] for n in "abc")
    assert np.allclose(b, 0.5 * a, atol=1e-5)
    assert np.allclose(c, 0.75 * a, atol=1e-5)


def test_figures_tell_what_happened(tmp_path):
    """20 dB less noise is 20 dB less noise floor, in the record and as JSON."""
    source = write_noise(tmp_path / "a.wav", 32000)
    seen: list[tuple[int, int]] = []
    result = denoise_file(
        source,
        tmp_path / "b.wav",
        GainModel(0.1),
        progress=lambda done, total: seen.append((done, total)),
    )
    assert result.noise_floor_drop == pytest.approx(20.0, abs=0.5)
    assert result.level_before - result.level_after == pytest.approx(20.0, abs=0.1)
    assert result.times_real_time > 0 and result.seconds == 2.0
    assert seen[-1] == (32000, 32000)
    assert result.as_dict()["noise_floor_drop"] == round(result.noise_floor_drop, 2)


def test_memory_does_not_grow_with_the_file(tmp_path):
    """Ten times the sound needs the memory of a block, not ten times as much."""
    peaks = []
    for seconds in (30, 300):
        source = write_noise(tmp_path / f"{seconds}.wav", 8000 * seconds, 8000)
        tracemalloc.start()
        denoise_file(source, tmp_path / f"{seconds}.out.wav", IdentityModel())
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0] + 200_000


def test_nothing_is_left_when_the_model_fails(tmp_path):
    """An error in the middle leaves neither a result nor a temporary file."""

    class Fails(IdentityModel):
        def enhance(self, frame, state):
            raise MemoryError

    source = write_noise(tmp_path / "a.wav")
    with pytest.raises(MemoryError):
        denoise_file(source, tmp_path / "b.wav", Fails())
    assert [p.name for p in tmp_path.iterdir()] == ["a.wav"]


def test_model_that_needs_the_whole_file(tmp_path):
    """A model of the other kind is recognised, and runs on files."""
    tf = pytest.importorskip("tensorflow", reason="TensorFlow makes the test model")

    class Half(tf.Module):
        @tf.function(
            input_signature=[tf.TensorSpec((1, None, 257, 2), tf.float32, "frame")]
        )
        def whole(self, frame):
            return {"enhanced": 0.5 * frame}

    half = Half()
    tf.saved_model.save(half, str(tmp_path / "s"), signatures={"whole": half.whole})
    converter = tf.lite.TFLiteConverter.from_saved_model(str(tmp_path / "s"))
    (tmp_path / "half.tflite").write_bytes(converter.convert())
    source = write_noise(tmp_path / "a.wav", 20001, channels=2)
    denoise_file(source, tmp_path / "b.wav", tmp_path / "half.tflite")
    a, b = (sf.read(tmp_path / f"{n}.wav")[0] for n in "ab")
    assert np.abs(b - 0.5 * a).max() < 1e-4


def test_default_name():
    """NAME.denoised.EXT beside the input."""
    assert default_target(Path("x/talk.one.wav")) == Path("x/talk.one.denoised.wav")


def test_plan_keeps_names_in_a_folder(tmp_path):
    """Several inputs go into a folder under their own names."""
    plan = plan_targets([Path("a/x.wav"), Path("b/y.wav")], tmp_path)
    assert [target for _, target in plan] == [tmp_path / "x.wav", tmp_path / "y.wav"]


def test_plan_refuses_to_write_over_an_input(tmp_path):
    """Not by name, not by a link, not through a folder, not even another's input."""
    source = write_noise(tmp_path / "a.wav")
    (tmp_path / "link.wav").symlink_to(source)
    for target in (source, tmp_path / "link.wav", tmp_path / "x" / ".." / "a.wav"):
        with pytest.raises(PlanError, match="would replace the input"):
            plan_targets([source], target)
    with pytest.raises(PlanError):
        plan_targets([source, tmp_path / "b.wav"], tmp_path)
    with pytest.raises(PlanError):
        plan_targets([source, default_target(source)], None)
    with pytest.raises(OutputError):
        denoise_file(source, source, IdentityModel(), force=True)


def test_plan_refuses_two_results_in_one_place(tmp_path):
    """Names are kept, so two files of one name cannot go to one folder."""
    with pytest.raises(PlanError, match="would both become"):
        plan_targets([Path("a/x.wav"), Path("b/x.wav")], tmp_path)


def test_an_input_that_is_named_twice_is_done_once():
    """As lists have it, and a folder beside a file in it."""
    twice = [Path("a/x.wav"), Path("a/y.wav"), Path("a/../a/x.wav")]
    plan = plan_targets(twice, None)
    assert [source for source, _ in plan] == twice[:2]


def test_names_that_one_disk_takes_for_one_are_one(monkeypatch):
    """On macOS neither case nor the way an accent is written makes another file."""
    one, other = "/talks/Caf\u00e9.wav", "/talks/cafe\u0301.WAV"
    assert plan._Identities().of(one) != plan._Identities().of(other)
    monkeypatch.setattr(plan.sys, "platform", "darwin")
    assert plan._Identities().of(one) == plan._Identities().of(other)
    assert plan._Identities().of(one) != plan._Identities().of("/talks/cafe.wav")
