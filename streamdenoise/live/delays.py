"""How long sound waits in devices and buffers, as it is, averaged while it runs.

What a stream calls its latency is the most that it may hold. How much it holds is told
anew with every block: when its first sample was captured, and when it will be heard.
Both include what a sound server holds. For the buffer between two streams, the mean
wait is the mean fill over the rate (J. D. C. Little, "A proof for the queuing formula
L = lambda W", Operations Research 9, 1961).
"""

from __future__ import annotations

from typing import Any, Final

__all__ = ["DelayMeter"]

_SMOOTHING: Final = 0.01
_HELD_SMOOTHING: Final = 0.05
_MOST: Final = 5.0
_SETTLE: Final = 32
_FAR: Final = 0.25
_LASTING: Final = 1.0


class _Mean:
    """A running mean of waits in seconds that begins quickly.

    What is far from it is not counted at first: after a pause of the machine, seconds
    of old sound come within a moment, and say nothing of the wait from then on. What
    stays there for long is the new mean.
    """

    def __init__(self) -> None:
        self.value = 0.0
        self._count = 0
        self._far_since = 0.0

    def add(self, wait: float, now: float) -> None:
        """Take a wait that was measured at a time, both in seconds."""
        if not 0.0 < wait < _MOST:
            return
        if self._count > _SETTLE and abs(wait - self.value) > _FAR:
            self._far_since = self._far_since or now
            if now - self._far_since < _LASTING:
                return
            self._count = _SETTLE
        self._far_since = 0.0
        self._count += 1
        if self._count > _SETTLE:  # streams that start catch up first
            share = max(1.0 / (self._count - _SETTLE), _SMOOTHING)
            self.value += share * (wait - self.value)


class DelayMeter:
    """Running means of three waits; one thread for each of the three methods.

    `heard` and `played` are for audio callbacks: they neither allocate more than a
    float nor raise.

    Attributes
    ----------
    age
        Mean age in seconds of a block's first sample when it comes in; 0 before
        anything has run, or where the host API does not tell. It includes the time in
        which the block was collected.
    ahead
        Mean time in seconds until a block's first sample is heard; 0 likewise.
    held
        Mean time in seconds in the buffer between two streams; 0 likewise.
    """

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Forget everything; for new devices, while none runs."""
        self._age, self._ahead = _Mean(), _Mean()
        self.held, self._looked = 0.0, 0

    @property
    def age(self) -> float:
        """See above."""
        return self._age.value

    @property
    def ahead(self) -> float:
        """See above."""
        return self._ahead.value

    def heard(self, time: Any) -> None:
        """Take note of an input block; `time` is what PortAudio gives the callback."""
        if time is not None and time.inputBufferAdcTime:
            now = time.currentTime
            self._age.add(now - time.inputBufferAdcTime, now)

    def played(self, time: Any) -> None:
        """Take note of an output block."""
        if time is not None and time.outputBufferDacTime:
            now = time.currentTime
            self._ahead.add(time.outputBufferDacTime - now, now)

    def looked(self, held: float) -> None:
        """Take note of the seconds in the buffer; at any time, again and again."""
        self._looked += 1
        share = max(1.0 / self._looked, _HELD_SMOOTHING)
        self.held += share * (held - self.held)

    @property
    def known(self) -> bool:
        """Whether both devices have told enough."""
        return self.age > 0.0 and self.ahead > 0.0
