"""Edit lists of MP4 and MOV: a late start and an encoder's delay at once.

FFmpeg's writer marks either of the two, not both: the samples that an encoder put
before a sound that begins late are then played before it. Both fit into the list as it
is, so its numbers are corrected in place. Layout: ISO/IEC 14496-12, 8.6.6.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

__all__ = ["hide_delay"]


def hide_delay(
    file: BinaryIO, delays: dict[int, int], sample_rates: dict[int, int]
) -> None:
    """Have tracks that begin late skip the delay of their encoder.

    Parameters
    ----------
    file
        A complete MP4 or MOV, open for reading and writing.
    delays
        Samples to skip for each track, counted from 0.
    sample_rates
        In Hz, of the same tracks.
    """
    end = file.seek(0, 2)
    moov = next(_boxes(file, 0, end, b"moov"), None)
    if moov is None:
        return
    header = next(_boxes(file, *moov, b"mvhd"), None)
    if header is None:
        return
    file.seek(header[0])
    version = file.read(4)[0]
    file.seek(16 if version else 8, 1)
    scale = struct.unpack(">I", file.read(4))[0]
    for number, track in enumerate(_boxes(file, *moov, b"trak")):
        delay = delays.get(number)
        edits = next(_boxes(file, *track, b"edts"), None)
        if not delay or edits is None:
            continue
        for first, _ in _boxes(file, *edits, b"elst"):
            _correct(file, first, delay, round(delay * scale / sample_rates[number]))


def _correct(file: BinaryIO, first: int, delay: int, in_movie: int) -> None:
    file.seek(first)
    version, count = struct.unpack(">B3xI", file.read(8))
    entry = struct.Struct(">QqI" if version else ">IiI")
    entries = [entry.unpack(file.read(entry.size)) for _ in range(min(count, 2))]
    # An empty edit, then all of the sound from its very first sample on.
    if len(entries) != 2 or entries[0][1] != -1 or entries[1][1] != 0:
        return
    (empty, _, rate), (length, _, other) = entries
    file.seek(first + 8)
    file.write(entry.pack(empty + in_movie, -1, rate))
    file.write(entry.pack(max(0, length - in_movie), delay, other))


def _boxes(
    file: BinaryIO, start: int, end: int, wanted: bytes
) -> Iterator[tuple[int, int]]:
    """Yield start and end of the contents of the boxes of one kind."""
    while start + 8 <= end:
        file.seek(start)
        size, kind = struct.unpack(">I4s", file.read(8))
        first = start + 8
        if size == 1:
            size = struct.unpack(">Q", file.read(8))[0]
            first += 8
        size = size or end - start
        if size < first - start:
            return
        if kind == wanted:
            yield first, min(start + size, end)
        start += size
