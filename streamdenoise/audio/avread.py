"""Reading the sound of videos and other containers through PyAV: which tracks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..closing import Closing
from ..errors import AudioFormatError
from ..names import shown
from .avdecode import AvTrack
from .avopen import open_container
from .info import BLOCK_FRAMES, check_readable

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["AvReader"]


class AvReader(Closing):
    """The sound tracks of a container.

    Parameters
    ----------
    path
        A regular file.
    block_frames
        Samples per channel of a block.
    first_only
        Leave all tracks but the first as they are.

    Attributes
    ----------
    path
    tracks : tuple of AvTrack
    info : AudioInfo
        Of the first track.
    refused : dict of int to int
        Tracks that cannot be processed: index of the stream, and number from 1 on.
    notes : list of str

    Raises
    ------
    AudioFormatError
        If it cannot be read, or has no sound that can be processed.
    RuntimeMissingError
        If PyAV is not installed.
    """

    def __init__(
        self, path: Path, block_frames: int = BLOCK_FRAMES, *, first_only: bool = False
    ) -> None:
        self.path = path
        self.notes: list[str] = []
        check_readable(path)
        name = shown(path)
        with open_container(path) as container:
            streams = list(container.streams.audio)
            if not streams:
                raise AudioFormatError(
                    f"{name} has no sound track, so there is nothing to denoise; name "
                    "a file with sound, or leave this one out"
                )
            self.tags: dict[str, str] = dict(container.metadata)
            self.muxer: str = container.format.name.split(",")[0]
            tracks: list[AvTrack] = []
            self.refused: dict[int, int] = {}
            why: list[AudioFormatError] = []
            for number, stream in enumerate(streams, 1):
                if first_only and tracks:
                    break
                try:
                    track = AvTrack(
                        path, container, stream, block_frames, number, bool(tracks)
                    )
                except AudioFormatError as error:
                    why.append(error)
                    self.refused[stream.index] = number
                else:
                    tracks.append(track)
        if not tracks:
            raise why[0]
        self.notes += [f"{error}; it was not denoised" for error in why]
        self.tracks = tuple(tracks)
        self.info = self.tracks[0].info

    @property
    def position(self) -> int:
        """Samples per channel read of the first track."""
        return self.tracks[0].position

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        """Yield the blocks of the first track."""
        return iter(self.tracks[0])

    def close(self) -> None:
        """Do nothing: tracks open the file while they are read."""
