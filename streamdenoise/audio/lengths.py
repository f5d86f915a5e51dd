"""What the headers of AIFF, AU, W64 and CAF files declare, to tell who is cut short.

libsndfile reads what is there of the first three and says nothing; a CAF that is cut
short it refuses. WAV has `wavscan`.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from .riff import is_unknown

__all__ = ["CutShort", "cut_short"]

_MOST_CHUNKS: Final = 10_000
_W64_RIFF: Final = bytes.fromhex("726966662e91cf11a5d628db04c10000")
_W64_DATA: Final = bytes.fromhex("64617461f3acd3118cd100c04f8edb8a")


@dataclass(frozen=True)
class CutShort:
    """A file that ends before its sound does.

    Attributes
    ----------
    declared, present
        Bytes of sound.
    mended
        The place of a number in its header, and the bytes that would be true there.
        Only for CAF whose samples are all of one size.
    """

    declared: int
    present: int
    mended: tuple[int, bytes] | None = None


def cut_short(path: Path) -> CutShort | None:
    """Compare what a file declares with what is there.

    Parameters
    ----------
    path
        Any file.

    Returns
    -------
    CutShort or None
        None if it is whole, of another format, or cannot be read.
    """
    try:
        with path.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(0)
            found = _look(file, end)
    except (OSError, ValueError, OverflowError, struct.error):
        return None
    return found if found is not None and found.declared > found.present > 0 else None


def _look(file: BinaryIO, end: int) -> CutShort | None:
    head = file.read(40)
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return _aiff(file, end)
    if head[:4] in (b".snd", b"dns."):
        order = ">" if head[:4] == b".snd" else "<"
        start, size = struct.unpack(f"{order}II", head[4:12])
        return None if is_unknown(size) else CutShort(size, end - start)
    if head[:16] == _W64_RIFF:
        return _w64(file, end)
    if head[:4] == b"caff":
        return _caf(file, end)
    return None


def _aiff(file: BinaryIO, end: int) -> CutShort | None:
    at = 12
    for _ in range(_MOST_CHUNKS):
        file.seek(at)
        head = file.read(8)
        size = int.from_bytes(head[4:], "big")
        if len(head) < 8 or head[:4] == b"SSND":
            # Its first 8 bytes are no sound yet.
            known = len(head) == 8 and not is_unknown(size)
            return CutShort(size - 8, end - at - 16) if known else None
        at += 8 + size + (size & 1)
    return None


def _w64(file: BinaryIO, end: int) -> CutShort | None:
    at = 40
    for _ in range(_MOST_CHUNKS):
        file.seek(at)
        head = file.read(24)
        size = int.from_bytes(head[16:], "little")
        if len(head) < 24 or size < 24:
            return None
        if head[:16] == _W64_DATA:
            return CutShort(size - 24, end - at - 24)
        at += (size + 7) // 8 * 8
    return None


def _caf(file: BinaryIO, end: int) -> CutShort | None:
    at, coding = 8, b""
    for _ in range(_MOST_CHUNKS):
        file.seek(at)
        head = file.read(12)
        size = int.from_bytes(head[4:], "big", signed=True)
        if len(head) < 12 or size < 0:
            return None
        if head[:4] == b"desc":
            coding = file.read(12)[8:]
        if head[:4] == b"data":
            there = max(end - at - 12, 0)
            plain = coding in (b"lpcm", b"ulaw", b"alaw")
            mended = (at + 4, there.to_bytes(8, "big")) if plain else None
            # Its first 4 bytes are no sound yet.
            return CutShort(size - 4, there - 4, mended)
        at += 12 + size
    return None
