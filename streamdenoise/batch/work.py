"""What goes to the processes of a batch and comes back: options, work, outcomes."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from ..errors import EXIT_INPUT
from ..settings import Settings
from .plan import Job

__all__ = ["Options", "Outcome", "Work", "failed"]


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
        Where the result is; of a failure too, if it was in place by then.
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
    """A job as it is handed to a process.

    Attributes
    ----------
    number
        Its place among all.
    job
        What is to be done.
    key
        See `journal.job_key`.
    force, force_plot
        Whether result and picture may replace what is there.
    journal
        Where it was looked up what earlier runs made; empty without ``--resume``.
    """

    number: int
    job: Job
    key: str = ""
    force: bool = False
    force_plot: bool = False
    journal: str = ""


def failed(job: Job, error: str, code: int = EXIT_INPUT) -> Outcome:
    """Return the outcome of a job that failed."""
    return Outcome(job, "failed", error=error, exit_code=code)
