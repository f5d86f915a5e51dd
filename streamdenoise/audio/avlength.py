"""How long a container says that its sound is, and whether it was cut off before.

Only some containers know the length of each track. Of the others it is that of all, and
a track may well end before the picture or another track does.
"""

from __future__ import annotations

import math
import os
import struct
from pathlib import Path
from typing import Any, Final

from .avmodule import av_module
from .avopen import open_container

__all__ = ["NEAR_SECONDS", "avi_ends_early", "declared", "ends_early"]

NEAR_SECONDS: Final = 0.5
"""What may be missing at an end that is where it should be."""

_CHUNK: Final = struct.Struct("<4sI")


def declared(container: Any, stream: Any) -> tuple[float, bool]:
    """Return how many seconds a track is said to last.

    Parameters
    ----------
    container, stream
        The container, open, and the track in it.

    Returns
    -------
    seconds : float
        0 if nothing is said.
    own : bool
        False if it is the length of the container.
    """
    if stream.duration and stream.duration > 0:
        # Of ASF it is that of the container once more.
        own = "asf" not in container.format.name
        return float(stream.duration * stream.time_base), own
    if container.duration and container.duration > 0:
        return container.duration / 1e6, False
    return 0.0, False


def ends_early(path: Path) -> bool:
    """Tell whether no stream of a container comes near the end that it declares.

    Nothing is decoded, so that it takes as long as reading the file.

    Parameters
    ----------
    path
        The container.
    """
    av = av_module()
    first, last = math.inf, 0.0
    with open_container(path) as container:
        try:
            for packet in container.demux():
                if packet.pts is not None and packet.time_base:
                    stop = packet.pts + (packet.duration or 0)
                    first = min(first, float(packet.pts * packet.time_base))
                    last = max(last, float(stop * packet.time_base))
        except (av.error.FFmpegError, OSError, IndexError):
            return True
        # Some count their length from the first sound or picture, some from zero.
        reached = max(last, last - first)
        return reached < (container.duration or 0) / 1e6 - NEAR_SECONDS


def avi_ends_early(path: Path) -> bool:
    """Tell whether an AVI file ends before its outermost chunks do.

    The length of a track says nothing there: sound that begins late has empty packets
    before it, which count and which nobody plays.

    Parameters
    ----------
    path
        The file.
    """
    with path.open("rb") as file:
        at, end = 0, file.seek(0, os.SEEK_END)
        while at + _CHUNK.size <= end:
            file.seek(at)
            kind, size = _CHUNK.unpack(file.read(_CHUNK.size))
            if kind != b"RIFF":
                return False
            at += _CHUNK.size + size + size % 2
            if not size or at > end + 1:
                return True
    return False
