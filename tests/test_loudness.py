"""Loudness measured and brought to a number."""

from __future__ import annotations

import math
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from streamdenoise import OutputError, RuntimeMissingError
from streamdenoise.audio.file import open_reader, open_writer, output_format
from tests.clitools import noise, process

pyloudnorm = pytest.importorskip(
    "pyloudnorm", reason='loudness needs: pip install "streamdenoise[loudness]"'
)
from streamdenoise.audio.loudness import (  # noqa: E402
    CEILING_DB,
    LoudnessMeter,
    channel_weights,
    gain_for,
)


def speechlike(n: int, rate: int, channels: int = 1, level: float = 0.1) -> np.ndarray:
    """Noise with loud and quiet stretches, so that the gates have work to do."""
    envelope = np.where(np.arange(n) // (rate // 2) % 3 == 0, 0.02, 1.0)
    x = noise(n, channels, level)
    # Without the highest octave, which lossy codings leave out.
    x[2:] = (x[2:] + 2 * x[1:-1] + x[:-2]) / 4
    x[2:] = (x[2:] + 2 * x[1:-1] + x[:-2]) / 4
    return (x * envelope[:, None]).astype(np.float32)


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 44100, 48000, 96000])
@pytest.mark.parametrize("channels", [1, 2, 3, 5])
def test_loudness_is_pyloudnorms(rate, channels, rng):
    """Heard in pieces of any size, a signal has the loudness that it has as a whole."""
    x = speechlike(4 * rate + 123, rate, channels)
    meter, at = LoudnessMeter(rate, channels), 0
    while at < len(x):
        size = int(rng.integers(0, rate))
        meter.push(x[at : at + size])
        at += size
    expected = pyloudnorm.Meter(rate).integrated_loudness(x.astype(np.float64))
    # Its last block may end behind the signal; that of the standard does not.
    assert meter.loudness == pytest.approx(expected, abs=0.05)


def test_reference_tone():
    """A full-scale sine of 997 Hz in one channel measures -3.01 LUFS (BS.1770-4)."""
    x = np.sin(2 * np.pi * 997 * np.arange(48000 * 2) / 48000)[:, None]
    meter = LoudnessMeter(48000, 1)
    meter.push(x.astype(np.float32))
    assert meter.loudness == pytest.approx(-3.01, abs=0.06)


def test_peak_between_samples_is_found():
    """A tone of a quarter of the rate, sampled beside its peaks, is 3 dB louder."""
    x = np.sin(2 * np.pi * 12000 * np.arange(48000) / 48000 + np.pi / 4)
    for block in (48000, 997):
        meter = LoudnessMeter(48000, 1)
        for at in range(0, len(x), block):
            meter.push(x[at : at + block, None].astype(np.float32))
        assert 20 * math.log10(np.abs(x).max()) == pytest.approx(-3.01, abs=0.01)
        assert meter.true_peak == pytest.approx(0.0, abs=0.4)


def test_long_block_is_heard_in_parts():
    """The same loudness and peak as in short ones, and in little memory."""
    x = speechlike(30 * 48000, 48000, 2)
    once, parts = LoudnessMeter(48000, 2), LoudnessMeter(48000, 2)
    tracemalloc.start()
    once.push(x)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    for at in range(0, len(x), 777):
        parts.push(x[at : at + 777])
    assert peak < 4 << 20
    assert once.true_peak == parts.true_peak
    assert once.loudness == pytest.approx(parts.loudness, abs=1e-9)


def test_surround_counts_more_and_lfe_not_at_all():
    """As in table 3 of the standard, for the usual orders of channels."""
    assert channel_weights(6).tolist() == [1, 1, 1, 0, 1.41, 1.41]
    assert channel_weights(6, 0x60F).tolist() == [1, 1, 1, 0, 1.41, 1.41]
    assert channel_weights(5).tolist() == [1, 1, 1, 1.41, 1.41]
    assert channel_weights(2).tolist() == [1, 1]
    assert channel_weights(12).tolist() == [1] * 12


def copy(source: Path, target: Path, loudness, gain: float = 1.0) -> list[str]:
    with open_reader(source) as reader:
        output = output_format(reader.info, target, explicit=True)
        with open_writer(output, reader, loudness=loudness) as writer:
            for number, track in enumerate(reader.tracks):
                for block in track:
                    writer.write(np.float32(gain) * block, number)
    return writer.notes


def loudness_of(path: Path) -> float:
    x, rate = sf.read(path)
    return pyloudnorm.Meter(rate).integrated_loudness(x)


@pytest.mark.parametrize("ext", ["wav", "flac", "ogg", "mp3", "opus"])
@pytest.mark.parametrize("wanted", [-30.0, -23.0])
def test_result_has_the_loudness(tmp_path, ext, wanted):
    """Encoded once, in its format, as long as before, as loud as asked for."""
    sf.write(tmp_path / "a.wav", speechlike(48000 * 4, 48000, 2), 48000)
    target = tmp_path / f"b.{ext}"
    assert copy(tmp_path / "a.wav", target, wanted) == []
    assert loudness_of(target) == pytest.approx(wanted, abs=0.3)
    assert len(sf.read(target)[0]) == 48000 * 4
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.wav", target.name]


def test_kept_loudness_is_that_of_the_input(tmp_path):
    """What was made quieter on its way is as loud again as it was."""
    sf.write(tmp_path / "a.wav", speechlike(48000 * 3, 48000, 2), 48000)
    assert copy(tmp_path / "a.wav", tmp_path / "b.wav", "keep", 0.25) == []
    a, b = loudness_of(tmp_path / "a.wav"), loudness_of(tmp_path / "b.wav")
    assert b == pytest.approx(a, abs=0.05)


def test_loudness_stops_short_of_clipping_and_says_so_once(tmp_path):
    """Peaks never pass the ceiling; one sentence tells how loud it is instead."""
    x = speechlike(48000 * 3, 48000)
    x[50_000] = 0.9
    sf.write(tmp_path / "a.wav", x, 48000, subtype="FLOAT")
    notes = copy(tmp_path / "a.wav", tmp_path / "b.wav", -5.0)
    y = sf.read(tmp_path / "b.wav", dtype="float32")[0]
    meter = LoudnessMeter(48000, 1)
    meter.push(y[:, None])
    assert meter.true_peak == pytest.approx(CEILING_DB, abs=0.02)
    assert len(notes) == 1 and f"{meter.loudness:.1f} LUFS instead of -5.0" in notes[0]


def test_what_no_figure_would_show_is_not_said():
    """A ceiling that costs less than a tenth of a decibel; above, it is told."""
    meter = LoudnessMeter(48000, 1)
    x = speechlike(48000 * 3, 48000)
    meter.push(x.reshape(-1, 1).astype(np.float32))
    most = meter.loudness + CEILING_DB - meter.true_peak
    assert gain_for(meter, most + 0.05)[1] == ""
    assert gain_for(meter, most + 0.05)[0] == gain_for(meter, most + 3)[0]
    assert "LUFS instead of" in gain_for(meter, most + 0.2)[1]


@pytest.mark.parametrize("n", [1, 1000, 48000])
def test_silence_and_short_sound_stay_as_they_are(tmp_path, n):
    """What has no loudness cannot be brought to one."""
    x = np.zeros(n) if n > 1000 else noise(n)[:, 0]
    sf.write(tmp_path / "a.wav", x, 48000)
    notes = copy(tmp_path / "a.wav", tmp_path / "b.wav", -16.0)
    assert len(notes) == 1 and "too quiet or too short" in notes[0]
    assert np.array_equal(
        sf.read(tmp_path / "a.wav")[0], sf.read(tmp_path / "b.wav")[0]
    )


def test_gain_is_one_for_all_channels(tmp_path):
    """The image does not move."""
    x = speechlike(48000 * 2, 48000, 2)
    x[:, 1] *= 0.25
    sf.write(tmp_path / "a.wav", x, 48000, subtype="FLOAT")
    copy(tmp_path / "a.wav", tmp_path / "b.wav", -30.0)
    y = sf.read(tmp_path / "b.wav", dtype="float32")[0]
    assert np.allclose(y[:, 0] * x[:, 1], y[:, 1] * x[:, 0], atol=1e-6)


def test_every_track_of_a_video(tmp_path):
    """Each sound track gets its own gain, and the picture is there still."""
    pytest.importorskip("av", reason="videos need PyAV")
    from tests.media import Track, av, decoded, make_media

    source = tmp_path / "a.mkv"
    tracks = [Track("flac"), Track("flac", 44100, "mono")]
    make_media(source, "matroska", tracks, 88_200, video="mpeg4")
    assert copy(source, tmp_path / "b.mkv", -27.0) == []
    for number, rate in enumerate((48000, 44100)):
        y = decoded(tmp_path / "b.mkv", number)[0]
        level = pyloudnorm.Meter(rate).integrated_loudness(y)
        assert level == pytest.approx(-27.0, abs=0.1)
    with av.open(str(tmp_path / "b.mkv")) as container:
        assert len(container.streams.video) == 1


def test_memory_does_not_grow_with_length(tmp_path):
    """Ten times as long needs no more memory."""
    peaks = []
    for seconds in (20, 200):
        sf.write(tmp_path / f"{seconds}.wav", noise(8000 * seconds), 8000)
        tracemalloc.start()
        copy(tmp_path / f"{seconds}.wav", tmp_path / f"{seconds}.out.wav", -20.0)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0] + 200_000


def test_error_leaves_nothing(tmp_path):
    """Neither a result nor what was kept meanwhile; an old result stays."""
    sf.write(tmp_path / "a.wav", noise(9000), 16000)
    with pytest.raises(RuntimeError), open_reader(tmp_path / "a.wav") as reader:
        output = output_format(reader.info, tmp_path / "b.flac", explicit=True)
        with open_writer(output, reader, loudness=-20.0) as writer:
            writer.write(noise(100))
            raise RuntimeError
    assert [p.name for p in tmp_path.iterdir()] == ["a.wav"]
    (tmp_path / "b.flac").write_bytes(b"mine")
    with pytest.raises(OutputError, match="--force"):
        copy(tmp_path / "a.wav", tmp_path / "b.flac", -20.0)
    assert (tmp_path / "b.flac").read_bytes() == b"mine"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.wav", "b.flac"]


BLOCK = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "pyloudnorm":
            raise ModuleNotFoundError("No module named " + repr(name))
sys.meta_path.insert(0, Block())
from streamdenoise.audio.file import *
try:
    with open_reader("a.wav") as reader:
        from pathlib import Path
        output = output_format(reader.info, Path("b.wav"), explicit=True)
        open_writer(output, reader, loudness=-20.0)
except Exception as error:
    print(type(error).__name__, error)
raise SystemExit
"""


def test_without_pyloudnorm_the_sentence_names_the_extra(tmp_path):
    """What to install; and nothing is left of the try."""
    sf.write(tmp_path / "a.wav", noise(100), 16000)
    out, err = process(code=BLOCK, cwd=tmp_path).communicate(timeout=60)
    assert out.decode().startswith(RuntimeMissingError.__name__), err
    assert b'pip install "streamdenoise[loudness]"' in out
    assert [p.name for p in tmp_path.iterdir()] == ["a.wav"]


def test_gain_of_what_nobody_heard():
    """No sound, no gain."""
    assert gain_for(LoudnessMeter(48000, 2), -16.0)[0] == 1.0


LIMIT = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))
import numpy as np
from pathlib import Path
from streamdenoise.audio.file import open_reader, open_writer, output_format
try:
    with open_reader("a.wav") as reader:
        output = output_format(reader.info, Path("b.wav"), explicit=True)
        with open_writer(output, reader, loudness=-20.0) as writer:
            while True:
                writer.write(np.full((250, 1), 0.1, np.float32))
except Exception as error:
    print(type(error).__name__, error)
raise SystemExit
"""


def test_full_disk_leaves_nothing(tmp_path):
    """Closing writes what waits, and fails again: the helper goes all the same."""
    pytest.importorskip("resource", reason="POSIX limits stand for a full disk")
    sf.write(tmp_path / "a.wav", noise(100), 16000)
    out, err = process(code=LIMIT, cwd=tmp_path).communicate(timeout=60)
    assert out.startswith(b"OutputError cannot write b.wav"), (out, err)
    assert [p.name for p in tmp_path.iterdir()] == ["a.wav"]
