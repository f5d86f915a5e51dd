"""Where the time goes between microphone and loudspeaker."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Latency:
    """Where the time goes between microphone and loudspeaker, all in seconds.

    Attributes
    ----------
    device_in, device_out
        As they tell with every block, on average; until then, what they were opened
        with, which is the most that they may hold.
    hop
        A hop is collected before it can be worked on.
    window
        The engine's own delay behind the hop: overlap of the synthesis window, and
        re-blocking where the device keeps no block size.
    buffer
        Held back between two clocks, on average; 0 with one stream for both.
    """

    device_in: float
    hop: float
    window: float
    buffer: float
    device_out: float

    @property
    def total(self) -> float:
        """Sum of the parts."""
        return self.device_in + self.hop + self.window + self.buffer + self.device_out

    def parts(self) -> dict[str, float]:
        """Return the parts by name, in the order in which sound passes them."""
        return {
            "device in": self.device_in,
            "hop": self.hop,
            "window": self.window,
            "buffer": self.buffer,
            "device out": self.device_out,
        }
