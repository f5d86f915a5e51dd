"""Which format a result is stored in: the input's where it can be written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..errors import EXIT_USAGE, OutputError
from ..names import shown
from .avencoders import MUXERS, choose_encoder
from .info import AudioInfo, soundfile_module
from .riff import UNKNOWN_SIZE

__all__ = [
    "SOUND_FILES",
    "TOO_LONG",
    "OutputFormat",
    "UnknownExtensionError",
    "most_frames",
    "output_format",
]


class UnknownExtensionError(OutputError):
    """The extension that a person named stands for nothing that can be written."""

    exit_code = EXIT_USAGE


@dataclass(frozen=True)
class OutputFormat:
    """How a result is stored.

    Attributes
    ----------
    format, subtype, endian
        In libsndfile's words, or in FFmpeg's where PyAV writes.
    path
        The file to write; its extension differs from what was asked for where the
        input's format cannot be written.
    note
        A sentence if the format is not the input's although nobody asked for
        another, else empty.
    backend
        What writes it: ``libsndfile`` or ``PyAV``.
    """

    format: str
    subtype: str
    endian: str
    path: Path
    note: str = ""
    backend: str = "libsndfile"


_BY_EXTENSION: Final = {
    "wav": "WAV",
    "wave": "WAV",
    "flac": "FLAC",
    "ogg": "OGG",
    "oga": "OGG",
    "opus": "OGG",
    "mp3": "MP3",
    "aif": "AIFF",
    "aiff": "AIFF",
    "aifc": "AIFF",
    "au": "AU",
    "snd": "AU",
    "caf": "CAF",
    "w64": "W64",
    "rf64": "RF64",
}

SOUND_FILES: Final = tuple(_BY_EXTENSION)
"""Extensions of what libsndfile writes, in lower case and without the dot."""

_LOSSLESS: Final = {
    "DOUBLE": ("DOUBLE", "FLOAT", "PCM_24", "PCM_16"),
    "FLOAT": ("FLOAT", "PCM_24", "PCM_16"),
    "PCM_32": ("PCM_32", "PCM_24", "PCM_16"),
    "PCM_24": ("PCM_24", "PCM_16"),
    "PCM_U8": ("PCM_U8", "PCM_S8", "PCM_16"),
    "PCM_S8": ("PCM_S8", "PCM_U8", "PCM_16"),
    # libsndfile crashes while it writes ALAC on a disk that becomes full.
    "ALAC_32": ("PCM_32", "PCM_24", "PCM_16"),
    "ALAC_24": ("PCM_24", "PCM_16"),
    "ALAC_20": ("PCM_24", "PCM_16"),
    "ALAC_16": ("PCM_16",),
}


_OLD_MPEG: Final = ("MPEG_LAYER_I", "MPEG_LAYER_II")
"""libsndfile says that it writes them, and then does not."""


def output_format(info: AudioInfo, target: Path, *, explicit: bool) -> OutputFormat:
    """Choose how the result of a file is stored.

    Parameters
    ----------
    info
        The input.
    target
        Where the result is to go.
    explicit
        A person named `target`, extension included. Then its extension decides, and
        a format that cannot be written is an error; otherwise WAV is taken instead.

    Returns
    -------
    OutputFormat

    Raises
    ------
    OutputError
        If the extension that was named stands for no format that can be written.
    """
    extension = target.suffix.lower().lstrip(".")
    if not explicit and not info.path.suffix:
        extension = ""  # NAME.denoised
    same = extension == info.path.suffix.lower().lstrip(".") or not extension
    by_av = extension in MUXERS or (same and extension not in _BY_EXTENSION)
    if by_av and (info.backend == "PyAV" or not same):
        try:
            return _container_format(info, target, extension)
        except OutputError:
            if explicit:
                raise
        what = f"{info.format} with sound of {info.sample_rate} Hz"
        return _as_wav(info, target, what)
    if not same and extension not in _BY_EXTENSION:
        raise UnknownExtensionError(
            f"cannot write {shown(target)}: .{shown(extension)} is no format known "
            f"here; use one of {', '.join((*_BY_EXTENSION, *MUXERS))}"
        )
    # An .ogg with a picture, say, or an .mp3 that only FFmpeg can read.
    same = same and info.backend != "PyAV"
    container = info.format if same else _BY_EXTENSION.get(extension, "WAV")
    wanted = _wanted(info, container, same=same)
    if extension == "opus" and not same:
        wanted = ("OPUS",)
    found = _first_writable(container, wanted, info)
    if container == "MP3" and info.subtype in _OLD_MPEG and extension != "mp3":
        found = None  # nobody looks for layer III in an .mp2
    if found is not None:
        subtype, endian = found
        note = ""
        if same and subtype != info.subtype:
            note = f"{info.subtype} cannot be written; {subtype} was written instead"
        if container == "WAV" and info.channel_mask and info.channels > 2:
            container = "WAVEX"
        container = _wide_enough(container, subtype, info)
        if info.frames <= most_frames(container, subtype, info.channels):
            return OutputFormat(container, subtype, endian, target, note)
        if explicit:
            raise OutputError(f"cannot write {shown(target)}: {TOO_LONG[container]}")
        return _as_wav(info, target, f"{container} of more than 4 GB")
    if explicit:
        raise OutputError(
            f"cannot write {shown(target)}: libsndfile here does not write "
            f"{container} with {info.subtype}; name a .wav or .flac file"
        )
    return _as_wav(info, target, f"{container} with {info.subtype}")


def _wanted(info: AudioInfo, container: str, *, same: bool) -> tuple[str, ...]:
    """Return sample formats that would do, the best first."""
    if info.subtype.startswith("MPEG_") and not (same and container != "MP3"):
        # MP3 in a WAV is possible, and nobody who names a .wav means it.
        return ("MPEG_LAYER_III",) if container == "MP3" else ("PCM_16",)
    return _LOSSLESS.get(info.subtype, (info.subtype, "PCM_16"))


def _as_wav(info: AudioInfo, target: Path, what: str) -> OutputFormat:
    """Return WAV in place of what cannot be written."""
    wanted = _wanted(info, "WAV", same=False)
    subtype, endian = _first_writable("WAV", wanted, info) or ("PCM_16", "FILE")
    return OutputFormat(
        _wide_enough("WAV", subtype, info),
        subtype,
        endian,
        target.with_suffix(".wav"),
        f"{what} cannot be written; WAV was written instead",
    )


def _container_format(info: AudioInfo, target: Path, extension: str) -> OutputFormat:
    """Choose how PyAV stores the result; the extension says the container."""
    muxer = MUXERS.get(extension, info.format)
    if not extension or extension not in MUXERS:
        muxer = _BY_DEMUXER.get(info.format, info.format)
    try:
        choice = choose_encoder(info.codec, muxer, info.sample_rate)
    except ValueError:
        choice = None
    if choice is None:
        raise OutputError(
            f"cannot write {shown(target)}: no sound of {info.sample_rate} Hz goes "
            "into such a file; name a .mkv or .wav file"
        )
    return OutputFormat(muxer, choice.codec, "FILE", target, choice.note, "PyAV")


_BY_DEMUXER: Final = {"mov": "mp4", "aac": "adts"}
"""FFmpeg's writers whose names are not those of its readers."""


def _first_writable(
    container: str, subtypes: tuple[str, ...], info: AudioInfo
) -> tuple[str, str] | None:
    sf = soundfile_module()
    fallback = sf.default_subtype(container)
    for subtype in (*subtypes, *([fallback] if fallback else [])):
        for endian in dict.fromkeys((info.endian, "FILE")):
            if sf.check_format(container, subtype, endian):
                return subtype, endian
    return None


def _wide_enough(container: str, subtype: str, info: AudioInfo) -> str:
    # A plain WAV counts its bytes in 32 bits; RF64 is the same file with 64.
    if container in ("WAV", "WAVEX") and (
        info.frames > most_frames(container, subtype, info.channels)
    ):
        return "RF64"
    return container


_TOO_LONG: Final = (
    "the sound has more than the 4 GB that {} header can count; name a .w64 or .rf64 "
    "file, or a .caf or .flac file"
)

TOO_LONG: Final = {
    "WAV": _TOO_LONG.format("a plain WAV"),
    "WAVEX": _TOO_LONG.format("a plain WAV"),
    "AIFF": _TOO_LONG.format("an AIFF"),
}
"""What is said of sound that a format cannot hold, for each format with a limit."""


def most_frames(container: str, subtype: str, channels: int) -> int:
    """Return how many samples per channel a format can count in its header.

    Parameters
    ----------
    container, subtype
        In libsndfile's words.
    channels
        Number of channels.

    Returns
    -------
    int
        Beyond anything real where 64 bits count them.
    """
    if container not in TOO_LONG:
        return 1 << 62
    # A little is left for the chunks around the sound.
    return (UNKNOWN_SIZE - (1 << 20)) // (channels * bytes_per_sample(subtype))


def bytes_per_sample(subtype: str) -> int:
    """Return how many bytes a plain sample takes; 2 for what is no plain sample."""
    sizes = {"DOUBLE": 8, "FLOAT": 4, "PCM_32": 4, "PCM_24": 3}
    return sizes.get(subtype, 1 if subtype in ("PCM_U8", "PCM_S8") else 2)
