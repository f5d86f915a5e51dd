"""Reading sound files in blocks: any format libsndfile knows.

`AudioReader` yields float32 blocks and never holds the whole file. It reads what is
there of a file that is cut short or whose header lies, and says so in its notes.
"""

from __future__ import annotations

import io
import math
import os
import struct
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from .constants import MAX_RATE, MIN_RATE
from .errors import AudioFormatError, RuntimeMissingError
from .names import shown
from .riff import UNKNOWN_SIZE, WavLayout, scan_wav

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

__all__ = [
    "MAX_CHANNELS",
    "AudioInfo",
    "AudioReader",
    "check_stream",
    "native_name",
    "soundfile_module",
]

MAX_CHANNELS: Final = 32
"""Most channels of one file or stream; each has its own denoiser state."""

BLOCK_FRAMES: Final = 1 << 16
"""Samples per channel of one block; with float32 a mono block is 256 KiB."""

CLIPPED_LEVEL: Final = 32766.5 / 32768
"""Samples from here on count as full scale, in 16-bit files as in float ones."""


@dataclass(frozen=True)
class AudioInfo:
    """What a sound file is.

    Attributes
    ----------
    path
        The file.
    sample_rate
        In Hz.
    channels
        Number of channels.
    frames
        Samples per channel that its header declares.
    format, subtype, endian
        Container, sample format and byte order in libsndfile's words.
    """

    path: Path
    sample_rate: int
    channels: int
    frames: int
    format: str
    subtype: str
    endian: str = "FILE"

    @property
    def seconds(self) -> float:
        """Declared duration."""
        return self.frames / self.sample_rate


def check_stream(sample_rate: int, channels: int, what: str) -> None:
    """Refuse rates and channel counts that the engine does not run at.

    Parameters
    ----------
    sample_rate
        In Hz.
    channels
        Number of channels.
    what
        Whose they are, for the error sentence.

    Raises
    ------
    AudioFormatError
        If either lies outside what can be processed.
    """
    if not MIN_RATE <= sample_rate <= MAX_RATE:
        raise AudioFormatError(
            f"{what} has a sample rate of {sample_rate} Hz, but rates from {MIN_RATE} "
            f"to {MAX_RATE} Hz can be processed; if that is not its real rate, its "
            "header is wrong, else resample it first"
        )
    if not 1 <= channels <= MAX_CHANNELS:
        raise AudioFormatError(
            f"{what} has {channels} channels, but 1 to {MAX_CHANNELS} can be "
            "processed; split it, or check its header"
        )


def soundfile_module() -> ModuleType:
    """Import soundfile, in the one place that does.

    Raises
    ------
    RuntimeMissingError
        If it or libsndfile is not installed.
    """
    try:
        import soundfile
    except (ImportError, OSError) as error:
        raise RuntimeMissingError(
            f"sound files need the soundfile package with libsndfile ({error}); "
            "install it with: pip install soundfile"
        ) from error
    return soundfile  # type: ignore[no-any-return]


def native_name(path: Path) -> str | bytes:
    """Return a path as soundfile is to be given it."""
    # libsndfile takes any bytes as a name on POSIX; str fails on undecodable ones.
    return str(path) if sys.platform == "win32" else os.fsencode(path)


class AudioReader:
    """Read a sound file block by block.

    Use it as a context manager and iterate over it.

    Parameters
    ----------
    path
        A regular file.
    block_frames
        Samples per channel of a block.

    Attributes
    ----------
    info : AudioInfo
    position : int
        Samples per channel read so far.
    nonfinite, clipped : int
        Samples so far that were NaN or infinite, and that lie at full scale.
    notes : list of str
        What is odd about the file, a sentence each; complete after the last block.

    Raises
    ------
    AudioFormatError
        If there is no such file, it holds no audio, cannot be decoded, or has a
        rate or channel count that cannot be processed.
    """

    def __init__(
        self, path: str | os.PathLike[str], block_frames: int = BLOCK_FRAMES
    ) -> None:
        self.path = Path(path)
        self.position = 0
        self.nonfinite = 0
        self.clipped = 0
        self.notes: list[str] = []
        self._block_frames = block_frames
        self._expected = 0
        self._patched: _PatchedFile | None = None
        _check_readable(self.path)
        self._file = self._open()
        f = self._file
        self.info = AudioInfo(
            self.path, f.samplerate, f.channels, f.frames, f.format, f.subtype, f.endian
        )
        self._expected = max(self._expected, f.frames)
        try:
            name = shown(self.path)
            check_stream(f.samplerate, f.channels, name)
            if f.frames == 0:
                raise AudioFormatError(
                    f"{name} holds no audio: its length is 0 samples"
                )
        except AudioFormatError:
            f.close()
            raise

    def _open(self) -> Any:
        """Open the file with libsndfile, around the lies of a WAV header."""
        sf = soundfile_module()
        name = shown(self.path)
        with self.path.open("rb") as raw:
            layout = scan_wav(raw)
        source: Any = native_name(self.path)
        if layout is not None:
            check_stream(layout.header.sample_rate, layout.header.channels, name)
            source = self._heed(layout, source)
        try:
            return sf.SoundFile(source)
        except TypeError as error:  # .raw: soundfile wants rate and channels
            raise AudioFormatError(
                f"{name} holds raw samples without a header; give their format to: "
                "streamdenoise pipe --rate R --channels C --format s16le < IN > OUT"
            ) from error
        except sf.LibsndfileError as error:
            raise AudioFormatError(_why_unreadable(self.path, error)) from error

    def _heed(self, layout: WavLayout, source: Any) -> Any:
        """Note a header that declares more or less than there is."""
        header = layout.header
        align = header.channels * (header.sample_format or _NO_FORMAT).size
        declared, present = layout.data_declared, layout.data_present
        if layout.undeclared > declared:
            self.notes.append(
                f"its header declares {declared // align} samples, but more audio "
                "follows; all of it was denoised"
            )
            size = min(present, UNKNOWN_SIZE - 64)
            self._patched = _PatchedFile(self.path, layout.data_offset - 4, size)
            return self._patched
        if header.data_bytes is not None and present < header.data_bytes:
            self._expected = header.data_bytes // align
        return source

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        """Yield blocks of shape (n, channels), n <= `block_frames`.

        The array is used again for the next block. NaN and infinities are replaced
        by silence and counted.
        """
        buffer = np.empty((self._block_frames, self.info.channels), np.float32)
        while True:
            count, damage = self._fill(buffer)
            block = buffer[:count]
            if count:
                self._count(block)
                self.position += count
                yield block
            if damage or not count:
                self._finish(damage)
                return

    def _fill(self, buffer: NDArray[np.float32]) -> tuple[int, str]:
        """Read into `buffer`; return the frames read and what went wrong."""
        sf = soundfile_module()
        # A damaged file may yield part of a block and then fail: the marks tell
        # how far it got. NaNs of the file itself only occur in sound float files.
        buffer.fill(np.nan)
        try:
            return len(self._file.read(out=buffer)), ""
        except sf.LibsndfileError as error:
            missing = np.isnan(buffer).all(axis=1)
            count = int(missing.argmax()) if missing.any() else len(buffer)
            if not count and not self.position:
                raise AudioFormatError(_why_unreadable(self.path, error)) from error
            return count, "its data is damaged"

    def _count(self, block: NDArray[np.float32]) -> None:
        # A NaN makes both extremes NaN, so these two passes find all that is odd.
        high, low = float(block.max()), float(block.min())
        if not math.isfinite(high - low):
            finite = np.isfinite(block)
            self.nonfinite += block.size - int(np.count_nonzero(finite))
            block[~finite] = 0.0
            high = math.inf
        if max(high, -low) >= CLIPPED_LEVEL:
            self.clipped += int(np.count_nonzero(np.abs(block) >= CLIPPED_LEVEL))

    def _finish(self, damage: str) -> None:
        rate, total = self.info.sample_rate, self.position * self.info.channels
        if self.position == 0:
            raise AudioFormatError(
                f"{shown(self.path)} holds no audio that can be decoded; it is damaged "
                "or cut short"
            )
        if self.position < self._expected:
            self.notes.append(
                f"{damage or 'it is cut short'}: its header declares "
                f"{self._expected / rate:.2f} s, and the {self.position / rate:.2f} s "
                "that can be decoded were denoised"
            )
        if self.nonfinite:
            self.notes.append(
                f"{self.nonfinite} samples were NaN or infinite; they were replaced by "
                "silence"
            )
        if self.clipped > max(16, total // 10_000):
            self.notes.append(
                f"{self.clipped} samples lie at full scale: the recording was clipped, "
                "which denoising does not repair"
            )

    def tags(self) -> dict[str, str]:
        """Return title, artist and the like, where the file has them."""
        try:
            return dict(self._file.copy_metadata())
        except (AttributeError, UnicodeError):  # soundfile before 0.11; odd bytes
            return {}

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        if self._patched is not None:
            self._patched.close()

    def __enter__(self) -> AudioReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass(frozen=True)
class _NoFormat:
    size: int = 1


_NO_FORMAT: Final = _NoFormat()


def _check_readable(path: Path) -> None:
    name = shown(path)
    try:
        if path.is_dir():
            raise AudioFormatError(
                f"{name} is a folder; name the files in it, such as {name}/*.wav"
            )
        with path.open("rb") as file:
            if not path.is_file():
                raise AudioFormatError(
                    f"{name} is no regular file; for a stream use: streamdenoise pipe"
                )
            if not file.read(1):
                raise AudioFormatError(f"{name} is empty (0 bytes)")
    except FileNotFoundError as error:
        raise AudioFormatError(f"{name} does not exist; check the name") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise AudioFormatError(f"{name} cannot be read: {reason}") from error


def _why_unreadable(path: Path, error: Any) -> str:
    """Put libsndfile's refusal into one sentence that helps."""
    name = shown(path)
    other = {".m4a", ".aac", ".mp4", ".wma", ".webm", ".mkv", ".amr", ".ac3", ".mov"}
    if path.suffix.lower() in other:
        wav = shown(path.with_suffix(".wav").name)
        return (
            f"{name} is in a format that libsndfile does not read; convert it first, "
            f"such as with: ffmpeg -i {shown(path.name)} {wav}"
        )
    reason = str(getattr(error, "error_string", "")).strip().rstrip(".")
    known = {
        "Format not recognised": "it is no sound file that libsndfile knows",
        "Channel count is zero": "its header declares 0 channels",
        "Too many channels specified": "its header declares too many channels",
    }
    why = known.get(reason, "it is damaged, or its header is cut short or wrong")
    return f"{name} cannot be read as audio: {why}"


class _PatchedFile(io.RawIOBase):
    """A WAV file whose ``data`` size reads as `size` instead of what is there."""

    def __init__(self, path: Path, offset: int, size: int) -> None:
        super().__init__()
        self._raw = path.open("rb")
        self._patches = {offset: struct.pack("<I", size)}
        self._patches[4] = struct.pack("<I", min(offset + size, UNKNOWN_SIZE - 1))

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        return self._raw.seek(offset, whence)

    def tell(self) -> int:
        return self._raw.tell()

    def readinto(self, buffer: Any, /) -> int:
        start = self._raw.tell()
        count = self._raw.readinto(buffer)
        for offset, patch in self._patches.items():
            for i, byte in enumerate(patch):
                if start <= offset + i < start + count:
                    memoryview(buffer)[offset + i - start] = byte
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()
