"""What a person sees of a batch: one line of progress, a line per file, a table."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..batch.urls import is_remote
from ..names import shown
from .printing import columns, fail, say
from .progress import Progress

if TYPE_CHECKING:
    from ..batch.plan import Job
    from ..batch.work import Outcome

__all__ = ["BatchProgress", "failures_table"]

_CELL = 40


class BatchProgress(Progress):
    """One line for a whole batch: share, files, speed, time left, a name.

    Shares are of bytes: how long files last is not known before they are opened.

    Parameters
    ----------
    jobs
        All jobs.
    """

    def __init__(self, jobs: Sequence[Job]) -> None:
        super().__init__("")
        self._total = len(jobs)
        self._sizes = {job.source: _size(job) for job in jobs} if self._live else {}
        self._bytes = sum(self._sizes.values()) or 1
        self._done_bytes = 0
        self._shares: dict[str, float] = {}
        self._worked = 0
        self.done = self.failed = self.skipped = 0
        self.seconds = 0.0

    def __enter__(self) -> BatchProgress:
        return self

    def step(self, job: Job, share: float) -> None:
        """Show that a job has come this far."""
        if not self._live:
            return
        self._shares[job.source] = share
        now = time.monotonic()
        if now - self._last >= 0.1:
            self._last = now
            self._draw(shown(job.source), now)

    def finish(self, outcome: Outcome) -> None:
        """Count a job, and clear the line for what will be printed."""
        size = self._sizes.get(outcome.job.source, 0)
        self._shares.pop(outcome.job.source, None)
        if outcome.status == "skipped":
            self.skipped += 1
            self._bytes = max(self._bytes - size, 1)
            return
        self._done_bytes += size
        if outcome.status == "failed":
            self.failed += 1
        else:
            self.done += 1
            self.seconds += float(outcome.result.get("seconds") or 0.0)
        self.clear()

    @property
    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._begin

    @property
    def speed(self) -> float:
        """Seconds of sound done per second."""
        return self.seconds / self.elapsed if self.elapsed > 0 else 0.0

    def _draw(self, name: str, now: float) -> None:
        partial = sum(
            share * self._sizes.get(source, 0) for source, share in self._shares.items()
        )
        share = min((self._done_bytes + partial) / self._bytes, 1.0)
        elapsed = now - self._begin
        left = _clock(elapsed * (1 / share - 1)) if share > 0.001 else "-:--"
        filled = round(share * self._BAR)
        bar = "#" * filled + "." * (self._BAR - filled)
        files = f"{self.done + self.failed + self.skipped}/{self._total}"
        speed = f"{self.speed:.0f}x" if self.seconds else ""
        parts = [f"[{bar}] {share:4.0%}", files, speed, f"{left} left", name]
        self._show("  ".join(part for part in parts if part))


def _size(job: Job) -> int:
    if is_remote(job.source):
        return 1 << 20
    try:
        return os.path.getsize(job.source)  # noqa: PTH202
    except (OSError, ValueError):
        return 0


def _clock(seconds: float) -> str:
    whole = int(seconds)
    hours, minutes = whole // 3600, whole // 60 % 60
    if hours:
        return f"{hours}:{minutes:02d}:{whole % 60:02d}"
    return f"{minutes}:{whole % 60:02d}"


def failures_table(failures: Sequence[tuple[str, str]], total: int) -> None:
    """Print which files failed and why, to standard error."""
    fail(f"{len(failures)} of {total} files failed:")
    rows = [[f"  {_short(name)}", _why(name, error)] for name, error in failures]
    for line in columns(rows):
        say(line)


def _short(name: str) -> str:
    return name if len(name) <= _CELL else "..." + name[3 - _CELL :]


def _why(name: str, error: str) -> str:
    """Leave out the name where the sentence begins with it."""
    return error[len(name) :].lstrip(" :") if error.startswith(name) else error
