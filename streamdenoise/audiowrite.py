"""Writing sound files: in the input's format, complete or not at all.

What libsndfile can write of the input's container and sample format is kept. Samples
go to a temporary file beside the target, which is renamed at the end, so that an
error, a full disk or Ctrl-C leaves nothing half-done behind.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from .audioread import AudioInfo, native_name, soundfile_module
from .errors import OutputError
from .names import shown
from .pcm import quantise
from .riff import UNKNOWN_SIZE

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["AudioWriter", "OutputFormat", "check_target", "output_format"]

_SYSTEM_ERROR: Final = 2  # libsndfile's SF_ERR_SYSTEM: a read or write call failed


@dataclass(frozen=True)
class OutputFormat:
    """How a result is stored.

    Attributes
    ----------
    format, subtype, endian
        In libsndfile's words.
    path
        The file to write; its extension differs from what was asked for where the
        input's format cannot be written.
    note
        A sentence if the format is not the input's although nobody asked for
        another, else empty.
    """

    format: str
    subtype: str
    endian: str
    path: Path
    note: str = ""


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

_LOSSLESS: Final = {
    "DOUBLE": ("DOUBLE", "FLOAT", "PCM_24", "PCM_16"),
    "FLOAT": ("FLOAT", "PCM_24", "PCM_16"),
    "PCM_32": ("PCM_32", "PCM_24", "PCM_16"),
    "PCM_24": ("PCM_24", "PCM_16"),
    "PCM_U8": ("PCM_U8", "PCM_S8", "PCM_16"),
    "PCM_S8": ("PCM_S8", "PCM_U8", "PCM_16"),
    "ALAC_32": ("ALAC_32", "PCM_32", "PCM_24", "PCM_16"),
    "ALAC_24": ("ALAC_24", "PCM_24", "PCM_16"),
    "ALAC_20": ("ALAC_20", "PCM_24", "PCM_16"),
}


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
    same = extension == info.path.suffix.lower().lstrip(".") or not extension
    if not same and extension not in _BY_EXTENSION:
        raise OutputError(
            f"cannot write {shown(target)}: .{shown(extension)} is no format known "
            f"here; use one of {', '.join(_BY_EXTENSION)}"
        )
    container = info.format if same else _BY_EXTENSION[extension]
    wanted = _LOSSLESS.get(info.subtype, (info.subtype, "PCM_16"))
    if extension == "opus" and not same:
        wanted = ("OPUS",)
    found = _first_writable(container, wanted, info)
    if found is not None:
        subtype, endian = found
        note = ""
        if same and subtype != info.subtype:
            note = f"{info.subtype} cannot be written; {subtype} was written instead"
        container = _wide_enough(container, subtype, info)
        return OutputFormat(container, subtype, endian, target, note)
    if explicit:
        raise OutputError(
            f"cannot write {shown(target)}: libsndfile here does not write "
            f"{container} with {info.subtype}; name a .wav or .flac file"
        )
    subtype, endian = _first_writable("WAV", wanted, info) or ("PCM_16", "FILE")
    return OutputFormat(
        "WAV",
        subtype,
        endian,
        target.with_suffix(".wav"),
        f"{container} with {info.subtype} cannot be written; WAV was written instead",
    )


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
    size = {"DOUBLE": 8, "FLOAT": 4, "PCM_32": 4, "PCM_24": 3}.get(subtype, 2)
    if container in ("WAV", "WAVEX") and (
        info.frames * info.channels * size > UNKNOWN_SIZE - 4096
    ):
        return "RF64"
    return container


class AudioWriter:
    """Write a sound file so that it appears complete or not at all.

    Use it as a context manager: leaving it normally puts the file in place, leaving
    it by an exception (Ctrl-C included) removes what was written.

    Parameters
    ----------
    output
        Path and format, from `output_format`.
    sample_rate, channels
        Of the audio.
    force
        Replace an existing file.
    tags
        Title, artist and the like, as soundfile's ``copy_metadata`` gives them.

    Raises
    ------
    OutputError
        If the target exists and `force` is false, is no regular file, or cannot be
        written.
    """

    def __init__(
        self,
        output: OutputFormat,
        sample_rate: int,
        channels: int,
        *,
        force: bool = False,
        tags: dict[str, str] | None = None,
    ) -> None:
        self.output = output
        self.written = 0
        self._force = force
        self._name = shown(output.path)
        check_target(output.path, force=force)
        folder, stem = output.path.parent, output.path.name[:64]
        self._temp = folder / f".{stem}.{secrets.token_hex(4)}.part"
        self._file: Any = None
        try:
            self._file = self._open(sample_rate, channels)
            for key, value in (tags or {}).items():
                # Not every container takes every tag; none is worth an error.
                with contextlib.suppress(Exception):
                    setattr(self._file, key, value)
        except BaseException:
            self._discard()
            raise

    def _open(self, sample_rate: int, channels: int) -> Any:
        sf = soundfile_module()
        out = self.output
        try:
            # Created here and not by libsndfile: never through somebody's link, and
            # a missing permission comes as an exact error.
            os.close(os.open(self._temp, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
            return sf.SoundFile(
                native_name(self._temp),
                "w",
                samplerate=sample_rate,
                channels=channels,
                format=out.format,
                subtype=out.subtype,
                endian=out.endian,
            )
        except (OSError, ValueError) as error:
            raise self._error(error) from error
        except sf.LibsndfileError as error:
            if error.code == _SYSTEM_ERROR:
                raise self._error(None) from error
            raise OutputError(
                f"cannot write {self._name}: libsndfile refuses {out.format} with "
                f"{out.subtype}, {channels} channels and {sample_rate} Hz; name a "
                ".wav file instead"
            ) from error

    def write(self, block: NDArray[np.float32]) -> None:
        """Append a block of shape (n, channels).

        Integer formats are rounded to nearest and saturate at full scale; float
        formats keep what lies above it.

        Raises
        ------
        OutputError
            If the disk is full or the file system refuses.
        """
        if not len(block):
            return
        sf = soundfile_module()
        try:
            self._file.write(_as_stored(block, self.output.subtype))
        except (sf.LibsndfileError, OSError, AssertionError) as error:
            raise self._error(error if isinstance(error, OSError) else None) from error
        self.written += len(block)

    def close(self) -> None:
        """Finish the file and put it in place under its name.

        Raises
        ------
        OutputError
            If it cannot be completed, or the target has appeared meanwhile.
        """
        sf = soundfile_module()
        try:
            try:
                self._file.close()
                stored = sf.info(native_name(self._temp)).frames
            except sf.LibsndfileError as error:
                raise self._error(None) from error
            # Some encoders write their last block at the end and report nothing.
            if stored < self.written:
                raise self._error(None)
            self._rename()
        except BaseException:
            self._discard()
            raise

    def _rename(self) -> None:
        target = self.output.path
        try:
            if self._force:
                check_target(target, force=True)
                self._temp.replace(target)
                return
            try:
                # A link fails where a file has appeared meanwhile; a rename would
                # replace it.
                os.link(self._temp, target)
            except FileExistsError:
                check_target(target, force=False)
                raise
            except OSError:  # no hard links here, such as on FAT
                check_target(target, force=False)
                self._temp.replace(target)
            else:
                self._temp.unlink()
        except OSError as error:
            raise self._error(error) from error

    def _error(self, error: BaseException | None) -> OutputError:
        """Say why writing failed; libsndfile itself does not tell."""
        folder = self.output.path.parent
        if isinstance(error, FileNotFoundError):
            why = f"there is no folder {shown(folder)}; create it first"
        elif isinstance(error, NotADirectoryError):
            why = f"{shown(folder)} is no folder"
        elif isinstance(error, PermissionError):
            why = f"no permission to write in {shown(folder)}; choose another with -o"
        elif isinstance(error, OSError) and error.errno != errno.ENOSPC:
            why = error.strerror or str(error)
        elif isinstance(error, ValueError):
            why = str(error)
        elif _free_bytes(folder) < 1 << 20:
            why = "the disk is full; free some space or choose another folder with -o"
        else:
            why = (
                "the file system refused more data (is the disk full, or is there a "
                "limit on file sizes?)"
            )
        return OutputError(f"cannot write {self._name}: {why}; nothing was left behind")

    def _discard(self) -> None:
        if self._file is not None:
            with contextlib.suppress(Exception):
                self._file.close()
        with contextlib.suppress(OSError):
            self._temp.unlink()

    def __enter__(self) -> AudioWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self._discard()


def check_target(path: Path, *, force: bool) -> None:
    """Refuse a target that must not be written.

    Parameters
    ----------
    path
        Where a file is to be put.
    force
        Whether an existing regular file may be replaced.

    Raises
    ------
    OutputError
        If it is a folder, a device or a pipe, or exists and `force` is false.
    """
    name = shown(path)
    try:
        if path.is_dir():
            raise OutputError(f"cannot write {name}: it is a folder; name a file in it")
        if path.exists() and not path.is_file():
            raise OutputError(
                f"cannot write {name}: it is no regular file; for a stream use: "
                "streamdenoise pipe"
            )
        if not force and os.path.lexists(path):
            raise OutputError(
                f"{name} exists already; add --force to replace it, or choose another "
                "name with -o"
            )
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise OutputError(f"cannot write {name}: {reason}") from error


def _free_bytes(folder: Path) -> int:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return 1 << 62


def _as_stored(block: NDArray[np.float32], subtype: str) -> NDArray[Any]:
    """Round as the file will hold it; libsndfile itself rounds downwards."""
    if subtype in ("FLOAT", "DOUBLE"):
        return block
    if subtype in ("PCM_S8", "PCM_U8"):
        return (quantise(block, 8) << 8).astype(np.int16)
    if subtype in ("PCM_16", "ALAC_16"):
        return quantise(block, 16).astype(np.int16)
    bits = {"PCM_24": 24, "ALAC_20": 20, "ALAC_24": 24, "PCM_32": 32, "ALAC_32": 32}
    if subtype in bits:
        return quantise(block, bits[subtype]) << (32 - bits[subtype])
    return np.clip(block, -1.0, 1.0)
