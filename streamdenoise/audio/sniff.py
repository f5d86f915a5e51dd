"""Telling from its first bytes what reads a file."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

__all__ = ["is_container", "is_endless_caf"]

_MOST_CHUNKS = 10_000
_ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")


def is_container(path: Path) -> bool:
    """Whether a file is for PyAV: a video, or a coding unknown to libsndfile.

    Parameters
    ----------
    path
        A file; one that cannot be read is none.
    """
    try:
        with _open(path) as file:
            head = file.read(4096)
    except (OSError, ValueError):
        return False
    return _known(head) or _is_transport_stream(head)


def is_endless_caf(path: Path) -> bool:
    """Whether a file is a CAF that does not declare the length of its sound.

    Such a one was written to a pipe, or its writer was cut off; the sound goes on until
    the end of the file (Core Audio Format Specification, "Data Chunk").

    Parameters
    ----------
    path
        A file; one that cannot be read is none.
    """
    try:
        with _open(path) as file:
            if file.read(4) != b"caff":
                return False
            at = 8
            for _ in range(_MOST_CHUNKS):
                file.seek(at)
                head = file.read(12)
                if len(head) < 12:
                    return False
                size = int.from_bytes(head[4:], "big", signed=True)
                if head[:4] == b"data" or size < 0:
                    return head[:4] == b"data" and size == -1
                at += 12 + size
    except (OSError, ValueError, OverflowError):
        pass
    return False


def _open(path: Path) -> BinaryIO:
    # A pipe without a writer would keep whoever opens it waiting for ever.
    if not path.is_file():
        raise ValueError("no regular file")
    return path.open("rb")


def _known(head: bytes) -> bool:
    first = head[:4]
    return (
        head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")
        or first == b"\x1a\x45\xdf\xa3"  # Matroska, WebM
        or head.startswith(_ASF)
        or (first == b"RIFF" and head[8:12] == b"AVI ")
        or first in (b"FLV\x01", b"wvpk", b"TTA1", b"MAC ", b".RMF", b"tBaK")
        or head.startswith(b"#!AMR")
        or head.startswith(b"\x0b\x77")  # AC-3, E-AC-3
        or first in (b"\x00\x00\x01\xba", b"\x7f\xfe\x80\x01")  # MPEG, DTS
        or _is_adts(head)
        or (first == b"OggS" and (b"\x80theora" in head or b"BBCD" in head))
    )


def _is_adts(head: bytes) -> bool:
    """Raw AAC: like MP3, but of layer 0, and one frame after the other."""
    if len(head) < 7 or head[0] != 0xFF or head[1] & 0xF6 != 0xF0:
        return False
    size = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
    after = head[size : size + 2]
    return len(after) < 2 or (after[0] == 0xFF and after[1] & 0xF6 == 0xF0)


def _is_transport_stream(head: bytes) -> bool:
    for start, step in ((0, 188), (4, 192)):
        places = range(start, min(len(head), start + 5 * step), step)
        if len(places) >= 3 and all(head[i] == 0x47 for i in places):
            return True
    return False
