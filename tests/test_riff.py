"""WAV headers of streams and of files that lie."""

from __future__ import annotations

import io
import struct

import pytest
import soundfile as sf

from streamdenoise import AudioFormatError
from streamdenoise.audio.pcm import SAMPLE_FORMATS
from streamdenoise.audio.riff import read_header, stream_header
from streamdenoise.audio.wavscan import scan_wav
from tests.clitools import noise, wav_bytes


@pytest.mark.parametrize("name", SAMPLE_FORMATS)
@pytest.mark.parametrize("channels", [1, 2])
def test_header_of_known_length_is_read_back_by_us_and_by_libsndfile(name, channels):
    """A header that we write is a WAV header, not only to ourselves."""
    kind = SAMPLE_FORMATS[name]
    size = 10 * channels * kind.size
    raw = stream_header(44100, channels, kind, size)
    header = read_header(io.BytesIO(raw))
    assert (header.sample_rate, header.channels) == (44100, channels)
    assert header.sample_format is kind and header.data_bytes == size
    info = sf.info(io.BytesIO(raw + bytes(size)))
    assert (info.samplerate, info.channels, info.frames) == (44100, channels, 10)


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFFFFF, 0x80000000, 0x7FFFF024])
def test_lengths_that_mean_unknown(size):
    """Recorders that cannot seek leave such numbers; none of them is believed."""
    raw = wav_bytes(b"", declared=size)
    assert read_header(io.BytesIO(raw)).data_bytes is None


def test_extensible_header_and_foreign_chunks():
    """The format is found behind chunks of others, and in its extensible form."""
    guid = struct.pack("<H", 3) + bytes.fromhex("000000001000800000aa00389b71")
    fmt = struct.pack("<HHIIHH", 0xFFFE, 2, 48000, 384000, 8, 32)
    fmt += struct.pack("<HHI", 22, 32, 3) + guid
    raw = b"RIFF" + bytes(4) + b"WAVE" + b"JUNK" + struct.pack("<I", 3) + b"abc\0"
    raw += b"fmt " + struct.pack("<I", len(fmt)) + fmt + b"data" + struct.pack("<I", 80)
    header = read_header(io.BytesIO(raw))
    assert header.sample_format is SAMPLE_FORMATS["f32le"]
    assert (header.channels, header.sample_rate, header.data_bytes) == (2, 48000, 80)


def test_rf64_header():
    """The length of a file beyond 4 GiB is taken from its ds64 chunk."""
    buffer = io.BytesIO()
    sf.write(buffer, noise(100), 16000, format="RF64", subtype="PCM_16")
    raw = buffer.getvalue()
    assert raw[:4] == b"RF64"
    assert read_header(io.BytesIO(raw)).data_bytes == 200


@pytest.mark.parametrize("cut", range(1, 44))
def test_header_cut_short_is_an_error(cut):
    """Wherever a header ends early, it is said and nothing is guessed."""
    with pytest.raises(AudioFormatError):
        read_header(io.BytesIO(wav_bytes()[:cut]))


def test_chunk_of_absurd_size_is_not_waited_for():
    """A damaged size does not make a pipe swallow gigabytes."""
    raw = wav_bytes()[:12] + b"LIST" + struct.pack("<I", 1 << 30)
    with pytest.raises(AudioFormatError, match="damaged"):
        read_header(io.BytesIO(raw))


def test_scan_tells_tags_from_audio_that_is_not_declared():
    """Chunks behind the audio are no audio, whatever else is."""
    tags = b"LIST" + struct.pack("<I", 4) + b"INFO"
    assert scan_wav(io.BytesIO(wav_bytes() + tags)).undeclared == 0
    lying = scan_wav(io.BytesIO(wav_bytes(declared=0, riff=0)))
    assert lying.undeclared == 4000 and lying.data_present == 4000
