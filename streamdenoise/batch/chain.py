"""A long recording in pieces that follow each other: joined they are the whole.

Each piece begins with the state in which the one before ended, so that not a sample
differs from the recording done at once, wherever its pieces were done. Between two of
them travel some bytes: that state, the model that it belongs to, and the hash of the
last second that was heard, by which the next one knows that it reads on in the same
place. For a decoder is not always where it was told to go.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from .. import stateio
from ..audio.file import AudioInfo, AudioReader
from .cleaning import Cleaner, unit_of
from .pieces import (
    Piece,
    PieceError,
    check_reached,
    piece_file,
    seams,
    write_samples,
)
from .twopass import BACK_RUN_IN, Feed, chunk_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..card import ModelCard
    from .cleaning import OnePass
    from .twopass import TwoPasses

__all__ = ["cut_chained", "do_chained"]

_WITNESS: Final = 1.0
_BEFORE: Final = 4.0


def cut_chained(
    info: AudioInfo, most: float, card: ModelCard, *, two_pass: bool
) -> list[Piece]:
    """Return pieces that follow each other.

    Parameters
    ----------
    info
        Of the recording.
    most
        Seconds of a piece.
    card
        Of the model.
    two_pass
        They are heard backwards too: cut where a chunk of that ends.
    """
    unit = unit_of(card.stft(info.sample_rate).hop, card.steps)
    after = 0
    if two_pass:
        unit = chunk_of(info.sample_rate, info.channels, unit)
        after = round(BACK_RUN_IN * info.sample_rate)
    pieces, start = [], 0
    for seam in seams(info, most, unit):
        end = None if seam is None else seam + after
        pieces.append(Piece(start, start, 0, seam, end))
        start = seam or info.frames
    return pieces


def do_chained(
    source: Path,
    piece: Piece,
    target: Path,
    clean: Cleaner,
    model: str,
    before: bytes,
    progress: Callable[[int, int], None],
) -> bytes:
    """Denoise one piece into a file of bare float32 samples.

    Parameters
    ----------
    source
        The recording.
    piece
        From `cut_chained`.
    target
        The file; it appears complete or not at all, and replaces what was there.
    clean
        Does the work.
    model
        The sha256 of its model's file.
    before
        What the piece before returned; empty for the first.
    progress
        Called with samples done and all samples.

    Returns
    -------
    bytes
        For the next piece; empty if this is the last.

    Raises
    ------
    PieceError
        If the recording is not what it was planned as, or cannot be read on where the
        piece before ended, so that it must be done whole.
    ModelError
        If the piece before was done by another model.
    OutputError
        If writing fails.
    """
    with piece_file(target) as file, contextlib.ExitStack() as stack:
        reader = stack.enter_context(AudioReader(source))
        info, run = reader.info, clean.passes(reader.info)
        if piece.start % run.unit:
            raise PieceError("the model takes other strides than its card says")
        sound, heard = Feed(reader).rest(), _Heard(piece, info, progress)
        if before:
            wanted = _remember(run, before, model)
            second, feed = _arrive(stack, source, info, piece.start, wanted)
            sound = chain([second[len(second) - run.again :]], feed.rest())
            heard.at -= run.again
        count = None if piece.stop is None else piece.stop - piece.start
        for block in run.run(heard.watch(sound), count):
            write_samples(file, block)
        check_reached(piece, heard.at)
    if piece.stop is None:
        return b""
    state, more = run.snapshot()
    return stateio.pack(state, model, more, heard.hash)


def _remember(run: OnePass | TwoPasses, before: bytes, model: str) -> str:
    """Go on from the piece before; return the hash of its last second."""
    try:
        state, more, heard = stateio.unpack(before, model)
        run.restore(state, more)
    except ValueError as error:
        raise PieceError(str(error)) from error
    return heard


def _arrive(
    stack: contextlib.ExitStack, source: Path, info: AudioInfo, start: int, wanted: str
) -> tuple[NDArray[np.float32], Feed]:
    """Read up to where the piece before ended: its last second, and what follows.

    Decoders of Vorbis and Opus need some sound before what they get right. That of MP3
    rounds otherwise for good, unless it begins at the beginning; it is far quicker than
    a model.
    """
    second = np.empty((round(_WITNESS * info.sample_rate), info.channels), np.float32)
    near = max(start - len(second) - round(_BEFORE * info.sample_rate), 0)
    for begin in dict.fromkeys((near, 0)):
        reader = stack.enter_context(AudioReader(source))
        if begin:
            reader.seek(begin)
        feed = Feed(reader)
        left = start - len(second) - begin
        while left and (got := feed.fill(second[:left])):
            left -= got
        there = feed.fill(second) == len(second) and _hash(second) == wanted
        # Silence is the same in many places.
        if there and (second.any() or not begin):
            return second, feed
    raise PieceError("it cannot be read on where the piece before ended")


def _hash(samples: NDArray[np.float32]) -> str:
    return hashlib.sha256(samples.tobytes()).hexdigest()


class _Heard:
    """What a piece hears, and of it the last second, for the next to find that place.

    Parameters
    ----------
    piece
        Whose sound it is.
    info
        Of the recording.
    progress
        As for `do_chained`.

    Attributes
    ----------
    at
        The sample of the recording that comes next.
    """

    def __init__(
        self, piece: Piece, info: AudioInfo, progress: Callable[[int, int], None]
    ) -> None:
        self._piece, self._progress = piece, progress
        self._end = info.frames if piece.end is None else piece.end
        self._length = round(_WITNESS * info.sample_rate)
        self._sum = hashlib.sha256()
        self.at = piece.start

    def watch(
        self, blocks: Iterable[NDArray[np.float32]]
    ) -> Iterator[NDArray[np.float32]]:
        """Pass blocks on, as far as the piece hears."""
        piece = self._piece
        for block in blocks:
            part = block if piece.end is None else block[: piece.end - self.at]
            if piece.stop is not None:
                first = max(piece.stop - self._length - self.at, 0)
                last = max(piece.stop - self.at, 0)
                self._sum.update(part[first:last].tobytes())
            self.at += len(part)
            yield part
            self._progress(
                min(self.at, self._end) - piece.start, self._end - piece.start
            )
            if self.at == piece.end:
                return

    @property
    def hash(self) -> str:
        """Of that second."""
        return self._sum.hexdigest()
