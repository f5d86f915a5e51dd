"""Sound files and the sound of videos: one way to open them, one to write them.

libsndfile reads and writes sound files (`read`, `write`), PyAV containers
with pictures, and codings that libsndfile does not know (`avread`, `avwrite`). Who
denoises need not tell them apart: a sound file is a container of one track.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Union

from ..errors import AudioFormatError, RuntimeMissingError
from ..names import shown
from .avdecode import AvTrack
from .avread import AvReader
from .avwrite import AvWriter
from .formats import OutputFormat, output_format
from .info import BLOCK_FRAMES, AudioInfo, check_stream
from .read import AudioReader
from .sniff import is_container
from .tags import copy_tags
from .target import SourceLost, check_target, reading_source
from .wavchunks import copy_chunks, has_marks, set_channel_mask
from .write import AudioWriter

if TYPE_CHECKING:
    from .loudwriter import LoudnessWriter

__all__ = [
    "AudioInfo",
    "AudioReader",
    "AudioWriter",
    "AvReader",
    "AvTrack",
    "AvWriter",
    "OutputFormat",
    "check_stream",
    "check_target",
    "open_reader",
    "open_writer",
    "output_format",
]

Reader = AudioReader | AvReader
Writer = Union[AudioWriter, AvWriter, "LoudnessWriter"]


def open_reader(
    path: str | os.PathLike[str],
    tracks: str = "all",
    block_frames: int = BLOCK_FRAMES,
) -> Reader:
    """Open any file with sound in it.

    Parameters
    ----------
    path
        A regular file.
    tracks
        ``all``, or ``first``: leave other sound tracks of a video as they are.
    block_frames
        Most samples per channel of a block.

    Returns
    -------
    AudioReader or AvReader
        With `info` and `tracks`; iterate over each track. A context manager.

    Raises
    ------
    AudioFormatError
        If it has no sound that can be read and processed.
    RuntimeMissingError
        If a package is missing that it needs.
    """
    path = Path(path)
    first_only = tracks == "first"
    if is_container(path):
        try:
            return AvReader(path, block_frames, first_only=first_only)
        except RuntimeMissingError as error:
            raise RuntimeMissingError(_needs_av(path, error)) from error
    try:
        return AudioReader(path, block_frames)
    except AudioFormatError as refused:
        # What libsndfile knows and finds damaged is damaged for others too; what it
        # does not know, or wants to know the length of, may be sound.
        if not refused.unknown:
            raise
        try:
            return AvReader(path, block_frames, first_only=first_only)
        except (AudioFormatError, RuntimeMissingError):
            raise refused from None


def _needs_av(path: Path, error: RuntimeMissingError) -> str:
    wav = shown(path.with_suffix(".wav").name)
    return (
        f"{shown(path)} is a container that libsndfile does not read: {error}; or "
        f"convert it first, such as with: ffmpeg -i {shown(path.name)} {wav}"
    )


def open_writer(
    output: OutputFormat,
    reader: Reader,
    *,
    force: bool = False,
    loudness: float | str | None = None,
) -> Writer:
    """Open a file for the result of another one.

    Parameters
    ----------
    output
        From `output_format`.
    reader
        Where the sound comes from. What else is in it is taken over: tags, cue points
        and chunks, pictures, subtitles, chapters.
    force
        Replace an existing file.
    loudness
        Bring each track to this loudness in LUFS, or with ``keep`` to that which it had
        in `reader`, which must not have been read from yet.

    Returns
    -------
    AudioWriter, AvWriter or LoudnessWriter
        Call ``write(block, track)``, tracks one after the other. A context manager:
        the file is put in place when it ends well, and `notes` are complete then.

    Raises
    ------
    OutputError, RuntimeMissingError
        If it cannot be written.
    """
    if loudness is None:
        return _plain_writer(output, reader, force, loudness_changed=False)
    from .loudness import LoudnessMeter
    from .loudwriter import LoudnessWriter

    infos = [track.info for track in reader.tracks]
    wanted: list[Callable[[], float]] = []
    for track in reader.tracks:
        if isinstance(loudness, str):
            info = track.info
            meter = LoudnessMeter(info.sample_rate, info.channels, info.channel_mask)
            track.counter.listener = meter.push
            wanted.append(partial(getattr, meter, "loudness"))
        else:
            wanted.append(partial(float, loudness))
    changed = not isinstance(loudness, str)
    writer = _plain_writer(output, reader, force, loudness_changed=changed)
    return LoudnessWriter(writer, output, infos, wanted, force=force)


def _plain_writer(
    output: OutputFormat, reader: Reader, force: bool, *, loudness_changed: bool
) -> AudioWriter | AvWriter:
    info = reader.info
    if output.backend == "PyAV":
        if isinstance(reader, AvReader):
            return AvWriter(output, reader, info, force=force)
        return AvWriter(output, None, info, force=force, tags=reader.tags())
    in_wav = info.format in _WAV and output.format in _WAV
    if isinstance(reader, AvReader):
        tags = reader.tags
    else:
        # In a WAV they come with its chunks, and would be there twice.
        tags = {} if in_wav else reader.tags()

    def finish(path: Path) -> list[str]:
        if info.channel_mask and output.format in _WAV:
            set_channel_mask(path, info.channel_mask)
        try:
            if in_wav:
                return copy_chunks(info.path, path)
            if info.backend == "libsndfile":
                return _take_over(info, path, output, loudness_changed)
        except SourceLost as why:
            # Hours of work are not thrown away for the tags of a file that is gone.
            return [
                f"the input could not be read again at the end ({why}); tags and cue "
                "points in it may be missing in the result"
            ]
        return []

    return AudioWriter(
        output,
        info.sample_rate,
        info.channels,
        force=force,
        tags=tags,
        finish=finish,
    )


def _take_over(
    info: AudioInfo, path: Path, output: OutputFormat, loudness_changed: bool
) -> list[str]:
    """Give a result the tags of its input; say which marks cannot be kept."""
    kinds = (_kind(info.format, info.subtype), _kind(*_form(output)))
    notes = copy_tags(info.path, path, kinds, loudness_changed=loudness_changed)
    with reading_source():
        marks = has_marks(info.path)
    if marks:
        notes.append("its cue points are kept from WAV to WAV only")
    return notes


_WAV: Final = ("WAV", "WAVEX", "RF64")


def _form(output: OutputFormat) -> tuple[str, str]:
    return output.format, output.subtype


def _kind(container: str, subtype: str) -> str:
    return subtype if container == "OGG" else container
