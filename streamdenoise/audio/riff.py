"""WAV headers: read from a stream, and written for a stream.

Files are decoded by libsndfile. This module serves what it cannot: a WAV that
comes through a pipe, where nobody can seek; and `wavscan`, which finds out how much
sound a file holds in truth.

Layout as in "Multimedia Programming Interface and Data Specifications 1.0"
(IBM and Microsoft, 1991), with the extensible ``fmt`` chunk of 2001 and the 64-bit
sizes of EBU Tech 3306.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final, Protocol

from ..errors import AudioFormatError
from .pcm import SAMPLE_FORMATS, SampleFormat

__all__ = [
    "UNKNOWN_SIZE",
    "WavHeader",
    "is_unknown",
    "read_header",
    "stream_header",
]

UNKNOWN_SIZE: Final = 0xFFFFFFFF
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_MAX_CHUNK: Final = 1 << 20


class _Reads(Protocol):
    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True)
class WavHeader:
    """What a WAV header says.

    Attributes
    ----------
    sample_rate, channels
        As declared, not yet checked against what can be processed.
    sample_format
        How a sample is stored; None for a coding other than plain samples.
    code, bits
        Format tag and bits of a sample, as declared.
    data_bytes
        Declared length of the audio; None where the writer did not know it.
    channel_mask
        Loudspeaker of each channel, a bit each; 0 if it is not said.
    align, byte_rate
        Declared bytes of a sample of all channels, and of a second.
    """

    sample_rate: int
    channels: int
    sample_format: SampleFormat | None
    code: int
    bits: int
    data_bytes: int | None
    channel_mask: int = 0
    align: int = 0
    byte_rate: int = 0


def read_header(stream: _Reads, start: bytes = b"") -> WavHeader:
    """Read a WAV header up to the first byte of audio.

    Parameters
    ----------
    stream
        Anything with a blocking ``read(size)``; it need not seek.
    start
        Bytes already taken from it, at most 12.

    Returns
    -------
    WavHeader

    Raises
    ------
    AudioFormatError
        If the stream ends inside the header, or the header makes no sense.
    """
    head = start + _exactly(stream, 12 - len(start))
    if head[:4] not in (b"RIFF", b"RF64") or head[8:12] != b"WAVE":
        raise AudioFormatError("the stream does not start with a WAV header")
    fmt: bytes | None = None
    long_size: int | None = None
    while True:
        chunk = _exactly(stream, 8)
        name, size = chunk[:4], struct.unpack("<I", chunk[4:])[0]
        if name == b"data":
            if fmt is None:
                raise AudioFormatError("the WAV header has audio before its format")
            if size == UNKNOWN_SIZE and long_size:
                return _parse_fmt(fmt, long_size)
            return _parse_fmt(fmt, None if is_unknown(size) else size)
        if size > _MAX_CHUNK:
            raise AudioFormatError(
                f"the WAV header is damaged: one chunk claims {size} bytes"
            )
        body = _exactly(stream, size + (size & 1))
        if name == b"fmt ":
            fmt = body
        elif name == b"ds64" and len(body) >= 16:
            long_size = struct.unpack("<Q", body[8:16])[0]


def is_unknown(size: int) -> bool:
    """Tell whether a length is one of those that stand for "until the end"."""
    # 0: nobody came back to write it. Around 2**31 and 2**32: arecord, sox, ffmpeg.
    return size == 0 or 0x7FFFF000 <= size <= 0x80000000 or size >= 0xFFFFF000


def _exactly(stream: _Reads, size: int) -> bytes:
    parts = []
    while size > 0:
        part = stream.read(size)
        if not part:
            raise AudioFormatError("the input ends in the middle of its WAV header")
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _parse_fmt(fmt: bytes, data_bytes: int | None) -> WavHeader:
    if len(fmt) < 16:
        raise AudioFormatError("the WAV header is damaged: its format chunk is short")
    code, channels, rate, speed, align, bits = struct.unpack("<HHIIHH", fmt[:16])
    mask = 0
    if code == _EXTENSIBLE and len(fmt) >= 26:
        mask = struct.unpack("<I", fmt[20:24])[0]
        code = struct.unpack("<H", fmt[24:26])[0]
    names = {
        (_PCM, 8): "u8",
        (_PCM, 16): "s16le",
        (_PCM, 24): "s24le",
        (_PCM, 32): "s32le",
        (_FLOAT, 32): "f32le",
        (_FLOAT, 64): "f64le",
    }
    name = names.get((code, bits))
    kind = None if name is None else SAMPLE_FORMATS[name]
    return WavHeader(rate, channels, kind, code, bits, data_bytes, mask, align, speed)


def stream_header(
    sample_rate: int,
    channels: int,
    sample_format: SampleFormat,
    data_bytes: int | None = None,
) -> bytes:
    """Return a WAV header for audio that is about to follow.

    Parameters
    ----------
    sample_rate, channels, sample_format
        What follows.
    data_bytes
        Its length; None writes 0xFFFFFFFF, which readers of streams take as "until
        the end".

    Returns
    -------
    bytes
        44 bytes for integer samples, 58 for float (which wants a ``fact`` chunk).
    """
    align = channels * sample_format.size
    code = _FLOAT if sample_format.is_float else _PCM
    fmt = struct.pack(
        "<HHIIHH",
        code,
        channels,
        sample_rate,
        min(sample_rate * align, UNKNOWN_SIZE),
        align,
        8 * sample_format.size,
    )
    known = data_bytes is not None and data_bytes < 0xFFFFF000
    size = data_bytes if known and data_bytes is not None else UNKNOWN_SIZE
    extra = b""
    if sample_format.is_float:
        fmt += b"\0\0"
        extra = b"fact" + struct.pack("<II", 4, size // align if known else size)
    chunks = b"WAVEfmt " + struct.pack("<I", len(fmt)) + fmt + extra
    riff = len(chunks) + 8 + size + (size & 1) if known else UNKNOWN_SIZE
    riff = min(riff, UNKNOWN_SIZE)
    return (
        b"RIFF" + struct.pack("<I", riff) + chunks + b"data" + struct.pack("<I", size)
    )
