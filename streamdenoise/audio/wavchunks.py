"""What a WAV file holds besides sound: notes, cue points, channel layout.

libsndfile leaves all of it behind. The chunks of the input (``LIST``, ``cue ``,
``smpl``, ``bext``, ``iXML``, ``id3 `` and whatever others there are) are put behind the
audio of the result as they are, so that nothing has to be understood to be kept.
Positions in them count samples, of which there are as many as before.
"""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from .riff import UNKNOWN_SIZE
from .target import SourceLost, reading_source
from .wavscan import scan_wav

__all__ = ["Chunk", "chunks_of", "copy_chunks", "has_marks", "set_channel_mask"]

_REPLACED: Final = (b"fmt ", b"data", b"fact", b"ds64", b"PEAK", b"levl")
"""Chunks that the result has of its own, or that would be wrong for it."""

_FILLERS: Final = (b"JUNK", b"junk", b"PAD ", b"FLLR", b"filr")
_MOST_BYTES: Final = 64 << 20
_MOST_CHUNKS: Final = 10_000


@dataclass(frozen=True)
class Chunk:
    """Where a chunk lies in its file: its name, first byte of contents, and size."""

    name: bytes
    start: int
    size: int


def chunks_of(file: BinaryIO) -> Iterator[Chunk]:
    """Yield the chunks of a WAV or RF64 file that lie in it as a whole.

    Parameters
    ----------
    file
        Open for reading, seekable; its position is changed between chunks.
    """
    layout = scan_wav(file)
    end = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(12)
    if head[:4] not in (b"RIFF", b"RF64") or head[8:12] != b"WAVE":
        return
    at, long_size, odd = 12, None, False
    for _ in range(_MOST_CHUNKS):
        file.seek(at)
        head = file.read(8)
        if not _is_name(head) and odd:
            # Some writers forget the byte that makes a chunk even.
            at -= 1
            file.seek(at)
            head = file.read(8)
        if len(head) < 8 or not _is_name(head):
            return
        name, size = head[:4], struct.unpack("<I", head[4:])[0]
        if name == b"ds64" and size >= 16:
            long_size = struct.unpack("<8xQ", file.read(16))[0]
        if name == b"data" and size == UNKNOWN_SIZE and long_size is not None:
            size = long_size
        if name == b"data" and layout is not None and layout.undeclared:
            size = layout.sound  # no chunk is looked for in the middle of sound
        if at + 8 + size > end:
            return
        yield Chunk(name, at + 8, size)
        odd = bool(size & 1)
        at += 8 + size + odd


def _is_name(head: bytes) -> bool:
    return all(32 <= byte < 127 for byte in head[:4])


def has_marks(path: Path) -> bool:
    """Tell whether a WAV or AIFF file has cue points, which are called markers there.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    with path.open("rb") as file:
        # Both begin with how many there are.
        if any(chunk.name == b"cue " and chunk.size > 4 for chunk in chunks_of(file)):
            return True
        file.seek(0)
        head = file.read(12)
        if head[:4] != b"FORM" or head[8:12] not in (b"AIFF", b"AIFC"):
            return False
        at = 12
        for _ in range(_MOST_CHUNKS):
            file.seek(at)
            head = file.read(8)
            if len(head) < 8:
                return False
            size = struct.unpack(">I", head[4:])[0]
            if head[:4] == b"MARK" and size > 2:
                return True
            at += 8 + size + (size & 1)
    return False


def copy_chunks(source: Path, target: Path) -> list[str]:
    """Put all that is not sound in one WAV file behind the sound of another.

    Parameters
    ----------
    source, target
        WAV or RF64 files; others are left as they are.

    Returns
    -------
    list of str
        A sentence if something could not be kept.

    Raises
    ------
    OSError
        If the target cannot be written.
    SourceLost
        If the source cannot be read; the target is as it was.
    """
    with contextlib.ExitStack() as stack:
        with reading_source():
            old = stack.enter_context(source.open("rb"))
            kept = [c for c in chunks_of(old) if c.name not in (*_REPLACED, *_FILLERS)]
        new = stack.enter_context(target.open("r+b"))
        if not kept or not any(c.name == b"data" for c in chunks_of(new)):
            return []
        end = new.seek(0, os.SEEK_END)
        added = sum(8 + c.size + (c.size & 1) for c in kept) + (end & 1)
        new.seek(0)
        long = new.read(4) == b"RF64"
        if added > _MOST_BYTES or (not long and end + added > UNKNOWN_SIZE):
            return ["its notes and cue points are too large to be kept"]
        try:
            _append(old, kept, new, end)
        except SourceLost:
            new.truncate(end)
            raise
        _set_size(new, long)
    return []


def _append(old: BinaryIO, chunks: list[Chunk], new: BinaryIO, end: int) -> None:
    new.seek(end)
    new.write(b"\0" * (end & 1))
    for chunk in chunks:
        new.write(chunk.name + struct.pack("<I", chunk.size))
        left, at = chunk.size, chunk.start
        while left:
            with reading_source():
                old.seek(at)
                part = old.read(min(left, 1 << 20))
            if not part:
                break
            new.write(part)
            left, at = left - len(part), at + len(part)
        new.write(b"\0" * (left + (chunk.size & 1)))


def _set_size(file: BinaryIO, long: bool) -> None:
    size = file.seek(0, os.SEEK_END) - 8
    if not long:
        file.seek(4)
        file.write(struct.pack("<I", size))
        return
    for chunk in chunks_of(file):
        if chunk.name == b"ds64":
            file.seek(chunk.start)
            file.write(struct.pack("<Q", size))
            return


def set_channel_mask(target: Path, mask: int) -> None:
    """Say in a WAV file with an extensible header which loudspeaker each channel is.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    with target.open("r+b") as file:
        for chunk in chunks_of(file):
            if chunk.name == b"fmt " and chunk.size >= 40:
                file.seek(chunk.start)
                if file.read(2) == b"\xfe\xff":
                    file.seek(chunk.start + 20)
                    file.write(struct.pack("<I", mask))
                return
