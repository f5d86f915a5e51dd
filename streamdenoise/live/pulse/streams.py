"""Streams that look like those of sounddevice, as far as live sound needs them.

Callbacks run in the stream's own thread, on arrays and structures made beforehand.
"""

from __future__ import annotations

import ctypes
import math
import time
from collections.abc import Callable
from ctypes import byref
from typing import TYPE_CHECKING, Any, Final

from . import libpulse as pa
from .moments import Moments
from .thread import Served
from .told import Status, Times

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["InputStream", "OutputStream", "Sizes"]

LOW_SECONDS: Final = (0.016, 0.024)
"""Of input and output, where the shortest is wanted that is good for hours: a hop at
a time comes in, and three are queued. With two, an idle machine was late at times."""

CYCLE_SECONDS: Final = 0.016
"""Of output, for a server that works in cycles: they are shorter than the pieces of
PulseAudio, so that as little of this is gone before it is filled up again."""

HIGH_SECONDS: Final = 0.1

KEPT_SECONDS: Final = 0.5
"""Most that the server keeps of an input that nobody fetches."""

_SAMPLE: Final = 4
_REFUSED: Final = ctypes.c_size_t(-1).value


class Sizes:
    """Buffers to ask for, from the latency of a device as a person gives it.

    Parameters
    ----------
    latency
        In seconds, ``"low"`` or ``"high"``.
    rate
        In Hz.
    block
        What the callback takes at once, in samples.
    cycles
        Whether the server works in cycles, as PipeWire does.

    Attributes
    ----------
    fragment
        What an input is to hand over at once, in samples. A half of the latency, as the
        server collects as much again; whole blocks, for less than that only wakes us.
    queue
        What an output is to keep in front of it, in samples; no less than two blocks,
        one that is played and one that is asked for.
    """

    def __init__(
        self, latency: float | str, rate: int, block: int, *, cycles: bool = False
    ) -> None:
        into = out = HIGH_SECONDS
        if not isinstance(latency, str):
            into = out = latency
        elif latency == "low":
            into, out = LOW_SECONDS
            out = CYCLE_SECONDS if cycles else out
        half = math.ceil(into * rate) // 2
        # A server that works in cycles waits for the next one anyway.
        least = block if cycles else min(block, rate // 250)
        self.fragment = half // block * block or least
        self.queue = max(math.ceil(out * rate), 2 * block)


class _Stream(Served):
    """A stream with blocks of one size; opened when made.

    Parameters
    ----------
    library, error, name
        See `Served`.
    device
        The server's name of a sink or source; None: its default.
    samplerate
        In Hz.
    blocksize
        Samples in each block, always.
    channels
        Samples in a frame.
    latency
        See `Sizes`.
    callback
        As sounddevice calls it.
    title
        What the server calls the stream.
    cycles
        See `Moments`.

    Attributes
    ----------
    moves
        How often it was moved to another device.
    """

    _sign = 0.0
    _flags: Final = pa.START_CORKED | pa.AUTO_TIMING_UPDATE | pa.ADJUST_LATENCY

    def __init__(
        self,
        library: Any,
        error: type[Exception],
        name: str,
        *,
        device: str | None,
        samplerate: int,
        blocksize: int,
        channels: int,
        latency: float | str,
        callback: Callable[..., None],
        title: str,
        cycles: bool = False,
    ) -> None:
        import numpy as np  # slow to load, and who lists devices needs none

        super().__init__(library, error, name)
        self._callback, self._title = callback, title
        self._device = pa.text(device) if device else None
        self._rate, self._latency = samplerate, 0.0
        self._sizes = Sizes(latency, samplerate, blocksize, cycles=cycles)
        self._block: NDArray[np.float32] = np.zeros((blocksize, channels), np.float32)
        self._address = self._block.ctypes.data
        self._bytes = self._block.nbytes
        self._frame = _SAMPLE * channels
        self._times, self._status = Times(), Status()
        usual = max(self._sizes.fragment, self._sizes.queue) / samplerate
        self._moments = Moments(library, samplerate, self._sign, usual, cycles=cycles)
        self.moves = 0
        self.open()

    @property
    def latency(self) -> float:
        """What the server keeps at most for this stream, in seconds."""
        return self._latency

    def _make(self, context: int) -> int | None:
        channels = self._block.shape[1]
        spec = pa.SampleSpec(pa.FLOAT32, self._rate, channels)
        places = pa.channel_map(self._lib, channels)
        stream: int | None = self._lib.pa_stream_new(
            context, pa.text(self._title), byref(spec), byref(places)
        )
        return stream

    def _hang(self, stream: int) -> list[Any]:
        kept = [pa.Notice(self._timed), pa.Notice(self._elsewhere)]
        self._lib.pa_stream_set_latency_update_callback(stream, kept[0], None)
        self._lib.pa_stream_set_moved_callback(stream, kept[1], None)
        return kept

    def _elsewhere(self, stream: int, _data: int | None) -> None:
        self.moves += 1
        self._got(self._lib.pa_stream_get_buffer_attr(stream).contents)

    def _timed(self, stream: int, _data: int | None) -> None:
        self._moments.told(stream)


class InputStream(_Stream):
    """Records from a source of the server; see `_Stream`."""

    _sign = -1.0

    def _hang(self, stream: int) -> list[Any]:
        self._data, self._count = ctypes.c_void_p(), ctypes.c_size_t()
        self._filled = 0
        kept = [pa.Request(self._readable), pa.Notice(self._overflow)]
        self._lib.pa_stream_set_read_callback(stream, kept[0], None)
        self._lib.pa_stream_set_overflow_callback(stream, kept[1], None)
        return kept + super()._hang(stream)

    def _join(self, stream: int) -> int:
        sizes = pa.BufferAttr(*[pa.DEFAULT] * 5)
        kept = math.ceil(KEPT_SECONDS * self._rate) + 2 * self._sizes.fragment
        sizes.maxlength = kept * self._frame
        sizes.fragsize = self._sizes.fragment * self._frame
        result: int = self._lib.pa_stream_connect_record(
            stream, self._device, byref(sizes), self._flags
        )
        return result

    def _got(self, sizes: pa.BufferAttr) -> None:
        self._latency = sizes.fragsize / self._frame / self._rate

    def _readable(self, stream: int, size: int, _data: int | None) -> None:
        """Take what there is, if it makes a block full, and hand on each that is."""
        self._moments.awake(stream)
        if size + self._filled < self._bytes:
            return
        lib, data, count = self._lib, self._data, self._count
        while self.active:
            if lib.pa_stream_peek(stream, byref(data), byref(count)) < 0:
                self.active = False
            elif not count.value:
                return
            else:
                self._take(data.value, count.value)
                lib.pa_stream_drop(stream)

    def _take(self, source: int | None, count: int) -> None:
        """Collect `count` bytes at an address; None is a hole, which is silence."""
        done = 0
        while done < count:
            part = min(count - done, self._bytes - self._filled)
            if source is None:
                ctypes.memset(self._address + self._filled, 0, part)
            else:
                ctypes.memmove(self._address + self._filled, source + done, part)
            self._filled += part
            done += part
            if self._filled == self._bytes:
                self._filled = 0
                self._hand_on(self._moments.moved + done // self._frame)
        self._moments.moved += done // self._frame

    def _hand_on(self, end: int) -> None:
        """Call the callback with a block that ends before a sample."""
        times, status, frames = self._times, self._status, len(self._block)
        times.currentTime = time.perf_counter()
        times.inputBufferAdcTime = self._moments.when(end - frames)
        self._callback(self._block, frames, times, status)
        status.clear()

    def _overflow(self, _stream: int, _data: int | None) -> None:
        self._status.input_overflow = True


class OutputStream(_Stream):
    """Plays into a sink of the server; see `_Stream`."""

    _sign = 1.0

    def _hang(self, stream: int) -> list[Any]:
        kept = [pa.Request(self._writable), pa.Notice(self._underflow)]
        self._lib.pa_stream_set_write_callback(stream, kept[0], None)
        self._lib.pa_stream_set_underflow_callback(stream, kept[1], None)
        return kept + super()._hang(stream)

    def _join(self, stream: int) -> int:
        sizes = pa.BufferAttr(*[pa.DEFAULT] * 5)
        sizes.tlength = self._sizes.queue * self._frame
        # After running dry it goes on with the first block.
        sizes.prebuf = sizes.minreq = self._bytes
        result: int = self._lib.pa_stream_connect_playback(
            stream, self._device, byref(sizes), self._flags, None, None
        )
        return result

    def _got(self, sizes: pa.BufferAttr) -> None:
        self._latency = sizes.tlength / self._frame / self._rate
        # PULSE_LATENCY_MSEC may have made it shorter than a block, for which there
        # would never be room; the server keeps what is too much.
        self._enough = min(self._bytes, sizes.tlength)

    def _prepare(self) -> None:
        # What the server asked for when the stream was made did not find it active.
        self._writable(self._stream, self._lib.pa_stream_writable_size(self._stream), 0)

    def _writable(self, stream: int | None, room: int, _data: int | None) -> None:
        """Fill as many whole blocks as there is room for."""
        self._moments.awake(stream)
        lib, times, status = self._lib, self._times, self._status
        frames = len(self._block)
        while self.active and self._enough <= room < _REFUSED:
            times.currentTime = time.perf_counter()
            times.outputBufferDacTime = self._moments.when(self._moments.moved)
            self._callback(self._block, frames, times, status)
            status.clear()
            if lib.pa_stream_write(stream, self._address, self._bytes, None, 0, 0) < 0:
                self.active = False
            self._moments.moved += frames
            room = max(0, room - self._bytes)

    def _underflow(self, _stream: int, _data: int | None) -> None:
        self._status.output_underflow = True
