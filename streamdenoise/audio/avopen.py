"""Opening a container for reading, through PyAV."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

from ..errors import AudioFormatError
from ..names import shown
from .avmodule import av_module

__all__ = ["open_container"]

_DEMUXERS: Final = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,asf,avi,flv,mpegts,mpeg,aac,ac3,eac3,amr,"
    "amrnb,amrwb,dts,mp3,ogg,wv,tta,ape,caf,rm,aiff,wav,w64,flac,au,mxf,nut,dsf,tak,"
    "mpc,mpc8,shn,xwma,voc,gxf,truehd,mlp"
)
"""What may be read: no playlists or lists of files, which name other files."""


@contextlib.contextmanager
def open_container(path: Path) -> Iterator[Any]:
    """Open a container for reading.

    Raises
    ------
    AudioFormatError
        If it is none, or damaged.
    """
    av = av_module()
    # From PyAV 19 on, tags that are no UTF-8 stop nothing, and there is no choice.
    old = int(av.__version__.split(".")[0]) < 19
    tags = {"metadata_errors": "replace"} if old else {}
    # A Python file: names of any bytes work, and none is taken for an address.
    with contextlib.ExitStack() as stack:
        file: BinaryIO = stack.enter_context(path.open("rb"))
        try:
            container = stack.enter_context(
                av.open(file, options={"format_whitelist": _DEMUXERS}, **tags)
            )
        except (av.error.FFmpegError, ValueError, OSError) as error:
            raise AudioFormatError(
                f"{shown(path)} cannot be read as audio or video: it is damaged, cut "
                "short, or of a kind that FFmpeg's libraries do not know either"
            ) from error
        yield container
