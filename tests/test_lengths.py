"""Headers that declare another length than there is."""

from __future__ import annotations

import io
import os
import signal
import struct
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from streamdenoise import AudioFormatError
from streamdenoise.audio import wavdata
from streamdenoise.audio.file import AudioReader, open_reader, output_format
from streamdenoise.audio.lengths import cut_short
from streamdenoise.audio.pcm import SAMPLE_FORMATS
from streamdenoise.audio.wavchunks import chunks_of
from streamdenoise.audio.wavdata import PatchedFile
from streamdenoise.audio.wavscan import begins_chunk, scan_wav
from tests.clitools import noise, wav_bytes, write_noise

GIB = 1 << 30
LIST = (
    b"LIST" + struct.pack("<I", 18) + b"INFOINAM" + struct.pack("<I", 5) + b"name\0\0"
)
CDS = {"rate": 48000, "channels": 2}
ALIGN = 4


def lying(path: Path, declared: int, size: int, behind: bytes = b"") -> Path:
    """Write a WAV of `size` bytes of sound; it takes hardly any room on the disk."""
    head = wav_bytes(b"", declared=declared, riff=0xFFFFFFFF, **CDS)
    tail = np.arange(2000, dtype="<i2").tobytes()
    with path.open("wb") as file:
        file.write(head)
        file.seek(len(head) + size - len(tail))
        file.write(tail + behind)
    return path


def end_of(reader: AudioReader) -> list[int]:
    """Return the last samples, found by going to them."""
    reader.seek(reader.info.frames - 1000)
    y = np.concatenate([block.copy() for block in reader])
    return (y * 32768).astype(int).ravel().tolist()


# More than is declared ----------------------------------------------------------------

LIES = [
    (0xFFFFFFFF, 6 * GIB),
    (0xFFFFFFFF, GIB // 4),
    (0xFFFFF024, 6 * GIB),
    (0x7FFFF000, 3 * GIB),
    (0x7FFFFFFF, 3 * GIB),
    (0x80000000, 3 * GIB),
    (0, 6 * GIB),
    (0, GIB // 4),
    (6 * GIB & 0xFFFFFFFF, 6 * GIB),
    (19_200_000, 19_200_000 * 199 // 100),
    (19_200_000, 19_200_000 * 201 // 100),
]


@pytest.mark.parametrize(("declared", "size"), LIES)
def test_all_the_sound_of_a_wav_is_read(tmp_path, declared, size):
    """Whatever a recorder left in the header: to the last sample, beyond 4 GiB too."""
    path = lying(tmp_path / "a.wav", declared, size)
    with AudioReader(path, 500) as reader:
        assert reader.info.frames == size // ALIGN and reader.info.format == "WAV"
        assert end_of(reader) == list(range(2000))
        assert reader.position == size // ALIGN
    said = [] if declared == 0xFFFFFFFF else [f"declares {declared // ALIGN} samples"]
    assert len(reader.notes) == len(said)
    assert all(part in reader.notes[0] for part in said)
    output = output_format(reader.info, tmp_path / "b.wav", explicit=True)
    assert output.format == ("RF64" if size > 4 * GIB else "WAV")


def test_rf64_whose_sizes_nobody_wrote(tmp_path):
    """What is left of a long recording after a power cut is read whole."""
    fmt = struct.pack("<HHIIHH", 1, 2, 48000, 192000, 4, 16)
    head = b"RF64\xff\xff\xff\xffWAVEds64" + struct.pack("<I", 28) + bytes(28)
    head += b"fmt " + struct.pack("<I", 16) + fmt + b"data\xff\xff\xff\xff"
    path = tmp_path / "a.wav"
    path.write_bytes(head + bytes(400_000))
    with AudioReader(path) as reader:
        assert sum(map(len, reader)) == reader.info.frames == 100_000


@pytest.mark.parametrize("name", SAMPLE_FORMATS)
@pytest.mark.parametrize("channels", [1, 3])
def test_samples_are_those_that_libsndfile_reads(tmp_path, name, channels):
    """A file read around its header has the same samples, bit by bit."""
    kind = SAMPLE_FORMATS[name]
    raw = kind.encode(noise(3000, channels))
    form = {"channels": channels, "bits": 8 * kind.size, "code": 1 + 2 * kind.is_float}
    true, false = tmp_path / "a.wav", tmp_path / "b.wav"
    true.write_bytes(wav_bytes(raw, **form))
    false.write_bytes(wav_bytes(raw, declared=len(raw) // 3, **form))
    with AudioReader(false, 700) as reader:
        y = np.concatenate([block.copy() for block in reader])
        assert reader.info.subtype == sf.info(true).subtype
    assert np.array_equal(y, sf.read(true, dtype="float32", always_2d=True)[0])


def test_title_of_a_file_with_a_false_length(tmp_path):
    """What stands before the sound is read as ever."""
    raw = wav_bytes(declared=0)
    path = tmp_path / "a.wav"
    path.write_bytes(raw[:36] + LIST + raw[36:])
    with AudioReader(path) as reader:
        assert reader.info.frames == 2000 and reader.tags()["title"] == "name"


def chunk(name: bytes, size: int) -> bytes:
    return name + struct.pack("<I", size) + bytes(size + size % 2)


BEHIND = [
    LIST,
    LIST + chunk(b"id3 ", 300_001) + chunk(b"bext", 602),
    chunk(b"none", 300_000),
    chunk(b"id3 ", 300_000)[:-1000],
    b"ID3\4" + bytes(300_000),
    b"TAG" + bytes(125),
    chunk(b"LIST", 300_000) + b"\0" * 9,
    b"\0" * 5000,
]


@pytest.mark.parametrize("behind", BEHIND)
@pytest.mark.parametrize("size", [100_000, 99_999])
def test_chunks_are_never_taken_for_sound(tmp_path, behind, size):
    """Tags longer than a second of sound, damaged or without the even byte, too."""
    path = tmp_path / "a.wav"
    for pad in {b"", b"\0" * (size % 2)}:
        path.write_bytes(wav_bytes(b"\x80" * size, bits=8) + pad + behind)
        with AudioReader(path) as reader:
            assert reader.info.frames == size == sum(map(len, reader))
            assert reader.notes == []


def test_chunks_behind_a_length_that_went_round(tmp_path):
    """Beyond 4 GiB it is found where the sound ends, and what stands there is kept."""
    path = lying(tmp_path / "a.wav", GIB, 5 * GIB, LIST)
    with AudioReader(path, 500) as reader:
        assert reader.info.frames == 5 * GIB // ALIGN
        assert end_of(reader) == list(range(2000))
    with path.open("rb") as file:
        assert [c.name for c in chunks_of(file)] == [b"fmt ", b"data", b"LIST"]


@pytest.mark.parametrize("seed", range(20))
def test_no_chunk_is_found_in_the_middle_of_sound(tmp_path, seed):
    """Samples that happen to look like a name are not copied as a chunk."""
    path = tmp_path / "a.wav"
    data = noise(9000).tobytes() + b"note" + struct.pack("<I", 50) + bytes(9000 * 4)
    path.write_bytes(wav_bytes(data, declared=4 * 9000 - 4 * seed))
    with path.open("rb") as file:
        names = [c.name for c in chunks_of(file)]
    assert names == [b"fmt ", b"data"] or seed == 0


@pytest.mark.parametrize("subtype", ["IMA_ADPCM", "MS_ADPCM", "ULAW", "GSM610"])
@pytest.mark.parametrize("declared", [0, 1040])
def test_coded_sound_is_read_to_its_end(tmp_path, subtype, declared):
    """Where libsndfile must decode, it is shown the true length."""
    path = write_noise(tmp_path / "a.wav", 16_000, 8000, subtype=subtype)
    whole = sf.info(path).frames
    raw = bytearray(path.read_bytes())
    at = raw.index(b"data") + 4
    raw[at : at + 4] = struct.pack("<I", declared)
    path.write_bytes(raw)
    short = sf.info(path).frames
    with AudioReader(path) as reader:
        assert sum(map(len, reader)) == reader.info.frames == whole
    assert abs(int(reader.notes[0].split()[3]) - short) <= 505


# Less than is declared ----------------------------------------------------------------

CUT = [
    ("aiff", "AIFF", "PCM_16"),
    ("aiff", "AIFF", "ULAW"),
    ("aiff", "AIFF", "IMA_ADPCM"),
    ("au", "AU", "PCM_16"),
    ("au", "AU", "G721_32"),
    ("w64", "W64", "PCM_24"),
    ("w64", "W64", "IMA_ADPCM"),
    ("rf64", "RF64", "PCM_16"),
    ("caf", "CAF", "PCM_16"),
    ("caf", "CAF", "ULAW"),
    ("wav", "WAV", "PCM_16"),
    ("wav", "WAV", "GSM610"),
    ("wav", "WAV", "IMA_ADPCM"),
    ("wav", "WAV", "MS_ADPCM"),
]


@pytest.mark.parametrize("part", [0.6, 0.4])
@pytest.mark.parametrize(("ext", "container", "subtype"), CUT)
def test_file_that_is_cut_short_says_so(tmp_path, ext, container, subtype, part):
    """What is there is read, and the note tells how long it should have been."""
    path = tmp_path / f"a.{ext}"
    write_noise(path, 80_000, 8000, format=container, subtype=subtype)
    raw = path.read_bytes()
    path.write_bytes(raw[: int(part * len(raw))])
    with AudioReader(path) as reader:
        total = sum(map(len, reader)) / 8000
    assert abs(total - part * 10) < 0.4  # headers have their share
    words = reader.notes[0].split()
    assert abs(float(words[words.index("declares") + 1]) - 10) < 0.2
    assert f"the {total:.2f} s" in reader.notes[0]


@pytest.mark.parametrize(("ext", "container", "subtype"), CUT)
def test_whole_file_says_nothing(tmp_path, ext, container, subtype):
    """No note where nothing is missing."""
    path = tmp_path / f"a.{ext}"
    write_noise(path, 80_001, 8000, format=container, subtype=subtype)
    assert cut_short(path) is None
    with AudioReader(path) as reader:
        assert sum(map(len, reader)) >= 80_001
    assert reader.notes == []


def test_alac_that_is_cut_short_is_handed_on(tmp_path):
    """libsndfile refuses it; PyAV reads what is there, or the refusal stands."""
    path = tmp_path / "a.caf"
    if not sf.check_format("CAF", "ALAC_16"):
        pytest.skip("this libsndfile does not write ALAC")
    write_noise(path, 80_000, 8000, format="CAF", subtype="ALAC_16")
    raw = path.read_bytes()
    path.write_bytes(raw[: len(raw) * 6 // 10])
    try:
        with open_reader(path) as reader:
            assert 30_000 < sum(map(len, reader)) < 60_000
            assert [*reader.notes, *reader.tracks[0].notes]
    except AudioFormatError as refused:
        assert refused.unknown


@pytest.mark.parametrize("seed", range(40))
def test_damaged_headers_are_read_or_refused(tmp_path, seed):
    """Whatever the numbers say, there is sound or one sentence, never a crash."""
    rng = np.random.default_rng(seed)
    ext, container, subtype = CUT[seed % len(CUT)]
    path = tmp_path / f"a.{ext}"
    write_noise(path, 4000, 8000, format=container, subtype=subtype)
    raw = bytearray(path.read_bytes())
    for at in rng.integers(0, 100, 4):
        raw[at] = rng.choice([0, 1, 127, 255])
    path.write_bytes(raw[: rng.integers(len(raw) // 2, len(raw))])
    cut_short(path)
    try:
        with AudioReader(path) as reader:
            for block in reader:
                assert np.isfinite(block).all()
    except AudioFormatError as error:
        assert "\n" not in str(error) and str(path) in str(error)


# Reads that fail ----------------------------------------------------------------------


@pytest.fixture
def coded(tmp_path) -> Path:
    """Make a file for which libsndfile calls Python."""
    path = write_noise(tmp_path / "a.wav", 400_000, 8000, subtype="IMA_ADPCM")
    raw = bytearray(path.read_bytes())
    at = raw.index(b"data") + 4
    raw[at : at + 4] = bytes(4)
    path.write_bytes(raw)
    return path


@pytest.mark.skipif(os.name != "posix", reason="POSIX signals")
def test_ctrl_c_in_the_middle_of_a_read_is_not_the_end_of_the_file(coded, monkeypatch):
    """It interrupts whoever reads; half a recording is no result."""
    original = PatchedFile._readinto
    calls: list[bool] = []

    def interrupted(self, buffer):
        calls.append(threading.current_thread() is threading.main_thread())
        if len(calls) == 20:
            os.kill(os.getpid(), signal.SIGINT)
        return original(self, buffer)

    monkeypatch.setattr(PatchedFile, "_readinto", interrupted)
    with pytest.raises(KeyboardInterrupt), AudioReader(coded, 1000) as reader:
        for _ in reader:
            pass
    assert not any(calls)  # where libsndfile is called, signals would be lost


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), MemoryError()])
def test_read_that_fails_is_not_the_end_of_the_file(coded, monkeypatch, error):
    """A drive that goes away is said; anything else ends the work."""
    original = PatchedFile._readinto
    calls: list[int] = []

    def failing(self, buffer):
        calls.append(1)
        if len(calls) >= 20:
            raise error
        return original(self, buffer)

    monkeypatch.setattr(PatchedFile, "_readinto", failing)
    with AudioReader(coded, 1000) as reader:
        if isinstance(error, MemoryError):
            with pytest.raises(MemoryError):
                sum(map(len, reader))
            return
        assert 0 < sum(map(len, reader)) < 400_000
    assert any("(Input/output error): its header" in note for note in reader.notes)


def test_plain_samples_that_cannot_be_read(tmp_path, monkeypatch):
    """The same where no libsndfile stands between; nothing at all is an error."""
    path = lying(tmp_path / "a.wav", 0, 4 * 48000)

    class Gone(io.BytesIO):
        left = 1

        def read(self, size=-1):
            self.left -= 1
            if self.left < 0:
                raise OSError(5, "Input/output error")
            return bytes(size)

    with AudioReader(path, 1000) as reader:
        reader._file._raw = Gone()
        assert sum(map(len, reader)) == 1000
    assert any("(Input/output error): its header" in note for note in reader.notes)
    with AudioReader(path, 1000) as reader:
        reader._file._raw = Gone()
        reader._file._raw.left = 0
        with pytest.raises(AudioFormatError, match="cannot be read: Input/output"):
            next(iter(reader))


def test_samples_that_do_not_exist_cannot_be_gone_to(tmp_path):
    """One sentence for a place beyond the end, as in any file."""
    path = lying(tmp_path / "a.wav", 0, 40_000)
    with AudioReader(path) as reader, pytest.raises(AudioFormatError, match="10001 on"):
        reader.seek(10_001)
    assert wavdata.__all__


@pytest.mark.parametrize(
    ("head", "over"),
    [
        (LIST[:8], True),
        (b"xyz1" + struct.pack("<I", 100), True),
        (b"xyz1\xff\xff\xff\x7f", False),
        (struct.pack("<4h", 8300, 8301, 8302, 8400), False),
        (b"\0" * 8, False),
        (b"\0" * 7, True),
        (b"\x7f\x80" * 4, False),
    ],
)
def test_sound_and_chunks_are_told_apart(head, over):
    """By eight bytes: a name and a size that a chunk can have, or no chunk."""
    assert begins_chunk(head) is over


def test_layout_of_a_long_file(tmp_path):
    """Declared, present and true extent are three numbers."""
    with lying(tmp_path / "a.wav", GIB, 5 * GIB, LIST).open("rb") as file:
        layout = scan_wav(file)
    assert (layout.declared, layout.sound) == (GIB, 5 * GIB)
    assert layout.data_present == 5 * GIB + len(LIST) and layout.undeclared == 4 * GIB
