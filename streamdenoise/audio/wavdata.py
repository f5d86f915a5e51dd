"""Reading the sound of a file whose header does not tell the truth.

Plain samples need no decoder: they are read from where they begin to where they end in
truth. For what is coded, libsndfile is shown a file with other numbers in its header.
Both are used in place of a `soundfile.SoundFile`.
"""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from .info import native_name, soundfile_module
from .riff import UNKNOWN_SIZE
from .wavscan import WavLayout

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .pcm import SampleFormat

__all__ = ["PatchedFile", "PatchedSound", "PlainSound", "open_wav"]

_SUBTYPES: Final = {
    "u8": "PCM_U8",
    "s16le": "PCM_16",
    "s24le": "PCM_24",
    "s32le": "PCM_32",
    "f32le": "FLOAT",
    "f64le": "DOUBLE",
}
"""libsndfile's words for plain samples."""

_MOST_CODED: Final = UNKNOWN_SIZE - 64


def open_wav(path: Path, layout: WavLayout) -> tuple[Any, int, str]:
    """Open all the sound that a WAV file holds.

    Parameters
    ----------
    path, layout
        The file, and what `scan_wav` found in it.

    Returns
    -------
    file : SoundFile, PlainSound or PatchedSound
    expected : int
        Samples per channel that the header of a file declares that is cut short, else
        those that can be read.
    note : str
        A sentence if there is more than the header declares, else empty.

    Raises
    ------
    soundfile.LibsndfileError, OSError
        If it cannot be read.
    """
    file: Any = soundfile_module().SoundFile(native_name(path))
    kind = layout.plain
    if kind is not None and file.subtype == _SUBTYPES[kind.name]:
        align = layout.header.align
        if file.frames < layout.sound // align:
            file = PlainSound(file, path, layout, kind)
        declared = (layout.declared or 0) // align
    elif layout.undeclared:
        file.close()
        size = min(layout.sound, _MOST_CODED)
        offset = layout.data_offset - 4
        riff = min(offset + size, UNKNOWN_SIZE - 1)
        patches = {4: struct.pack("<I", riff), offset: struct.pack("<I", size)}
        file = PatchedSound(path, patches)
        declared = round(file.frames * (layout.declared or 0) / size)
    else:
        declared = round(file.frames * (layout.declared or 0) / (layout.sound or 1))
    if layout.undeclared:
        return file, file.frames, _more(declared, layout, file)
    cut = layout.data_present < (layout.header.data_bytes or 0)
    return file, declared if cut else file.frames, ""


def _more(declared: int, layout: WavLayout, file: Any) -> str:
    part = "all of it was"
    if isinstance(file, PatchedSound) and layout.sound > _MOST_CODED:
        part = "its first 4 GiB were"
    return (
        f"its header declares {declared} samples, but more audio follows; {part} "
        "denoised"
    )


class PlainSound:
    """Plain samples of a WAV file, as many as there are.

    Parameters
    ----------
    head
        The file as libsndfile opens it, for all but the samples; it is closed too.
    path, layout, kind
        Where the samples are and how they are stored.

    Attributes
    ----------
    frames : int
        Samples per channel.
    """

    def __init__(
        self, head: Any, path: Path, layout: WavLayout, kind: SampleFormat
    ) -> None:
        self._head, self._kind = head, kind
        self._align, self._channels = layout.header.align, layout.header.channels
        self._offset = layout.data_offset
        self.frames = layout.sound // self._align
        try:
            self._raw = path.open("rb")
            self.seek(0)
        except BaseException:
            head.close()
            raise

    def __getattr__(self, name: str) -> Any:
        return getattr(self._head, name)

    def seek(self, frame: int) -> int:
        """Go to a sample; ValueError if there is none."""
        if not 0 <= frame <= self.frames:
            raise ValueError(f"there is no sample {frame}")
        self._raw.seek(self._offset + frame * self._align)
        self._at = frame
        return frame

    def read(self, out: NDArray[np.float32]) -> NDArray[np.float32]:
        """Fill `out`, shape (n, channels), as far as there are samples."""
        want = min(len(out), self.frames - self._at)
        data = self._raw.read(want * self._align)
        count = len(data) // self._align
        samples = self._kind.decode(data[: count * self._align])
        out[:count] = samples.reshape(-1, self._channels)
        self._at += count
        return out[:count]

    def close(self) -> None:
        """Close the file."""
        self._raw.close()
        self._head.close()


class PatchedSound:
    """A file that libsndfile sees with other bytes in its header.

    libsndfile calls Python for every read, and what is raised in such a call is lost:
    Ctrl-C would look like the end of the file. So the calls are made in a thread of
    their own, where no signal is handled.

    Parameters
    ----------
    path, patches
        The file, and what stands where in place of its own bytes.
    """

    def __init__(self, path: Path, patches: Mapping[int, bytes]) -> None:
        self._file: Any = None
        self._view = PatchedFile(path, patches)
        self._aside = ThreadPoolExecutor(1, "streamdenoise-read")
        try:
            self._file = self._call(soundfile_module().SoundFile, self._view)
        except BaseException:
            self.close()
            raise

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def _call(self, act: Callable[..., Any], *args: Any, **extra: Any) -> Any:
        future = self._aside.submit(act, *args, **extra)
        error = future.exception()
        if self._view.failure is not None:
            raise self._view.failure from error
        return future.result()

    def seek(self, frame: int) -> int:
        """Go to a sample, as `soundfile.SoundFile` does."""
        return int(self._call(self._file.seek, frame))

    def read(self, out: NDArray[np.float32]) -> NDArray[np.float32]:
        """Fill `out`, as `soundfile.SoundFile` does."""
        read: NDArray[np.float32] = self._call(self._file.read, out=out)
        return read

    def close(self) -> None:
        """Close the file."""
        self._aside.shutdown()
        if self._file is not None:
            self._file.close()
        self._view.close()


class PatchedFile(io.RawIOBase):
    """A file in which some bytes read as others.

    Attributes
    ----------
    failure : BaseException or None
        What a read failed by: who reads through libsndfile does not hear of it.
    """

    def __init__(self, path: Path, patches: Mapping[int, bytes]) -> None:
        super().__init__()
        self.failure: BaseException | None = None
        self._raw = path.open("rb")
        self._patches = patches

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def seekable(self) -> bool:
        """Say that it can be sought in."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Go to a place, as in the file."""
        return self._raw.seek(offset, whence)

    def tell(self) -> int:
        """Return the place, as in the file."""
        return self._raw.tell()

    def readinto(self, buffer: Any, /) -> int:
        """Read bytes of the file, or none if that fails."""
        try:
            return self._readinto(buffer)
        except BaseException as error:
            self.failure = error
            return 0

    def _readinto(self, buffer: Any) -> int:
        start = self._raw.tell()
        count = self._raw.readinto(buffer)
        for offset, patch in self._patches.items():
            for i, byte in enumerate(patch):
                if start <= offset + i < start + count:
                    memoryview(buffer)[offset + i - start] = byte
        return count

    def close(self) -> None:
        """Close the file."""
        self._raw.close()
        super().close()
