"""A file that is under way on a cluster."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import Any

from .pieces import Piece
from .work import Outcome, Work

__all__ = ["Flight", "timed"]


@dataclass
class Flight:
    """A file that is under way."""

    work: Work
    staged: Work
    pieces: list[Piece] = field(default_factory=list)
    waiting: int = 0
    futures: list[Any] = field(default_factory=list)
    shares: dict[int, float] = field(default_factory=dict)
    begun: float = field(default_factory=time.monotonic)

    @property
    def share(self) -> float:
        """How far it is; joining the pieces counts as much as one of them."""
        return min(sum(self.shares.values()) / (len(self.pieces) + 1), 1.0)


def timed(outcome: Outcome, flight: Flight) -> Outcome:
    """Count the pieces too: the last task knows of its own time only."""
    if outcome.status != "done" or not flight.pieces:
        return outcome
    elapsed = max(time.monotonic() - flight.begun, 1e-9)
    speed = outcome.result["seconds"] / elapsed
    times = {"elapsed": round(elapsed, 6), "times_real_time": round(speed, 2)}
    return replace(outcome, result={**outcome.result, **times})
