"""A stream of samples from one byte stream to another, hop by hop.

Samples go out as soon as they are complete, without the lag at the start: the
result has as many samples as the input and lies on it. What is heard late by one hop
while it runs is nothing but the work that cannot be done earlier.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final

import numpy as np

from .audio.wavscan import begins_chunk
from .pipeends import ByteReader, position, write
from .pipeform import PipeForm, identify
from .settings import Settings

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .engine import Denoiser
    from .model import StepModel

__all__ = ["PipeResult", "run_pipe"]

_READ_BYTES: Final = 1 << 16


@dataclass(frozen=True)
class PipeResult:
    """What went through a pipe.

    Attributes
    ----------
    frames
        Samples per channel, the same in and out, also where more come than a WAV
        header declares.
    sample_rate, channels
        Of the stream.
    sample_format
        Its name, such as ``s16le``.
    wav
        The stream had a WAV header.
    """

    frames: int
    sample_rate: int
    channels: int
    sample_format: str
    wav: bool


def run_pipe(
    source: BinaryIO,
    sink: BinaryIO,
    model: StepModel | str | None = None,
    settings: Settings | None = None,
    *,
    sample_rate: int | None = None,
    channels: int | None = None,
    sample_format: str | None = None,
    link_channels: bool = False,
    warn: Callable[[str], None] = lambda sentence: None,
    stopped: Callable[[], bool] | None = None,
) -> PipeResult:
    """Denoise `source` into `sink` until it ends.

    Parameters
    ----------
    source, sink
        Binary streams, such as ``sys.stdin.buffer`` and ``sys.stdout.buffer``.
        Neither needs to seek, and either may be non-blocking. `sink` is flushed after
        every write.
    model
        A loaded model, a name, or None for the default.
    settings
        Strength and the like; None for the defaults.
    sample_rate, channels, sample_format
        Of raw samples; 16000, 1 and ``s16le`` where None. A WAV header wins.
    link_channels
        One gain for all channels, so that the stereo image does not move.
    warn
        Takes a sentence about something odd.
    stopped
        Asked before every read, and some times a second while nothing comes; once it
        is true, the stream counts as ended, and what came of it is finished. Nothing
        may have been read ahead of `source` then.

    Returns
    -------
    PipeResult

    Raises
    ------
    AudioFormatError
        If nothing arrives, or it is a WAV that cannot be processed.
    OutputError
        If `sink` refuses data for another reason than having been closed.
    BrokenPipeError
        If the reader of `sink` has gone.
    """
    from .engine import Denoiser
    from .model import load_model

    if model is None or isinstance(model, str):
        model = load_model(model)
    reader = ByteReader(source, stopped)
    stream = identify(reader, sample_rate, channels, sample_format, warn)
    hop = model.card.stft(stream.sample_rate).hop
    engine = Denoiser(
        model,
        sample_rate=stream.sample_rate,
        channels=stream.channels,
        settings=settings or Settings(),
        block=hop,
        link_channels=link_channels,
    )
    start = position(sink)
    if stream.wav:
        write(sink, stream.header(stream.data_bytes))
    frames = _Flow(stream, engine, hop, sink, warn).run(reader)
    if stream.wav:
        _complete(sink, stream, frames, start, warn)
    return PipeResult(
        frames,
        stream.sample_rate,
        stream.channels,
        stream.sample_format.name,
        stream.wav,
    )


def _complete(
    sink: BinaryIO,
    stream: PipeForm,
    frames: int,
    start: int | None,
    warn: Callable[[str], None],
) -> None:
    """End a WAV stream whose header was written at `start`, None in a pipe."""
    length, said = frames * stream.align, stream.data_bytes
    if length % 2 and (said or start is not None):
        write(sink, b"\0")  # a chunk of known length is padded to an even one
    if length != said and start is not None:
        # A file, not a pipe: its header can still tell the true length.
        sink.seek(start)
        write(sink, stream.header(length))
        sink.seek(0, os.SEEK_END)
    if said is None or length <= said:
        return
    declared = said // stream.align
    still = "" if start is not None else ", but the header had been sent before"
    warn(
        f"the WAV header declares {declared / stream.sample_rate:.2f} s, and "
        f"{(frames - declared) / stream.sample_rate:.2f} s more came; all of it was "
        f"denoised{still}"
    )


class _Flow:
    """The way of the samples: bytes, hops, engine, bytes."""

    def __init__(
        self,
        stream: PipeForm,
        engine: Denoiser,
        hop: int,
        sink: BinaryIO,
        warn: Callable[[str], None],
    ) -> None:
        self._stream = stream
        self._engine = engine
        self._hop = hop
        self._sink = sink
        self._warn = warn
        self._lag = engine.latency_samples
        self._pending = bytearray()
        self._received = self._sent = 0
        self._warned = False

    def run(self, reader: ByteReader) -> int:
        """Work until the end; return the samples per channel that went through."""
        left = self._take(reader, self._stream.data_bytes)
        if left == 0 and not self._is_over(reader):
            left = self._take(reader, None)
        self._finish()
        if left:
            self._warn("the stream ended before the length that its header declares")
        elif left == 0:
            # Chunks behind the audio: read them, or their writer dies of SIGPIPE.
            while reader.read(_READ_BYTES):
                pass
        return self._sent

    def _take(self, reader: ByteReader, left: int | None) -> int | None:
        """Denoise `left` bytes, or all; return how many of them did not come."""
        while left is None or left > 0:
            data = reader.read(_READ_BYTES if left is None else min(_READ_BYTES, left))
            if not data:
                break
            left = None if left is None else left - len(data)
            self._pending += data
            self._work()
        return left

    def _is_over(self, reader: ByteReader) -> bool:
        """Tell whether what follows the declared length is no sound."""
        odd = (self._stream.data_bytes or 0) % 2
        head = reader.peek(8 + odd)
        if head[odd:].startswith((b"RIFF", b"RF64")):
            self._warn(
                "another WAV follows the first and was left out; give each a pipe of "
                "its own"
            )
        # Some writers forget the byte that makes a chunk even.
        return begins_chunk(head[odd:]) or begins_chunk(head[:8])

    def _work(self) -> None:
        size = self._hop * self._stream.align
        whole = len(self._pending) // size * size
        if not whole:
            return
        samples = self._decode(bytes(self._pending[:whole]))
        del self._pending[:whole]
        self._received += len(samples)
        self._send(self._step(samples))

    def _step(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Denoise whole hops, and drop the lag at the start of the stream."""
        clean = self._engine.process(samples)
        late = min(self._lag, len(clean))
        self._lag -= late
        return clean[late:]

    def _finish(self) -> None:
        align = self._stream.align
        odd = len(self._pending) % align
        if odd:
            self._warn(
                f"{odd} bytes at the end are no whole sample of {align} bytes and were "
                "left out; check --channels and --format"
            )
            del self._pending[-odd:]
        rest = self._decode(bytes(self._pending))
        self._received += len(rest)
        parts = []
        if len(rest):
            padded = np.zeros((self._hop, self._stream.channels), np.float32)
            padded[: len(rest)] = rest
            parts.append(self._step(padded))
        tail = self._engine.flush().reshape(-1, self._stream.channels)
        parts.append(tail[self._lag :])
        self._send(np.concatenate(parts)[: self._received - self._sent])

    def _decode(self, data: bytes) -> NDArray[np.float32]:
        samples = self._stream.sample_format.decode(data)
        finite = np.isfinite(samples)
        if not finite.all():
            samples[~finite] = 0.0
            if not self._warned:
                self._warned = True
                self._warn("some samples are NaN or infinite; they become silence")
        return samples.reshape(-1, self._stream.channels)

    def _send(self, clean: NDArray[np.float32]) -> None:
        if len(clean):
            write(self._sink, self._stream.sample_format.encode(clean))
            self._sent += len(clean)
