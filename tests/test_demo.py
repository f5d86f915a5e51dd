"""The demonstration."""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile as sf

from streamdenoise.audio.levels import si_sdr
from streamdenoise.demo import ASSETS, CLEAN, NOISY, run_demo
from tests.clitools import model_arg, run, write_noise
from tests.fakes import IdentityModel

__all__ = ["model_arg"]


def test_clip_is_a_voice_in_noise():
    """Both files of the clip fit together, and there is something to clean."""
    noisy, rate = sf.read(ASSETS / NOISY)
    clean, clean_rate = sf.read(ASSETS / CLEAN)
    assert rate == clean_rate == 16000 and len(noisy) == len(clean)
    assert 5 < len(noisy) / rate < 10 and np.abs(noisy).max() < 1
    assert 0 < si_sdr(noisy, clean) < 8


def test_demo_needs_no_files(tmp_path, monkeypatch, model_arg):
    """Bare ``demo`` makes two sounds and a picture, and says what comes next."""
    monkeypatch.chdir(tmp_path)
    result = run("demo", "--model", model_arg)
    assert result.exit_code == 0, result.output
    names = sorted(p.name for p in (tmp_path / "demo-output").iterdir())
    assert names == ["demo.after.wav", "demo.before.wav", "demo.png"]
    for word in ("SI-SDR", "before", "after", "streamdenoise live"):
        assert word in result.stdout
    # It may be typed twice.
    assert run("demo", "--model", model_arg).exit_code == 0


def test_shipped_model_cleans_the_clip(tmp_path, model):
    """The first thing that anybody hears is better after than before."""
    done = run_demo(None, tmp_path, model)
    assert done.si_sdr_after > done.si_sdr_before + 2
    assert done.result.noise_floor_drop > 6


def test_own_recording(tmp_path, model_arg):
    """A person's own file is left alone; its figures need no clean voice."""
    source = write_noise(tmp_path / "a.flac", 20000, 44100, channels=2)
    bytes_before = source.read_bytes()
    result = run("demo", source, "-o", tmp_path / "x", "--model", model_arg, "--json")
    told = json.loads(result.stdout)
    assert told["si_sdr_before"] is None and told["sample_rate"] == 44100
    assert sf.info(tmp_path / "x" / "a.after.wav").frames == 20000
    assert source.read_bytes() == bytes_before


def test_it_replaces_nothing_but_its_own(tmp_path):
    """A recording that has the name of a result is not written over."""
    source = write_noise(tmp_path / "a.before.wav")
    run_demo(source, tmp_path, IdentityModel())
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "a.before.after.wav",
        "a.before.before.wav",
        "a.before.png",
        "a.before.wav",
    ]


def test_other_folders_need_force(tmp_path, model_arg):
    """Nothing is overwritten without it, whichever of the three is in the way."""
    args = ("demo", "-o", tmp_path, "--model", model_arg)
    for name in ("demo.before.wav", "demo.after.wav", "demo.png"):
        (tmp_path / name).write_bytes(b"mine")
        result = run(*args)
        assert result.exit_code == 1 and "--force" in result.stderr
        assert [p.read_bytes() for p in tmp_path.iterdir()] == [b"mine"]
        (tmp_path / name).unlink()
    (tmp_path / "demo.png").write_bytes(b"mine")
    assert run(*args, "--force").exit_code == 0
    assert (tmp_path / "demo.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize("content", [None, b"", b"no sound"])
def test_bad_recording(tmp_path, content, model_arg):
    """The sentence is about the person's file, and nothing is made."""
    source = tmp_path / "a.wav"
    if content is not None:
        source.write_bytes(content)
    result = run("demo", source, "-o", tmp_path / "x", "--model", model_arg)
    assert result.exit_code == 1 and str(source) in result.stderr
    assert not (tmp_path / "x").exists()
