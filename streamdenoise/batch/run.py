"""A batch: many files, in one process or several, with a journal to go on from."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ..audio.parts import part_files
from ..errors import OutputError
from ..names import shown
from .earlier import Earlier
from .jobs import Crash, Done, Event, Step, run_in_processes
from .journal import Journal
from .journals import Before, Journals, clean, name_in
from .plan import Job
from .task import Denoise
from .urls import is_remote
from .work import Options, Outcome, Work, failed
from .workplace import clean_workplaces

if TYPE_CHECKING:
    from .cluster import Cluster

__all__ = ["Batch"]

_FULL_BYTES: Final = 1 << 20


class Batch:
    """Works through jobs, keeps the journals, and says what became of each.

    Parameters
    ----------
    jobs
        From `plan.make_jobs`.
    options
        What is done with each.
    processes
        How many work at once; 1 is this process.
    resume
        Skip what the journal has as done, replace what was cut off.
    fail_fast
        Stop at the first failure.
    watch
        Called with a job and its share done, from 0 to 1, now and then.
    cluster
        Where it runs, in place of `processes`.

    Attributes
    ----------
    stopped
        Why the batch ended early, a sentence, else empty.
    cleaned
        Temporary files of a killed run that were removed.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        options: Options,
        *,
        processes: int = 1,
        resume: bool = False,
        fail_fast: bool = False,
        watch: Callable[[Job, float], None] | None = None,
        cluster: Cluster | None = None,
    ) -> None:
        self._jobs, self._options, self._cluster = jobs, options, cluster
        self._processes = max(1, min(processes, len(jobs)))
        self._resume, self._fail_fast = resume, fail_fast
        self._watch = watch or (lambda job, share: None)
        keep = resume or len(jobs) > 1
        self._journals = Journals(resume) if keep else None
        self._earlier = Earlier(options)
        self._under_way: dict[int, Work] = {}
        self.stopped = ""
        self.cleaned = 0

    def planned(self) -> Iterator[tuple[Job, str]]:
        """Say what would be done with each job, and do nothing.

        Yields
        ------
        Job, str
            ``"new"``, ``"skip"``, ``"replace"`` or ``"exists"`` (needs ``--force``).
        """
        shape = self._earlier.shape() if self._resume else {}
        journals = Journals(self._resume, look=True) if self._resume else None
        for job in self._jobs:
            there = self._earlier.is_there(job.target)
            if journals is not None:
                key = self._earlier.key(job, shape)
                before = self._earlier.before(journals.of(job), job, key)
                if before.written or (there and before.owned):
                    yield job, "skip" if before.written else "replace"
                    continue
            forced = "replace" if self._options.force else "exists"
            yield job, forced if there else "new"
        if journals is not None:
            journals.close()

    def run(self) -> Generator[Outcome, None, None]:
        """Do all jobs; yield outcomes as they come, skipped ones first.

        Raises
        ------
        ModelError, RuntimeMissingError
            If the model cannot be loaded.
        OutputError
            If a journal cannot be written.
        """
        try:
            todo: list[Work] = []
            for outcome in self._sort_out(todo):
                yield outcome
            with contextlib.closing(self._results(todo)) as outcomes:
                for work, outcome in outcomes:
                    self._note(work, outcome)
                    yield outcome
                    if outcome.status == "failed" and self._must_stop(outcome):
                        return
        finally:
            self._give_up()
            if self._journals is not None:
                self.cleaned = self._journals.cleaned
                self._journals.close()

    def _sort_out(self, todo: list[Work]) -> Iterator[Outcome]:
        """Put what is to be done into `todo`; yield the rest as skipped."""
        if self._resume:
            clean_workplaces()
        shape = self._earlier.shape() if self._journals is not None else {}
        for number, job in enumerate(self._jobs):
            key, looked, before = "", "", Before()
            journal = self._journal(job)
            if journal is not None:
                key = self._earlier.key(job, shape)
                if self._resume:
                    looked = str(journal.path)
                    before = self._earlier.before(journal, job, key)
            if before.written:
                yield Outcome(job, "skipped", before.result, output=before.written)
                continue
            force = self._options.force
            both = force or before.owned, force or before.owned_plot
            todo.append(Work(number, job, key, *both, looked))

    def _results(self, todo: list[Work]) -> Generator[tuple[Work, Outcome], None, None]:
        if not todo:
            return
        if self._cluster is not None:
            begun, resume = self._begun(todo), self._resume
            yield from self._heeded(
                self._cluster.run(self._options, begun, resume=resume)
            )
            return
        task = Denoise(self._options)
        if self._processes == 1:
            task.prepare()
            for work in self._begun(todo):
                job = work.job

                def progress(done: int, total: int, job: Job = job) -> None:
                    self._watch(job, done / total if total else 0.0)

                yield work, task.run(work, progress)
            return
        yield from self._heeded(
            run_in_processes(task, self._begun(todo), self._processes)
        )

    def _heeded(
        self, events: Generator[Event[Work, Outcome], None, None]
    ) -> Generator[tuple[Work, Outcome], None, None]:
        with contextlib.closing(events):
            for event in events:
                if isinstance(event, Step):
                    self._watch(event.item.job, event.share)
                elif isinstance(event, Crash):
                    job = event.item.job
                    self._remove_leftovers(job)
                    outcome = failed(job, f"{shown(job.source)}: {event.why}")
                    # It may have died after it had put the result in place.
                    there = job.target if self._earlier.is_there(job.target) else ""
                    yield event.item, replace(outcome, output=there)
                elif isinstance(event, Done):
                    yield event.item, event.result

    def _begun(self, todo: list[Work]) -> Iterator[Work]:
        """Yield work when a process wants it, noted in the journal if there is one."""
        for work in todo:
            journal = self._journal(work.job)
            if journal is None:
                if _is_alone(work.job):
                    self._under_way[work.number] = work
            elif self._may_begin(work):
                journal.begin(name_in(journal, work.job.target), work.key)
                self._under_way[work.number] = work
            yield work

    def _may_begin(self, work: Work) -> bool:
        # What somebody else put there is never to be taken for ours later on.
        return work.force or not self._earlier.is_there(work.job.target)

    def _note(self, work: Work, outcome: Outcome) -> None:
        begun = self._under_way.pop(work.number, None) is not None
        journal = self._journal(work.job)
        if journal is None:
            return
        name = name_in(journal, work.job.target)
        if outcome.status == "done":
            written = name_in(journal, outcome.output)
            journal.done(name, work.key, written, outcome.result)
        elif begun and not outcome.output:
            # What lies there from now on is not ours. On a full disk it stays unsaid.
            with contextlib.suppress(OutputError):
                journal.failed(name, work.key)

    def _give_up(self) -> None:
        """Note what an interruption left undone; nobody works on it any more."""
        for work in [*self._under_way.values()]:
            target = work.job.target
            if is_remote(target):
                continue
            clean(Path(target))
            if not self._earlier.is_there(target):
                self._note(work, failed(work.job, ""))
        self._under_way.clear()

    def _must_stop(self, outcome: Outcome) -> bool:
        if self._fail_fast:
            self.stopped = "stopped at the first failure, as --fail-fast says"
        elif len(self._jobs) > 1 and _is_full(outcome.job):
            self.stopped = (
                "stopped, because the disk is full; free some space, then go on with "
                "--resume"
            )
        return bool(self.stopped)

    def _journal(self, job: Job) -> Journal | None:
        return None if self._journals is None else self._journals.of(job)

    def _remove_leftovers(self, job: Job) -> None:
        if not is_remote(job.target):
            clean(Path(job.target))


def _is_alone(job: Job) -> bool:
    """Tell whether no temporary file lies where a job will make its own.

    Without a journal nothing keeps another run from being at work there, and what is
    its own must stay when this one is interrupted.
    """
    if is_remote(job.target):
        return False
    target = Path(job.target)
    return not any(map(part_files, (target, target.with_suffix(".wav"))))


def _is_full(job: Job) -> bool:
    folder = Path(job.root) if job.root else Path(job.target).parent
    try:
        if is_remote(job.target):
            return False
        usage = shutil.disk_usage(folder)
        return usage.total > 0 and usage.free < _FULL_BYTES
    except OSError:
        return False
