"""How much sound a WAV file holds, whatever its header says.

A recorder that was cut off leaves 0 or the largest number there is, one that goes on
beyond 4 GiB a number that went round, and a program that adds sound may forget the
header. Notes and pictures behind the sound are never taken for sound.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final

from ..errors import AudioFormatError
from .riff import UNKNOWN_SIZE, WavHeader, is_unknown, read_header

if TYPE_CHECKING:
    from .pcm import SampleFormat

__all__ = ["WavLayout", "begins_chunk", "scan_wav"]

_NAMES: Final = (
    b"LIST id3  ID32 bext cue  smpl inst plst iXML axml aXML chna fact PEAK levl JUNK "
    b"junk PAD  FLLR filr cart DISP acid strc umid _PMX afsp MD5  minf elm1 elmo regn "
    b"ovwf bmrk SAUR LGWV Cr8r labl note ltxt r64m dbmd ubxt mext wavl slnt "
    b"APET RIFF RF64"
)
_KNOWN: Final = frozenset(_NAMES[i : i + 4] for i in range(0, len(_NAMES), 5))
"""Chunks that are seen behind sound, tags that are no chunks, and another WAV."""

_LETTERS: Final = frozenset(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 _"
)
_LARGEST_UNKNOWN: Final = 64 << 20
_TURN: Final = 1 << 32
"""What a length of 32 bits loses when it goes round."""


@dataclass(frozen=True)
class WavLayout:
    """A WAV file's declared and real extent, all in bytes.

    Attributes
    ----------
    header
        What is declared.
    data_offset
        Where the audio starts in the file.
    data_declared
        Length in the ``data`` chunk, the raw number.
    data_present
        Bytes from `data_offset` to the end of the file.
    sound
        Bytes from `data_offset` on that are sound, as far as one can tell.
    """

    header: WavHeader
    data_offset: int
    data_declared: int
    data_present: int
    sound: int

    @property
    def declared(self) -> int | None:
        """Length that is declared, as a 64-bit number; None for "until the end"."""
        if self.data_declared == UNKNOWN_SIZE:
            return self.header.data_bytes
        return self.data_declared

    @property
    def undeclared(self) -> int:
        """Bytes of sound behind the declared length."""
        return 0 if self.declared is None else max(0, self.sound - self.declared)

    @property
    def plain(self) -> SampleFormat | None:
        """How a sample is stored, if each takes the bytes that it should."""
        kind = self.header.sample_format
        whole = kind and self.header.align == self.header.channels * kind.size
        return kind if whole else None


def scan_wav(file: BinaryIO) -> WavLayout | None:
    """Look at a WAV file's header and at what really lies behind it.

    Parameters
    ----------
    file
        Open for reading, seekable; its position is changed.

    Returns
    -------
    WavLayout or None
        None if the file is no WAV or its header is cut short.
    """
    file.seek(0)
    try:
        header = read_header(file)
    except AudioFormatError:
        return None
    offset = file.tell()
    file.seek(offset - 4)
    raw = struct.unpack("<I", file.read(4))[0]
    end = file.seek(0, os.SEEK_END)
    size = header.data_bytes if raw == UNKNOWN_SIZE else raw
    kind = header.sample_format
    second = header.byte_rate
    if kind is not None:
        second = header.sample_rate * header.channels * kind.size
    sound = end - offset
    if size is not None and size < sound:
        sound = _sound(file, (offset, end), size, max(second, 1000))
    return WavLayout(header, offset, raw, end - offset, sound)


def _sound(file: BinaryIO, span: tuple[int, int], size: int, second: int) -> int:
    """Return how much is sound where more is there than the declared `size`."""
    offset, end = span
    for real in range(size, end - offset + 1, _TURN):
        # Some writers forget the byte that makes a chunk even.
        if any(_chunks_fit(file, offset + real + pad, end) for pad in {0, real & 1}):
            return real
    left = end - offset - size
    # A few bytes that are no chunks are the rest of something, and no sound.
    stray = left <= size and left < second and not is_unknown(size)
    return size if stray else end - offset


def _chunks_fit(file: BinaryIO, position: int, end: int) -> bool:
    """Whether the rest of the file is a row of chunks, as it should be."""
    file.seek(position)
    if _is_known(file.read(8)):  # however much is wrong with those behind it
        return True
    while position + 8 <= end:
        file.seek(position)
        head = file.read(8)
        if not all(32 <= byte < 127 for byte in head[:4]):
            return False
        size = struct.unpack("<I", head[4:])[0]
        position += 8 + size + (size & 1)
    return position <= end + 1


def _is_known(head: bytes) -> bool:
    return head[:4] in _KNOWN or head.startswith((b"ID3", b"TAG"))


def begins_chunk(head: bytes) -> bool:
    """Whether 8 bytes behind the sound of a stream begin a chunk, and no more sound.

    Parameters
    ----------
    head
        The bytes; fewer are no sound either.
    """
    if len(head) < 8 or _is_known(head):
        return True
    size = struct.unpack("<I", head[4:8])[0]
    return size < _LARGEST_UNKNOWN and _LETTERS.issuperset(head[:4])
