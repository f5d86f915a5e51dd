"""The way of sound through the devices: what was measured, and what that says."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

from ..live.pulse.streams import HIGH_SECONDS, LOW_SECONDS
from ..live.seek import longer

__all__ = ["MOST_XRUNS", "TOLERANCE", "LoopResult", "Trip"]

TOLERANCE: Final = 0.005
"""Seconds between sum of parts and measurement that count as equal."""

MOST_XRUNS: Final = 2
"""Xruns with which a measurement still counts: each may move the buffer."""


@dataclass(frozen=True)
class Trip:
    """The way through the devices in one mode, measured several times; in seconds.

    Attributes
    ----------
    mode
        ``"bypass"`` or ``"active"``.
    played, heard
        How many chirps were played, and clearly found again.
    median, spread
        Of those found; spread is from the shortest to the longest.
    """

    mode: str
    played: int
    heard: int
    median: float
    spread: float


@dataclass(frozen=True)
class LoopResult:
    """What was measured, and what `LiveSession.latency` says.

    Attributes
    ----------
    input, output
        Names of the devices.
    sample_rate
        In Hz.
    trips
        For each mode.
    reported
        Parts by name, in seconds.
    xruns
        How often something was late, at any time; a measurement with many means
        little.
    """

    input: str
    output: str
    sample_rate: int
    trips: tuple[Trip, ...]
    reported: dict[str, float]
    xruns: int

    @property
    def total(self) -> float:
        """Sum of the reported parts in seconds."""
        return sum(self.reported.values())

    @property
    def measured(self) -> float:
        """Median way while the engine is active, in seconds."""
        return self.trips[-1].median

    @property
    def difference(self) -> float:
        """Measured less reported, in seconds."""
        return self.measured - self.total

    @property
    def variation(self) -> float:
        """How much the way varied, within a mode or from one to the other."""
        medians = [trip.median for trip in self.trips]
        apart = max(medians) - min(medians)
        return max(apart, *(trip.spread for trip in self.trips))

    @property
    def steady(self) -> bool:
        """Whether the way was as long each time, so that the median means something."""
        return self.variation <= TOLERANCE and self.xruns <= MOST_XRUNS

    @property
    def good(self) -> bool:
        """Whether the sum of the parts is known to be right."""
        return self.steady and abs(self.difference) <= TOLERANCE

    @property
    def verdict(self) -> str:
        """One sentence on the difference."""
        apart = 1000 * self.difference
        if not self.steady:
            return (
                "too unsteady to tell: the way varied by "
                f"{1000 * self.variation:.1f} ms, with {self.xruns} xruns"
            )
        if abs(self.difference) <= TOLERANCE:
            return f"the sum of the parts is right within {abs(apart):.1f} ms"
        if apart > 0:
            metres = 0.343 * apart
            return (
                f"the way takes {apart:.1f} ms longer than the devices say: hidden "
                f"buffers of a device or sound server, or {metres:.1f} m of air"
            )
        return (
            f"the way takes {-apart:.1f} ms less than the devices say, which name the "
            "most that they may hold"
        )

    def fix(self, asked: float | str) -> str:
        """Return what to type for a steady measurement; empty if this one is.

        Parameters
        ----------
        asked
            The latency that the devices were asked for.
        """
        if self.steady:
            return ""
        usual = HIGH_SECONDS if asked == "high" else max(LOW_SECONDS)
        above = longer(usual if isinstance(asked, str) else asked)
        more = f" with --latency {above[0]:g}" if above else ""
        return f"close programs that keep the CPU busy, and measure again{more}"

    def as_dict(self) -> dict[str, Any]:
        """All of it in plain types, for JSON."""
        return {
            **asdict(self),
            "total": self.total,
            "measured": self.measured,
            "difference": self.difference,
            "steady": self.steady,
            "verdict": self.verdict,
        }
