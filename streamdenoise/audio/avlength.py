"""How long a container says that its sound is, and whether it was cut off before.

Only some containers know the length of each track. Of the others it is that of all, and
a track may well end before the picture or another track does.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final

from .avcodecs import av_module

__all__ = ["NEAR_SECONDS", "declared", "ends_early"]

NEAR_SECONDS: Final = 0.5
"""What may be missing at an end that is where it should be."""


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


def ends_early(
    path: Path, open_container: Callable[[Path], AbstractContextManager[Any]]
) -> bool:
    """Tell whether no stream of a container comes near the end that it declares.

    Nothing is decoded, so that it takes as long as reading the file.

    Parameters
    ----------
    path
        The container.
    open_container
        See `avdecode.open_container`.
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
        return last - first < (container.duration or 0) / 1e6 - NEAR_SECONDS
