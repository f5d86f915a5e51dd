"""A writer that brings sound to a loudness on its way into a file."""

from __future__ import annotations

import contextlib
import math
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ..closing import Completing
from .formats import OutputFormat
from .info import BLOCK_FRAMES, AudioInfo
from .loudness import LoudnessMeter, gain_for
from .target import PartFile

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

__all__ = ["LoudnessWriter"]


class _Writes(Protocol):
    notes: list[str]

    def write(self, block: NDArray[np.float32], track: int = 0) -> None: ...

    def close(self) -> None: ...

    def discard(self) -> None: ...


class LoudnessWriter(Completing):
    """A writer that brings each track to a loudness on its way to another writer.

    Sound is kept in a temporary file as it comes and measured. At the end the gain is
    known, and it goes on into the format that was asked for: the whole is encoded once.

    Parameters
    ----------
    writer
        What writes the result; it is closed by this one.
    output
        Path and format of the result.
    infos
        What each track is.
    wanted
        For each track, what gives the loudness in LUFS once all of it has been heard.
    force
        As for the writer.

    Attributes
    ----------
    notes : list of str
        Those of the writer, and where a loudness cannot be reached.
    gains : list of float
        In dB, one for each track; known once it is closed.

    Raises
    ------
    RuntimeMissingError
        If pyloudnorm is not installed.
    OutputError
        If nothing can be written beside the target.
    """

    def __init__(
        self,
        writer: _Writes,
        output: OutputFormat,
        infos: Sequence[AudioInfo],
        wanted: Sequence[Callable[[], float]],
        *,
        force: bool = False,
    ) -> None:
        self.output = output
        self.notes: list[str] = []
        self.gains = [0.0] * len(infos)
        self._writer, self._wanted = writer, wanted
        self._channels = [info.channels for info in infos]
        try:
            self._meters = [
                LoudnessMeter(info.sample_rate, info.channels, info.channel_mask)
                for info in infos
            ]
            self._part = PartFile(output.path, force=force)
        except BaseException:
            writer.discard()
            raise
        self._file = self._part.path.open("w+b")
        self._counts = [0] * len(infos)

    def write(self, block: NDArray[np.float32], track: int = 0) -> None:
        """Append a block of shape (n, channels) to a track, one after the other.

        Raises
        ------
        OutputError
            If the disk is full or the file system refuses.
        """
        self._meters[track].push(block)
        self._counts[track] += len(block)
        try:
            self._file.write(np.ascontiguousarray(block, np.float32).tobytes())
        except OSError as error:
            raise self._part.failure(error) from error

    def close(self) -> None:
        """Give all sound its gain and complete the result."""
        try:
            self._file.seek(0)
            for track, count in enumerate(self._counts):
                gain, note = gain_for(self._meters[track], self._wanted[track]())
                self.gains[track] = 20.0 * math.log10(gain)
                which = f"sound track {track + 1}: " if len(self._counts) > 1 else ""
                if count and note:
                    self.notes.append(which + note)
                self._pass_on(track, count, np.float32(gain))
            self._writer.close()
            self.notes += self._writer.notes
        except OSError as error:
            self.discard()
            raise self._part.failure(error) from error
        except BaseException:
            self.discard()
            raise
        self._clean()

    def _pass_on(self, track: int, count: int, gain: np.float32) -> None:
        channels = self._channels[track]
        while count:
            take = min(count, BLOCK_FRAMES)
            raw = self._file.read(4 * take * channels)
            block = np.frombuffer(raw, np.float32).reshape(-1, channels) * gain
            self._writer.write(block, track)
            count -= take

    def discard(self) -> None:
        """Leave nothing behind, of the other writer's either."""
        self._writer.discard()
        self._clean()

    def _clean(self) -> None:
        # On a full disk, closing writes what waits and fails once more.
        try:
            with contextlib.suppress(OSError):
                self._file.close()
        finally:
            self._part.discard()
