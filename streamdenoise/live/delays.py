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
        self.age = self.ahead = self.held = 0.0
        self._heard = self._played = self._looked = 0

    def heard(self, time: Any) -> None:
        """Take note of an input block; `time` is what PortAudio gives the callback."""
        if time is None or not time.inputBufferAdcTime:
            return
        age = time.currentTime - time.inputBufferAdcTime
        if 0.0 < age < _MOST:
            self._heard += 1
            if self._heard > _SETTLE:  # streams that start catch up first
                share = max(1.0 / (self._heard - _SETTLE), _SMOOTHING)
                self.age += share * (age - self.age)

    def played(self, time: Any) -> None:
        """Take note of an output block."""
        if time is None or not time.outputBufferDacTime:
            return
        ahead = time.outputBufferDacTime - time.currentTime
        if 0.0 < ahead < _MOST:
            self._played += 1
            if self._played > _SETTLE:
                share = max(1.0 / (self._played - _SETTLE), _SMOOTHING)
                self.ahead += share * (ahead - self.ahead)

    def looked(self, held: float) -> None:
        """Take note of the seconds in the buffer; at any time, again and again."""
        self._looked += 1
        share = max(1.0 / self._looked, _HELD_SMOOTHING)
        self.held += share * (held - self.held)

    @property
    def known(self) -> bool:
        """Whether both devices have told enough."""
        return self.age > 0.0 and self.ahead > 0.0
