"""The pieces of a long recording, joined."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..audio.file import AudioInfo
from .pieces import Piece, PieceError
from .twopass import fade_in

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Joined"]


class Joined:
    """The pieces of a recording as what `denoise_file` takes for a denoiser.

    It hands out the samples of the pieces in place of those that it is given: reading,
    measuring and writing are those of a recording that is done whole.

    Parameters
    ----------
    pieces
        All of them, in order.
    paths
        Their files.
    """

    def __init__(self, pieces: Sequence[Piece], paths: Sequence[Path]) -> None:
        self._pieces, self._paths = pieces, paths

    def __call__(
        self, blocks: Iterable[NDArray[np.float32]], info: AudioInfo
    ) -> Iterator[NDArray[np.float32]]:
        """Yield as many samples as come.

        Raises
        ------
        PieceError
            If the pieces have more samples, or fewer.
        """
        said = self._all(info.channels)
        ready = np.zeros((0, info.channels), np.float32)
        for block in blocks:
            while len(ready) < len(block):
                more = next(said, None)
                if more is None:
                    raise PieceError("the pieces are shorter than the recording")
                ready = np.concatenate([ready, more]) if len(ready) else more
            yield ready[: len(block)]
            ready = ready[len(block) :]
        if len(ready) or next(said, None) is not None:
            raise PieceError("the pieces are longer than the recording")

    def _all(self, channels: int) -> Iterator[NDArray[np.float32]]:
        try:
            yield from self._read_all(channels)
        except OSError as error:
            # Such as gone: a worker that was lost had joined them already.
            why = error.strerror or str(error)
            raise PieceError(f"a piece cannot be read: {why}") from error

    def _read_all(self, channels: int) -> Iterator[NDArray[np.float32]]:
        tail = np.zeros((0, channels), np.float32)
        follows = [piece.fade for piece in self._pieces[1:]] + [0]
        for path, piece, fade in zip(self._paths, self._pieces, follows, strict=True):
            with path.open("rb") as file:
                size = path.stat().st_size // (4 * channels)
                if size < piece.fade + fade or len(tail) != piece.fade:
                    raise PieceError("a piece is shorter than its seams")
                if piece.fade:
                    rise = fade_in(piece.fade)
                    yield (1 - rise) * tail + rise * _read(file, piece.fade, channels)
                left = size - piece.fade - fade
                while left:
                    count = min(left, 1 << 16)
                    yield _read(file, count, channels)
                    left -= count
                tail = _read(file, fade, channels)


def _read(file: Any, count: int, channels: int) -> NDArray[np.float32]:
    values = np.fromfile(file, np.float32, count * channels)
    if len(values) < count * channels:
        raise PieceError("a piece ends too early")
    block: NDArray[np.float32] = values.reshape(-1, channels)
    return block
