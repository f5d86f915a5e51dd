"""What ``streamdenoise file`` prints: plans, outcomes, and what they add up to."""

from __future__ import annotations

import contextlib
import json
import math
from typing import TYPE_CHECKING, Any

from ..errors import EXIT_INPUT, EXIT_INTERRUPTED, StreamDenoiseError
from ..names import shown
from .batchview import BatchProgress, failures_table
from .printing import fail, unless_closed, warn, write

if TYPE_CHECKING:
    from ..batch.page import BatchReport
    from ..batch.plan import Job
    from ..batch.run import Batch
    from ..batch.work import Outcome

__all__ = ["FileView", "tell_plan"]


def tell_plan(batch: Batch, as_json: bool) -> None:
    """Print what would be done, a line or a JSON object for each file."""
    meaning = {
        "new": "",
        "skip": "  (done already)",
        "replace": "  (replaces what is there)",
        "exists": "  (exists already: needs --force)",
    }
    for job, what in batch.planned():
        if as_json:
            names = {"input": job.source, "output": job.target}
            _line({"status": "planned", **names, "do": what})
        else:
            write(f"{shown(job.source)} -> {shown(job.target)}{meaning[what]}")


def _line(value: dict[str, Any]) -> None:
    finite = {
        key: None if isinstance(item, float) and not math.isfinite(item) else item
        for key, item in value.items()
    }
    # In ASCII: any name comes through, and nothing in it acts on a terminal.
    write(json.dumps(finite))


class FileView:
    """Prints outcomes as they come, and what they add up to.

    A reader that has gone away, such as ``head``, ends the printing, not the work.
    """

    def __init__(
        self, planned: list[Job], progress: BatchProgress, as_json: bool
    ) -> None:
        self._planned, self._progress, self._json = planned, progress, as_json
        self._failures: list[tuple[str, str]] = []
        self._code = 0

    def run(self, batch: Batch, page: BatchReport | None) -> int:
        """Work through a batch; return the exit code."""
        with page or contextlib.nullcontext():
            stopped = self._outcomes(batch, page)
        with unless_closed():
            self._sum_up(batch.stopped or stopped)
            if page is not None and not self._json:
                write(f"report: {shown(page.path)}")
        return self._code

    def _outcomes(self, batch: Batch, page: BatchReport | None) -> str:
        try:
            with contextlib.closing(batch.run()) as outcomes:
                for outcome in outcomes:
                    self._progress.finish(outcome)
                    self._count(outcome)
                    with unless_closed():
                        self._tell(outcome)
                    if page is not None and outcome.status != "failed":
                        page.add(outcome)
        except KeyboardInterrupt:
            self._progress.clear()
            self._code = EXIT_INTERRUPTED
            return (
                f"interrupted: {self._progress.done} of {len(self._planned)} files are "
                "done, and nothing half-done was left behind"
            )
        except StreamDenoiseError as error:
            if len(self._planned) == 1 or not self._progress.done:
                raise
            self._code = error.exit_code
            return str(error)
        return ""

    def _count(self, outcome: Outcome) -> None:
        if outcome.status == "failed":
            self._failures.append((shown(outcome.job.source), outcome.error))
            one = len(self._planned) == 1
            self._code = outcome.exit_code if one else EXIT_INPUT

    def _tell(self, outcome: Outcome) -> None:
        source = outcome.job.source
        if outcome.status == "failed":
            fail(outcome.error)
            if self._json:
                _line({"status": "failed", "input": source, "error": outcome.error})
            return
        if self._json:
            _line({"status": outcome.status, **outcome.result})
        elif outcome.status == "done":
            write(_sentence(outcome.result))
        if outcome.status == "done":
            for note in outcome.result.get("notes", ()):
                warn(f"{shown(source)}: {note}")

    def _sum_up(self, stopped: str) -> None:
        progress, total = self._progress, len(self._planned)
        progress.clear()
        if total == 1 and not progress.skipped and not stopped:
            return
        if self._failures and total > 1:
            failures_table(self._failures, total)
        if stopped:
            fail(stopped)
        if self._json:
            _line(
                {
                    "status": "summary",
                    "files": total,
                    "done": progress.done,
                    "skipped": progress.skipped,
                    "failed": progress.failed,
                    "seconds": round(progress.seconds, 3),
                    "elapsed": round(progress.elapsed, 3),
                    "times_real_time": round(progress.speed, 2),
                }
            )
            return
        skipped = f", {progress.skipped} were done before" if progress.skipped else ""
        speed = f", {progress.speed:.0f} times real time" if progress.done else ""
        write(f"{progress.done} of {total} files were denoised{skipped}{speed}")


def _sentence(result: dict[str, Any]) -> str:
    before, after = (result[f"noise_floor_{when}"] for when in ("before", "after"))
    return (
        f"{shown(result['output'])}: {result['seconds']:.1f} s, noise floor "
        f"{before:.0f} -> {after:.0f} dBFS, "
        f"{result['times_real_time']:.0f} times real time"
    )
