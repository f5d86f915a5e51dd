"""A batch: many files, in one process or several, with a journal to go on from."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from .batch import FileResult, denoise_file, load_any
from .errors import EXIT_INPUT, OutputError, StreamDenoiseError
from .jobs import Crash, Done, Step, run_in_processes
from .journal import JOURNAL, Journal, job_key, leftovers
from .names import shown
from .plan import Job
from .remote import Remote, clean_workplaces, workplace
from .settings import Settings
from .sketch import Sketches
from .urls import is_remote

if TYPE_CHECKING:
    from .model import StepModel
    from .offline import WholeModel

__all__ = ["Batch", "Denoise", "Options", "Outcome", "Work"]

_MOST_JOURNALS: Final = 64
_FULL_BYTES: Final = 1 << 20


@dataclass(frozen=True)
class Options:
    """What is done with every file.

    Attributes
    ----------
    settings
        Strength and the like.
    model
        Name or path; None for the default.
    force
        Replace results that exist.
    plot
        Write a picture beside each result, ``NAME.EXT.png``.
    thumbnail
        Return a small picture with each outcome.
    link_channels, loudness
        As for `batch.denoise_file`.
    """

    settings: Settings = field(default_factory=Settings)
    model: str | None = None
    force: bool = False
    plot: bool = False
    thumbnail: bool = False
    link_channels: bool = False
    loudness: float | str | None = None

    def shape(self, model_sha: str) -> dict[str, Any]:
        """Return all that decides what a result sounds like, as plain values."""
        return {
            "settings": asdict(self.settings),
            "model": model_sha,
            "link_channels": self.link_channels,
            "loudness": self.loudness,
        }


@dataclass(frozen=True)
class Outcome:
    """What became of one input.

    Attributes
    ----------
    job
        The input and where its result was to go.
    status
        ``"done"``, ``"skipped"`` (it was done before) or ``"failed"``.
    result
        Figures as `FileResult.as_dict` gives them; empty for a failure.
    output
        Where the result is.
    error, exit_code
        Why it failed.
    thumbnail
        A small PNG of before and after, if it was asked for.
    plot
        Where the picture is, if it was asked for.
    """

    job: Job
    status: str
    result: dict[str, Any] = field(default_factory=dict)
    output: str = ""
    error: str = ""
    exit_code: int = 0
    thumbnail: bytes = b""
    plot: str = ""


@dataclass(frozen=True)
class Work:
    """A job as it is handed to a process."""

    number: int
    job: Job
    key: str = ""
    force: bool = False


# In each process --------------------------------------------------------------------


class Denoise:
    """The task of a worker: a model, loaded once, and one file after the other."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._model: StepModel | WholeModel | None = None
        self._remote: Remote | None = None

    def prepare(self) -> None:
        """Load the model."""
        self._model = load_any(self._options.model)

    def run(self, work: Work, progress: Callable[[int, int], None]) -> Outcome:
        """Denoise one file; whatever goes wrong with it is in the outcome."""
        job = work.job
        try:
            return self._do(work, progress)
        except StreamDenoiseError as error:
            return _failed(job, str(error), error.exit_code)
        except MemoryError:
            text = "there is not enough memory; use fewer --jobs, or cut the file"
            return _failed(job, f"{shown(job.source)}: {text}")
        except OSError as error:
            why = error.strerror or str(error)
            where = f" ({shown(error.filename)})" if error.filename else ""
            return _failed(
                job, f"{shown(job.source)}: the system refused: {why}{where}"
            )
        except Exception as error:
            if os.environ.get("STREAMDENOISE_TRACEBACK"):
                raise
            text = f"this is a bug: {type(error).__name__}: {error}"
            return _failed(job, f"{shown(job.source)}: {text}")

    def _do(self, work: Work, progress: Callable[[int, int], None]) -> Outcome:
        job, options = work.job, self._options
        if not is_remote(job.source) and not is_remote(job.target):
            _make_room(job)
            source, target = Path(job.source), Path(job.target)
            return self._one(work, source, target, progress, force=work.force)
        if is_remote(job.target):
            self._client().check_target(job.target, force=work.force)
        else:
            _make_room(job)
        with workplace() as folder:
            source = Path(job.source)
            if is_remote(job.source):
                source = self._client().fetch(job.source, _subfolder(folder, "in"))
            if not is_remote(job.target):
                target = Path(job.target)
                return self._one(work, source, target, progress, force=work.force)
            name = job.target.rsplit("/", 1)[-1]
            target = _subfolder(folder, "out") / (name[-100:] or "sound.wav")
            outcome = self._one(work, source, target, progress, force=True)
            base = job.target[: len(job.target) - len(name)]
            url = base + Path(outcome.output).name
            self._client().send(Path(outcome.output), url, force=work.force)
            if outcome.plot:
                self._client().send(Path(outcome.plot), url + ".png", force=True)
            named = {"output": shown(url)}
            return replace(
                outcome,
                output=url,
                result={**outcome.result, **named},
                plot=url + ".png" if options.plot else "",
            )

    def _one(
        self,
        work: Work,
        source: Path,
        target: Path,
        progress: Callable[[int, int], None],
        *,
        force: bool,
    ) -> Outcome:
        job, options = work.job, self._options
        tap = Sketches() if options.plot or options.thumbnail else None
        result: FileResult = denoise_file(
            source,
            target,
            self._model,
            options.settings,
            force=force,
            explicit=job.explicit,
            substitute=job.substitute,
            link_channels=options.link_channels,
            loudness=options.loudness,
            progress=progress,
            tap=tap,
        )
        plot = ""
        if tap is not None and options.plot:
            plot = result.output + ".png"
            _write_plot(Path(plot), tap.picture(), force=options.force or force)
        values = {**result.as_dict(), "input": shown(job.source)}
        if plot:
            values["plot"] = shown(plot)
        return Outcome(
            job,
            "done",
            values,
            result.output,
            thumbnail=tap.thumbnail() if tap is not None and options.thumbnail else b"",
            plot=plot,
        )

    def _client(self) -> Remote:
        if self._remote is None:
            self._remote = Remote()
        return self._remote


def _subfolder(folder: Path, name: str) -> Path:
    path = folder / name
    path.mkdir()
    return path


def _failed(job: Job, error: str, code: int = EXIT_INPUT) -> Outcome:
    return Outcome(job, "failed", error=error, exit_code=code)


def _make_room(job: Job) -> None:
    """Make the folder of a result, unless it would lie outside of ``-o``."""
    if not job.root:
        return
    folder, root = Path(job.target).parent, Path(job.root)
    try:
        # Before anything is made: a link on the way may lead elsewhere.
        real, top = os.path.realpath(folder), os.path.realpath(root)
        if os.path.commonpath([real, top]) != top:
            raise OutputError(
                f"{shown(folder)} is a link that leads out of {shown(root)}, where "
                "results are to stay; remove the link, or choose another folder "
                "with -o"
            )
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"cannot make the folder {shown(folder)}: {error.strerror or error}"
        ) from error


def _write_plot(path: Path, content: bytes, *, force: bool) -> None:
    from .target import PartFile

    part = PartFile(path, force=force)
    try:
        part.path.write_bytes(content)
        part.place()
    except OSError as error:
        raise part.failure(error) from error
    finally:
        part.discard()


# In the first process ---------------------------------------------------------------


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
    ) -> None:
        self._jobs, self._options = jobs, options
        self._processes = max(1, min(processes, len(jobs)))
        self._resume, self._fail_fast = resume, fail_fast
        self._watch = watch or (lambda job, share: None)
        keep = resume or (len(jobs) > 1 and bool(jobs[0].root))
        self._journals = Journals(resume) if keep else None
        self._remote: Remote | None = None
        self.stopped = ""
        self.cleaned = 0

    def planned(self) -> Iterator[tuple[Job, str]]:
        """Say what would be done with each job, and do nothing.

        Yields
        ------
        Job, str
            ``"new"``, ``"skip"``, ``"replace"`` or ``"exists"`` (needs ``--force``).
        """
        shape = self._shape() if self._resume else {}
        journals = Journals(self._resume, look=True) if self._resume else None
        for job in self._jobs:
            there = self._is_there(job.target)
            journal = journals.of(job) if journals is not None else None
            if journal is not None:
                name = _name_in(journal, job.target)
                if journal.is_done(name, self._key(job, shape)):
                    yield job, "skip"
                    continue
                if there and journal.owns(name):
                    yield job, "replace"
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
            if self._journals is not None:
                self.cleaned = self._journals.cleaned
                self._journals.close()

    def _sort_out(self, todo: list[Work]) -> Iterator[Outcome]:
        """Put what is to be done into `todo`; yield the rest as skipped."""
        if self._resume:
            clean_workplaces()
        shape = self._shape() if self._journals is not None else {}
        for number, job in enumerate(self._jobs):
            key, force = "", self._options.force
            journal = self._journal(job)
            if journal is not None:
                name = _name_in(journal, job.target)
                key = self._key(job, shape)
                if self._resume and journal.is_done(name, key):
                    written = _place_of(journal, journal.written(name))
                    result = journal.result(name)
                    yield Outcome(job, "skipped", result, output=written)
                    continue
                force = force or (self._resume and journal.owns(name))
            todo.append(Work(number, job, key, force))

    def _results(self, todo: list[Work]) -> Generator[tuple[Work, Outcome], None, None]:
        task = Denoise(self._options)
        if not todo:
            return
        if self._processes == 1:
            task.prepare()
            for work in self._begun(todo):
                job = work.job

                def progress(done: int, total: int, job: Job = job) -> None:
                    self._watch(job, done / total if total else 0.0)

                yield work, task.run(work, progress)
            return
        events = run_in_processes(task, self._begun(todo), self._processes)
        with contextlib.closing(events):
            for event in events:
                if isinstance(event, Step):
                    self._watch(event.item.job, event.share)
                elif isinstance(event, Crash):
                    job = event.item.job
                    self._remove_leftovers(job)
                    yield event.item, _failed(job, f"{shown(job.source)}: {event.why}")
                elif isinstance(event, Done):
                    yield event.item, event.result

    def _begun(self, todo: list[Work]) -> Iterator[Work]:
        """Yield work when a process wants it, noted in the journal."""
        for work in todo:
            journal = self._journal(work.job)
            if journal is not None and self._may_begin(work):
                journal.begin(_name_in(journal, work.job.target), work.key)
            yield work

    def _may_begin(self, work: Work) -> bool:
        # What somebody else put there is never to be taken for ours later on.
        return work.force or not self._is_there(work.job.target)

    def _note(self, work: Work, outcome: Outcome) -> None:
        journal = self._journal(work.job)
        if journal is not None and outcome.status == "done":
            name = _name_in(journal, work.job.target)
            written = _name_in(journal, outcome.output)
            journal.done(name, work.key, written, outcome.result)

    def _must_stop(self, outcome: Outcome) -> bool:
        if self._fail_fast:
            self.stopped = "stopped at the first failure, as --fail-fast says"
        elif _is_full(outcome.job):
            self.stopped = (
                "stopped, because the disk is full; free some space, then go on with "
                "--resume"
            )
        return bool(self.stopped)

    def _journal(self, job: Job) -> Journal | None:
        return None if self._journals is None else self._journals.of(job)

    def _remove_leftovers(self, job: Job) -> None:
        if not is_remote(job.target):
            _clean(Path(job.target))

    def _shape(self) -> dict[str, Any]:
        from .card import sha256_of
        from .model import find_model

        path, card = find_model(self._options.model)
        return self._options.shape(card.sha256 or sha256_of(path.read_bytes()))

    def _key(self, job: Job, shape: dict[str, Any]) -> str:
        if is_remote(job.source):
            stamp: list[Any] | None = self._client().stamp(job.source)
            return job_key({"input": job.source, "stamp": stamp}, shape)
        path = os.path.abspath(job.source)  # noqa: PTH100
        try:
            status = os.stat(path)  # noqa: PTH116
            stamp = [status.st_size, status.st_mtime_ns]
        except (OSError, ValueError):
            stamp = None
        return job_key({"input": path, "stamp": stamp}, shape)

    def _is_there(self, target: str) -> bool:
        if is_remote(target):
            return self._client().stamp(target) is not None
        return os.path.lexists(target)

    def _client(self) -> Remote:
        if self._remote is None:
            self._remote = Remote()
        return self._remote


def _is_full(job: Job) -> bool:
    folder = Path(job.root) if job.root else Path(job.target).parent
    try:
        return not is_remote(job.target) and (
            shutil.disk_usage(folder).free < _FULL_BYTES
        )
    except OSError:
        return False


class Journals:
    """The journals of all folders that results go to; a bounded number is open.

    Parameters
    ----------
    resume
        Clean up after a run that was killed.
    look
        Change nothing: make no journal where there is none, clean nothing.
    """

    def __init__(self, resume: bool, *, look: bool = False) -> None:
        self._resume, self._look = resume, look
        self._open: dict[Path, Journal] = {}
        self._known: set[Path] = set()
        self.cleaned = 0

    def of(self, job: Job) -> Journal | None:
        """Return the journal of a job; None if its folder cannot hold one."""
        path = _journal_path(job)
        if path in self._open:
            return self._open[path]
        if self._look and not path.is_file():
            return None
        try:
            if job.root:
                path.parent.mkdir(parents=True, exist_ok=True)
            elif not path.parent.is_dir():
                return None
        except OSError:
            return None  # the job itself will say what is wrong with the folder
        while len(self._open) >= _MOST_JOURNALS:
            self._open.pop(next(iter(self._open))).close()
        stamp = Remote().stamp if is_remote(job.target) else None
        journal = self._open[path] = Journal(path, stamp)
        if path not in self._known and self._resume and not self._look:
            # Only at the first time: later on, what is begun is under way.
            for name in journal.cut_off():
                if not is_remote(name):
                    self.cleaned += _clean(path.parent / name)
        self._known.add(path)
        return journal

    def close(self) -> None:
        """Close all."""
        for journal in self._open.values():
            journal.close()
        self._open.clear()


def _journal_path(job: Job) -> Path:
    if not is_remote(job.target):
        folder = Path(job.root) if job.root else Path(job.target).parent
        return folder / JOURNAL
    # There is no appending to an object in a store: the journal stays here.
    import hashlib

    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    root = job.root or job.target.rsplit("/", 1)[0]
    name = hashlib.sha256(root.encode()).hexdigest()[:16]
    folder = Path(state) / "streamdenoise"
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{name}.jsonl"


def _name_in(journal: Journal, target: str) -> str:
    """Return the name of a result as the journal has it: relative to its folder."""
    if is_remote(target):
        return target
    return os.path.relpath(target, journal.path.parent)


def _place_of(journal: Journal, name: str) -> str:
    return name if is_remote(name) else os.path.normpath(journal.path.parent / name)


def _clean(target: Path) -> int:
    """Remove the temporary files of a result that was cut off."""
    count = 0
    for name in {target, target.with_suffix(".wav"), Path(f"{target}.png")}:
        for path in leftovers(name):
            with contextlib.suppress(OSError):
                path.unlink()
                count += 1
    return count
