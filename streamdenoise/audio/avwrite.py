"""Writing videos and other containers: new sound, all else untouched, through PyAV."""

from __future__ import annotations

import bisect
import contextlib
import math
from fractions import Fraction
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import numpy as np

from ..errors import AudioFormatError, OutputError
from ..names import shown
from .avcodecs import av_module, choose_encoder, is_lossless
from .avcopy import MP4, Copies, dress
from .avlayout import alike, is_said, low_channels, said_layout, usual_layout
from .avread import AvReader, AvTrack, open_container
from .avtrack import EncodedTrack, VorbisTrack, make_track
from .editlist import hide_delay
from .formats import OutputFormat
from .info import AudioInfo
from .target import PartFile

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["AvWriter"]

_OF_THE_FILE: Final = (
    "encoder",
    "major_brand",
    "minor_version",
    "compatible_brands",
    "duration",
)
_LARGEST_SCALE: Final = 10_000_000


class AvWriter:
    """Write a container so that it appears complete or not at all.

    Sound is encoded as it comes, track after track, and kept in temporary files; at
    the end all streams are put together in the order of their times.

    Parameters
    ----------
    output
        Path and format, from `formats.output_format`.
    source
        The container whose picture, subtitles, chapters, attachments, tags and other
        sound tracks are to be taken over, or None.
    info
        What the (first) sound track is.
    force
        Replace an existing file.
    tags
        Title, artist and the like, if there is no `source`.

    Attributes
    ----------
    notes : list of str
        What is to be said of the result, a sentence each.

    Raises
    ------
    OutputError
        If the target exists and `force` is false, cannot be written, or what is to
        be in it does not go into such a container.
    """

    def __init__(
        self,
        output: OutputFormat,
        source: AvReader | None,
        info: AudioInfo,
        *,
        force: bool = False,
        tags: dict[str, str] | None = None,
    ) -> None:
        self.output = output
        self.notes: list[str] = []
        self._source = source
        self._part = PartFile(output.path, force=force)
        self._file: BinaryIO | None = None
        self._container: Any = None
        self._current = 0
        self._filled: set[int] = set()
        self._tracks: list[EncodedTrack | VorbisTrack] = []
        self._copies: Copies | None = None
        self._sources: tuple[AvTrack, ...] = () if source is None else source.tracks
        rates = [track.info.sample_rate for track in self._sources] or [
            info.sample_rate
        ]
        try:
            self._container = self._open(rates)
            if source is None:
                self._add_new(info)
                self._container.metadata.update(tags or {})
            else:
                self._take_over(source)
        except OSError as error:
            self._discard()
            raise self._part.failure(error) from error
        except BaseException:
            self._discard()
            raise

    def _open(self, rates: list[int]) -> Any:
        av = av_module()
        self._file = self._part.path.open("r+b")
        options = {}
        if self.output.format in MP4:
            # Lengths are counted in the movie's time: milliseconds are too coarse.
            scale = math.lcm(*rates)
            scale = scale if scale <= _LARGEST_SCALE else max(rates)
            options["movie_timescale"] = str(scale)
            tags = self._source.tags if self._source is not None else {}
            if any(key.startswith("com.") for key in tags):
                options["movflags"] = "use_metadata_tags"
        return av.open(
            self._file, "w", format=self.output.format, container_options=options
        )

    def _add_new(self, info: AudioInfo) -> None:
        bits = {"PCM_16": 16, "PCM_S8": 16, "PCM_U8": 16}.get(info.subtype, 24)
        said = said_layout(info)
        layout = said or usual_layout(info.channels)
        made = self._add_track("", info.sample_rate, layout, 0, bits)
        if not said:
            self._say_custom(layout, made.codec)

    def _say_custom(self, layout: str, codec: str) -> None:
        """Say which channel became a low-frequency one though nothing called it so."""
        low = low_channels(layout)
        if low and not is_lossless(codec):
            self.notes.append(
                "it does not say which loudspeaker each channel is for; its sound was "
                f"written as {layout}, in which channel {min(low) + 1} is the "
                f"low-frequency one, of which {codec} keeps the bass only; if it is "
                "none, name a .mka file"
            )

    def _add_track(
        self, codec: str, sample_rate: int, layout: str, bit_rate: int, bits: int
    ) -> EncodedTrack | VorbisTrack:
        av = av_module()
        choice = choose_encoder(codec, self.output.format, sample_rate)
        if choice is None:
            raise OutputError(
                f"cannot write {shown(self.output.path)}: no sound of {sample_rate} Hz "
                f"goes into a .{self.output.path.suffix.lstrip('.')} file; name a .mkv "
                "or .wav file"
            )
        for name in alike(layout, choice.codec):
            files = (self._part.another(), self._part.another())
            try:
                track = make_track(
                    self._container,
                    choice.name,
                    self.output.format,
                    files,
                    sample_rate,
                    name,
                    bit_rate,
                    bits,
                )
            except (av.error.FFmpegError, ValueError) as error:
                why = error
                continue
            if not is_said(layout):
                self._say_custom(name, track.codec)
            elif low_channels(name) != low_channels(layout):
                self.notes.append(
                    f"its {layout} sound was written as {name}, which {choice.codec} "
                    "can hold; its low-frequency channel is one like the others there"
                )
            self._tracks.append(track)
            return track
        other = ".wav" if self.output.format == "matroska" else ".mkv or .wav"
        raise OutputError(
            f"cannot write {shown(self.output.path)}: {choice.codec} does not take "
            f"this sound ({layout}, {sample_rate} Hz: {_reason(why)}); name a {other} "
            "file"
        )

    def _take_over(self, source: AvReader) -> None:
        """Make a stream for each one of the source, in its order."""
        self._container.metadata.update(
            {k: v for k, v in source.tags.items() if k.lower() not in _OF_THE_FILE}
        )
        ours = {track.coding.index: track for track in self._sources}
        with open_container(source.path) as container:
            self._copies = copies = Copies(
                source, container, self._container, self.output
            )
            for stream in container.streams:
                track = ours.get(stream.index)
                if track is None:
                    copies.add(stream)
                    continue
                coding = track.coding
                made = self._add_track(
                    coding.codec,
                    track.info.sample_rate,
                    coding.layout,
                    coding.bit_rate,
                    coding.bits,
                )
                dress(made.stream, stream)
            copies.chapters(container)

    def write(self, block: NDArray[np.float32], track: int = 0) -> None:
        """Append a block of shape (n, channels) to a track.

        Tracks come one after the other.

        Raises
        ------
        OutputError
            If the disk is full or the file system refuses.
        """
        av = av_module()
        try:
            while self._current < track:
                self._tracks[self._current].finish()
                self._current += 1
            if not len(block):
                return
            target = self._tracks[track]
            if self._sources:
                source = self._sources[track]
                zero = self._copies.zero if self._copies else Fraction(0)
                target.start = source.start - round(zero * source.info.sample_rate)
            target.write(block)
        except (OSError, av.error.FFmpegError) as error:
            raise self._failure(error) from error

    def close(self) -> None:
        """Put all streams together, and the file in place under its name.

        Raises
        ------
        OutputError
            If it cannot be completed, or the target has appeared meanwhile.
        """
        av = av_module()
        try:
            try:
                for track in self._tracks[self._current :]:
                    track.finish()
                self._mux()
                # A stream of a closed container tells nothing any more, and MP4 has
                # none that is empty.
                filled = sorted(self._filled)
                numbers = [
                    bisect.bisect_left(filled, track.stream.index)
                    for track in self._tracks
                ]
                self._container.close()
                self._container = None
                self._mark_delays(numbers)
                for track in self._tracks:
                    track.close()
                if self._file is not None:
                    self._file.close()
            except (OSError, av.error.FFmpegError, ValueError) as error:
                raise self._failure(error) from error
            self._check()
            self._part.place()
            self.notes += self._copies.notes if self._copies else []
        except BaseException:
            self._discard()
            raise

    def _check(self) -> None:
        """Refuse a result that nobody could read, such as raw AAC of one packet."""
        # The writer of MP4 leaves out tracks without any packet.
        ours = len(self._tracks)
        empty = sum(not track.position for track in self._sources)
        copied = self._copies.sounds if self._copies else 0
        try:
            with open_container(self._part.path) as container:
                found = len(container.streams.audio)
                whole = max(1, ours - empty) <= found <= ours + copied
        except AudioFormatError:
            whole = False
        if not whole:
            raise OutputError(
                f"cannot write {shown(self.output.path)}: with so little sound in it "
                f"it is no {self.output.format} file that can be read; name a .wav "
                "file; nothing was left behind"
            )

    def _mux(self) -> None:
        rows = [track.packets() for track in self._tracks]
        waiting = [next(row, None) for row in rows]

        def put(packet: Any) -> None:
            self._filled.add(packet.stream.index)
            self._container.mux(packet)

        def sound_until(time: float) -> None:
            while True:
                times = [math.inf if p is None else _time(p) for p in waiting]
                first = min(range(len(times)), key=times.__getitem__, default=-1)
                if first < 0 or times[first] > time or waiting[first] is None:
                    return
                put(waiting[first])
                waiting[first] = next(rows[first], None)

        for packet in self._copies.packets() if self._copies else ():
            time = _time(packet)
            if time > -math.inf:
                sound_until(time)
            put(packet)
        sound_until(math.inf)

    def _mark_delays(self, numbers: list[int]) -> None:
        if self.output.format not in MP4 or self._file is None:
            return
        late = {
            number: track.delay
            for number, track in zip(numbers, self._tracks, strict=True)
            if track.delay and track.start > track.delay
        }
        rates = {
            number: source.info.sample_rate
            for number, source in zip(numbers, self._sources, strict=False)
        }
        if late:
            self._file.flush()
            hide_delay(self._file, late, rates)

    def _failure(self, error: BaseException) -> OutputError:
        if isinstance(error, OSError) and error.errno and error.errno < 200:
            return self._part.failure(error)
        name = shown(self.output.path)
        return OutputError(
            f"cannot write {name}: FFmpeg's writer for {self.output.format} refuses "
            f"what is to be in it ({_reason(error)}); name a .mkv file; nothing was "
            "left behind"
        )

    def _discard(self) -> None:
        for track in self._tracks:
            # One that fails, as on a full disk, leaves the others to be closed.
            with contextlib.suppress(Exception):
                track.close()
        # Closing a container writes its end; into a closed file it cannot.
        with contextlib.suppress(OSError):
            if self._file is not None:
                self._file.close()
        with contextlib.suppress(Exception):
            if self._container is not None:
                self._container.close()
        self._part.discard()

    def __enter__(self) -> AvWriter:
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


def _time(packet: Any) -> float:
    stamp = packet.dts if packet.dts is not None else packet.pts
    return -math.inf if stamp is None else float(stamp * packet.time_base)


def _reason(error: BaseException) -> str:
    return str(getattr(error, "strerror", None) or error).split("\n")[0]
