"""Videos and other containers: times that begin anywhere, and what is damaged."""

from __future__ import annotations

import re
import struct
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from streamdenoise.audio.file import open_reader
from tests.media import Track, av, decoded, make_media, remux, video_hashes
from tests.test_avfile import copy, lag

SECONDS = 4
WRAP = 2**33 / 90_000
"""The clock of MPEG-TS goes back to zero after so many seconds."""


def broadcast(folder: Path, begin: float) -> Path:
    """Make a TS whose clock stands at `begin` at its start."""
    made = folder / "made.ts"
    n = SECONDS * 48_000
    make_media(made, "mpegts", [Track("aac")], n, video="mpeg2video")

    def later(packet, number):
        late = round(begin / packet.time_base)
        packet.pts, packet.dts = packet.pts + late, packet.dts + late

    return remux(made, folder / "a.ts", "mpegts", later)


def apart(path: Path) -> tuple[float, float]:
    """Return when the picture begins, and how much later the sound does."""
    picture = video_hashes(path)[0][1]
    return picture, decoded(path)[1] / 48_000 - picture


@pytest.mark.parametrize("ext", ["mp4", "mov", "mkv", "avi"])
@pytest.mark.parametrize("begin", [3600.0, WRAP - 2.7])
def test_a_broadcast_begins_at_zero_elsewhere(tmp_path, ext, begin):
    """All of it plays, from the beginning on, wherever its clock stood."""
    source, target = broadcast(tmp_path, begin), tmp_path / f"b.{ext}"
    assert abs(apart(source)[0] - (begin if begin < WRAP / 2 else -2.7)) < 2
    writer = copy(source, target)
    assert writer.notes == []
    picture, late = apart(target)
    # Matroska moves all by the time that pictures wait for their turn.
    assert 0 <= picture < 0.15
    # AVI knows whole pictures and whole packets of sound only.
    assert abs(late - apart(source)[1]) < (0.03 if ext == "avi" else 0.002)
    assert [h for h, _ in video_hashes(target)] == [h for h, _ in video_hashes(source)]
    x, y = decoded(source)[0], decoded(target)[0]
    assert abs(len(x) - len(y)) <= 2048
    assert lag(x, y) == 0 or ext == "avi"


@pytest.mark.parametrize("begin", [3600.0, WRAP - 2.7])
def test_a_broadcast_stays_at_its_time_in_a_broadcast(tmp_path, begin):
    """From TS to TS, times are those of the input, save for the wait of its writer."""
    source = broadcast(tmp_path, begin)
    copy(source, tmp_path / "b.ts")
    (before, late), (after, late_after) = apart(source), apart(tmp_path / "b.ts")
    assert abs(late - late_after) < 0.002
    assert begin > WRAP / 2 or abs(after - before) < 2
    assert len(video_hashes(source)) == len(video_hashes(tmp_path / "b.ts"))


def test_chapters_of_a_recording_that_begins_late(tmp_path):
    """A chapter at 10.5 s of a recording from 10 s on is at 0.5 s from its start."""
    source = tmp_path / "a.mkv"
    with av.open(str(source), "w") as out:
        stream = out.add_stream("pcm_s16le", rate=8000, layout="mono")
        out.set_chapters(
            [
                {
                    "id": i,
                    "start": 10_000 + 500 * i,
                    "end": 10_500 + 500 * i,
                    "time_base": Fraction(1, 1000),
                    "metadata": {"title": f"part {i}"},
                }
                for i in range(2)
            ]
        )
        noise = np.random.default_rng(1).integers(-9000, 9000, (1, 800), np.int16)
        for i in range(10):
            frame = av.AudioFrame.from_ndarray(noise, "s16", "mono")
            frame.sample_rate, frame.pts = 8000, 80_000 + 800 * i
            frame.time_base = Fraction(1, 8000)
            out.mux(stream.encode(frame))
    copy(source, tmp_path / "b.mp4")
    with av.open(str(tmp_path / "b.mp4")) as container:
        times = [float(c["start"] * c["time_base"]) for c in container.chapters()]
    assert times == pytest.approx([0.0, 0.5], abs=0.002)


@pytest.mark.parametrize(
    ("ext", "muxer", "codec", "rate"),
    [
        ("mp4", "mp4", "aac", 48_000),
        ("mkv", "matroska", "aac", 48_000),
        ("mkv", "matroska", "aac", 44_100),
        ("ts", "mpegts", "aac", 48_000),
        ("mkv", "matroska", "flac", 44_100),
    ],
)
@pytest.mark.parametrize("count", [1, 2])
def test_damaged_packets_move_nothing(tmp_path, ext, muxer, codec, rate, count):
    """However short the hole is: what follows it stays in its place to the sample."""
    whole = make_media(tmp_path / f"a.{ext}", muxer, [Track(codec, rate)], 100_000)

    def spoil(packet, number):
        if 8 <= number < 8 + count:
            # The head stays: a container knows a packet by it.
            raw = bytes(packet)
            packet.update(raw[:8] + bytes(255 - b for b in raw[8:]))

    remux(whole, tmp_path / f"b.{ext}", muxer, spoil)
    with open_reader(tmp_path / f"b.{ext}") as reader:
        y = np.concatenate([block.copy() for block in reader])
        notes = reader.tracks[0].notes
    x = decoded(whole)[0]
    assert any("packets are damaged; there is silence instead" in n for n in notes)
    assert abs(len(x) - len(y)) <= 1024
    assert lag(x[50_000:], y[50_000:]) == 0


def trimmed(folder: Path, seconds: float) -> Path:
    """Make an MP4 whose first seconds are hidden by its edit lists, as on a phone."""
    path = folder / "a.mp4"
    make_media(path, "mp4", [Track("aac")], 96_000, video="mpeg4")
    raw = bytearray(path.read_bytes())
    scales = [m.start() for m in re.finditer(b"mdhd", raw)]
    lists = [m.start() for m in re.finditer(b"elst", raw)]
    assert len(scales) == len(lists) == 2
    for at, where in zip(lists, scales, strict=True):
        scale = struct.unpack_from(">I", raw, where + 16)[0]
        count, _, first = struct.unpack_from(">IIi", raw, at + 8)
        assert count == 1
        struct.pack_into(">i", raw, at + 16, first + round(seconds * scale))
    path.write_bytes(raw)
    return path


def test_what_was_cut_away_on_a_phone(tmp_path):
    """It stays hidden in an MP4; where it cannot, a note says so."""
    source = trimmed(tmp_path, 0.2)
    shown = video_hashes(source)
    assert shown[0][1] == 0
    assert copy(source, tmp_path / "b.mp4").notes == []
    after = video_hashes(tmp_path / "b.mp4")
    assert [h for h, _ in after] == [h for h, _ in shown]
    (note,) = copy(source, tmp_path / "b.mkv").notes
    assert "hides the first 0.16 s of its picture" in note
    # Sound and picture are moved by as much.
    assert decoded(tmp_path / "b.mkv")[1] == round(0.16 * 48_000)
    times = dict(video_hashes(tmp_path / "b.mkv"))
    assert times[shown[0][0]] == 0.16 and len(times) > len(shown)
