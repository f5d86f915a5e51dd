"""Reading sound files in blocks: any format libsndfile knows.

`AudioReader` yields float32 blocks and never holds the whole file. It reads what is
there of a file that is cut short or whose header lies, and says so in its notes.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ..closing import Closing
from ..errors import AudioFormatError
from ..hush import quiet_alone
from ..names import shown
from .info import (
    BLOCK_FRAMES,
    AudioInfo,
    SampleCounter,
    check_length,
    check_readable,
    check_stream,
    native_name,
    soundfile_module,
)
from .lengths import cut_short
from .order import ogg_layout
from .sniff import is_endless_caf
from .wavdata import PatchedSound, open_wav
from .wavscan import scan_wav

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

__all__ = ["AudioInfo", "AudioReader", "check_stream"]

# libsndfile's SF_ERR_UNRECOGNISED_FORMAT and SF_ERR_UNSUPPORTED_ENCODING
_UNKNOWN_FORMAT: Final = (1, 4)

_NOT_DECLARED: Final = (1 << 63) - 1
"""Length that libsndfile gives a FLAC whose header declares none."""


class AudioReader(Closing):
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
    counter : SampleCounter
        What was odd about the samples so far.
    tracks : tuple of AudioReader
        Just this one: a sound file has one track.
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
        self.counter = SampleCounter()
        self.notes: list[str] = []
        self._block_frames = block_frames
        self._expected = 0
        self._mask = 0
        self._order: list[int] = []
        check_readable(self.path)
        f = self._file = self._open()
        if f.format == "OGG":
            self._order, self._mask = ogg_layout(self.path, f.subtype, f.channels)
        self.info = AudioInfo(
            self.path,
            f.samplerate,
            f.channels,
            f.frames,
            f.format,
            f.subtype,
            f.endian,
            channel_mask=self._mask,
        )
        self._expected = max(self._expected, f.frames)
        try:
            name = shown(self.path)
            check_stream(f.samplerate, f.channels, name)
            if f.frames == _NOT_DECLARED:
                raise _undeclared(self.path)
            self._size = size = self.path.stat().st_size
            check_length(f.frames, size, f.samplerate, name)
            if f.frames == 0:
                raise AudioFormatError(
                    f"{name} holds no audio: its length is 0 samples"
                )
        except AudioFormatError:
            f.close()
            raise

    @property
    def tracks(self) -> tuple[AudioReader, ...]:
        """The tracks of the file: this one."""
        return (self,)

    def _open(self) -> Any:
        """Open the file with libsndfile, around the lies of its header."""
        sf = soundfile_module()
        name = shown(self.path)
        try:
            return self._open_wav() or self._open_other()
        except TypeError as error:  # .raw: soundfile wants rate and channels
            raise AudioFormatError(
                f"{name} holds raw samples without a header; give their format to: "
                "streamdenoise pipe --rate R --channels C --format s16le < IN > OUT"
            ) from error
        except OSError as error:
            raise AudioFormatError(
                f"{name} cannot be read: {error.strerror or error}"
            ) from error
        except sf.LibsndfileError as error:
            if is_endless_caf(self.path):
                raise _undeclared(self.path) from error
            refusal = AudioFormatError(_why_unreadable(self.path, error))
            # Of what is cut short, PyAV may read more.
            cut = cut_short(self.path) is not None
            refusal.unknown = cut or error.code in _UNKNOWN_FORMAT
            raise refusal from error

    def _open_wav(self) -> Any:
        """Open a WAV file; return None if it is none."""
        with self.path.open("rb") as raw:
            layout = scan_wav(raw)
        if layout is None:
            return None
        header = layout.header
        check_stream(header.sample_rate, header.channels, shown(self.path))
        self._mask = header.channel_mask
        file, self._expected, note = open_wav(self.path, layout)
        self.notes += [note] if note else []
        return file

    def _open_other(self) -> Any:
        """Open any other file; one that is cut short gives what is there."""
        sf = soundfile_module()
        cut = cut_short(self.path)
        if cut is not None and cut.mended is not None:
            file: Any = PatchedSound(self.path, dict([cut.mended]))
        else:
            with quiet_alone():
                file = sf.SoundFile(native_name(self.path))
        if cut is not None:
            self._expected = round(file.frames * cut.declared / cut.present)
        return file

    def seek(self, frame: int) -> None:
        """Go to a sample, counted per channel from 0, from where to read on.

        Raises
        ------
        AudioFormatError
            If the file cannot be read from there.
        """
        sf = soundfile_module()
        try:
            self._file.seek(frame)
        except (sf.LibsndfileError, ValueError, OverflowError) as error:
            raise AudioFormatError(
                f"{shown(self.path)} cannot be read from sample {frame} on: it is "
                "shorter, or damaged"
            ) from error
        self.position = frame

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
                self.counter.count(block)
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
        damage = ""
        try:
            with quiet_alone(self.info.subtype.startswith("MPEG")):
                count = len(self._file.read(out=buffer))
        except (sf.LibsndfileError, OSError) as error:
            missing = np.isnan(buffer).all(axis=1)
            count = int(missing.argmax()) if missing.any() else len(buffer)
            if not count and not self.position:
                raise AudioFormatError(_why_unreadable(self.path, error)) from error
            damage = "its data is damaged"
            if isinstance(error, OSError):
                damage = f"it could not be read to its end ({error.strerror or error})"
        if self._order:
            buffer[:count] = buffer[:count, self._order]
        return count, damage

    def _finish(self, damage: str) -> None:
        rate = self.info.sample_rate
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
        with contextlib.suppress(OSError):
            if self.path.stat().st_size > self._size:
                self.notes.append(
                    "it has grown since it was opened: what came after that is not in "
                    "the result; do it again once its recording has ended"
                )
        self.notes += self.counter.notes()

    def tags(self) -> dict[str, str]:
        """Return title, artist and the like, where the file has them."""
        try:
            return dict(self._file.copy_metadata())
        except (AttributeError, UnicodeError):  # soundfile before 0.11; odd bytes
            return {}

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _undeclared(path: Path) -> AudioFormatError:
    """Refuse a file that says nothing of its length; PyAV can read it."""
    name = shown(path.name)
    whole = shown(path.with_name(f"{path.stem}.whole{path.suffix}").name)
    refusal = AudioFormatError(
        f"{shown(path)} cannot be read as it is: its length is not declared, as of a "
        "file that was written to a pipe; install PyAV with: pip install "
        f'"streamdenoise[av]"; or write it anew with: ffmpeg -i {name} {whole}'
    )
    refusal.unknown = True
    return refusal


def _why_unreadable(path: Path, error: Any) -> str:
    """Put libsndfile's refusal into one sentence that helps."""
    name = shown(path)
    if isinstance(error, OSError):
        return f"{name} cannot be read: {error.strerror or error}"
    reason = str(getattr(error, "error_string", "")).strip().rstrip(".")
    known = {
        "Format not recognised": "it is no sound file that libsndfile knows",
        "Channel count is zero": "its header declares 0 channels",
        "Too many channels specified": "its header declares too many channels",
    }
    why = known.get(reason, "it is damaged, or its header is cut short or wrong")
    return f"{name} cannot be read as audio: {why}"
