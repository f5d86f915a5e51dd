"""What -o and --report of ``streamdenoise file`` mean, and where they cannot be."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..batch.urls import is_remote, other_address
from ..names import shown

if TYPE_CHECKING:
    from ..batch.plan import Job

__all__ = ["check_report", "is_folder"]


def is_folder(output: str | None, several: bool) -> bool:
    """Tell whether ``-o`` means a folder.

    Parameters
    ----------
    output
        As typed; None if it was not.
    several
        The inputs are more than one file, or may be.

    Raises
    ------
    click.UsageError
        If it can be neither a file nor a folder.
    """
    from ..batch.kinds import SOUND, VIDEO

    if output is None:
        return False
    if not output:
        raise click.UsageError(
            "-o has an empty name: in a script its variable may not be set; name a "
            "file or a folder, such as -o clean"
        )
    if output == "-":
        raise click.UsageError(
            "-o - is no file: what goes through standard input and output is denoised "
            "by: streamdenoise pipe"
        )
    if why := other_address(output):
        raise click.UsageError(why)
    folder_there = os.path.isdir(output)  # noqa: PTH112
    if (
        several
        and not folder_there
        and Path(output).suffix[1:].lower() in SOUND | VIDEO
    ):
        raise click.UsageError(
            f"-o {shown(output)} names one file, but the inputs are several: name a "
            "folder, such as -o clean"
        )
    if several or output.endswith((os.sep, "/")):
        return True
    if is_remote(output):
        return "/" not in output.split("://", 1)[1]
    # The shell may have found one file where a pattern could have meant several.
    if not folder_there and not Path(output).suffix:
        _check_free(output)
        return True
    return folder_there


def _check_free(output: str) -> None:
    """Refuse what is neither a folder nor could become one; of files others speak."""
    if not os.path.lexists(output) or os.path.isfile(output):  # noqa: PTH113
        return
    what = "a device or a pipe; for a stream use: streamdenoise pipe"
    if not os.path.exists(output):  # noqa: PTH110
        what = "a link that leads to nothing; remove it, or name another place"
    raise click.UsageError(f"-o {shown(output)} is {what}")


def check_report(
    report: Path, planned: list[Job], *, force: bool, resume: bool
) -> None:
    """Refuse a report that is there already, or would replace a sound file."""
    from ..audio.file import check_target
    from ..batch.page import is_batch_report
    from ..batch.plan import PlanError

    own = str(report.absolute())
    names = (name for job in planned for name in (job.source, job.target))
    if any(own == str(Path(name).absolute()) for name in names):
        raise PlanError(f"--report {shown(report)} is one of the sound files")
    check_target(report, force=force or (resume and is_batch_report(report)))
