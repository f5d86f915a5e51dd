"""What goes from one container into another as it is: pictures, subtitles, data."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, Final

from ..errors import OutputError
from ..names import shown
from .avmodule import av_module
from .avopen import open_container
from .avread import AvReader
from .formats import OutputFormat

__all__ = ["MP4", "Copies", "dress"]

MP4: Final = ("mp4", "mov", "ipod", "3gp")
"""Writers of the family of MP4, which `AvReader.muxer` calls ``mov``."""


class Copies:
    """The streams of a source that another container takes over as they are.

    Parameters
    ----------
    source
        Where they come from.
    container
        The source, open for reading.
    target
        The container that they go into.
    output
        Its path and format.

    Attributes
    ----------
    zero : Fraction
        Time in seconds that is to become 0; see `_zero`.
    sounds : int
        Sound tracks among them.
    notes : list of str
    """

    def __init__(
        self, source: AvReader, container: Any, target: Any, output: OutputFormat
    ) -> None:
        self.sounds = 0
        self.notes: list[str] = []
        self._path, self._muxer = source.path, source.muxer
        self._refused = source.refused
        self._target, self._output = target, output
        self._streams: dict[int, Any] = {}
        self.zero = self._zero(container)

    @property
    def _suffix(self) -> str:
        return f".{self._output.path.suffix.lstrip('.')}"

    def _same_kind(self) -> bool:
        if self._muxer == "mov":
            return self._output.format in MP4
        pair = {self._muxer, self._output.format}
        return len(pair) == 1 or pair == {"matroska", "webm"}

    def _zero(self, container: Any) -> Fraction:
        """Return the time at which the source begins, where that says nothing.

        A broadcast begins at any time, or lies on both sides of one where its clock
        went back to zero. Other containers begin at 0, and MP4 hides what comes
        before. Where the kind stays the same, times stay too.
        """
        if self._muxer == "mov" or self._same_kind():
            return Fraction(0)
        return Fraction(container.start_time or 0, 1_000_000)

    def chapters(self, container: Any) -> None:
        """Take over the chapters."""
        with contextlib.suppress(Exception):
            chapters = container.chapters()
            for chapter in chapters:
                late = round(self.zero / chapter["time_base"])
                chapter["start"] = max(0, chapter["start"] - late)
                chapter["end"] = max(0, chapter["end"] - late)
            if chapters:
                self._target.set_chapters(chapters)

    def add(self, stream: Any) -> None:
        """Make a stream for one of the source.

        Raises
        ------
        OutputError
            If such a container does not take its picture, subtitles or sound.
        """
        if stream.type == "data":
            self._add_data(stream)
            return
        number = self._refused.get(stream.index)
        if number is not None or (
            stream.type == "audio" and stream.codec_context is None
        ):
            self._add_refused(stream, number)
            return
        av = av_module()
        try:
            made = self._target.add_stream_from_template(stream, opaque=True)
        except (ValueError, av.error.FFmpegError) as error:
            what = {"video": "picture", "subtitle": "subtitles"}.get(
                stream.type, stream.type
            )
            other = "" if self._output.format == "matroska" else ", or name a .mkv file"
            raise OutputError(
                f"cannot write {shown(self._output.path)}: its {what} does not go into "
                f"a {self._suffix} file as it is; keep the input's extension{other}"
            ) from error
        self._made(made, stream)

    def _add_refused(self, stream: Any, number: int | None) -> None:
        """Copy sound that nobody here can process, or leave it out."""
        what = "a sound track" if number is None else f"sound track {number}"
        if self._fits(stream):
            made = self._target.add_stream_from_template(stream, opaque=True)
            self._made(made, stream)
            self.notes.append(f"{what} was copied as it is")
        else:
            self.notes.append(
                f"{what} was left out: it does not go into a {self._suffix} file as "
                "it is"
            )

    def _add_data(self, stream: Any) -> None:
        """Copy what a camera recorded besides, or say that it was left out."""
        # The text track of MP4 chapters, made anew from the chapters.
        if stream.discard == av_module().stream.Discard.all:
            return
        clock = "timecode" in stream.metadata
        if stream.name and self._fits(stream):
            made = self._target.add_stream_from_template(stream, opaque=True)
            self._made(made, stream)
        # Its writer makes that of MP4 anew from the tags of the picture.
        elif not (clock and self._output.format in ("mp4", "mov")):
            name = "timecode" if clock else stream.metadata.get("handler_name", "")
            name = " ".join((name or stream.name or "").split())
            self.notes.append(
                f"a data track{f' ({name})' if name else ''} was left out: it does not "
                f"go into a {self._suffix} file as it is"
            )

    def _fits(self, stream: Any) -> bool:
        """Whether the container's writer takes a stream, asked with an empty file."""
        av = av_module()
        try:
            with av.open(io.BytesIO(), "w", format=self._output.format) as trial:
                trial.add_stream_from_template(stream, opaque=True)
                trial.start_encoding()
        except (ValueError, AttributeError, av.error.FFmpegError):
            return False
        return True

    def _made(self, made: Any, stream: Any) -> None:
        dress(made, stream)
        self.sounds += stream.type == "audio"
        if stream.type != "attachment":
            self._streams[stream.index] = made
        if stream.codec_context is not None and self._same_kind():
            with contextlib.suppress(Exception):
                made.codec_context.codec_tag = stream.codec_context.codec_tag

    def packets(self) -> Iterator[Any]:
        """Yield all packets, each at its new time and with its new stream."""
        if not self._streams:
            return
        with open_container(self._path) as container:
            av = av_module()
            streams = [container.streams[index] for index in self._streams]
            packets = container.demux(*streams)
            hidden = 0.0
            while True:
                try:
                    packet = next(packets, None)
                except IndexError:
                    # PyAV stumbles over a stream that appears in the middle.
                    packets = container.demux(*streams)
                    continue
                except (av.error.FFmpegError, OSError):
                    self.notes.append(
                        "the input is cut short; so are picture and subtitles"
                    )
                    break
                if packet is None:
                    break
                if self._wanted(packet):
                    hidden = max(hidden, _hidden(packet))
                    self._move(packet)
                    yield packet
        if hidden and self._output.format not in MP4:
            self.notes.append(
                f"the input hides the first {hidden:.2f} s of its picture, which were "
                f"cut away; a {self._suffix} file cannot, and shows them again; keep "
                "the input's extension"
            )

    def _wanted(self, packet: Any) -> bool:
        # The end of each stream comes as an empty packet.
        if packet.size == 0 and packet.dts is None:
            return False
        # Pauses between the lines of MP4 subtitles, which its writer makes.
        return not (
            self._output.format in MP4
            and packet.stream.type == "subtitle"
            and packet.size == 2
            and bytes(packet) == b"\0\0"
        )

    def _move(self, packet: Any) -> None:
        if self.zero:
            late = round(self.zero / packet.time_base)
            packet.pts = None if packet.pts is None else packet.pts - late
            packet.dts = None if packet.dts is None else packet.dts - late
        packet.stream = self._streams[packet.stream.index]


def _hidden(packet: Any) -> float:
    """Return how long before the beginning a picture lies that is not to be seen."""
    if packet.stream.type != "video" or not packet.is_discard or packet.pts is None:
        return 0.0
    return max(0.0, -float(packet.pts * packet.time_base))


def dress(made: Any, stream: Any) -> None:
    """Give a stream the name, language and standing of another."""
    made.metadata.update({k: v for k, v in stream.metadata.items() if k != "encoder"})
    with contextlib.suppress(Exception):
        made.disposition = stream.disposition
