"""One file of a batch: fetched, denoised, drawn, sent; in whatever process."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import EXIT_INPUT, OutputError, StreamDenoiseError
from ..names import shown
from ..settings import Settings
from ..show.sketch import Sketches
from .file import Clean, FileResult, denoise_file, load_any
from .plan import Job
from .remote import Remote, workplace
from .urls import is_remote

if TYPE_CHECKING:
    from ..model import StepModel
    from ..offline import WholeModel

__all__ = ["Denoise", "Options", "Outcome", "Work", "failed", "make_room"]


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
    link_channels, loudness, two_pass
        As for `batch.denoise_file`.
    """

    settings: Settings = field(default_factory=Settings)
    model: str | None = None
    force: bool = False
    plot: bool = False
    thumbnail: bool = False
    link_channels: bool = False
    loudness: float | str | None = None
    two_pass: bool = False

    def shape(self, model_sha: str) -> dict[str, Any]:
        """Return all that decides what a result sounds like, as plain values."""
        # Only if it is on: journals of before two passes stay good.
        passes = {"two_pass": True} if self.two_pass else {}
        return {
            "settings": asdict(self.settings),
            "model": model_sha,
            "link_channels": self.link_channels,
            "loudness": self.loudness,
            **passes,
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
    """The task of a worker: a model, loaded once, and one file after the other.

    Parameters
    ----------
    options
        What is done with each file.
    clean
        What takes the place of the model, see `denoise_file`.
    """

    def __init__(self, options: Options, clean: Clean | None = None) -> None:
        self._options, self._clean = options, clean
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
            why = error.strerror or str(error)
            where = f" ({shown(error.filename)})" if error.filename else ""
            return failed(job, f"{shown(job.source)}: the system refused: {why}{where}")
        except Exception as error:
            if os.environ.get("STREAMDENOISE_TRACEBACK"):
                raise
            text = f"this is a bug: {type(error).__name__}: {error}"
            return failed(job, f"{shown(job.source)}: {text}")

    def _do(self, work: Work, progress: Callable[[int, int], None]) -> Outcome:
        job, options = work.job, self._options
        if not is_remote(job.source) and not is_remote(job.target):
            make_room(job)
            source, target = Path(job.source), Path(job.target)
            return self._one(work, source, target, progress, force=work.force)
        if is_remote(job.target):
            self._client().check_target(job.target, force=work.force)
        else:
            make_room(job)
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
            two_pass=options.two_pass,
            progress=progress,
            tap=tap,
            clean=self._clean,
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


def failed(job: Job, error: str, code: int = EXIT_INPUT) -> Outcome:
    """Return the outcome of a job that failed."""
    return Outcome(job, "failed", error=error, exit_code=code)


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


def _write_plot(path: Path, content: bytes, *, force: bool) -> None:
    from ..audio.target import PartFile

    part = PartFile(path, force=force)
    try:
        part.path.write_bytes(content)
        part.place()
    except OSError as error:
        raise part.failure(error) from error
    finally:
        part.discard()
