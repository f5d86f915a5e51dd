"""Bad input: one clear sentence, the right exit code, nothing lost."""

from __future__ import annotations

import os
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from tests.clitools import model_arg, noise, process, run, wav_bytes, write_noise

__all__ = ["model_arg"]


def refuse(tmp_path, model_arg, source, says, code=1, extra=()):
    """Denoise `source`; it must be refused in one sentence, leaving all as it was."""
    before = sorted(tmp_path.rglob("*"))
    result = run("file", source, "--model", model_arg, *extra)
    assert result.exit_code == code, result.output
    lines = [line for line in result.stderr.splitlines() if "streamdenoise" in line]
    assert len(lines) == 1 and says in lines[0], result.stderr
    assert "Traceback" not in result.stderr and result.stdout == ""
    assert sorted(tmp_path.rglob("*")) == before


def test_missing_file(tmp_path, model_arg):
    """A wrong name."""
    refuse(tmp_path, model_arg, tmp_path / "a.wav", "does not exist")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
@pytest.mark.parametrize(
    "args",
    [
        pytest.param(("file", "p.wav", "-o", "q.wav"), id="file"),
        pytest.param(("file", "p.wav", "b.wav", "-o", "out"), id="batch"),
        pytest.param(("compare", "p.wav", "b.wav"), id="compare"),
    ],
)
def test_named_pipe_is_refused_and_not_waited_for(tmp_path, args):
    """Nobody writes into it: whoever opened it would wait for ever."""
    os.mkfifo(tmp_path / "p.wav")
    write_noise(tmp_path / "b.wav")
    child = process(*args, cwd=tmp_path)
    try:
        _, err = child.communicate(timeout=60)
    finally:
        child.kill()
    assert child.returncode == 1 and b"p.wav is no regular file" in err, err


def test_folder_where_a_file_was_meant(tmp_path, model_arg):
    """A folder is not searched in secret; the sentence shows how to name its files."""
    (tmp_path / "talks").mkdir()
    refuse(tmp_path, model_arg, tmp_path / "talks", "is a folder")


def test_parent_that_is_no_folder(tmp_path, model_arg):
    """A path through a file."""
    (tmp_path / "a").touch()
    refuse(tmp_path, model_arg, tmp_path / "a" / "b.wav", "cannot be read")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param(b"", "is empty", id="0 bytes"),
        pytest.param(wav_bytes(b""), "holds no audio", id="no samples"),
        pytest.param(b"hello " * 99, "no sound file", id="text"),
        pytest.param(bytes(5000), "cannot be read as audio", id="zeros"),
        pytest.param(wav_bytes(rate=0), "0 Hz", id="0 Hz"),
        pytest.param(wav_bytes(rate=1_000_000), "1000000 Hz", id="1 MHz"),
        pytest.param(wav_bytes(rate=4_000_000_000), "4000000000 Hz", id="4 GHz"),
        pytest.param(wav_bytes(rate=4000), "4000 Hz", id="4 kHz"),
        pytest.param(wav_bytes(channels=0), "0 channels", id="0 channels"),
        pytest.param(wav_bytes(channels=65), "65 channels", id="65 channels"),
        pytest.param(wav_bytes(channels=65535), "65535 channels", id="65535 channels"),
        pytest.param(wav_bytes(bits=0), "cannot be read as audio", id="0 bits"),
        pytest.param(wav_bytes(code=0x161), "cannot be read as audio", id="coding"),
    ],
)
def test_content_that_is_no_sound_that_can_be_processed(
    tmp_path, model_arg, content, says
):
    """Each is refused before a model runs, with the number that is wrong."""
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    refuse(tmp_path, model_arg, path, says)


@pytest.mark.parametrize("cut", [3, 11, 12, 20, 30, 43, 44])
def test_truncated_header(tmp_path, model_arg, cut):
    """A file that ends within its header."""
    path = tmp_path / "a.wav"
    path.write_bytes(wav_bytes()[:cut])
    refuse(tmp_path, model_arg, path, str(path))


def test_damaged_container(tmp_path, model_arg):
    """An m4a of nothing is refused; without PyAV, with what to install or to type."""
    from streamdenoise.audio.avmodule import has_av

    path = tmp_path / "a.m4a"
    path.write_bytes(b"\0\0\0\x20ftypM4A " + bytes(999))
    if has_av():
        refuse(tmp_path, model_arg, path, "cannot be read as audio or video")
    else:
        refuse(tmp_path, model_arg, path, "ffmpeg -i a.m4a a.wav", 3)


def test_raw_samples(tmp_path, model_arg):
    """Without a header nobody knows the rate; the sentence names the way."""
    path = tmp_path / "a.raw"
    path.write_bytes(bytes(4000))
    refuse(tmp_path, model_arg, path, "streamdenoise pipe")


def denoised(tmp_path, model_arg, path):
    """Denoise a file that is odd but usable; return the result and what was said."""
    out = tmp_path / "out.wav"
    result = run("file", path, "-o", out, "--model", model_arg)
    assert result.exit_code == 0, result.output
    return sf.read(out)[0], result.stderr


def test_one_sample(tmp_path, model_arg):
    """The shortest sound there is comes back as one sample."""
    path = write_noise(tmp_path / "a.wav", 1)
    assert denoised(tmp_path, model_arg, path)[0].shape == (1,)


@pytest.mark.parametrize("declared", [0, 9000, 0xFFFFFFFF, 0x7FFFFFFF])
def test_lying_header(tmp_path, model_arg, declared):
    """More declared than there is, or nothing: what is there is denoised, and said."""
    path = tmp_path / "a.wav"
    path.write_bytes(wav_bytes(declared=declared, riff=declared))
    y, said = denoised(tmp_path, model_arg, path)
    assert len(y) == 2000
    # The largest numbers are how streams say that they did not know.
    assert ("its header declares" in said) is (declared in (0, 9000))


def test_truncated_file(tmp_path, model_arg):
    """A compressed file cut off in the middle gives its first part, and says so."""
    path = write_noise(tmp_path / "a.flac", 48000)
    raw = path.read_bytes()
    path.write_bytes(raw[: len(raw) // 2])
    y, said = denoised(tmp_path, model_arg, path)
    assert 16000 < len(y) < 32000 and "damaged" in said


def test_decoder_says_nothing_of_its_own(tmp_path):
    """libmpg123 finds much to write about a damaged MP3; one sentence is ours."""
    path = write_noise(tmp_path / "a.mp3", 160_000)
    raw = bytearray(path.read_bytes())
    raw[3000:9000] = np.random.default_rng(1).bytes(6000)
    path.write_bytes(raw)
    (tmp_path / "b.mp3").write_bytes(b"hello world\n" * 1000)
    for name in ("a.mp3", "b.mp3"):
        child = process("file", name, "-o", f"{name}.wav", cwd=tmp_path)
        lines = child.communicate(timeout=120)[1].decode().splitlines()
        assert len(lines) == 1 and lines[0].startswith("streamdenoise: "), lines


def test_nan_and_infinity(tmp_path, model_arg):
    """They become silence where they are, are said once, and do not spread."""
    x = noise(16000)
    clean = tmp_path / "clean.wav"
    sf.write(clean, x, 16000, subtype="FLOAT")
    expected, _ = denoised(tmp_path, model_arg, clean)
    (tmp_path / "out.wav").unlink()
    x[8000:8003, 0] = np.nan, np.inf, -np.inf
    sf.write(tmp_path / "a.wav", x, 16000, subtype="FLOAT")
    y, said = denoised(tmp_path, model_arg, tmp_path / "a.wav")
    assert np.isfinite(y).all() and said.count("NaN") == 1 and "3 samples" in said
    assert np.array_equal(y[:7000], expected[:7000])


def test_all_nan(tmp_path, model_arg):
    """A file of nothing but NaN is silence."""
    x = np.full(5000, np.nan, np.float32)
    sf.write(tmp_path / "a.wav", x, 16000, subtype="FLOAT")
    y, _ = denoised(tmp_path, model_arg, tmp_path / "a.wav")
    assert len(y) == 5000 and not y.any()


def test_absurdly_loud_float(tmp_path, model_arg):
    """Numbers near the end of float32 do not turn into NaN."""
    x = noise(5000) * np.float32(1e37)
    sf.write(tmp_path / "a.wav", x, 16000, subtype="FLOAT")
    y, _ = denoised(tmp_path, model_arg, tmp_path / "a.wav")
    assert len(y) == 5000 and np.isfinite(y).all()


def test_full_scale_clipping(tmp_path, model_arg):
    """A clipped recording goes through without wrapping, and is named as clipped."""
    square = np.sign(np.sin(np.arange(16000) * 0.05)).astype(np.float32)
    sf.write(tmp_path / "a.wav", square, 16000)
    y, said = denoised(tmp_path, model_arg, tmp_path / "a.wav")
    assert np.abs(np.diff(y)).max() <= 2.0 and "clipped" in said
    out = tmp_path / "b.wav"
    args = ("file", tmp_path / "a.wav", "-o", out, "--model", model_arg)
    assert run(*args, "--strength", "0").exit_code == 0
    x = sf.read(tmp_path / "a.wav")[0]
    assert np.abs(sf.read(out)[0] - x).max() < 1e-3


# Targets ----------------------------------------------------------------------------


def test_output_is_the_input(tmp_path, model_arg):
    """Not even with --force."""
    path = write_noise(tmp_path / "a.wav")
    extra = ("-o", path, "--force")
    refuse(tmp_path, model_arg, path, "would replace the input", 2, extra)


def test_two_inputs_for_one_output(tmp_path, model_arg):
    """Found before anything is written."""
    (tmp_path / "x").mkdir()
    a = write_noise(tmp_path / "a.wav")
    b = write_noise(tmp_path / "x" / "a.wav")
    extra = (b, "-o", tmp_path / "out")
    refuse(tmp_path, model_arg, a, "would both become", 2, extra)


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("none/b.wav", "there is no folder"),
        ("a.wav/b.wav", "a.wav"),
        ("n" * 300 + ".wav", "cannot write"),
    ],
)
def test_target_that_cannot_be_written(tmp_path, model_arg, target, says):
    """The sentence says what is wrong with the target, not with the input."""
    path = write_noise(tmp_path / "a.wav")
    refuse(tmp_path, model_arg, path, says, 1, ("-o", tmp_path / target))


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="there is no /proc here")
def test_folder_without_permission(tmp_path, model_arg):
    """A place where not even root can make a file."""
    path = write_noise(tmp_path / "a.wav")
    refuse(tmp_path, model_arg, path, "cannot write", 1, ("-o", "/proc/self/b.wav"))


@pytest.mark.skipif(
    os.name != "posix" or not hasattr(os, "geteuid") or os.geteuid() == 0,
    reason="root may read and write everything",
)
def test_permissions(tmp_path, model_arg):
    """A file that may not be read, a folder that may not be written."""
    path = write_noise(tmp_path / "a.wav")
    path.chmod(0)
    refuse(tmp_path, model_arg, path, "cannot be read: Permission denied")
    path.chmod(0o600)
    tmp_path.chmod(0o500)
    refuse(tmp_path, model_arg, path, "no permission to write")
    tmp_path.chmod(0o700)


LIMIT = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))
"""


@pytest.mark.skipif(os.name != "posix", reason="POSIX limits stand for a full disk")
@pytest.mark.parametrize("name", ["b.wav", "b.flac", "b.ogg", "b.mp3"])
def test_disk_full_while_writing(tmp_path, model_arg, name):
    """A file system that takes no more: one sentence, and no partial file."""
    write_noise(tmp_path / "a.wav", 500_000)
    # Noise that is taken away compresses to next to nothing: nothing is taken away.
    args = ("file", "a.wav", "-o", name, "--model", model_arg, "--strength", "0")
    child = process(*args, code=LIMIT, cwd=tmp_path)
    _, err = child.communicate(timeout=120)
    assert child.returncode == 1, err
    assert b"is the disk full" in err and b"Traceback" not in err
    assert [p.name for p in tmp_path.iterdir()] == ["a.wav"]


# Models and runtime -----------------------------------------------------------------


@pytest.fixture
def model_file(model_arg, tmp_path):
    """Return the path of a model that a test may damage."""
    from streamdenoise.model import find_model

    folder = tmp_path / "models"
    folder.mkdir()
    return Path(shutil.copy(find_model(model_arg)[0], folder / "m.tflite"))


@pytest.mark.parametrize("size", [0, 3, 20, 0.5, 0.99])
def test_model_cut_short(tmp_path, model_file, size):
    """A download that broke off."""
    raw = model_file.read_bytes()
    model_file.write_bytes(raw[: int(size * len(raw)) if 0 < size < 1 else size])
    path = write_noise(tmp_path / "a.wav")
    result = run("file", path, "--model", model_file)
    # The very end of a model may hold nothing that is needed.
    if size == 0.99 and result.exit_code == 0:
        return
    assert result.exit_code == 1 and "Traceback" not in result.output
    assert "model" in result.stderr
    assert not (tmp_path / "a.denoised.wav").exists()


def test_model_that_is_not_the_one_of_its_card(tmp_path, model_file):
    """A file whose sha256 is another is not run."""
    model_file.with_suffix(".json").write_text('{"sha256": "' + 64 * "0" + '"}')
    path = write_noise(tmp_path / "a.wav")
    refuse(tmp_path, str(model_file), path, "SHA-256")


def test_model_that_is_no_model(tmp_path):
    """A wrong file, a folder, and a name that is none."""
    path = write_noise(tmp_path / "a.wav")
    refuse(tmp_path, str(path), path, "not a TFLite model")
    refuse(tmp_path, str(tmp_path), path, "a folder", code=2)
    refuse(tmp_path, f"{tmp_path}/none.tflite", path, "no such file", code=2)


BLOCK = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {names}:
            raise ModuleNotFoundError("No module named " + repr(name))
sys.meta_path.insert(0, Block())
"""


@pytest.mark.parametrize("command", ["file", "pipe", "demo"])
def test_no_interpreter(tmp_path, model_arg, command):
    """Exit code 3, and what to install."""
    write_noise(tmp_path / "a.wav")
    code = BLOCK.format(names=("ai_edge_litert", "tflite_runtime"))
    args = [command, "--model", model_arg] + ["a.wav"] * (command == "file")
    child = process(*args, code=code, cwd=tmp_path)
    _, err = child.communicate(struct.pack("<h", 1) * 999, timeout=120)
    assert child.returncode == 3, err
    assert b"pip install ai-edge-litert" in err and err.count(b"\n") == 1
    assert [p.name for p in tmp_path.iterdir()] == ["a.wav"]


def test_no_soundfile(tmp_path, model_arg):
    """The same for the library that reads sound files."""
    write_noise(tmp_path / "a.wav")
    args = ("file", "a.wav", "--model", model_arg)
    child = process(*args, code=BLOCK.format(names=("soundfile",)), cwd=tmp_path)
    _, err = child.communicate(timeout=120)
    assert child.returncode == 3 and b"pip install soundfile" in err
