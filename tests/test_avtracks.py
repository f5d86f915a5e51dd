"""Videos and other containers: sound that cannot be decoded, and data tracks."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from streamdenoise import AudioFormatError
from streamdenoise.audio.file import open_reader
from streamdenoise.batch.file import denoise_file
from tests.fakes import IdentityModel
from tests.media import Track, av, decoded, make_media, remux
from tests.test_avfile import copy


def strange_track(folder: Path, which: int, video: str = "mpeg4") -> Path:
    """Make an MP4 of two sound tracks, one of a coding that nobody knows."""
    tracks = [Track("libopus"), Track("libopus")]
    path = make_media(folder / "a.mp4", "mp4", tracks, video=video)
    raw = bytearray(path.read_bytes())
    at = [m.start() for m in re.finditer(b"Opus", raw)][which]
    raw[at : at + 4] = b"zz7q"
    path.write_bytes(raw)
    return path


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("ext", ["mp4", "mkv", "wav"])
def test_a_track_that_cannot_be_decoded_stops_no_other(tmp_path, which, ext):
    """The other one is denoised; a note says what was left, and which one it was."""
    source, target = strange_track(tmp_path, which), tmp_path / f"b.{ext}"
    result = denoise_file(source, target, IdentityModel())
    assert result.frames == 30_000
    notes = " ".join(result.notes)
    assert f"sound track {which + 1} of" in notes and "cannot decode" in notes
    if ext == "wav":
        assert sf.info(target).frames == 30_000
    else:
        assert f"sound track {which + 1} was left out" in notes
        # What Opus in MP4 has after the end is not marked there.
        assert 0 <= len(decoded(target)[0]) - 30_000 < 960
        with av.open(str(target)) as out:
            assert [s.type for s in out.streams] == ["video", "audio"]


def test_a_track_that_cannot_be_processed_is_copied(tmp_path):
    """Such as one of 384 kHz: bit by bit as it was, beside the denoised one."""
    source, target = tmp_path / "a.mkv", tmp_path / "b.mkv"
    tracks = [Track("flac"), Track("pcm_s16le", 384_000, "mono")]
    make_media(source, "matroska", tracks, 48_000)
    result = denoise_file(source, target, IdentityModel())
    notes = " ".join(result.notes)
    assert "384000 Hz" in notes and "sound track 2 was copied as it is" in notes
    assert np.array_equal(decoded(source, 1)[0], decoded(target, 1)[0])


def test_where_none_can_be_decoded_it_is_refused(tmp_path):
    """With the sentence of the first."""
    path = make_media(tmp_path / "a.mp4", "mp4", [Track("libopus")])
    path.write_bytes(path.read_bytes().replace(b"Opus", b"zz7q"))
    with pytest.raises(AudioFormatError, match=r"sound track 1 of .*cannot decode"):
        open_reader(path)


def test_a_strange_track_that_is_not_to_be_done(tmp_path):
    """With ``--tracks first`` it is left out too, and named."""
    writer = copy(strange_track(tmp_path, 1), tmp_path / "b.mp4", "first")
    assert len(writer.notes) == 1 and "was left out" in writer.notes[0]
    assert 0 <= len(decoded(tmp_path / "b.mp4")[0]) - 30_000 < 960


@pytest.mark.parametrize("ext", ["mkv", "mp4", "mov", "ts", "wav"])
@pytest.mark.parametrize("loudness", [None, "keep"])
def test_an_empty_later_track_stops_nothing(tmp_path, ext, loudness):
    """A recorder's second microphone was off: one note, and the first is done."""
    whole = tmp_path / "whole.mkv"
    make_media(
        whole, "matroska", [Track("aac"), Track("aac"), Track("aac", start=9000)]
    )
    source = tmp_path / "a.mkv"
    remux(whole, source, "matroska", lambda p, _: p.stream.index != 1)
    if loudness:
        pytest.importorskip("pyloudnorm")
    target = tmp_path / f"b.{ext}"
    result = denoise_file(source, target, IdentityModel(), loudness=loudness)
    notes = " ".join(result.notes)
    assert ("sound track 2 of" in notes) == (ext != "wav")
    if ext == "wav":
        return
    assert "holds no sound that can be decoded" in notes
    with av.open(str(target)) as out:
        last = len(out.streams.audio) - 1
    for now, before in ((0, 0), (last, 2)):
        (x, at), (y, at_now) = decoded(whole, before), decoded(target, now)
        begin = decoded(target)[1]
        assert abs(len(x) - len(y)) <= 1024
        assert abs((at_now - begin) - at) < 60


def camera(folder: Path, tag: bytes = b"gpmd") -> Path:
    """Make an MP4 with a data track like that of a camera."""
    path = folder / "a.mp4"
    make_media(path, "mp4", [Track("aac")], video="mpeg4", chapters=True)
    # The text track of its chapters, made into another kind of track.
    raw = path.read_bytes().replace(b"chap", b"zzzz").replace(b"text", tag)
    raw = re.sub(rb"(hdlr.{8})" + tag, rb"\1meta", raw, flags=re.DOTALL)
    path.write_bytes(raw)
    return path


def data(path: Path) -> list[tuple[bytes, float]]:
    with av.open(str(path)) as container:
        rows = container.demux(*container.streams.data)
        return [(bytes(p), float(p.pts * p.time_base)) for p in rows if p.size]


@pytest.mark.parametrize("ext", ["mp4", "mov"])
def test_data_of_a_camera_is_copied(tmp_path, ext):
    """Telemetry stays, byte for byte and at its time."""
    source, target = camera(tmp_path), tmp_path / f"b.{ext}"
    assert copy(source, target).notes == []
    assert data(source) == data(target) and len(data(target)) == 2
    assert b"gpmd" in target.read_bytes()


@pytest.mark.parametrize(("ext", "tag"), [("mkv", b"gpmd"), ("mp4", b"zz7q")])
def test_data_that_does_not_fit_is_named(tmp_path, ext, tag):
    """It vanishes with a note, and nothing else does."""
    writer = copy(camera(tmp_path, tag), tmp_path / f"b.{ext}")
    (note,) = writer.notes
    assert note.startswith("a data track") and f".{ext} file" in note
    with av.open(str(tmp_path / f"b.{ext}")) as out:
        streams = [s for s in out.streams if s.discard != av.stream.Discard.all]
        assert [s.type for s in streams] == ["video", "audio"]


def test_chapters_are_no_data(tmp_path):
    """Their text track is made anew; there is one of it, and no note."""
    source, target = tmp_path / "a.mp4", tmp_path / "b.mp4"
    make_media(source, "mp4", [Track("aac")], video="mpeg4", chapters=True)
    assert copy(source, target).notes == []
    with av.open(str(target)) as out:
        assert [s.type for s in out.streams].count("data") == 1
        assert len(out.chapters()) == 2


@pytest.mark.parametrize(
    ("ext", "muxer", "codec", "rates", "start"),
    [
        ("mkv", "matroska", "flac", (48000, 16000), 0),
        ("mkv", "matroska", "flac", (48000, 16000), 2),
        ("ts", "mpegts", "ac3", (48000, 32000), 2),
        ("wmv", "asf", "wmav2", (44100, 16000), 0),
        ("mov", "mov", "pcm_s16le", (48000, 16000), 2),
    ],
)
def test_a_track_that_is_shorter_than_others_is_not_cut_short(
    tmp_path, ext, muxer, codec, rates, start
):
    """Sound may begin after the picture and end before it: nothing is odd in that."""
    tracks = [Track(codec, rate, "mono") for rate in rates]
    tracks[0].start = start * rates[0]
    source = make_media(tmp_path / f"a.{ext}", muxer, tracks, 96_000, video="mpeg4")
    assert denoise_file(source, tmp_path / f"b.{ext}", IdentityModel()).notes == ()


def test_a_video_that_is_cut_off_says_so(tmp_path):
    """Where no stream comes near the end that the container declares."""
    tracks = [Track("flac", 48000, "mono"), Track("flac", 16000, "mono")]
    source = make_media(tmp_path / "a.mkv", "matroska", tracks, 96_000, video="mpeg4")
    source.write_bytes(source.read_bytes()[: source.stat().st_size // 2])
    notes = denoise_file(source, tmp_path / "b.mkv", IdentityModel()).notes
    assert any("it is cut short: it declares 6.0" in note for note in notes)


LATE = [
    ("avi", "avi", "mp3", "mpeg4"),
    ("avi", "avi", "ac3", ""),
    ("mka", "matroska", "flac", ""),
    ("nut", "nut", "flac", ""),
    ("flv", "flv", "aac", "flv"),
    ("mp4", "mp4", "aac", "mpeg4"),
]


def late(folder: Path, ext: str, muxer: str, codec: str, video: str) -> Path:
    """Make a container whose sound begins after two seconds."""
    options = {"movflags": "faststart"} if ext == "mp4" else {}
    track = Track(codec, 48000, "mono", start=96_000)
    path = folder / f"a.{ext}"
    return make_media(path, muxer, [track], 288_000, video=video, options=options)


@pytest.mark.parametrize("form", LATE, ids=lambda form: f"{form[0]} {form[3]}")
def test_sound_that_begins_late_is_whole(tmp_path, form):
    """Whatever its container counts as its length; the mark of its end is no damage."""
    source = late(tmp_path, *form)
    target = tmp_path / ("b.mka" if form[0] == "nut" else f"b.{form[0]}")
    assert denoise_file(source, target, IdentityModel()).notes == ()


@pytest.mark.parametrize(
    "form", [form for form in LATE if form[0] != "nut"], ids=lambda f: f"{f[0]} {f[3]}"
)
def test_sound_that_begins_late_and_is_cut_off_says_so(tmp_path, form):
    """That it begins late hides nothing of what is missing."""
    source = late(tmp_path, *form)
    raw = source.read_bytes()
    source.write_bytes(raw[: len(raw) * 6 // 10])
    notes = denoise_file(source, tmp_path / f"b.{form[0]}", IdentityModel()).notes
    assert any("it is cut short: it declares" in note for note in notes)
