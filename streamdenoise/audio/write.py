"""Writing sound files with libsndfile, complete or not at all."""

from __future__ import annotations

import contextlib
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ..closing import Completing
from ..errors import OutputError
from ..names import shown
from .formats import TOO_LONG, OutputFormat, most_frames, output_format
from .info import native_name, soundfile_module
from .order import in_file_order
from .pcm import quantise
from .target import PartFile, check_target

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["AudioWriter", "OutputFormat", "check_target", "output_format"]

_UPDATE_HEADER_AUTO: Final = 0x1061  # libsndfile's SFC_SET_UPDATE_HEADER_AUTO
_HEADERS: Final = ("WAV", "WAVEX", "AIFF", "CAF", "AU", "W64", "RF64")
"""Formats that have the length in their header."""

_MOST_NAMES: Final = 10_000
_SYSTEM_ERROR: Final = 2  # libsndfile's SF_ERR_SYSTEM: a read or write call failed


class AudioWriter(Completing):
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
    finish
        Called with the path of the complete temporary file before it gets its name,
        to put into it what libsndfile cannot; it returns notes.
    keep
        For what cannot be made again: put the file in place by `close` even if some of
        its end could not be stored, as on a full disk, and beside its name if that has
        been taken meanwhile (even with `force`, which replaces only what was there at
        the beginning); `notes` say so. If nothing helps, leave the temporary
        file, which can be read at any time.

    Attributes
    ----------
    written : int
        Samples per channel so far.
    stored : int
        Samples per channel that the file in place holds; 0 before `close`.
    notes : list of str
        What is to be said of the result, a sentence each.

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
        finish: Callable[[Path], list[str]] | None = None,
        keep: bool = False,
    ) -> None:
        self.output = output
        self.written = self.stored = 0
        self.notes: list[str] = []
        self._finish, self._keep = finish, keep
        self._rate = sample_rate
        self._most = most_frames(output.format, output.subtype, channels)
        self._part = PartFile(output.path, force=force, spare=keep)
        self._file: Any = None
        try:
            self._file = self._open(sample_rate, channels)
            if keep and output.format in _HEADERS:
                _keep_header(self._file)
            for key, value in (tags or {}).items():
                # Not every container takes every tag; none is worth an error.
                with contextlib.suppress(Exception):
                    setattr(self._file, key, value)
        except BaseException:
            self.discard()
            raise

    def _open(self, sample_rate: int, channels: int) -> Any:
        sf = soundfile_module()
        out = self.output
        try:
            return sf.SoundFile(
                native_name(self._part.path),
                "w",
                samplerate=sample_rate,
                channels=channels,
                format=out.format,
                subtype=out.subtype,
                endian=out.endian,
            )
        except (OSError, ValueError) as error:
            raise self._part.failure(error) from error
        except sf.LibsndfileError as error:
            if error.code == _SYSTEM_ERROR:
                raise self._part.failure(None) from error
            raise OutputError(
                f"cannot write {shown(out.path)}: libsndfile refuses {out.format} with "
                f"{out.subtype}, {channels} channels and {sample_rate} Hz; name a "
                ".wav file instead"
            ) from error

    def write(self, block: NDArray[np.float32], track: int = 0) -> None:
        """Append a block of shape (n, channels).

        Integer formats are rounded to nearest and saturate at full scale; float
        formats keep what lies above it.

        Parameters
        ----------
        block
            Samples, full scale is 1.
        track
            Always 0: a sound file has one track.

        Raises
        ------
        OutputError
            If the disk is full or the file system refuses.
        """
        if not len(block):
            return
        if track:
            raise ValueError(f"a sound file has one track; {track} is none")
        if self.written + len(block) > self._most:
            raise OutputError(
                f"cannot write {shown(self.output.path)}: "
                f"{TOO_LONG[self.output.format]}; nothing was left behind"
            )
        sf = soundfile_module()
        try:
            out = self.output
            ordered = in_file_order(block, out.format, out.subtype)
            self._file.write(_as_stored(ordered, out.subtype))
        except (sf.LibsndfileError, OSError, AssertionError) as error:
            raise self._part.failure(
                error if isinstance(error, OSError) else None
            ) from error
        self.written += len(block)

    def close(self) -> None:
        """Finish the file and put it in place under its name.

        Raises
        ------
        OutputError
            If it cannot be completed, or the target has appeared meanwhile.
        """
        try:
            stored = self._complete()
            # Some encoders write their last block at the end and report nothing.
            missing = self.written - stored
            if missing > 0 and not (self._keep and stored):
                raise self._part.failure(None)
            if missing > 0:
                self.notes.append(
                    f"the last {missing / self._rate:.1f} s could not be stored"
                )
            if self._finish is not None:
                try:
                    self.notes += self._finish(self._part.path)
                except OSError as error:
                    raise self._part.failure(error) from error
        except BaseException:
            self.discard()
            raise
        self._place()
        self.stored = min(stored, self.written)

    def _place(self) -> None:
        """Give the temporary file its name, or if need be one beside it."""
        try:
            self._part.place()
        except BaseException as error:
            if not self._keep:
                self.discard()
                raise
            if not self._place_beside():
                self._part.release()
                raise OutputError(
                    f"cannot give {shown(self.output.path)} its name; what was written "
                    f"is in {shown(self._part.path)}"
                ) from error

    def _place_beside(self) -> bool:
        """Give it a name with a number, as the one that was meant is taken."""
        taken = self.output.path
        for number in range(2, _MOST_NAMES):
            path = taken.with_name(f"{taken.stem}-{number}{taken.suffix}")
            if os.path.lexists(path):
                continue
            self._part.target = path
            try:
                self._part.place()
            except OutputError:
                return False
            self.output = replace(self.output, path=path)
            self.notes.append(
                f"{shown(taken)} was taken meanwhile, so this is {shown(path)}"
            )
            return True
        return False

    def _complete(self) -> int:
        """Close the temporary file; return the samples per channel that are in it."""
        sf = soundfile_module()
        try:
            try:
                self._file.close()
            except sf.LibsndfileError:
                # What is on the disk may be a file that can be read all the same.
                if not self._keep:
                    raise
            return int(sf.info(native_name(self._part.path)).frames)
        except sf.LibsndfileError as error:
            none = ValueError("no sound came, and such a file cannot be without any")
            raise self._part.failure(None if self.written else none) from error

    def discard(self) -> None:
        """Leave nothing behind."""
        if self._file is not None:
            with contextlib.suppress(Exception):
                self._file.close()
        self._part.discard()


def _keep_header(file: Any) -> None:
    """Let libsndfile write the length into the header at each write.

    What a killed program leaves can then be read, whatever the format.
    """
    sf = soundfile_module()
    with contextlib.suppress(AttributeError):  # not in the public part of soundfile
        sf._snd.sf_command(file._file, _UPDATE_HEADER_AUTO, sf._ffi.NULL, 1)


def _as_stored(block: NDArray[np.float32], subtype: str) -> NDArray[Any]:
    """Round as the file will hold it; libsndfile itself rounds downwards."""
    if subtype in ("FLOAT", "DOUBLE"):
        return block
    if subtype in ("PCM_S8", "PCM_U8"):
        return (quantise(block, 8) << 8).astype(np.int16)
    if subtype == "PCM_16":
        return quantise(block, 16).astype(np.int16)
    bits = {"PCM_24": 24, "PCM_32": 32}
    if subtype in bits:
        return quantise(block, bits[subtype]) << (32 - bits[subtype])
    return np.clip(block, -1.0, 1.0)
