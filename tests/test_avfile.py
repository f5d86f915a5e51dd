"""Videos and other containers: new sound, everything else untouched."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from streamdenoise import AudioFormatError, OutputError, RuntimeMissingError
from streamdenoise.audio.file import (
    AudioReader,
    AvReader,
    open_reader,
    open_writer,
    output_format,
)
from streamdenoise.batch.collect import collect
from streamdenoise.batch.file import denoise_file
from tests.clitools import process, write_noise
from tests.fakes import IdentityModel
from tests.media import Track, av, decoded, make_media, packets, sound, video_hashes


@pytest.mark.parametrize(
    ("ext", "muxer", "codec", "video"),
    [
        ("mts", "mpegts", "ac3", "mpeg2video"),
        ("m2ts", "mpegts", "ac3", "mpeg2video"),
        ("m2t", "mpegts", "mp2", "mpeg2video"),
        ("mpg", "mpeg", "mp2", "mpeg1video"),
        ("vob", "vob", "ac3", "mpeg2video"),
        ("mxf", "mxf", "pcm_s16le", "mpeg2video"),
        ("3gp", "3gp", "aac", "mpeg4"),
        ("3g2", "3g2", "aac", "mpeg4"),
        ("f4v", "mp4", "aac", "mpeg4"),
        ("wmv", "asf", "wmav2", "wmv2"),
        ("wv", "wv", "wavpack", ""),
        ("tta", "tta", "tta", ""),
        ("weba", "webm", "libopus", ""),
    ],
)
def test_what_is_looked_for_in_folders_can_be_done(tmp_path, ext, muxer, codec, video):
    """Each comes out as what it was, under the name of its own."""
    top = tmp_path / "in"
    top.mkdir()
    make_media(top / f"a.{ext}", muxer, [Track(codec)], video=video)
    (found,) = collect([str(top)]).found
    target = tmp_path / f"b.{ext}"
    result = denoise_file(found.source, target, IdentityModel(), explicit=False)
    assert result.output == str(target) and not result.notes
    assert len(decoded(target)[0]) == pytest.approx(30_000, abs=3000)


def copy(source: Path, target: Path, tracks: str = "all", gain: float = 1.0):
    """Take a file through reading and writing; return the writer."""
    with open_reader(source, tracks) as reader:
        output = output_format(reader.info, target, explicit=True)
        with open_writer(output, reader) as writer:
            for number, track in enumerate(reader.tracks):
                for block in track:
                    writer.write(np.float32(gain) * block, number)
    return writer


def lag(a: np.ndarray, b: np.ndarray) -> int:
    """How many samples `b` lies behind `a`."""
    n = 1 << (len(a) + len(b)).bit_length()
    product = np.conj(np.fft.rfft(a[:, 0], n)) * np.fft.rfft(b[:, 0], n)
    at = int(np.argmax(np.fft.irfft(product)))
    return at if at < n // 2 else at - n


CODINGS = [
    ("mp4", "mp4", "aac"),
    ("mp4", "mp4", "ac3"),
    ("mp4", "mp4", "libopus"),
    ("mp4", "mp4", "flac"),
    ("mov", "mov", "alac"),
    ("mov", "mov", "pcm_s16le"),
    ("mov", "mov", "aac"),
    ("m4a", "ipod", "aac"),
    ("m4a", "ipod", "alac"),
    ("mkv", "matroska", "aac"),
    ("mkv", "matroska", "ac3"),
    ("mkv", "matroska", "libopus"),
    ("mkv", "matroska", "flac"),
    ("mkv", "matroska", "libmp3lame"),
    ("mkv", "matroska", "pcm_f32le"),
    ("webm", "webm", "libopus"),
    ("aac", "adts", "aac"),
    ("ac3", "ac3", "ac3"),
    ("eac3", "eac3", "eac3"),
    ("wma", "asf", "wmav2"),
    ("avi", "avi", "libmp3lame"),
    ("ts", "mpegts", "aac"),
    ("ts", "mpegts", "mp2"),
    ("flv", "flv", "aac"),
]


@pytest.mark.parametrize("n", [30_000, 30_720])
@pytest.mark.parametrize(("ext", "muxer", "codec"), CODINGS)
def test_length_and_place_are_kept_to_the_sample(tmp_path, ext, muxer, codec, n):
    """What plays at a time plays then in the result, and both are equally long."""
    source, target = tmp_path / f"a.{ext}", tmp_path / f"b.{ext}"
    make_media(source, muxer, [Track(codec)], n)
    writer = copy(source, target)
    assert writer.output.note == "" and writer.notes == []
    (x, start), (y, start_after) = decoded(source), decoded(target)
    assert (x.shape, start) == (y.shape, start_after)
    assert lag(x, y) == 0
    middle = slice(4000, -4000)
    error = np.sum((x[middle] - y[middle]) ** 2) / np.sum(x[middle] ** 2)
    assert error < 0.02
    if codec in ("flac", "alac", "pcm_s16le", "pcm_f32le"):
        assert np.array_equal(x, y)
    assert [p.name for p in tmp_path.iterdir() if p.name[0] == "."] == []


@pytest.mark.parametrize("start", [0, 300, 4800, 12_345])
@pytest.mark.parametrize(
    ("ext", "muxer", "codec"),
    [
        ("mp4", "mp4", "aac"),
        ("mov", "mov", "alac"),
        ("mkv", "matroska", "libopus"),
        ("mkv", "matroska", "aac"),
        ("ts", "mpegts", "aac"),
        ("wma", "asf", "wmav2"),
    ],
)
def test_sound_that_begins_late_begins_as_late(tmp_path, ext, muxer, codec, start):
    """A start after the picture's is kept; nothing creeps in copies of copies."""
    a, b, c = (tmp_path / f"{name}.{ext}" for name in "abc")
    video = {"wma": "", "ts": "mpeg2video"}.get(ext, "mpeg4")
    make_media(a, muxer, [Track(codec, start=start)], video=video)
    copy(a, b)
    copy(b, c)
    (x, at), (y, at_b), (z, at_c) = decoded(a), decoded(b), decoded(c)
    # Times in Matroska and ASF are whole milliseconds.
    assert at == at_b == at_c
    assert lag(x, y) == lag(x, z) == 0
    # FFmpeg 9 reads as much less of MOV as a sound begins late, if less than a frame.
    new = av.library_versions["libavformat"][0] >= 63
    lost = start if new and codec == "alac" and start < 4096 else 0
    # Padding of a last frame may count as sound once, but never twice.
    assert abs(len(y) - len(x)) <= 1024 and len(z) == len(y) - lost


@pytest.mark.parametrize(
    ("ext", "muxer", "codec", "video", "subtitle"),
    [
        ("mp4", "mp4", "aac", "mpeg4", "mov_text"),
        ("mov", "mov", "aac", "mpeg4", "mov_text"),
        ("mkv", "matroska", "aac", "mpeg4", "subrip"),
        ("mkv", "matroska", "libopus", "mpeg4", "subrip"),
        ("webm", "webm", "libopus", "libvpx", "webvtt"),
        ("avi", "avi", "libmp3lame", "mpeg4", ""),
        ("ts", "mpegts", "aac", "mpeg2video", ""),
    ],
)
def test_picture_and_subtitles_are_copied(tmp_path, ext, muxer, codec, video, subtitle):
    """Their packets are the same bytes, and play at the same time as before."""
    if video not in av.codecs_available:
        pytest.skip(f"this PyAV has no {video}")
    source, target = tmp_path / f"a.{ext}", tmp_path / f"b.{ext}"
    make_media(source, muxer, [Track(codec)], video=video, subtitle=subtitle)
    copy(source, target)
    kinds = ["video", *(["subtitles"] if subtitle else [])]
    shift = 0.0
    for kind in kinds:
        before, after = packets(source, kind), packets(target, kind)
        # MP4 has an empty line wherever there is none.
        before, after = ([p for p in x if len(p[0]) > 2] for x in (before, after))
        assert [p[0] for p in before] == [p[0] for p in after] and before
        times = [(a[1] or 0) - (b[1] or 0) for a, b in zip(after, before, strict=True)]
        # All streams of a file may be moved by one time; none against another.
        assert np.ptp(times) < 0.002
        shift = times[0]
    assert abs(shift) < 0.001 or ext in ("ts", "avi")
    pictures, after = video_hashes(source), video_hashes(target)
    assert [p[0] for p in pictures] == [p[0] for p in after]
    (x, at), (y, at_after) = decoded(source), decoded(target)
    assert abs((at_after - at) / 48000 - shift) < 0.002 and lag(x, y) == 0


def test_chapters_attachments_tags_and_languages_are_kept(tmp_path):
    """All that a Matroska file holds besides sound."""
    source, target = tmp_path / "a.mkv", tmp_path / "b.mkv"
    make_media(
        source,
        "matroska",
        [Track("flac", language="ger"), Track("aac", 44100, "mono", language="fre")],
        video="mpeg4",
        chapters=True,
        attachment=b"\0\1font" * 100,
        tags={"title": "Grüße", "artist": "we", "comment": "a\nb"},
    )
    copy(source, target)
    with av.open(str(source)) as a, av.open(str(target)) as b:
        before, after = ({k.lower(): v for k, v in f.metadata.items()} for f in (a, b))
        for key in ("title", "artist", "comment"):
            assert before[key] == after[key]
        assert [s.type for s in a.streams] == [s.type for s in b.streams]
        assert [s.metadata.get("language") for s in b.streams.audio] == ["ger", "fre"]
        assert a.chapters() == b.chapters() and len(b.chapters()) == 2
        assert b.streams.attachments[0].data == b"\0\1font" * 100
        assert [s.rate for s in b.streams.audio] == [48000, 44100]


def test_chapters_and_tags_of_mp4(tmp_path):
    """The same for MP4, whose chapters are a text track of their own."""
    source, target = tmp_path / "a.m4a", tmp_path / "b.m4a"
    tags = {"title": "Grüße", "artist": "we", "genre": "speech"}
    make_media(source, "ipod", [Track("aac")], chapters=True, tags=tags)
    copy(source, target)
    with av.open(str(source)) as a, av.open(str(target)) as b:
        assert {k: b.metadata.get(k) for k in tags} == tags
        titles = [[c["metadata"] for c in f.chapters()] for f in (a, b)]
        assert titles[0] == titles[1] and len(titles[1]) == 2


def test_every_track_is_done_or_the_first(tmp_path):
    """All tracks go through, each at its own rate; or the others stay as they are."""
    source = tmp_path / "a.mkv"
    tracks = [Track("flac"), Track("flac", 44100, "mono"), Track("aac", 22050)]
    make_media(source, "matroska", tracks, 44_100)
    copy(source, tmp_path / "b.mkv", gain=0.5)
    for number in range(3):
        x, y = decoded(source, number)[0], decoded(tmp_path / "b.mkv", number)[0]
        assert x.shape == y.shape
        assert np.abs(y - 0.5 * x)[2000:-2000].max() < (0.02 if number == 2 else 1e-4)
    copy(source, tmp_path / "c.mkv", "first", gain=0.5)
    for number in range(3):
        x, y = decoded(source, number)[0], decoded(tmp_path / "c.mkv", number)[0]
        assert np.abs(y - (0.5 if number == 0 else 1.0) * x).max() < 1e-4


def vorbis_in_webm(folder: Path, rate: int) -> Path:
    x = sound(rate, rate, 2)
    sf.write(folder / "a.ogg", x, rate, format="OGG", subtype="VORBIS")
    webm = folder / "a.webm"
    with av.open(str(folder / "a.ogg")) as ogg, av.open(str(webm), "w") as out:
        stream = out.add_stream_from_template(ogg.streams.audio[0])
        for packet in ogg.demux(ogg.streams.audio[0]):
            if packet.size:
                packet.stream = stream
                out.mux(packet)
    return webm


@pytest.mark.parametrize("rate", [44100, 48000])
def test_vorbis_in_webm(tmp_path, rate):
    """Vorbis stays Vorbis at its rate, though FFmpeg has no good encoder for it."""
    copy(vorbis_in_webm(tmp_path, rate), tmp_path / "b.webm")
    (a, at), (b, at_b) = decoded(tmp_path / "a.webm"), decoded(tmp_path / "b.webm")
    assert at == at_b and abs(len(a) - len(b)) <= 1024 and lag(a, b) == 0
    with av.open(str(tmp_path / "b.webm")) as out:
        assert out.streams.audio[0].codec_context.name == "vorbis"


@pytest.mark.parametrize("layout", ["mono", "stereo", "5.1", "5.1(side)", "7.1"])
@pytest.mark.parametrize(("ext", "muxer", "codec"), [("mkv", "matroska", "flac")])
def test_channel_layout_is_kept(tmp_path, layout, ext, muxer, codec):
    """Where each channel belongs is not forgotten."""
    source, target = tmp_path / f"a.{ext}", tmp_path / f"b.{ext}"
    make_media(source, muxer, [Track(codec, layout=layout)], 20_000)
    copy(source, target)
    with av.open(str(source)) as a, av.open(str(target)) as b:
        one, two = a.streams.audio[0], b.streams.audio[0]
        assert one.codec_context.layout.name == two.codec_context.layout.name
    assert np.array_equal(decoded(source)[0], decoded(target)[0])


def test_layout_that_an_encoder_refuses_leaves_no_empty_track(tmp_path):
    """Opus takes no 5.1(side), but 5.1: there is one sound track, and it sounds."""
    source, target = tmp_path / "a.mka", tmp_path / "b.webm"
    make_media(source, "matroska", [Track("ac3", layout="5.1(side)")])
    copy(source, target)
    with av.open(str(target)) as out:
        assert len(out.streams.audio) == 1
    x, y = decoded(source)[0], decoded(target)[0]
    assert y.shape[1] == 6 and abs(len(x) - len(y)) <= 1024


def test_sound_file_takes_the_first_track(tmp_path):
    """And says that there were others."""
    source = tmp_path / "a.mkv"
    make_media(source, "matroska", [Track("flac"), Track("flac", 44100)], 20_000)
    result = denoise_file(source, tmp_path / "b.wav", IdentityModel())
    assert result.frames == 20_000 and "2 sound tracks" in result.notes[0]
    x, y = decoded(source)[0], sf.read(tmp_path / "b.wav")[0]
    assert np.abs(x - y).max() < 1e-3


@pytest.mark.parametrize(("name", "written"), [("a.mp2", "b.wav"), ("a.mp3", "b.mp3")])
def test_older_layers_of_mpeg(tmp_path, name, written):
    """Layer II can only be read: WAV is written instead, or layer III in an .mp3."""
    source = make_media(tmp_path / name, "mp2", [Track("mp2", 44100)])
    target = (tmp_path / "b").with_suffix(source.suffix)
    result = denoise_file(source, target, IdentityModel(), explicit=False)
    assert Path(result.output) == tmp_path / written
    assert any("MPEG_LAYER_II cannot be written" in note for note in result.notes)
    assert sf.info(result.output).frames == result.frames > 0


def test_from_container_to_sound_file_and_back(tmp_path):
    """The extension of the output decides here too."""
    make_media(tmp_path / "a.mp4", "mp4", [Track("alac", form="s16p")], video="mpeg4")
    copy(tmp_path / "a.mp4", tmp_path / "b.wav")
    with open_reader(tmp_path / "b.wav") as reader:
        assert isinstance(reader, AudioReader) and reader.info.subtype == "PCM_16"
        assert np.array_equal(
            np.concatenate([b.copy() for b in reader]), decoded(tmp_path / "a.mp4")[0]
        )
    copy(tmp_path / "b.wav", tmp_path / "c.m4a")
    with open_reader(tmp_path / "c.m4a") as reader:
        assert isinstance(reader, AvReader)
        assert reader.info.frames == 30_000
        assert (reader.info.sample_rate, reader.info.codec) == (48000, "aac")


def test_hole_in_the_times_is_silence(tmp_path):
    """Lost packets do not pull what follows them to the front."""
    whole = make_media(tmp_path / "a.mkv", "matroska", [Track("flac")])
    with av.open(str(whole)) as a, av.open(str(tmp_path / "b.mkv"), "w") as b:
        stream = b.add_stream_from_template(a.streams.audio[0])
        for i, packet in enumerate(a.demux(a.streams.audio[0])):
            if packet.size and i not in (4, 5):
                packet.stream = stream
                b.mux(packet)
    with open_reader(tmp_path / "b.mkv") as reader:
        y = np.concatenate([block.copy() for block in reader])
    x = decoded(whole)[0]
    assert len(y) == len(x)
    assert lag(x[28_000:], y[28_000:]) == 0
    assert not y[19_000:27_000].any()


@pytest.mark.parametrize("ext", ["mp4", "mkv"])
def test_error_in_the_middle_leaves_nothing(tmp_path, ext):
    """A file is there complete or not at all, its helpers never."""
    muxer = {"mp4": "mp4", "mkv": "matroska"}[ext]
    source = make_media(tmp_path / f"a.{ext}", muxer, [Track("aac")], video="mpeg4")
    with pytest.raises(RuntimeError), open_reader(source) as reader:
        output = output_format(reader.info, tmp_path / f"b.{ext}", explicit=True)
        with open_writer(output, reader) as writer:
            for block in reader:
                writer.write(block)
            raise RuntimeError
    assert [p.name for p in tmp_path.iterdir()] == [source.name]


LIMIT = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))
from pathlib import Path
from tests.test_avfile import copy
try:
    copy(Path("a.mkv"), Path("b.mkv"))
except Exception as error:
    print(type(error).__name__, error)
raise SystemExit
"""


def test_disk_full(tmp_path):
    """A file system that takes no more: one sentence, and no partial file."""
    pytest.importorskip("resource", reason="POSIX limits stand for a full disk")
    make_media(tmp_path / "a.mkv", "matroska", [Track("flac")], 200_000)
    out, err = process(code=LIMIT, cwd=tmp_path).communicate(timeout=60)
    assert out.startswith(b"OutputError cannot write b.mkv"), (out, err)
    assert [p.name for p in tmp_path.iterdir()] == ["a.mkv"]


def test_what_has_no_sound_is_refused(tmp_path):
    """A silent film."""
    make_media(tmp_path / "a.mp4", "mp4", [], video="mpeg4")
    with pytest.raises(AudioFormatError, match="has no sound track"):
        open_reader(tmp_path / "a.mp4")


def test_picture_that_does_not_fit_is_refused(tmp_path):
    """MPEG-4 does not go into WebM; the sentence says what does."""
    make_media(tmp_path / "a.mp4", "mp4", [Track("aac")], video="mpeg4")
    with pytest.raises(OutputError, match=r"picture does not go into .*\.mkv"):
        copy(tmp_path / "a.mp4", tmp_path / "b.webm")
    copy(tmp_path / "a.mp4", tmp_path / "b.mkv")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.mp4", "b.mkv"]


@pytest.mark.parametrize("part", [0.02, 0.5, 0.9])
@pytest.mark.parametrize(
    ("ext", "muxer", "codec"),
    [("mp4", "mp4", "aac"), ("mkv", "matroska", "aac"), ("ts", "mpegts", "aac")],
)
def test_cut_short(tmp_path, ext, muxer, codec, part):
    """Of a file cut off, what is there is read, or one sentence says why not."""
    whole = make_media(tmp_path / f"a.{ext}", muxer, [Track(codec)])
    raw = whole.read_bytes()
    whole.write_bytes(raw[: int(part * len(raw))])
    try:
        copy(whole, tmp_path / f"b.{ext}")
    except AudioFormatError as error:
        assert "\n" not in str(error) and str(whole) in str(error)
        assert not (tmp_path / f"b.{ext}").exists()
    else:
        assert 1000 < len(decoded(tmp_path / f"b.{ext}")[0]) < 30_000


BLOCK = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "av":
            raise ModuleNotFoundError("No module named " + repr(name))
sys.meta_path.insert(0, Block())
from streamdenoise.audio.file import open_reader
try:
    open_reader("a.mp4")
except Exception as error:
    print(type(error).__name__, error)
raise SystemExit
"""


def test_without_pyav_the_sentence_names_the_extra(tmp_path):
    """What to install, or how to convert."""
    make_media(tmp_path / "a.mp4", "mp4", [Track("aac")], 20_000)
    out, _ = process(code=BLOCK, cwd=tmp_path).communicate(timeout=60)
    text = out.decode()
    assert text.startswith(RuntimeMissingError.__name__) and text.count("\n") == 1
    assert 'pip install "streamdenoise[av]"' in text and "ffmpeg -i a.mp4" in text


def test_sound_files_still_go_to_libsndfile(tmp_path):
    """PyAV is only asked where libsndfile has nothing to say."""
    for ext in ("wav", "flac", "ogg", "mp3", "aiff", "caf", "w64", "au"):
        write_noise(tmp_path / f"a.{ext}")
        with open_reader(tmp_path / f"a.{ext}") as reader:
            assert isinstance(reader, AudioReader)
            assert reader.tracks == (reader,)


def test_colon_in_a_relative_name_is_no_protocol(tmp_path, monkeypatch):
    """``12:30 talk.webm`` is a file, wherever its helpers are opened by name."""
    if sys.platform == "win32":
        pytest.skip("no file has such a name there")
    monkeypatch.chdir(tmp_path)
    copy(vorbis_in_webm(tmp_path, 48000), Path("12:30 talk.webm"))
    with av.open(str(tmp_path / "12:30 talk.webm")) as out:
        assert out.streams.audio[0].codec_context.name == "vorbis"
