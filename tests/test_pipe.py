"""Streams of bytes through the engine."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile as sf

from streamdenoise import AudioFormatError, OutputError, denoise
from streamdenoise.audio.pcm import SAMPLE_FORMATS
from streamdenoise.audio.riff import stream_header
from streamdenoise.pipe import run_pipe
from tests.clitools import noise, wav_bytes
from tests.fakes import IdentityModel, MemoryModel


class Trickle(io.RawIOBase):
    """A source that gives a few bytes at a time, as a live one does."""

    def __init__(self, data: bytes, seed: int = 0, most: int = 700) -> None:
        self._data = data
        self._rng = np.random.default_rng(seed)
        self._most = most

    def read1(self, size: int) -> bytes:
        n = min(size, int(self._rng.integers(1, self._most)))
        part, self._data = self._data[:n], self._data[n:]
        return part


class Pipe(io.BytesIO):
    """A sink that cannot seek, and that counts how often it was flushed."""

    flushes = 0

    def seekable(self) -> bool:
        return False

    def flush(self) -> None:
        self.flushes += 1


def through(data, model=None, sink=None, **how):
    sink = Pipe() if sink is None else sink
    warnings: list[str] = []
    source = data if hasattr(data, "read1") else io.BytesIO(data)
    result = run_pipe(
        source, sink, model or IdentityModel(), warn=warnings.append, **how
    )
    return sink.getvalue(), result, warnings


@pytest.mark.parametrize("name", [n for n in SAMPLE_FORMATS if n != "s32le"])
@pytest.mark.parametrize("rate", [8000, 16000, 44100])
@pytest.mark.parametrize("n", [1, 130, 5000])
def test_as_much_comes_out_as_went_in(name, rate, n):
    """Raw samples come back in place and in number, whatever they are."""
    kind = SAMPLE_FORMATS[name]
    raw = kind.encode(noise(n, 2))
    out, result, warnings = through(
        raw, sample_rate=rate, channels=2, sample_format=name
    )
    assert len(out) == len(raw) and result.frames == n and warnings == []
    error = np.abs(kind.decode(out) - kind.decode(raw)).max()
    assert error <= 1.5 * 2.0 ** (1 - min(8 * kind.size, 20))


@pytest.mark.parametrize("seed", range(5))
def test_pieces_do_not_matter(seed):
    """A stream that trickles gives the same bytes as one that pours."""
    raw = SAMPLE_FORMATS["f32le"].encode(noise(9000))
    poured = through(raw, MemoryModel(), sample_format="f32le")[0]
    trickled = through(Trickle(raw, seed), MemoryModel(), sample_format="f32le")[0]
    assert poured == trickled
    whole = denoise(noise(9000)[:, 0], 16000, MemoryModel())
    assert np.allclose(np.frombuffer(poured, "<f4"), whole, atol=1e-6)


def test_samples_come_out_as_soon_as_they_are_complete():
    """After n samples no more than two hops are still inside, and all is flushed."""
    sent: list[int] = []

    class Watch(Trickle):
        def read1(self, size):
            sent.append(len(sink.getvalue()) // 2)
            return super().read1(size)

    sink = Pipe()
    step = 128 * 2 + 1
    source = Watch(SAMPLE_FORMATS["s16le"].encode(noise(128 * 40)), most=2)
    source._rng = type("", (), {"integers": lambda self, a, b: step})()
    run_pipe(source, sink, IdentityModel())
    # The first read of 4 bytes looks for a header.
    for reads, out in enumerate(sent[3:-3], start=2):
        assert out >= reads * step // 2 - 2 * 128 - 4
    assert sink.flushes > 30


def test_wav_header_is_recognised_and_passed_on():
    """A WAV file through a pipe is a WAV file of the same form and length."""
    for subtype in ("PCM_U8", "PCM_16", "PCM_24", "FLOAT"):
        buffer = io.BytesIO()
        sf.write(buffer, noise(3001, 3), 22050, format="WAV", subtype=subtype)
        out, result, _ = through(Trickle(buffer.getvalue()))
        info = sf.info(io.BytesIO(out))
        assert result.wav and result.frames == 3001
        assert (info.samplerate, info.channels, info.frames) == (22050, 3, 3001)
        assert info.subtype == subtype
        if subtype == "PCM_U8":
            assert len(out) % 2 == 0


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFFFFF])
def test_wav_of_unknown_length_runs_to_the_end(size):
    """What recorders send down a pipe; the header that goes on is open-ended too."""
    raw = wav_bytes(SAMPLE_FORMATS["s16le"].encode(noise(1000)), declared=size)
    out, result, warnings = through(raw)
    assert result.frames == 1000 and warnings == []
    assert out[:44] == stream_header(16000, 1, SAMPLE_FORMATS["s16le"])
    # Into a file the true length can be written, and is.
    out = through(raw, sink=io.BytesIO())[0]
    assert out[:44] == stream_header(16000, 1, SAMPLE_FORMATS["s16le"], 2000)


def test_chunks_behind_the_audio_are_read_but_are_no_sound():
    """Tags at the end are not denoised, and their sender is not cut off."""
    source = io.BytesIO(wav_bytes() + b"LIST\4\0\0\0INFO")
    _, result, _ = through(source)
    assert result.frames == 2000 and source.read() == b""


@pytest.mark.parametrize("seekable", [True, False])
def test_sound_behind_the_declared_length_is_denoised(seekable):
    """As many samples come out as went in, whatever the header says; a file gets the
    true length, and who cannot be told it is told of it."""
    raw = SAMPLE_FORMATS["s16le"].encode(noise(11 * 16000))
    sink = io.BytesIO() if seekable else Pipe()
    source = wav_bytes(raw, declared=2 * 16000)
    out, result, warnings = through(Trickle(source, most=9000), sink=sink)
    assert result.frames == 11 * 16000 and len(out) == 44 + len(raw)
    assert np.abs(np.frombuffer(out[44:], "<i2") - np.frombuffer(raw, "<i2")).max() <= 1
    assert "declares 1.00 s, and 10.00 s more" in warnings[0]
    assert ("sent before" in warnings[0]) is not seekable and len(warnings) == 1
    if seekable:
        assert sf.info(io.BytesIO(out)).frames == 11 * 16000


def test_sound_behind_half_a_sample():
    """A declared length that is no whole sample does not shift what follows."""
    raw = SAMPLE_FORMATS["s16le"].encode(noise(9000))
    out, result, _ = through(wav_bytes(raw, declared=1001), sink=io.BytesIO())
    assert result.frames == 9000
    assert np.abs(np.frombuffer(out[44:], "<i2") - np.frombuffer(raw, "<i2")).max() <= 1


@pytest.mark.parametrize("size", [4000, 3999])
@pytest.mark.parametrize(
    "behind",
    [b"", b"\0" * 7, b"none\4\0\0\0abcd", b"id3 \xff\xff\xff\xff" + b"\0" * 90],
)
def test_what_is_no_sound_is_left_out(size, behind):
    """Chunks of any name, and a few stray bytes; with the even byte or without it."""
    for pad in {b"", b"\0" * (size % 2)}:
        data = wav_bytes(bytes(size), bits=8) + pad + behind
        _, result, warnings = through(data)
        assert result.frames == size and warnings == []


def test_second_wav_is_said_to_be_left_out():
    """``cat a.wav b.wav |`` gives the first one and a sentence."""
    _, result, warnings = through(wav_bytes() + wav_bytes())
    assert result.frames == 2000 and "another WAV follows" in warnings[0]


def test_header_wins_over_options_and_says_so():
    """A wrong option on a WAV stream does not ruin the sound."""
    out, result, warnings = through(wav_bytes(), sample_rate=48000)
    assert result.sample_rate == 16000 and "wins" in warnings[0]
    assert sf.info(io.BytesIO(out)).samplerate == 16000


def test_stream_shorter_than_its_header():
    """What came is denoised, and the shortfall is said."""
    _, result, warnings = through(wav_bytes(declared=9000))
    assert result.frames == 2000 and "ended before" in warnings[0]


@pytest.mark.parametrize("extra", [1, 2, 3])
def test_odd_bytes_at_the_end(extra):
    """Half a sample is left out with a sentence; what is whole goes through."""
    raw = SAMPLE_FORMATS["s16le"].encode(noise(300, 2))
    out, result, warnings = through(raw + bytes(extra), channels=2)
    assert len(out) == len(raw) and result.frames == 300
    assert f"{extra} bytes at the end" in warnings[0]


def test_nan_becomes_silence_and_is_said_once():
    """Bad numbers neither spread nor flood the terminal."""
    x = noise(4000)
    x[[5, 700, 3000], 0] = np.nan, np.inf, -np.inf
    raw = SAMPLE_FORMATS["f32le"].encode(x)
    out, _, warnings = through(Trickle(raw), sample_format="f32le")
    y = np.frombuffer(out, "<f4")
    x[[5, 700, 3000]] = 0.0
    assert np.allclose(y, x[:, 0], atol=1e-6) and len(warnings) == 1


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "nothing arrived"),
        (wav_bytes()[:30], "middle of its WAV header"),
        (wav_bytes(rate=0), "0 Hz"),
        (wav_bytes(rate=1_000_000), "1000000 Hz"),
        (wav_bytes(channels=0), "0 channels"),
        (wav_bytes(channels=65), "65 channels"),
        (wav_bytes(code=7, bits=8), "coded"),
    ],
)
def test_what_cannot_be_processed_is_refused(data, says):
    """One sentence, before anything is written."""
    sink = Pipe()
    with pytest.raises(AudioFormatError, match=says):
        through(data, sink=sink)
    assert sink.getvalue() == b""


def test_full_disk_behind_the_pipe_is_an_error_of_the_output():
    """Not a traceback, and not silence."""
    try:
        sink = open("/dev/full", "wb")  # noqa: SIM115, PTH123
    except OSError:
        pytest.skip("there is no /dev/full here")
    with pytest.raises(OutputError, match="standard output"):
        run_pipe(io.BytesIO(bytes(4000)), sink, IdentityModel())
    sink.close()  # nothing waits in its buffer, to be refused once more


@pytest.mark.parametrize(
    "head", [b"fLaC", b"OggS", b"ID3\x03", b"\x00\x00\x00\x20ftypM4A ", b".snd"]
)
def test_files_that_are_no_plain_samples_are_refused(head: bytes) -> None:
    """Noise at full level is not made of a FLAC; who says what it is, is believed."""
    data = head + bytes(2000)
    with pytest.raises(AudioFormatError, match="ffmpeg"):
        run_pipe(io.BytesIO(data), io.BytesIO(), MemoryModel())
    sink = io.BytesIO()
    run_pipe(io.BytesIO(data), sink, MemoryModel(), sample_format="s16le")
    assert len(sink.getvalue()) == len(data) // 2 * 2


class Grudging(io.RawIOBase):
    """A raw sink: it takes a part of what is given, and now and then nothing."""

    def __init__(self) -> None:
        self.taken = bytearray()
        self._turn = 0

    def writable(self) -> bool:
        return True

    def write(self, data) -> int | None:
        self._turn += 1
        if self._turn % 3 == 0:
            return None
        self.taken += bytes(data)[:50]
        return min(len(data), 50)

    def getvalue(self) -> bytes:
        return bytes(self.taken)


def test_sink_that_takes_parts_gets_all():
    """What a write leaves over is written again, in place and in number."""
    raw = SAMPLE_FORMATS["s16le"].encode(noise(3000))
    assert through(raw, sink=Grudging())[0] == through(raw)[0]


def test_nothing_yet_is_not_the_end():
    """A source that has nothing for a while is asked again."""

    class Pausing(Trickle):
        turn = 0

        def read1(self, size):
            self.turn += 1
            return None if self.turn % 2 else super().read1(size)

    raw = SAMPLE_FORMATS["s16le"].encode(noise(3000))
    assert through(Pausing(raw))[0] == through(raw)[0]


def test_stopped_stream_is_finished():
    """What came before is written whole, with its true length in the header."""
    source = io.BytesIO(wav_bytes(bytes(200_000), declared=0xFFFFFFFF))
    out, result, _ = through(
        source, sink=io.BytesIO(), stopped=lambda: source.tell() > 100_000
    )
    assert 0 < result.frames < 100_000 and len(out) == 44 + 2 * result.frames
    assert sf.info(io.BytesIO(out)).frames == result.frames
