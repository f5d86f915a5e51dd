"""Decoding one sound track of a container, in blocks, through PyAV.

What a track sounds like is a row of samples and the time of the first one. FFmpeg's
libraries take off what an encoder has put before the sound where the container tells
of it (edit lists, codec delay). Holes in the time stamps are filled with silence, so
that a sample lies at its time wherever it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ..errors import AudioFormatError
from ..names import shown
from .avcoding import TrackCoding, as_subtype, bits_of
from .avframes import from_frame
from .avlayout import mask_of
from .avlength import NEAR_SECONDS, avi_ends_early, declared, ends_early
from .avmodule import av_module
from .avopen import open_container
from .info import (
    BLOCK_FRAMES,
    AudioInfo,
    SampleCounter,
    check_length,
    check_stream,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["AvTrack"]

_JUMP_SECONDS: Final = 0.045
_LONGEST_HOLE: Final = 600.0
_ROUNDED_SECONDS: Final = 0.003
"""Matroska and others know whole milliseconds only."""


class AvTrack:
    """One sound track; iterate over it to read it.

    Parameters
    ----------
    path
        The container.
    container, stream
        The same, open for reading, and the track in it.
    block_frames
        Samples per channel of a block.
    number
        Of the sound tracks, from 1 on.
    may_be_empty
        It is no error if nothing can be decoded, such as where there are others.

    Attributes
    ----------
    info : AudioInfo
        `frames` is what the container declares, an estimate.
    coding : TrackCoding
    start : int
        Time of the first sample, in samples; known once reading has begun.
    position : int
        Samples per channel read so far.
    counter : SampleCounter
    notes : list of str
    """

    def __init__(
        self,
        path: Path,
        container: Any,
        stream: Any,
        block_frames: int,
        number: int = 1,
        may_be_empty: bool = False,
    ) -> None:
        self.path = path
        self.start = self.position = 0
        self.counter = SampleCounter()
        self.notes: list[str] = []
        self._block_frames = block_frames
        self._name = name = f"sound track {number} of {shown(path)}"
        self._may_be_empty = may_be_empty
        context = stream.codec_context
        if context is None or not context.sample_rate or not context.channels:
            raise AudioFormatError(
                f"{name} is coded in a way that FFmpeg's libraries here cannot decode"
            )
        check_stream(context.sample_rate, context.layout.nb_channels, name)
        seconds, self._own_length = declared(container, stream)
        self._zero = (container.start_time or 0) / 1e6
        frames = round(seconds * context.sample_rate)
        check_length(frames, path.stat().st_size, context.sample_rate, name)
        codec = context.codec.canonical_name
        bits = bits_of(codec, context.format.name if context.format else "")
        self.info = AudioInfo(
            path,
            context.sample_rate,
            context.layout.nb_channels,
            frames,
            container.format.name.split(",")[0],
            as_subtype(codec, bits),
            backend="PyAV",
            codec=codec,
            channel_mask=mask_of(context.layout),
        )
        self.coding = TrackCoding(
            stream.index, codec, context.layout.name, context.bit_rate or 0, bits
        )
        # Only these containers say to the sample where the sound ends.
        exact = "mov" in container.format.name and stream.duration
        self._end = frames if exact else None

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        """Yield blocks of shape (n, channels); the array is used again.

        Raises
        ------
        AudioFormatError
            If nothing can be decoded, and that is not allowed.
        """
        buffer = np.empty((self._block_frames, self.info.channels), np.float32)
        filled = 0
        for part in self._trimmed():
            while len(part):
                take = min(len(part), len(buffer) - filled)
                buffer[filled : filled + take] = part[:take]
                part, filled = part[take:], filled + take
                if filled == len(buffer):
                    yield self._counted(buffer)
                    filled = 0
        if filled:
            yield self._counted(buffer[:filled])
        if not self.position and self._may_be_empty:
            self.notes.append(f"{self._name} holds no sound that can be decoded")
            return
        if not self.position:
            raise AudioFormatError(
                f"{shown(self.path)} holds no sound that can be decoded; it is damaged "
                "or cut short"
            )
        if self._is_cut_short():
            rate, wanted = self.info.sample_rate, self.info.frames
            self.notes.append(
                f"it is cut short: it declares {wanted / rate:.2f} s, and the "
                f"{self.position / rate:.2f} s that can be decoded were denoised"
            )
        self.notes += self.counter.notes()

    def _is_cut_short(self) -> bool:
        rate = self.info.sample_rate
        missing = self.info.frames - NEAR_SECONDS * rate - self.position
        if missing <= 0:
            return False
        if self.info.format == "avi":
            return avi_ends_early(self.path)
        if self._own_length:
            return True
        late = self.start - min(round(self._zero * rate), 0)
        return late < missing and ends_early(self.path)

    def _counted(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        self.counter.count(block)
        self.position += len(block)
        return block

    def _trimmed(self) -> Iterator[NDArray[np.float32]]:
        """Yield the parts, less the padding of the encoder's last frame."""
        given, held = 0, []
        for part in self._parts():
            over = 0 if self._end is None else given + len(part) - self._end
            if over <= 0:
                given += len(part)
                yield part
                continue
            keep = max(0, len(part) - over)
            yield part[:keep]
            given += keep
            held.append(part[keep:])
            # Padding is less than two frames: there is more than was declared.
            if sum(map(len, held)) > 2 * 2048:
                self._end = None
                yield from held
                held = []

    def _parts(self) -> Iterator[NDArray[np.float32]]:
        """Yield decoded samples, each at its time."""
        rate = self.info.sample_rate
        expected: int | None = None
        usual = 0
        for frame, lost in self._frames():
            if (
                frame.sample_rate != rate
                or frame.layout.nb_channels != self.info.channels
            ):
                self.notes.append(
                    "its sample rate or channels change in the middle; what comes "
                    "after was left out"
                )
                return
            samples = from_frame(frame)
            at = expected or 0
            if frame.pts is not None:
                at = round(frame.pts * frame.time_base * rate)
            if expected is None:
                self.start = expected = at
            jump = at - expected
            usual = max(usual, len(samples))
            if lost:
                jump = _whole_frames(jump, usual, round(_ROUNDED_SECONDS * rate))
            if (lost and jump > 0) or abs(jump) > _JUMP_SECONDS * rate:
                if jump > _LONGEST_HOLE * rate or -jump > _LONGEST_HOLE * rate:
                    self.notes.append(
                        f"its time jumps by {jump / rate:.0f} s, which was ignored"
                    )
                    expected = at
                elif jump > 0:
                    yield from _silence(jump, self.info.channels)
                    expected += jump
                else:
                    drop = min(-jump, len(samples))
                    samples = samples[drop:]
            expected += len(samples)
            yield samples

    def _frames(self) -> Iterator[tuple[Any, bool]]:
        """Yield decoded frames, and whether damaged packets lie right before each."""
        av = av_module()
        damaged, lost = 0, False
        with open_container(self.path) as container:
            stream = container.streams[self.coding.index]
            for other in container.streams:
                if other.index != stream.index:
                    other.discard = av.stream.Discard.all
            packets = container.demux(stream)
            while True:
                try:
                    packet = next(packets, None)
                except IndexError:
                    # PyAV stumbles over a stream that appears in the middle.
                    packets = container.demux(stream)
                    continue
                except (av.error.FFmpegError, OSError):
                    damaged += 1
                    break
                if packet is None:
                    break
                if not packet.size and packet.pts is not None:
                    continue  # NUT marks the end of a stream so
                try:
                    frames = packet.decode()
                except (av.error.FFmpegError, ValueError, OSError):
                    damaged, lost = damaged + 1, True
                    continue
                for frame in frames:
                    yield frame, lost
                    lost = False
        if damaged:
            self.notes.append(
                f"{damaged} of its packets are damaged; there is silence instead"
            )


def _whole_frames(hole: int, size: int, tolerance: int) -> int:
    """Return the exact length of a hole whose ends are rounded times.

    What was lost are whole frames, of as many samples as those that are left.
    """
    whole = round(hole / max(size, 1)) * size
    return whole if hole >= 0 and abs(whole - hole) <= tolerance else hole


def _silence(count: int, channels: int) -> Iterator[NDArray[np.float32]]:
    zeros = np.zeros((min(count, BLOCK_FRAMES), channels), np.float32)
    while count > 0:
        part = zeros[:count]
        count -= len(part)
        yield part
