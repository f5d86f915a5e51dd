"""One file of a batch: fetched, denoised, drawn, sent; in whatever process."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from .. import unmeant
from ..audio.target import check_target, write_whole
from ..errors import OutputError, StreamDenoiseError
from ..names import shown
from ..show.sketch import Sketches
from .file import Clean, denoise_file, load_any
from .plan import Job
from .remote import Remote
from .result import FileResult
from .urls import is_remote, url_name
from .work import Options, Outcome, Work, failed
from .workplace import workplace

if TYPE_CHECKING:
    from ..model import StepModel
    from ..offline import WholeModel

__all__ = [
    "Denoise",
    "make_room",
    "renamed",
]


class Denoise:
    """The task of a worker: a model, loaded once, and one file after the other.

    Parameters
    ----------
    options
        What is done with each file.
    clean
        What takes the place of the model, see `denoise_file`.
    who
        As for `Remote`.
    """

    def __init__(
        self, options: Options, clean: Clean | None = None, *, who: str = ""
    ) -> None:
        self._options, self._clean, self._who = options, clean, who
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
            return failed(job, str(error), error.exit_code)
        except MemoryError:
            text = "there is not enough memory; use fewer --jobs, or cut the file"
            return failed(job, f"{shown(job.source)}: {text}")
        except OSError as error:
            return failed(job, f"{shown(job.source)}: {unmeant.refused(error)}")
        except Exception as error:
            if unmeant.traceback_wanted():
                raise
            return failed(job, f"{shown(job.source)}: {unmeant.bug(error)}")

    def _do(self, work: Work, progress: Callable[[int, int], None]) -> Outcome:
        job = work.job
        if not is_remote(job.target):
            make_room(job)
        else:
            self._client().check_target(
                job.target, force=work.force, journal=work.journal
            )
            if self._options.plot:
                picture = job.target + ".png"
                self._client().check_target(picture, force=work.force_plot)
        if is_remote(job.source) or is_remote(job.target):
            return self._by_way_of_files(work, progress)
        return self._one(work, Path(job.source), Path(job.target), progress)

    def _by_way_of_files(
        self, work: Work, progress: Callable[[int, int], None]
    ) -> Outcome:
        """Do a job whose input or result is at an address."""
        job = work.job
        with workplace() as folder:
            source, target = Path(job.source), Path(job.target)
            names = {}
            if is_remote(job.source):
                source = self._client().fetch(job.source, _subfolder(folder, "in"))
                names[str(source)] = job.source
            if not is_remote(job.target):
                return self._one(work, source, target, progress, names)
            # The name of an object may be longer than a file's.
            ending = PurePosixPath(url_name(job.target)).suffix[:20]
            target = _subfolder(folder, "out") / f"result{ending}"
            free = replace(work, force=True, force_plot=True)
            names[str(target)] = job.target
            outcome = self._one(free, source, target, progress, names)
            if outcome.status == "failed":
                return replace(outcome, output="")
            return self._sent(work, outcome, target)

    def _sent(self, work: Work, outcome: Outcome, target: Path) -> Outcome:
        """Put a result and its picture at the address that they were made for."""
        made, url = Path(outcome.output), work.job.target
        if made.suffix != target.suffix:
            url = url[: len(url) - len(target.suffix)] + made.suffix
        plot = url + ".png" if outcome.plot else ""
        if plot and url != work.job.target:
            self._client().check_target(plot, force=work.force_plot)
        self._client().send(made, url, force=work.force, key=work.key)
        if plot:
            try:
                picture = Path(outcome.plot)
                self._client().send(picture, plot, force=work.force_plot, key=work.key)
            except StreamDenoiseError as error:
                outcome = failed(work.job, str(error), error.exit_code)
                return replace(outcome, output=url)
        places = {"output": url} | ({"plot": plot} if plot else {})
        result = {**outcome.result, **places}
        return replace(outcome, output=url, result=result, plot=plot)

    def _one(
        self,
        work: Work,
        source: Path,
        target: Path,
        progress: Callable[[int, int], None],
        names: Mapping[str, str] | None = None,
    ) -> Outcome:
        """Denoise a file into another; `names` says what they stand for."""
        job, options, names = work.job, self._options, names or {}
        tap = Sketches() if options.plot or options.thumbnail else None
        try:
            result: FileResult = denoise_file(
                source,
                target,
                self._model,
                options.settings,
                force=work.force,
                explicit=job.explicit,
                substitute=job.substitute,
                link_channels=options.link_channels,
                loudness=options.loudness,
                two_pass=options.two_pass,
                progress=progress,
                tap=tap,
                clean=self._clean,
                check=partial(_check_plot, work) if options.plot else None,
            )
        except StreamDenoiseError as error:
            return failed(job, renamed(str(error), names), error.exit_code)
        values = {**result.as_dict(), "input": job.source}
        values["notes"] = [renamed(note, names) for note in result.notes]
        outcome = Outcome(job, "done", values, result.output)
        if tap is None:
            return outcome
        if options.thumbnail:
            outcome = replace(outcome, thumbnail=tap.thumbnail())
        if not options.plot:
            return outcome
        plot = result.output + ".png"
        try:
            write_whole(Path(plot), tap.picture(), force=work.force_plot)
        except OutputError as error:
            # The sound is in place: --resume may replace it.
            outcome = failed(job, renamed(str(error), names), error.exit_code)
            return replace(outcome, output=result.output)
        return replace(outcome, plot=plot, result={**values, "plot": plot})

    def _client(self) -> Remote:
        if self._remote is None:
            self._remote = Remote(who=self._who)
        return self._remote


def _subfolder(folder: Path, name: str) -> Path:
    path = folder / name
    path.mkdir()
    return path


def make_room(job: Job) -> None:
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


def renamed(text: str, names: Mapping[str, str]) -> str:
    """Return a sentence with the real names in place of those of temporary files."""
    for hidden, name in names.items():
        text = text.replace(shown(hidden), shown(name))
    return text


def _check_plot(work: Work, output: Path) -> None:
    check_target(Path(f"{output}.png"), force=work.force_plot)
