"""When samples are at a device, from what a sound server tells every now and then."""

from __future__ import annotations

import ctypes
import time
from ctypes import byref
from typing import Any, Final

__all__ = ["PAUSE_SECONDS", "Moments"]

PAUSE_SECONDS: Final = 0.2
"""Time beyond the usual without a call from the server after which samples may have
been lost, and until it knows how many."""

ANSWERS: Final = 8
"""Of so many the one with the second longest delay holds where a server works in
cycles: the longest may be one that was late itself."""

_MICRO: Final = 1e-6


class Moments:
    """Of the samples of one stream; for the thread that serves it.

    Parameters
    ----------
    library
        From `libpulse.load_libpulse`.
    rate
        In Hz.
    sign
        1 of an output, whose samples get to the device later; -1 of an input.
    usual
        Seconds that may pass between two calls of the server.
    cycles
        Whether it tells at any time what was so at the beginning of its cycle, as
        PipeWire does: too short a delay, by up to a cycle.

    Attributes
    ----------
    moved
        How many samples have gone through the stream.
    """

    def __init__(
        self,
        library: Any,
        rate: int,
        sign: float,
        usual: float,
        *,
        cycles: bool = False,
    ) -> None:
        self.moved = 0
        self._lib, self._rate, self._sign = library, rate, sign
        self._pause = PAUSE_SECONDS + 2.0 * usual
        self._origin = self._called = self._ask_at = 0.0
        self._kept = ANSWERS if cycles else 1
        self._answers: list[float] = []
        self._micro, self._negative = ctypes.c_uint64(), ctypes.c_int()

    def told(self, stream: int) -> None:
        """Note when the stream's first sample was at the device; the server has told.

        Between two times, samples are counted. The library would interpolate, and be
        wrong for long after a pause.
        """
        if not self.moved or self._ask_at:
            return  # what does not run yet is not late
        micro, negative = self._micro, self._negative
        if self._lib.pa_stream_get_latency(stream, byref(micro), byref(negative)) < 0:
            return
        delay = (-_MICRO if negative.value else _MICRO) * micro.value
        at_device = time.perf_counter() + self._sign * delay
        late = self._sign * (at_device - self.moved / self._rate)
        self._answers = [*self._answers, late][-self._kept :]
        self._origin = self._sign * sorted(self._answers)[-2:][0]

    def awake(self, stream: int | None) -> None:
        """Ask for the time anew if this process had stopped, and samples were lost.

        To be called whenever the server calls. It tells the time by itself, too: at
        once, when PipeWire does not know yet what it has dropped, and then seconds
        later.
        """
        now = time.perf_counter()
        if now - self._called > self._pause and self._called:
            self._origin, self._ask_at = 0.0, now + PAUSE_SECONDS
            self._answers.clear()
        elif self._ask_at and now > self._ask_at:
            self._ask_at = 0.0
            asked = self._lib.pa_stream_update_timing_info(stream, None, None)
            if asked:
                self._lib.pa_operation_unref(asked)
        self._called = now

    def when(self, sample: int) -> float:
        """Return when a sample is at the device; 0 if that is not known."""
        return self._origin + sample / self._rate if self._origin else 0.0
