"""What a WAV file holds besides sound."""

from __future__ import annotations

import io
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from streamdenoise import AudioFormatError, OutputError
from streamdenoise.audio import wavchunks
from streamdenoise.audio.file import (
    AudioInfo,
    AudioReader,
    AudioWriter,
    OutputFormat,
    open_reader,
    open_writer,
    output_format,
)
from streamdenoise.audio.target import SourceLost, failure
from streamdenoise.audio.wavchunks import chunks_of, copy_chunks
from streamdenoise.audio.wavscan import scan_wav
from tests.clitools import copy_sound, wav_bytes, write_noise


def chunk(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) & 1)


BEFORE = chunk(b"bext", b"B" * 602) + chunk(b"JUNK", b"x" * 28)
AFTER = (
    chunk(b"LIST", b"INFOINAM" + struct.pack("<I", 5) + b"name\0\0")
    + chunk(b"cue ", struct.pack("<II", 1, 1) + bytes(20))
    + chunk(b"iXML", b"<BWFXML/>")
    + chunk(b"LIST", b"adtllabl" + struct.pack("<II", 8, 1) + b"abc\0")
)


def tagged(path: Path, **how) -> Path:
    """Write a WAV with chunks before and behind its sound."""
    raw = wav_bytes(**how)
    raw = raw[:36] + BEFORE + raw[36:] + AFTER
    path.write_bytes(raw[:4] + struct.pack("<I", len(raw) - 8) + raw[8:])
    return path


def copy(source: Path, target: Path) -> list[str]:
    output, notes = copy_sound(source, target)
    return [*notes, *([output.note] if output.note else [])]


def aiff_with_marker(path: Path) -> Path:
    """Write an AIFF file with one marker behind its sound."""
    raw = write_noise(path).read_bytes()
    name = b"\4here\0"
    mark = struct.pack(">HHI", 1, 1, 100) + name
    raw += b"MARK" + struct.pack(">I", len(mark)) + mark
    path.write_bytes(raw[:4] + struct.pack(">I", len(raw) - 8) + raw[8:])
    return path


@pytest.mark.parametrize("ends", [("wav", "flac"), ("aiff", "aiff"), ("aiff", "wav")])
def test_cue_points_that_are_lost_are_told_of(tmp_path, ends):
    """Only from WAV to WAV are they kept; files without any need no sentence."""
    old, new = ends
    make = tagged if old == "wav" else aiff_with_marker
    notes = copy(make(tmp_path / f"a.{old}"), tmp_path / f"b.{new}")
    assert any("cue points" in note for note in notes)
    plain = write_noise(tmp_path / f"c.{old}")
    assert copy(plain, tmp_path / f"d.{new}") == []


def contents(path: Path) -> list[tuple[bytes, bytes]]:
    raw = path.read_bytes()
    with path.open("rb") as file:
        return [(c.name, raw[c.start : c.start + c.size]) for c in chunks_of(file)]


@pytest.mark.parametrize("size", [4000, 3999])
def test_chunks_are_kept_byte_by_byte(tmp_path, size):
    """Notes, cue points and what nobody knows are in the result, once each.

    With 3999 the byte is missing that makes the sound's chunk even.
    """
    source = tagged(tmp_path / "a.wav", data=bytes(size), bits=8)
    assert copy(source, tmp_path / "b.wav") == []
    before, after = contents(source), contents(tmp_path / "b.wav")
    own = (b"fmt ", b"data", b"JUNK", b"PEAK", b"fact")
    assert [c for c in before if c[0] not in own] == [
        c for c in after if c[0] not in own
    ]
    assert len(after) >= 7
    raw = (tmp_path / "b.wav").read_bytes()
    assert struct.unpack("<I", raw[4:8])[0] == len(raw) - 8
    with sf.SoundFile(tmp_path / "b.wav") as file:
        assert file.title == "name" and file.frames == size
    assert scan_wav(io.BytesIO(raw)).undeclared == 0


@pytest.mark.parametrize("ext", ["flac", "ogg", "aiff"])
def test_title_goes_over_to_other_formats(tmp_path, ext):
    """What both formats know is kept where the format changes."""
    source = tagged(tmp_path / "a.wav")
    copy(source, tmp_path / f"b.{ext}")
    with sf.SoundFile(tmp_path / f"b.{ext}") as file:
        assert file.title == "name"


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "PCM_32", "FLOAT"])
def test_sample_formats_with_chunks(tmp_path, subtype):
    """24 bits, 32 bits and float keep their form, and the chunks with it."""
    source = write_noise(tmp_path / "a.wav", 999, 48000, subtype=subtype, channels=3)
    raw = source.read_bytes() + AFTER
    source.write_bytes(raw[:4] + struct.pack("<I", len(raw) - 8) + raw[8:])
    copy(source, tmp_path / "b.wav")
    assert sf.info(tmp_path / "b.wav").subtype == subtype
    names = [name for name, _ in contents(tmp_path / "b.wav")]
    assert names.count(b"LIST") == 2 and b"cue " in names
    a, b = sf.read(source)[0], sf.read(tmp_path / "b.wav")[0]
    assert np.abs(a - b).max() <= (2**-24 if subtype == "PCM_32" else 0)


MASKS = [(2, 0x3), (4, 0x33), (6, 0x3F), (6, 0x60F), (8, 0x63F), (3, 0x7), (5, 0)]


@pytest.mark.parametrize(("channels", "mask"), MASKS)
@pytest.mark.parametrize("container", ["WAVEX", "RF64"])
def test_loudspeakers_are_kept(tmp_path, channels, mask, container):
    """Which channel belongs where is said as before; rears do not become sides."""
    ext = {"WAVEX": "wav", "RF64": "rf64"}[container]
    source, target = tmp_path / f"a.{ext}", tmp_path / f"b.{ext}"
    write_noise(
        source, 100, 48000, format=container, subtype="PCM_24", channels=channels
    )
    from streamdenoise.audio.wavchunks import set_channel_mask

    set_channel_mask(source, mask)
    with source.open("rb") as file:
        if scan_wav(file).header.channel_mask != mask:
            pytest.skip(f"this libsndfile writes no extensible header in {container}")
    copy(source, target)
    with target.open("rb") as file:
        assert scan_wav(file).header.channel_mask == mask
    assert np.array_equal(sf.read(source)[0], sf.read(target)[0])


@pytest.mark.parametrize("seed", range(60))
def test_damaged_chunks_do_no_harm(tmp_path, seed):
    """Whatever the chunks hold, the sound comes through and the result is whole."""
    rng = np.random.default_rng(seed)
    source = tagged(tmp_path / "a.wav")
    raw = bytearray(source.read_bytes())
    for at in rng.integers(36, len(raw), 20):
        if not 670 < at < 4700:
            raw[at] = rng.integers(0, 256)
    source.write_bytes(raw[: rng.integers(4700, len(raw) + 1)])
    try:
        copy(source, tmp_path / "b.wav")
    except AudioFormatError:
        assert not (tmp_path / "b.wav").exists()
    else:
        assert sf.info(tmp_path / "b.wav").frames > 0


def test_chunks_that_are_too_large(tmp_path):
    """More than 64 MiB of notes are not kept, and that is said."""
    source = tmp_path / "a.wav"
    head = wav_bytes() + b"note" + struct.pack("<I", 70 << 20)
    with source.open("wb") as file:
        file.write(head)
        file.truncate(len(head) + (70 << 20))
    target = write_noise(tmp_path / "b.wav")
    before = target.read_bytes()
    assert "too large" in copy_chunks(source, target)[0]
    assert target.read_bytes() == before


# Beyond 4 GiB -------------------------------------------------------------------------

GIB = 1 << 30


def sparse(path: Path, header: bytes, size: int, tail: bytes) -> Path:
    """Write a file of `size` bytes of sound that takes no room on the disk."""
    with path.open("wb") as file:
        file.write(header)
        file.seek(len(header) + size - len(tail))
        file.write(tail)
    return path


def rf64_header(size: int, frames: int, channels: int = 2, bits: int = 16) -> bytes:
    align = channels * bits // 8
    ds64 = struct.pack("<QQQI", size + 72, size, frames, 0)
    fmt = struct.pack("<HHIIHH", 1, channels, 48000, 48000 * align, align, bits)
    return (
        b"RF64\xff\xff\xff\xffWAVE"
        + chunk(b"ds64", ds64)
        + chunk(b"fmt ", fmt)
        + b"data\xff\xff\xff\xff"
    )


GUID = {
    b"riff": b"riff" + bytes.fromhex("2e91cf11a5d628db04c10000"),
    b"wave": b"wave" + bytes.fromhex("f3acd3118cd100c04f8edb8a"),
    b"fmt ": b"fmt " + bytes.fromhex("f3acd3118cd100c04f8edb8a"),
    b"data": b"data" + bytes.fromhex("f3acd3118cd100c04f8edb8a"),
}


def w64_header(size: int) -> bytes:
    fmt = struct.pack("<HHIIHH", 1, 2, 48000, 192000, 4, 16)
    return (
        GUID[b"riff"]
        + struct.pack("<Q", size + 104)
        + GUID[b"wave"]
        + GUID[b"fmt "]
        + struct.pack("<Q", 24 + len(fmt))
        + fmt
        + GUID[b"data"]
        + struct.pack("<Q", size + 24)
    )


@pytest.mark.parametrize("kind", ["rf64", "w64"])
def test_more_than_4_gib_are_read(tmp_path, kind):
    """Of 5 GiB the last samples are found where they are; the disk holds none of it."""
    size, frames = 5 * GIB, 5 * GIB // 4
    header = rf64_header(size, frames) if kind == "rf64" else w64_header(size)
    tail = np.arange(2000, dtype="<i2").tobytes()
    path = sparse(tmp_path / f"a.{kind}", header, size, tail)
    with AudioReader(path, 500) as reader:
        assert reader.info.frames == frames and reader.info.channels == 2
        reader.seek(frames - 1000)
        blocks = [block.copy() for block in reader]
        assert reader.position == frames and reader.notes == []
    y = np.concatenate(blocks)
    assert np.array_equal((y * 32768).astype(int).ravel(), np.arange(2000))
    output = output_format(reader.info, tmp_path / f"b.{kind}", explicit=True)
    assert output.format == kind.upper()
    wav = output_format(reader.info, tmp_path / "b.wav", explicit=True)
    assert wav.format == "RF64"


@pytest.mark.parametrize("kind", ["RF64", "W64"])
def test_more_than_4_gib_are_written(tmp_path, kind, monkeypatch):
    """The header counts on beyond 32 bits; the disk holds none of the silence."""
    path = tmp_path / f"a.{kind.lower()}"
    output = OutputFormat(kind, "PCM_16", "FILE", path)
    with AudioWriter(output, 48000, 2) as writer:
        writer.write(np.full((1000, 2), 0.25, np.float32))
        writer._file.flush()
        try:
            # libsndfile goes on behind a hole, as any file can have one.
            writer._file.seek(5 * GIB // 4)
        except sf.LibsndfileError:
            pytest.skip("this libsndfile does not go beyond the end of its file")
        writer.write(np.full((1000, 2), 0.5, np.float32))
    assert path.stat().st_size > 5 * GIB
    with AudioReader(path) as reader:
        assert reader.info.frames == 5 * GIB // 4 + 1000
        reader.seek(5 * GIB // 4)
        assert (np.concatenate([b.copy() for b in reader]) == 0.5).all()


def test_plain_wav_refuses_what_it_cannot_count(tmp_path, monkeypatch):
    """A length that nobody knew beforehand stops at 4 GB with a sentence."""
    output = OutputFormat("WAV", "PCM_16", "FILE", tmp_path / "a.wav")
    says = pytest.raises(OutputError, match=r"4 GB.*\.w64 or \.rf64")
    with says, AudioWriter(output, 48000, 2) as writer:
        writer.written = GIB - 300_000
        for _ in range(10):
            writer.write(np.zeros((100_000, 2), np.float32))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["rf64", "w64"])
def test_length_that_is_a_lie_is_no_length(tmp_path, kind):
    """Terabytes in a header of a small file are not believed: read or refused."""
    size = 1 << 44
    header = rf64_header(size, size // 4) if kind == "rf64" else w64_header(size)
    path = tmp_path / f"a.{kind}"
    path.write_bytes(header + bytes(range(256)) * 40)
    try:
        with AudioReader(path) as reader:
            total = sum(len(block) for block in reader)
        assert total <= 2560
        assert kind != "rf64" or "declares" in reader.notes[0]
    except AudioFormatError as error:
        assert str(path) in str(error)


def test_flac_that_declares_centuries_is_refused(tmp_path):
    """A length that no format could hold in so few bytes: damaged, or a bomb."""
    path = write_noise(tmp_path / "a.flac", 4000)
    raw = bytearray(path.read_bytes())
    raw[21] |= 0x0F
    raw[22:26] = b"\xff\xff\xff\xff"
    path.write_bytes(raw)
    with pytest.raises(AudioFormatError, match=r"hours of sound in \d+ bytes"):
        AudioReader(path)


# Inputs that go away ------------------------------------------------------------------


@pytest.mark.parametrize("ends", [("wav", "wav"), ("aiff", "flac"), ("flac", "flac")])
def test_input_that_vanishes_costs_its_tags_only(tmp_path, ends):
    """The sound is done and written: the file is placed, and what is missing said."""
    if sys.platform == "win32":
        pytest.skip("no open file vanishes there")
    source = tmp_path / f"a.{ends[0]}"
    if ends[0] == "wav":
        tagged(source)
    else:
        write_noise(source)
    if ends[0] == ends[1] == "flac":
        pytest.importorskip("mutagen", reason="nothing else reads the tags again")
    with open_reader(source) as reader:
        output = output_format(reader.info, tmp_path / f"b.{ends[1]}", explicit=True)
        with open_writer(output, reader) as writer:
            for block in reader:
                writer.write(block)
            source.unlink()
    assert "could not be read again" in writer.notes[0]
    assert sf.info(output.path).frames == reader.position
    assert [p.name for p in tmp_path.iterdir()] == [f"b.{ends[1]}"]


def test_chunks_that_cannot_be_read_leave_the_target_as_it_was(tmp_path, monkeypatch):
    """A drive that goes away in the middle of a chunk leaves no half of it behind."""
    source, target = tagged(tmp_path / "a.wav"), write_noise(tmp_path / "b.wav")
    before = target.read_bytes()
    calls = []

    class Failing:
        def __enter__(self):
            return calls.append(self)

        def __exit__(self, *_):
            if len(calls) == 3:
                raise SourceLost("Input/output error")

    monkeypatch.setattr(wavchunks, "reading_source", Failing)
    with pytest.raises(SourceLost):
        copy_chunks(source, target)
    assert target.read_bytes() == before


def test_missing_folder_is_blamed_only_if_it_is_missing(tmp_path):
    """Whoever reads "create it first" must not find the folder there."""
    gone = FileNotFoundError(2, "No such file or directory", str(tmp_path / "a.wav"))
    assert "a.wav is not there any more" in str(failure(tmp_path / "b.wav", gone))
    assert "create it first" in str(failure(tmp_path / "no" / "b.wav", gone))


# Lengths ------------------------------------------------------------------------------


def test_aiff_beyond_4_gib_is_refused_at_once():
    """Not after the hours that the work takes; a format that can is named."""
    long = AudioInfo(Path("a.w64"), 48000, 2, GIB, "W64", "PCM_24")
    with pytest.raises(OutputError, match=r"AIFF header can count.*\.w64.*\.flac"):
        output_format(long, Path("b.aiff"), explicit=True)
    short = AudioInfo(Path("a.w64"), 48000, 2, GIB // 8, "W64", "PCM_24")
    assert output_format(short, Path("b.aiff"), explicit=True).format == "AIFF"
    assert output_format(long, Path("b.caf"), explicit=True).format == "CAF"


def test_aiff_refuses_what_it_cannot_count(tmp_path):
    """A length that nobody knew beforehand stops at 4 GB with a sentence."""
    output = OutputFormat("AIFF", "PCM_16", "FILE", tmp_path / "a.aiff")
    says = pytest.raises(OutputError, match="an AIFF header can count")
    with says, AudioWriter(output, 48000, 2) as writer:
        writer.written = GIB - 300_000
        writer.write(np.zeros((100_000, 2), np.float32))
    assert list(tmp_path.iterdir()) == []


def undeclared(path: Path) -> Path:
    """Write a file as an encoder does that cannot go back to its header."""
    raw = bytearray(write_noise(path, 40_000, subtype="PCM_16").read_bytes())
    if path.suffix == ".flac":
        raw[21] &= 0xF0
        raw[22:26] = bytes(4)
    else:
        at = raw.index(b"data") + 4
        raw[at : at + 8] = b"\xff" * 8
    path.write_bytes(raw)
    return path


@pytest.mark.parametrize("name", ["a.flac", "a.caf"])
def test_length_that_is_not_declared(tmp_path, name):
    """It is legal, as from a pipe: read by PyAV, or refused with what to do."""
    path = tmp_path / name
    whole = sf.read(write_noise(path, 40_000, subtype="PCM_16"), dtype="float32")[0]
    undeclared(path)
    with pytest.raises(AudioFormatError, match=r"not declared.*ffmpeg -i a\."):
        AudioReader(path)
    pytest.importorskip("av", reason="what has no length is read by PyAV")
    with open_reader(path) as reader:
        y = np.concatenate([block[:, 0].copy() for block in reader])
    assert np.array_equal(y, whole)
    assert output_format(reader.info, path, explicit=True).format == name[2:].upper()
