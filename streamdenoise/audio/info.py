"""What a sound file is, and what is asked of it before anything else."""

from __future__ import annotations

import math
import os
import stat
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Final

import numpy as np

from ..constants import MAX_CHANNELS, MAX_RATE, MIN_RATE
from ..errors import AudioFormatError, RuntimeMissingError
from ..names import shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = [
    "BLOCK_FRAMES",
    "AudioInfo",
    "SampleCounter",
    "check_length",
    "check_readable",
    "check_stream",
    "native_name",
    "soundfile_module",
]

BLOCK_FRAMES: Final = 1 << 16
"""Samples per channel of one block; with float32 a mono block is 256 KiB."""

CLIPPED_LEVEL: Final = 32766.5 / 32768
"""Samples from here on count as full scale, in 16-bit files as in float ones."""

MAX_SAMPLES_PER_BYTE: Final = 10_000
"""Most samples per channel that a byte of a file may stand for.

Digital silence in FLAC, the densest that there is, comes to about 5000.
"""


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
    backend
        What reads it: ``libsndfile`` or ``PyAV``.
    codec
        The coding in FFmpeg's words, if PyAV reads it.
    channel_mask
        Loudspeaker of each channel, a bit each as in WAV; 0 if it is not said.
    """

    path: Path
    sample_rate: int
    channels: int
    frames: int
    format: str
    subtype: str
    endian: str = "FILE"
    backend: str = "libsndfile"
    codec: str = ""
    channel_mask: int = 0

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


def check_length(frames: int, size: int, sample_rate: int, what: str) -> None:
    """Refuse a length that no format could put into so few bytes.

    Parameters
    ----------
    frames
        Samples per channel, as declared.
    size
        Bytes of the file.
    sample_rate
        In Hz.
    what
        Name of the file, for the error sentence.

    Raises
    ------
    AudioFormatError
        If it is beyond belief.
    """
    if frames > MAX_SAMPLES_PER_BYTE * max(size, 1):
        raise AudioFormatError(
            f"{what} declares {frames / sample_rate / 3600:.3g} hours of sound in "
            f"{size} bytes, which no format holds; its header is damaged, or made to "
            "do harm"
        )


class SampleCounter:
    """Counts what is odd in samples, and takes out what is no number.

    Attributes
    ----------
    total, nonfinite, clipped : int
        Samples so far: all, NaN or infinite, at full scale.
    listener
        Called with each block after that, or None.
    """

    def __init__(self) -> None:
        self.total = self.nonfinite = self.clipped = 0
        self.listener: Callable[[NDArray[np.float32]], None] | None = None

    def count(self, block: NDArray[np.float32]) -> None:
        """Look at a block; NaN and infinities in it become silence."""
        self.total += block.size
        # A NaN makes both extremes NaN, so these two passes find all that is odd.
        high, low = float(block.max()), float(block.min())
        if not math.isfinite(high - low):
            finite = np.isfinite(block)
            self.nonfinite += block.size - int(np.count_nonzero(finite))
            block[~finite] = 0.0
            high = math.inf
        if max(high, -low) >= CLIPPED_LEVEL:
            self.clipped += int(np.count_nonzero(np.abs(block) >= CLIPPED_LEVEL))
        if self.listener is not None:
            self.listener(block)

    def notes(self) -> list[str]:
        """Return a sentence for each thing that is worth one."""
        notes = []
        if self.nonfinite:
            notes.append(
                f"{self.nonfinite} samples were NaN or infinite; they were replaced by "
                "silence"
            )
        if self.clipped > max(16, self.total // 10_000):
            notes.append(
                f"{self.clipped} samples lie at full scale: the recording was clipped, "
                "which denoising does not repair"
            )
        return notes


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


def check_readable(path: Path) -> None:
    """Refuse what is no regular file with something in it.

    Raises
    ------
    AudioFormatError
        Saying what it is instead.
    """
    name = shown(path)
    try:
        if path.is_dir():
            raise AudioFormatError(
                f"{name} is a folder; name the files in it, such as {name}/*.wav"
            )
        # Before it is opened: a pipe without a writer would keep us waiting for ever.
        if not stat.S_ISREG(path.stat().st_mode):
            raise AudioFormatError(
                f"{name} is no regular file; for a stream use: streamdenoise pipe"
            )
        with path.open("rb") as file:
            if not file.read(1):
                raise AudioFormatError(f"{name} is empty (0 bytes)")
    except FileNotFoundError as error:
        raise AudioFormatError(f"{name} does not exist; check the name") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise AudioFormatError(f"{name} cannot be read: {reason}") from error
