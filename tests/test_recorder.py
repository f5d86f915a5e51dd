"""A recording is whole or absent, and never in the way of live sound."""

from __future__ import annotations

import errno
import re
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from streamdenoise import OutputError
from streamdenoise.audio.file import open_reader
from streamdenoise.audio.target import failure
from streamdenoise.live.recorder import Recorder
from streamdenoise.live.ring import Ring
from tests.clitools import process


def sound(rng: np.random.Generator, count: int, channels: int = 1) -> np.ndarray:
    return (0.2 * rng.standard_normal((count, channels))).astype(np.float32)


@pytest.mark.parametrize("channels", [1, 2])
def test_every_sample_is_written(
    tmp_path: Path, rng: np.random.Generator, channels: int
) -> None:
    """A float WAV holds exactly what was pushed, above full scale too."""
    x = sound(rng, 48_000, channels)
    x[100] = 1.5
    path = tmp_path / "talk.wav"
    with Recorder(path, 48_000, channels) as recorder:
        for start in range(0, len(x), 384):
            recorder.push(x[start : start + 384])
        assert not path.exists()
    y, rate = soundfile.read(path, dtype="float32", always_2d=True)
    assert rate == 48_000
    np.testing.assert_array_equal(y, x)
    assert recorder.lost == 0
    assert recorder.paths == [path]
    assert [p.name for p in tmp_path.iterdir()] == ["talk.wav"]


@pytest.mark.parametrize(("suffix", "bound"), [("flac", 2e-7), ("ogg", None)])
def test_the_suffix_is_the_format(
    tmp_path: Path, rng: np.random.Generator, suffix: str, bound: float | None
) -> None:
    """FLAC keeps 24 bits; a lossy format keeps the length."""
    x = sound(rng, 16_000)
    path = tmp_path / f"talk.{suffix}"
    with Recorder(path, 16_000) as recorder:
        recorder.push(x)
    y, _ = soundfile.read(path, dtype="float32", always_2d=True)
    assert len(y) == len(x)
    if bound is not None:
        np.testing.assert_allclose(y, x, atol=bound)


@pytest.mark.parametrize("name", ["talk", "talk.docx", "talk.mp4", "talk.webm"])
def test_only_sound_files_are_offered(tmp_path: Path, name: str) -> None:
    """What a person is told to type instead is what can be recorded to."""
    with pytest.raises(OutputError, match="cannot record to") as caught:
        Recorder(tmp_path / name, 48_000)
    assert caught.value.exit_code == 2
    offered = re.findall(r"\.(\w+)", str(caught.value).partition("one of ")[2])
    assert {"wav", "flac", "ogg", "mp3"} <= set(offered)
    for extension in offered:
        with Recorder(tmp_path / f"talk.{extension}", 48_000) as recorder:
            recorder.push(np.zeros((4800, 1), np.float32))
    assert len(list(tmp_path.iterdir())) == len(offered)


@pytest.mark.parametrize("extension", ["flac", "mp3", "opus"])
def test_a_recording_of_no_sound_is_no_full_disk(
    tmp_path: Path, extension: str
) -> None:
    """Begun and ended while a device was away: the true reason, and no file."""
    with pytest.raises(OutputError, match="no sound came"):
        Recorder(tmp_path / f"talk.{extension}", 48_000).close()
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_stays(tmp_path: Path, rng: np.random.Generator) -> None:
    """Nothing is replaced unless it is asked for, and then only at the end."""
    path = tmp_path / "talk.wav"
    path.write_bytes(b"precious")
    with pytest.raises(OutputError, match="--force"):
        Recorder(path, 16_000)
    assert path.read_bytes() == b"precious"
    with Recorder(path, 16_000, force=True) as recorder:
        recorder.push(sound(rng, 1000))
        assert path.read_bytes() == b"precious"
    assert soundfile.info(path).frames == 1000


@pytest.mark.parametrize("name", ["talk", "talk.docx", "no/such/talk.wav", "."])
def test_impossible_targets_are_refused_at_once(tmp_path: Path, name: str) -> None:
    """What cannot be written is said before the microphone opens; nothing is left."""
    with pytest.raises(OutputError) as caught:
        Recorder(tmp_path / name, 16_000)
    assert "with -o" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_long_wav_goes_on_in_a_second_file(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    """Before its header runs over, a WAV is finished and the next one begins."""
    x = sound(rng, 2500)
    with Recorder(tmp_path / "talk.wav", 16_000, max_bytes=4000) as recorder:
        recorder.push(x)
    names = ["talk.wav", "talk-2.wav", "talk-3.wav"]
    assert [path.name for path in recorder.paths] == names
    parts = [
        soundfile.read(p, dtype="float32", always_2d=True)[0] for p in recorder.paths
    ]
    assert [len(part) for part in parts] == [1000, 1000, 500]
    np.testing.assert_array_equal(np.concatenate(parts), x)


def test_a_disk_that_fails_keeps_what_was_written(
    tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When writing fails, live sound goes on, and the part so far gets its name."""
    x = sound(rng, 8000)
    path = tmp_path / "talk.wav"
    recorder = Recorder(path, 16_000)
    recorder.push(x[:4000])
    deadline = time.monotonic() + 10
    while recorder.written < 4000 and time.monotonic() < deadline:
        time.sleep(0.01)

    def full(block: np.ndarray) -> None:
        raise failure(path, OSError(errno.ENOSPC, "full"))

    monkeypatch.setattr(recorder._writer, "write", full)
    monkeypatch.setattr("streamdenoise.audio.target._free_bytes", lambda folder: 0)
    recorder.push(x[4000:])
    while recorder.error is None and time.monotonic() < deadline:
        time.sleep(0.01)
    recorder.push(x)  # harmless
    with pytest.raises(
        OutputError, match=r"disk is full.*first 0\.2 s are kept"
    ) as told:
        recorder.close()
    # What can be typed is said, and that is no option of `file`.
    assert "ctl record FILE (at the start: --record FILE)" in str(told.value)
    assert " -o" not in str(told.value)
    y, _ = soundfile.read(path, dtype="float32", always_2d=True)
    np.testing.assert_array_equal(y, x[:4000])
    assert [p.name for p in tmp_path.iterdir()] == ["talk.wav"]


def test_a_writer_that_cannot_keep_up_is_counted(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    """More than the ring holds is dropped and counted; pushing never waits."""
    with Recorder(tmp_path / "talk.wav", 8_000) as recorder:
        recorder.push(sound(rng, 8_000 * 6))
    assert recorder.lost == 8_000
    assert recorder.written == 8_000 * 5


def test_what_is_over_keeps_no_sound(tmp_path: Path, rng: np.random.Generator) -> None:
    """A recorder that is closed holds no seconds of audio, and takes no more."""
    with Recorder(tmp_path / "talk.wav", 48_000, 2) as recorder:
        recorder.push(sound(rng, 1000, 2))
    recorder.push(sound(rng, 1000, 2))  # the audio thread may be one block late
    assert recorder.written == 1000
    assert recorder.lost == 0
    held = [v for v in vars(recorder).values() if isinstance(v, (np.ndarray, Ring))]
    assert sum(v.nbytes for v in held if isinstance(v, np.ndarray)) == 0
    assert not any(isinstance(v, Ring) for v in held)


def test_a_long_aiff_goes_on_and_a_flac_has_no_limit(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    """AIFF counts its bytes in 32 bits like WAV; FLAC goes on, and loses nothing."""
    x = sound(rng, 2500)
    for suffix, parts in (("aiff", 3), ("flac", 1)):
        path = tmp_path / f"talk.{suffix}"
        with Recorder(path, 16_000, max_bytes=4000) as recorder:
            recorder.push(x)
        assert len(recorder.paths) == parts
        y = [soundfile.read(p, always_2d=True)[0] for p in recorder.paths]
        np.testing.assert_allclose(np.concatenate(y), x, atol=2e-7)


@pytest.mark.parametrize("force", [False, True])
def test_an_old_second_part_is_passed_over(
    tmp_path: Path, rng: np.random.Generator, force: bool
) -> None:
    """A name that is taken hours later ends no recording; no old file is replaced."""
    (tmp_path / "talk-2.wav").write_bytes(b"old")
    x = sound(rng, 2500)
    path = tmp_path / "talk.wav"
    with Recorder(path, 16_000, force=force, max_bytes=4000) as recorder:
        recorder.push(x)
    names = ["talk.wav", "talk-3.wav", "talk-4.wav"]
    assert [path.name for path in recorder.paths] == names
    assert recorder.written == len(x)
    assert (tmp_path / "talk-2.wav").read_bytes() == b"old"


def test_what_a_killed_recording_left_is_told_of(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    """Nobody sees a hidden file: it is named, part 2 as well, and left as it is."""
    (tmp_path / "talk-2.wav").write_bytes(b"old")
    left = [".talk.wav.0123abcd.part", ".talk-3.wav.89abcdef.part"]
    for name in (*left, ".other.wav.0123abcd.part"):
        (tmp_path / name).write_bytes(b"sound")
    with Recorder(tmp_path / "talk.wav", 16_000) as recorder:
        recorder.push(sound(rng, 100))
    assert len(recorder.notes) == 2
    for name, note in zip(left, recorder.notes, strict=True):
        assert name in note and "rename it" in note
        assert (tmp_path / name).read_bytes() == b"sound"
    with Recorder(tmp_path / "new.wav", 16_000) as recorder:
        assert recorder.notes == []


FULL = """
import resource, signal, time
import numpy as np
from streamdenoise.live.recorder import Recorder
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
rng = np.random.default_rng(0)
recorder = Recorder({name!r}, 16000)
while recorder.error is None and recorder.seconds < 60:
    recorder.push((0.1 * rng.standard_normal((4000, 1))).astype("f4"))
    time.sleep(0.02)
try:
    recorder.close()
except Exception as error:
    print(recorder.written, error)
raise SystemExit
"""


@pytest.mark.parametrize("suffix", ["wav", "aiff", "flac", "mp3", "ogg", "opus"])
def test_a_full_disk_keeps_the_file_of_every_format(
    tmp_path: Path, suffix: str
) -> None:
    """An encoder that holds back a second loses that second, not all the hours."""
    pytest.importorskip("resource", reason="POSIX limits stand for a full disk")
    if suffix == "flac":
        # What cannot go back to its header declares no length.
        pytest.importorskip("av", reason="what has no length is read by PyAV")
    child = process(code=FULL.format(name=f"talk.{suffix}"), cwd=tmp_path)
    out, err = child.communicate(timeout=60)
    assert b"s are kept" in out and b"is the disk full" in out, (out, err)
    assert [p.name for p in tmp_path.iterdir()] == [f"talk.{suffix}"]
    with open_reader(tmp_path / f"talk.{suffix}") as reader:
        frames = sum(len(block) for block in reader)
    # What is said to be kept is there, where the header says how much that is.
    slack = {"flac": 10_000, "mp3": 2304}.get(suffix, 0)
    assert frames >= int(out.split()[0]) - slack > 8000


def test_a_name_that_is_taken_meanwhile_costs_nothing(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    """Two sessions with one name, say: both recordings are kept, each whole."""
    x, path = sound(rng, 16_000), tmp_path / "talk.wav"
    with Recorder(path, 16_000) as first, Recorder(path, 16_000) as second:
        # What another one is at work on was not left behind.
        assert first.notes == second.notes == []
        first.push(x)
        second.push(2 * x)
    assert second.paths == [path]
    assert first.paths == [tmp_path / "talk-2.wav"]
    for file, wanted in ((path, 2 * x), (tmp_path / "talk-2.wav", x)):
        y, _ = soundfile.read(file, dtype="float32", always_2d=True)
        np.testing.assert_array_equal(y, wanted)
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("old", [False, True])
def test_force_replaces_what_was_there_not_what_came_since(
    tmp_path: Path, rng: np.random.Generator, old: bool
) -> None:
    """Two sessions that may replace one name keep both recordings, each whole."""
    x, path = sound(rng, 16_000), tmp_path / "two.wav"
    if old:
        path.write_bytes(b"old")
    second = Recorder(path, 16_000, force=True)
    with Recorder(path, 16_000, force=True) as first:
        first.push(x)
    second.push(2 * x)
    second.close()
    assert first.paths == [path] and second.paths == [tmp_path / "two-2.wav"]
    for file, wanted in ((path, x), (tmp_path / "two-2.wav", 2 * x)):
        y, _ = soundfile.read(file, dtype="float32", always_2d=True)
        np.testing.assert_array_equal(y, wanted)
    assert len(list(tmp_path.iterdir())) == 2


def test_force_spares_what_somebody_wrote_meanwhile(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    """A file that was changed in its place, while the recording ran, is another one."""
    path = tmp_path / "talk.wav"
    path.write_bytes(b"old")
    with Recorder(path, 16_000, force=True) as recorder:
        recorder.push(sound(rng, 100))
        path.write_bytes(b"precious")
    assert path.read_bytes() == b"precious"
    assert recorder.paths == [tmp_path / "talk-2.wav"]


def test_a_folder_that_goes_away_is_told(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    """The recording has nowhere to go, and that is said."""
    folder = tmp_path / "stick"
    folder.mkdir()
    recorder = Recorder(folder / "talk.wav", 16_000)
    recorder.push(sound(rng, 16_000))
    shutil.rmtree(folder)
    with pytest.raises(OutputError, match=r"talk\.wav"):
        recorder.close()
    assert recorder.paths == []


KILLED = """
import time
import numpy as np
from streamdenoise.live.recorder import Recorder
recorder = Recorder({name!r}, 16000)
recorder.push(np.full((32000, 1), 0.25, "f4"))
while recorder.seconds < 2:
    time.sleep(0.01)
print("written", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("suffix", ["wav", "aiff", "caf", "au", "w64"])
def test_what_a_killed_recording_wrote_can_be_read(tmp_path: Path, suffix: str) -> None:
    """The note says that renaming keeps it: so its header knows its length."""
    child = process(code=KILLED.format(name=f"talk.{suffix}"), cwd=tmp_path)
    assert child.stdout is not None and b"written" in child.stdout.readline()
    child.kill()
    child.communicate()
    (part,) = tmp_path.iterdir()
    with open_reader(part.rename(tmp_path / f"kept.{suffix}")) as reader:
        assert sum(len(block) for block in reader) == 32_000
