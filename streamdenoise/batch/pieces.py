"""A long recording in pieces: where it is cut, and how one is done.

Pieces that are denoised apart from each other (those that follow each other are in
`chain`) hear `RUN_IN` seconds of sound before them that are thrown away, so that the
model knows the noise and the level when the piece begins, and begin on the same frames
as the whole would. The first second is faded into the end of the piece before.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import numpy as np

from ..audio.file import AudioInfo, AudioReader
from ..audio.sniff import is_container
from ..audio.target import PartFile
from ..errors import StreamDenoiseError
from .cleaning import Cleaner
from .twopass import BACK_RUN_IN

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = [
    "RUN_IN",
    "Piece",
    "PieceError",
    "check_reached",
    "cut_apart",
    "do_piece",
    "piece_file",
    "plan_pieces",
    "seams",
    "write_samples",
]

RUN_IN: Final = 20.0
"""Seconds that a piece hears before it begins; see ``docs/scale.md`` for why."""

_FADE: Final = 1.0
_FEWEST_SECONDS: Final = 60.0


class PieceError(StreamDenoiseError):
    """The recording is not what it was planned as, so it must be done whole."""


@dataclass(frozen=True)
class Piece:
    """A part of a recording, in samples per channel.

    Attributes
    ----------
    begin
        Where reading begins, with what is heard before.
    start
        First sample of the result; the first `fade` of them lie before the seam.
    fade
        How long the piece before is faded into this one.
    stop
        End of the result; None is the end of the recording.
    end
        Where reading ends; None is the end of the recording.
    """

    begin: int
    start: int
    fade: int
    stop: int | None
    end: int | None


def plan_pieces(
    path: Path, minutes: float, cut: Callable[[AudioInfo, float], list[Piece]]
) -> list[Piece]:
    """Cut a recording into pieces of about `minutes`.

    Parameters
    ----------
    path
        A local file.
    minutes
        Longest piece.
    cut
        Makes pieces of so many seconds: `cut_apart`, or `chain.cut_chained`.

    Returns
    -------
    list of Piece
        Empty if it is done whole: too short, or of a kind that has no samples to go to,
        or with a header that does not tell the truth.
    """
    most = max(minutes * 60.0, _FEWEST_SECONDS)
    if is_container(path):
        return []
    try:
        with AudioReader(path) as reader:
            info, notes = reader.info, reader.notes
            if info.seconds <= most or notes:
                return []
            reader.seek(info.frames - 1)
            reader.seek(0)
    except StreamDenoiseError:
        return []  # the whole will say what is wrong with it
    return cut(info, most)


def seams(info: AudioInfo, most: float, unit: int) -> list[int | None]:
    """Return where pieces end: pieces of a like length, in whole units."""
    count = -(-info.frames // round(most * info.sample_rate))
    length = -(-info.frames // (count * unit)) * unit
    return [*range(length, info.frames, length), None]


def cut_apart(info: AudioInfo, most: float, unit: int) -> list[Piece]:
    """Return pieces that can be done at the same time.

    Parameters
    ----------
    info
        Of the recording.
    most
        Seconds of a piece.
    unit
        Samples that the model takes at once.
    """
    rate = info.sample_rate
    fade, run_in = round(_FADE * rate), round(RUN_IN * rate)
    after = max(unit, round(BACK_RUN_IN * rate))
    pieces, start = [], 0
    for seam in seams(info, most, unit):
        first = start == 0
        begin = max(0, start - fade - run_in) // unit * unit
        end = None if seam is None else -(-(seam + after) // unit) * unit
        pieces.append(
            Piece(
                begin, start - (0 if first else fade), 0 if first else fade, seam, end
            )
        )
        start = seam or info.frames
    return pieces


def do_piece(
    source: Path,
    piece: Piece,
    target: Path,
    clean: Cleaner,
    progress: Callable[[int, int], None],
) -> None:
    """Denoise one piece into a file of bare float32 samples.

    Parameters
    ----------
    source
        The recording.
    piece
        From `plan_pieces`.
    target
        The file; it appears complete or not at all, and replaces what was there.
    clean
        Does the work.
    progress
        Called with samples done and all samples.

    Raises
    ------
    StreamDenoiseError
        If the recording is not what it was planned as, or writing fails.
    """
    with piece_file(target) as file, AudioReader(source) as reader:
        reader.seek(piece.begin)
        blocks = _between(reader, piece, progress)
        at = piece.begin
        for block in clean(blocks, reader.info):
            first, last = max(piece.start - at, 0), len(block)
            if piece.stop is not None:
                last = min(last, piece.stop - at)
            at += len(block)
            if last > first:
                write_samples(file, block[first:last])
        check_reached(piece, at)


@contextlib.contextmanager
def piece_file(target: Path) -> Iterator[BinaryIO]:
    """Open a piece's file; it appears complete or not at all.

    Raises
    ------
    OutputError
        If anything that is done inside fails on a file.
    """
    part = PartFile(target, force=True)
    try:
        with part.path.open("wb") as file:
            yield file
        part.place()
    except OSError as error:
        raise part.failure(error) from error
    finally:
        part.discard()


def write_samples(file: BinaryIO, block: NDArray[np.floating[Any]]) -> None:
    """Write a block as bare float32 samples."""
    np.ascontiguousarray(block, np.float32).tofile(file)


def check_reached(piece: Piece, at: int) -> None:
    """Refuse a recording that ended before a piece did; `at` is where it got to."""
    if piece.stop is not None and at < piece.stop:
        raise PieceError("the recording is shorter than its header says")


def _between(
    reader: AudioReader, piece: Piece, progress: Callable[[int, int], None]
) -> Iterator[NDArray[np.float32]]:
    total = (piece.end or reader.info.frames) - piece.begin
    left = total if piece.end is not None else None
    for block in reader:
        if left is not None and len(block) >= left:
            yield block[:left]
            return
        yield block
        left = None if left is None else left - len(block)
        progress(reader.position - piece.begin, total)
