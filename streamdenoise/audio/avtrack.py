"""Encoding one sound track, packet by packet, onto its place in time.

An encoder puts samples of its own before the first one (its delay). Where a container
tells its reader to skip them, that is right as it is. Where it cannot, as many samples
are left out at the start, which the delay replaces: what follows is in its place.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import numpy as np

from .avencoders import VORBIS, encoder_delay, make_encoder
from .avframes import to_frame
from .avmodule import av_module
from .info import native_name, soundfile_module

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["EncodedTrack", "VorbisTrack", "make_track"]

_HIDES_DELAY: Final = ("mp4", "mov", "ipod", "3gp", "matroska", "webm")
_RECORD: Final = struct.Struct("<qqqqI")
_CAP_DELAY: Final = 1 << 5  # AV_CODEC_CAP_DELAY
_NONE: Final = -(1 << 63)


class EncodedTrack:
    """Samples in, packets out, by way of a file that holds them meanwhile.

    Parameters
    ----------
    stream
        An audio stream of the output container, made for its encoder.
    spool
        Where packets may be kept.
    muxer
        Name of the container's writer.
    sample_rate, layout, bit_rate, bits
        See `avencoders.make_encoder`.
    delay
        See `avencoders.encoder_delay`.

    Attributes
    ----------
    stream
    codec : str
        What comes out, in FFmpeg's words.
    delay : int
        Samples that the encoder puts before the sound.
    start : int
        Time of the first sample, in samples; to be set before the first block.

    Raises
    ------
    av.FFmpegError or ValueError
        If the encoder does not take that.
    """

    def __init__(
        self,
        stream: Any,
        spool: Path,
        muxer: str,
        sample_rate: int,
        layout: str,
        bit_rate: int,
        bits: int,
        delay: int,
    ) -> None:
        self.stream = stream
        self.start = 0
        self.delay = delay
        self._context = context = stream.codec_context
        self.codec: str = context.codec.canonical_name
        make_encoder(context, sample_rate, layout, bit_rate, bits)
        self._size: int = context.frame_size or 1024
        channels = context.layout.nb_channels
        self._waiting = np.zeros((self._size, channels), np.float32)
        self._filled = 0
        self._at: int | None = None
        self._skip = 0 if muxer in _HIDES_DELAY else self.delay
        # FFmpeg's reader of WMA throws the first frame away, so it gets one of silence.
        self._lead = self._size if context.codec.name.startswith("wmav") else 0
        if self._lead:
            self._skip = 0
        self._marks_end = muxer in _HIDES_DELAY
        self._in_mp4 = self._marks_end and muxer not in ("matroska", "webm")
        self._given = 0
        # Other encoders hold samples back and forget to give them out.
        flushes = bool(context.codec.capabilities & _CAP_DELAY)
        self._tail = 0 if flushes or self._lead else self.delay
        self._matroska = muxer in ("matroska", "webm")
        self._spool: BinaryIO = spool.open("w+b")
        self._sidedata: dict[int, Any] = {}
        self._count = 0

    def write(self, block: NDArray[np.float32]) -> None:
        """Append samples, shape (n, channels)."""
        if self._at is None:
            self._at = self.start + self._skip - self._lead
            if self._lead:
                self._push(np.zeros((self._lead, block.shape[1]), np.float32))
        self._given += len(block)
        drop = min(self._skip, len(block))
        self._skip -= drop
        self._push(block[drop:])

    def _push(self, block: NDArray[np.float32]) -> None:
        while len(block):
            take = min(len(block), self._size - self._filled)
            self._waiting[self._filled : self._filled + take] = block[:take]
            self._filled += take
            block = block[take:]
            if self._filled == self._size:
                self._encode()

    def _encode(self) -> None:
        at = self._at or 0
        frame = to_frame(self._waiting[: self._filled], self._context, at)
        self._at = at + self._filled
        self._filled = 0
        self._keep(self._context.encode(frame))

    def finish(self) -> None:
        """Encode what waits and the encoder's own last frames."""
        if self._at is not None and self._tail:
            self._push(np.zeros((self._tail, self._waiting.shape[1]), np.float32))
        if self._at is not None and self._at <= self.start + self.delay:
            # Shorter than the delay that stands for it; a file needs one packet.
            self._push(np.zeros((1, self._waiting.shape[1]), np.float32))
        if self._filled:
            self._encode()
        if self._at is not None:
            self._keep(self._context.encode(None))
        self._spool.flush()

    def _keep(self, packets: list[Any]) -> None:
        for packet in packets:
            data = bytes(packet)
            numbers = (packet.pts, packet.dts, packet.duration, self._count)
            fixed = [_NONE if n is None else n for n in numbers]
            self._spool.write(_RECORD.pack(*fixed, len(data)) + data)
            if packet.has_sidedata("skip_samples"):
                # Only the last packet has any, so that these do not pile up.
                self._sidedata[self._count] = packet.get_sidedata("skip_samples")
            self._count += 1

    def packets(self) -> Iterator[Any]:
        """Yield the packets, as they are to be muxed."""
        av = av_module()
        self._spool.seek(0)
        # Where nothing tells where the sound ends, no frame may be too many.
        most = self._count
        if not self._marks_end and not self._lead:
            most = -(-self._given // self._size)
        while head := self._spool.read(_RECORD.size):
            pts, dts, duration, number, size = _RECORD.unpack(head)
            if number >= most:
                return
            packet = av.Packet(self._spool.read(size))
            packet.time_base = self._context.time_base
            packet.pts = None if pts == _NONE else pts
            packet.dts = None if dts == _NONE else dts
            packet.duration = None if duration == _NONE else duration
            packet.is_keyframe = True
            if self._in_mp4 and packet.pts is not None:
                # The length of the track is the sum of these.
                left = self.start + self._given - packet.pts
                if left <= 0:
                    return
                packet.duration = min(packet.duration or left, left)
            if self._matroska and packet.pts is not None:
                self._to_milliseconds(packet)
            if number in self._sidedata:
                packet.set_sidedata(self._sidedata[number])
            packet.stream = self.stream
            yield packet

    def _to_milliseconds(self, packet: Any) -> None:
        # The writer adds the delay in rounded milliseconds; what it writes must be
        # the time nearest to the true one, or a copy of a copy would creep.
        rate = self._context.sample_rate
        time = round(1000 * (packet.pts + self.delay) / rate)
        shift = (1000 * self.delay + rate // 2) // rate

        packet.pts = packet.dts = time - shift
        packet.duration = round(1000 * (packet.duration or 0) / rate)
        packet.time_base = Fraction(1, 1000)

    def close(self) -> None:
        """Close the file of packets."""
        self._spool.close()


class VorbisTrack:
    """The same for Vorbis, by libsndfile's encoder: packets come from an Ogg file.

    Parameters
    ----------
    container
        Output container, to which a stream is added.
    spool, header
        Two files to write to.
    sample_rate, channels
        Of the track.
    """

    codec = "vorbis"
    delay = 0

    def __init__(
        self, container: Any, spool: Path, header: Path, sample_rate: int, channels: int
    ) -> None:
        self.start = 0
        self._rate, self._spool = sample_rate, spool
        # The set-up data in front of a stream hangs on rate and channels only.
        with self._open(header, channels) as file:
            file.write(np.zeros((sample_rate // 8, channels), np.float32))
        # As a name, "12:30.ogg" would be taken for an address.
        with header.open("rb") as made, av_module().open(made) as ogg:
            self.stream = container.add_stream_from_template(ogg.streams.audio[0])
        self._file = self._open(spool, channels)

    def _open(self, path: Path, channels: int) -> Any:
        return soundfile_module().SoundFile(
            native_name(path), "w", self._rate, channels, "VORBIS", None, "OGG"
        )

    def write(self, block: NDArray[np.float32]) -> None:
        """Append samples, shape (n, channels)."""
        self._file.write(np.clip(block, -1.0, 1.0))

    def finish(self) -> None:
        """Complete the Ogg file."""
        self._file.close()

    def packets(self) -> Iterator[Any]:
        """Yield the packets, as they are to be muxed."""
        with self._spool.open("rb") as file, av_module().open(file) as ogg:
            for packet in ogg.demux(ogg.streams.audio[0]):
                if not packet.size:
                    continue
                if packet.pts is not None:
                    packet.pts += self.start
                packet.dts = packet.pts
                packet.stream = self.stream
                yield packet

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def make_track(
    container: Any,
    encoder: str,
    muxer: str,
    files: tuple[Path, Path],
    sample_rate: int,
    layout: str,
    bit_rate: int,
    bits: int,
) -> EncodedTrack | VorbisTrack:
    """Add a stream for a track to a container; see `EncodedTrack`.

    Raises
    ------
    av.FFmpegError or ValueError
        If the encoder does not take that; then no stream was added.
    """
    channels = av_module().AudioLayout(layout).nb_channels
    if encoder == VORBIS:
        return VorbisTrack(container, *files, sample_rate, channels)
    form = (sample_rate, layout, bit_rate, bits)
    # Asked before there is a stream: none can be taken out of a container again.
    delay, _ = encoder_delay(encoder, *form)
    stream = container.add_stream(encoder, rate=sample_rate)
    return EncodedTrack(stream, files[0], muxer, *form, delay)
