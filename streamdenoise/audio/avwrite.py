"""Writing videos and other containers: new sound, all else untouched, through PyAV."""

from __future__ import annotations

import bisect
import contextlib
import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import numpy as np

from ..closing import Completing
from ..errors import AudioFormatError, OutputError
from ..names import shown
from .avadd import TrackMaker
from .avcopy import MP4, Copies, dress
from .avdecode import AvTrack
from .avmodule import av_module, reason
from .avmux import in_order
from .avopen import open_container
from .avread import AvReader
from .avtrack import EncodedTrack, VorbisTrack
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


class AvWriter(Completing):
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
                self._tracks.append(self._adding().of(info))
                self._container.metadata.update(tags or {})
            else:
                self._take_over(source)
        except OSError as error:
            self.discard()
            raise self._part.failure(error) from error
        except BaseException:
            self.discard()
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

    def _adding(self) -> TrackMaker:
        return TrackMaker(self._container, self.output, self._part, self.notes)

    def _take_over(self, source: AvReader) -> None:
        """Make a stream for each one of the source, in its order."""
        self._container.metadata.update(
            {k: v for k, v in source.tags.items() if k.lower() not in _OF_THE_FILE}
        )
        ours = {track.coding.index: track for track in self._sources}
        adding = self._adding()
        with open_container(source.path) as container:
            self._copies = copies = Copies(
                source, container, self._container, self.output
            )
            for stream in container.streams:
                track = ours.get(stream.index)
                if track is None:
                    copies.add(stream)
                    continue
                made = adding.like(track.coding, track.info.sample_rate)
                self._tracks.append(made)
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
            self.discard()
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
        copied = self._copies.packets() if self._copies else ()
        for packet in in_order([track.packets() for track in self._tracks], copied):
            self._filled.add(packet.stream.index)
            self._container.mux(packet)

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
            f"what is to be in it ({reason(error)}); name a .mkv file; nothing was "
            "left behind"
        )

    def discard(self) -> None:
        """Leave nothing behind."""
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
