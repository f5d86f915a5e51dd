"""Adding a sound track to a container: its encoder and channels, and what to say."""

from __future__ import annotations

from typing import Any

from ..errors import OutputError
from ..names import shown
from .avcoding import TrackCoding, is_lossless
from .avencoders import choose_encoder
from .avlayout import alike, is_said, low_channels, said_layout, usual_layout
from .avmodule import av_module, reason
from .avtrack import EncodedTrack, VorbisTrack, make_track
from .formats import OutputFormat
from .info import AudioInfo
from .target import PartFile

__all__ = ["TrackMaker"]


class TrackMaker:
    """Adds sound tracks to a container that is being written.

    Parameters
    ----------
    container
        The container, open for writing.
    output
        Its path and format.
    part
        Its temporary file, beside which those of tracks lie.
    notes
        Takes a sentence on each thing that is not as it was.
    """

    def __init__(
        self, container: Any, output: OutputFormat, part: PartFile, notes: list[str]
    ) -> None:
        self._container, self._output, self._part = container, output, part
        self._notes = notes

    def of(self, info: AudioInfo) -> EncodedTrack | VorbisTrack:
        """Add a track for sound that comes from no container.

        Raises
        ------
        OutputError
            If no encoder takes it that goes into such a container.
        """
        bits = {"PCM_16": 16, "PCM_S8": 16, "PCM_U8": 16}.get(info.subtype, 24)
        said = said_layout(info)
        layout = said or usual_layout(info.channels)
        made = self._add("", info.sample_rate, layout, 0, bits)
        if not said:
            self._say_custom(layout, made.codec)
        return made

    def like(self, coding: TrackCoding, rate: int) -> EncodedTrack | VorbisTrack:
        """Add a track that is coded as another one, of so many Hz; raises as `of`."""
        return self._add(
            coding.codec, rate, coding.layout, coding.bit_rate, coding.bits
        )

    def _say_custom(self, layout: str, codec: str) -> None:
        """Say which channel became a low-frequency one though nothing called it so."""
        low = low_channels(layout)
        if low and not is_lossless(codec):
            self._notes.append(
                "it does not say which loudspeaker each channel is for; its sound was "
                f"written as {layout}, in which channel {min(low) + 1} is the "
                f"low-frequency one, of which {codec} keeps the bass only; if it is "
                "none, name a .mka file"
            )

    def _add(
        self, codec: str, sample_rate: int, layout: str, bit_rate: int, bits: int
    ) -> EncodedTrack | VorbisTrack:
        av = av_module()
        path = self._output.path
        choice = choose_encoder(codec, self._output.format, sample_rate)
        if choice is None:
            raise OutputError(
                f"cannot write {shown(path)}: no sound of {sample_rate} Hz "
                f"goes into a .{path.suffix.lstrip('.')} file; name a .mkv "
                "or .wav file"
            )
        for name in alike(layout, choice.codec):
            files = (self._part.another(), self._part.another())
            try:
                track = make_track(
                    self._container,
                    choice.name,
                    self._output.format,
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
                self._notes.append(
                    f"its {layout} sound was written as {name}, which {choice.codec} "
                    "can hold; its low-frequency channel is one like the others there"
                )
            return track
        other = ".wav" if self._output.format == "matroska" else ".mkv or .wav"
        raise OutputError(
            f"cannot write {shown(path)}: {choice.codec} does not take "
            f"this sound ({layout}, {sample_rate} Hz: {reason(why)}); name a {other} "
            "file"
        )
