"""``streamdenoise file``."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from streamdenoise.audio.levels import LevelMeter
from tests.clitools import model_arg, noise, process, run, write_noise

__all__ = ["model_arg"]


def test_default_output_lies_beside_the_input(tmp_path, model_arg):
    """NAME.denoised.EXT, of the same form, and a line that says so."""
    write_noise(tmp_path / "talk.flac", 20000, 44100, subtype="PCM_24", channels=2)
    result = run("file", tmp_path / "talk.flac", "--model", model_arg)
    assert result.exit_code == 0, result.output
    info = sf.info(tmp_path / "talk.denoised.flac")
    assert (info.frames, info.samplerate, info.channels) == (20000, 44100, 2)
    assert (info.format, info.subtype) == ("FLAC", "PCM_24")
    assert "talk.denoised.flac" in result.stdout and "real time" in result.stdout


def test_strength_0_changes_nothing(tmp_path, model_arg):
    """With no attenuation allowed, a file comes back bit for bit."""
    write_noise(tmp_path / "a.wav", 9000)
    out = tmp_path / "b.wav"
    args = ("file", tmp_path / "a.wav", "--model", model_arg, "--strength", "0")
    assert run(*args, "-o", out).exit_code == 0
    assert out.read_bytes()[44:] == (tmp_path / "a.wav").read_bytes()[44:]


def test_removed_and_kept_add_up(tmp_path, model_arg):
    """What is taken away is exactly what is missing."""
    write_noise(tmp_path / "a.wav", 9000, subtype="FLOAT")
    for name, extra in (("kept", []), ("gone", ["--removed"])):
        out = tmp_path / f"{name}.wav"
        args = ("file", tmp_path / "a.wav", "-o", out, "--model", model_arg, *extra)
        assert run(*args).exit_code == 0
    a, kept, gone = (sf.read(tmp_path / f"{n}.wav")[0] for n in ("a", "kept", "gone"))
    assert np.abs(kept).max() > 0 and np.abs(gone).max() > 0
    assert np.allclose(kept + gone, a, atol=1e-5)


def test_several_files_go_into_a_folder(tmp_path, model_arg):
    """The folder is made, names are kept, and one bad file does not stop the rest."""
    names = [tmp_path / f"{i}.wav" for i in range(3)]
    for name in names:
        write_noise(name)
    names[1].write_bytes(b"")
    out = tmp_path / "x" / "clean"
    result = run("file", *names, "-o", out, "--model", model_arg, "--json")
    assert result.exit_code == 1
    assert sorted(p.name for p in out.glob("[!.]*")) == ["0.wav", "2.wav"]
    told = [json.loads(line) for line in result.stdout.splitlines()]
    assert [f["status"] for f in told] == ["done", "failed", "done", "summary"]
    assert [Path(told[i]["output"]).name for i in (0, 2)] == ["0.wav", "2.wav"]
    assert "empty" in told[1]["error"] and "empty" in result.stderr


def test_one_input_and_an_existing_folder(tmp_path, model_arg):
    """``-o FOLDER`` is taken as a folder if it is one, or ends as one."""
    write_noise(tmp_path / "a.wav")
    (tmp_path / "there").mkdir()
    for folder in (f"{tmp_path}/there", f"{tmp_path}/new/"):
        args = ("file", tmp_path / "a.wav", "-o", folder, "--model", model_arg)
        assert run(*args).exit_code == 0
    assert (tmp_path / "there/a.wav").exists() and (tmp_path / "new/a.wav").exists()


def test_pattern_with_one_match_goes_into_a_folder(tmp_path, model_arg):
    """What -o means does not hang on how many files there happen to be."""
    write_noise(tmp_path / "a.wav")
    out = tmp_path / "clean"
    result = run("file", f"{tmp_path}/*.wav", "-o", out, "--model", model_arg)
    assert result.exit_code == 0, result.output
    assert sf.info(out / "a.wav").frames == 4000


def test_existing_result_needs_force(tmp_path, model_arg):
    """A second run says so and touches nothing; with --force it replaces."""
    write_noise(tmp_path / "a.wav")
    out = tmp_path / "b.wav"
    out.write_bytes(b"mine")
    args = ("file", tmp_path / "a.wav", "-o", out, "--model", model_arg)
    result = run(*args)
    assert result.exit_code == 1 and "--force" in result.stderr
    assert out.read_bytes() == b"mine"
    assert run(*args, "--force").exit_code == 0
    assert sf.info(out).frames == 4000


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.skipif(os.name != "posix", reason="POSIX signals")
def test_interruption_leaves_nothing(tmp_path, model_arg, number):
    """Ctrl-C (or kill) in the middle of writing: exit code 130, no partial file."""
    write_noise(tmp_path / "a.wav", 16000 * 3600)
    child = process("file", "a.wav", "--model", model_arg, cwd=tmp_path)
    deadline = time.monotonic() + 60
    while not any(p.suffix == ".part" for p in tmp_path.iterdir()):
        assert child.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    time.sleep(0.3)
    child.send_signal(number)
    _, err = child.communicate(timeout=60)
    assert child.returncode == 130
    assert b"interrupted" in err and b"Traceback" not in err
    assert [p.name for p in tmp_path.iterdir()] == ["a.wav"]


def test_linked_channels_keep_the_image(tmp_path, model_arg):
    """With one gain for both, the ratio of two equal channels stays as it is."""
    x = np.concatenate([noise(20_000), 0.5 * noise(20_000)], axis=1)
    sf.write(tmp_path / "a.wav", x, 16000, subtype="FLOAT")
    out = tmp_path / "b.wav"
    args = ("file", tmp_path / "a.wav", "-o", out, "--model", model_arg)
    assert run(*args, "--link-channels").exit_code == 0
    y = sf.read(out)[0]
    assert np.abs(y[:, 1] - 0.5 * y[:, 0]).max() < 1e-4


def test_loudness(tmp_path, model_arg):
    """A number of LUFS is reached; figures are those of the file; no nonsense."""
    pyln = pytest.importorskip("pyloudnorm", reason="needs the extra for loudness")
    write_noise(tmp_path / "a.wav", 80_000, subtype="FLOAT")
    out = tmp_path / "b.wav"
    args = ("file", tmp_path / "a.wav", "-o", out, "--model", model_arg)
    more = ("--strength", "6", "--loudness")
    assert run(*args, *more, "-30").exit_code == 0
    y, rate = sf.read(out)
    assert pyln.Meter(rate).integrated_loudness(y) == pytest.approx(-30.0, abs=0.3)
    result = run(*args, *more, "-30", "--force", "--json")
    told = json.loads(result.stdout)
    meter = LevelMeter(rate)
    meter.push(y.astype(np.float32)[:, None])
    assert told["level_after"] == pytest.approx(meter.level, abs=0.02)
    # The quietest tenth is known to a quarter of a decibel.
    assert told["noise_floor_after"] == pytest.approx(meter.noise_floor, abs=0.26)
    plain = json.loads(run(*args, *more[:2], "--force", "--json").stdout)
    assert plain["gain"] == 0.0 and told["gain"] != 0.0
    for key in ("level_before", "removed", "noise_floor_drop"):
        assert told[key] == pytest.approx(plain[key], abs=0.02)
    for wrong in ("3", "-71", "nan", "loud"):
        assert run(*args, "--force", *more, wrong).exit_code == 2


def test_output_is_a_folder_or_a_file_as_its_name_says(tmp_path, model_arg):
    """No extension: a folder, for one input too; an extension: one input only."""
    a, b = (write_noise(tmp_path / name) for name in ("a.wav", "b.wav"))
    clean = tmp_path / "clean"
    assert run("file", a, "-o", clean, "--model", model_arg).exit_code == 0
    assert (
        run("file", a, b, "-o", clean, "--force", "--model", model_arg).exit_code == 0
    )
    assert sorted(p.name for p in clean.glob("*.wav")) == ["a.wav", "b.wav"]
    several = run("file", a, b, "-o", tmp_path / "c.flac", "--model", model_arg)
    assert several.exit_code == 2 and "name a folder" in several.stderr
    pipe = run("file", a, "-o", "-", "--model", model_arg)
    assert pipe.exit_code == 2 and "streamdenoise pipe" in pipe.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.wav", "b.wav", "clean"]


def test_what_is_removed_has_a_name_of_its_own(tmp_path, model_arg):
    """Both halves of a recording lie beside it, and neither is an input later."""
    a = write_noise(tmp_path / "a.wav")
    for words in ([], ["--removed"]):
        assert run("file", a, *words, "--model", model_arg).exit_code == 0
    names = ["a.denoised.wav", "a.removed.wav", "a.wav"]
    assert sorted(p.name for p in tmp_path.iterdir()) == names
    again = run("file", tmp_path, "--dry-run", "--model", model_arg)
    assert again.stdout.count("->") == 1 and "2 files were passed over" in again.stderr


@pytest.mark.parametrize(
    ("args", "says"),
    [
        pytest.param(("",), "INPUT is an empty name", id="input"),
        pytest.param(("a.wav", ""), "INPUT is an empty name", id="of several"),
        pytest.param(("a.wav", "-o", ""), "-o has an empty name", id="output"),
        pytest.param(("ftp://h/b.wav",), "ftp://h/b.wav is an address", id="ftp"),
        pytest.param(("a.wav", "-o", "ftp://h/b.wav"), "ftp://h/b.wav", id="to ftp"),
        pytest.param(("a.wav", "-o", "b.xyz"), ".xyz is no format", id="extension"),
    ],
)
def test_names_that_cannot_be_meant_are_wrong_usage(tmp_path, monkeypatch, args, says):
    """A variable that is not set, say, is neither a bug nor the folder of here."""
    write_noise(tmp_path / "a.wav")
    monkeypatch.chdir(tmp_path)
    result = run("file", *args)
    assert result.exit_code == 2 and says in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]


@pytest.mark.parametrize("form", ["WAV", "MP3", "FLAC"])
def test_a_name_without_an_extension_keeps_its_format(tmp_path, model_arg, form):
    """``NAME.denoised`` is the same kind of file: what was added is no extension."""
    source = write_noise(tmp_path / "talk", 8000, format=form)
    result = run("file", source, "--model", model_arg)
    assert result.exit_code == 0, result.output
    made = sf.info(tmp_path / "talk.denoised")
    assert (made.format, made.frames) == (form, sf.info(source).frames)


def test_a_pipe_or_device_as_output_is_wrong_usage(tmp_path):
    """It is no folder, and a result is no stream."""
    source = write_noise(tmp_path / "a.wav")
    os.mkfifo(tmp_path / "fifo")
    for output in (os.devnull, tmp_path / "fifo"):
        result = run("file", source, "-o", output)
        assert result.exit_code == 2 and "streamdenoise pipe" in result.stderr
