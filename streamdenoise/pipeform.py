"""What comes through a pipe: its form, by a WAV header or by what a person said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .audio.file import check_stream
from .audio.pcm import SAMPLE_FORMATS, SampleFormat
from .audio.riff import read_header, stream_header
from .errors import AudioFormatError
from .pipeends import ByteReader

__all__ = ["PipeForm", "identify"]


@dataclass(frozen=True)
class PipeForm:
    """The form of a stream of samples.

    Attributes
    ----------
    sample_rate, channels, sample_format
        Of its samples.
    data_bytes
        How many bytes of them a header declares; None if it does not, or there is none.
    wav
        It has a WAV header.
    """

    sample_rate: int
    channels: int
    sample_format: SampleFormat
    data_bytes: int | None
    wav: bool

    @property
    def align(self) -> int:
        """Bytes of a sample of all channels."""
        return self.channels * self.sample_format.size

    def header(self, data_bytes: int | None) -> bytes:
        """Return a WAV header of this form; of no known length where None."""
        return stream_header(
            self.sample_rate, self.channels, self.sample_format, data_bytes
        )


def identify(
    reader: ByteReader,
    sample_rate: int | None,
    channels: int | None,
    sample_format: str | None,
    warn: Callable[[str], None],
) -> PipeForm:
    """Find out what is coming, from a WAV header or from what the person said.

    Parameters
    ----------
    reader
        The stream; it is read up to the first sample.
    sample_rate, channels, sample_format
        What was said; None where nothing was.
    warn
        Takes a sentence about something odd.

    Raises
    ------
    AudioFormatError
        If nothing arrives, or nothing that can be processed.
    """
    head = reader.peek(4)
    if not head:
        raise AudioFormatError(
            "nothing arrived on standard input; send audio to it, such as: "
            "arecord -f S16_LE -r 16000 | streamdenoise pipe | aplay"
        )
    said = (sample_rate, channels, sample_format)
    if head not in (b"RIFF", b"RF64"):
        # More is waited for only where it may tell: samples are to pass at once.
        longer = reader.peek(8) if head[:3] == bytes(3) else head
        if said == (None, None, None) and _is_coded(longer):
            raise AudioFormatError(
                "what arrives on standard input is a file, but no plain samples and no "
                "WAV; decode it first, such as with: ffmpeg -i IN -f wav "
                "-c:a pcm_s16le - | streamdenoise pipe; or give its name to: "
                "streamdenoise file"
            )
        raw = SAMPLE_FORMATS[sample_format or "s16le"]
        stream = PipeForm(sample_rate or 16000, channels or 1, raw, None, False)
        check_stream(stream.sample_rate, stream.channels, "the stream")
        return stream
    header = read_header(reader)
    check_stream(header.sample_rate, header.channels, "the WAV stream")
    if header.sample_format is None:
        raise AudioFormatError(
            f"the WAV stream is coded (format {header.code:#06x}, {header.bits} bits); "
            "a pipe takes plain samples, so decode it first, such as with: "
            "ffmpeg -i IN -f wav -c:a pcm_s16le - | streamdenoise pipe"
        )
    found = (header.sample_rate, header.channels, header.sample_format.name)
    if any(s is not None and s != f for s, f in zip(said, found, strict=True)):
        warn(
            f"the stream has a WAV header with {found[0]} Hz, {found[1]} channels and "
            f"{found[2]}; it wins over the options"
        )
    return PipeForm(
        header.sample_rate,
        header.channels,
        header.sample_format,
        header.data_bytes,
        True,
    )


def _is_coded(head: bytes) -> bool:
    """Tell whether bytes begin a well-known file that is not plain samples."""
    marks = (b"fLaC", b"OggS", b"ID3", b"FORM", b"caff", b".snd", b"\x1aE\xdf\xa3")
    return head.startswith(marks) or head[4:8] == b"ftyp"
