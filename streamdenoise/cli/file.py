"""``streamdenoise file``."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import EXIT_INPUT
from .batchview import BatchProgress
from .fileview import FileView, tell_plan
from .options import link_option, model_option, settings_from, settings_options
from .outputs import check_report, is_folder
from .printing import fail, warn
from .stopping import stop_on_sigterm

if TYPE_CHECKING:
    from ..batch.cluster import Cluster
    from ..batch.collect import Collected
    from ..batch.remote import Remote

__all__ = ["file"]


def _loudness(
    ctx: click.Context, param: click.Parameter, value: str | None
) -> float | str | None:
    if value is None or value == "keep":
        return value
    try:
        level = float(value)
    except ValueError:
        level = 1.0
    if not -70.0 <= level <= 0.0:
        raise click.BadParameter("give LUFS from -70 to 0, such as -16, or keep")
    return level


@click.command(short_help="Denoise sound files.")
@click.argument("inputs", metavar="INPUT...", nargs=-1, required=True)
@click.option(
    "-o",
    "--output",
    metavar="OUT",
    help="File for one input, folder for several (names and folders are kept); also "
    "s3:// and gs://.  [default: NAME.denoised.EXT beside the input]",
)
@click.option("-r", "--recursive", is_flag=True, help="Look into folders in folders.")
@click.option("-0", "--null", is_flag=True, help="Names on standard input end by NUL.")
@settings_options
@model_option
@link_option
@click.option(
    "--loudness",
    metavar="LUFS|keep",
    callback=_loudness,
    help="Bring results to this loudness (-16 for podcasts), or keep the input's.",
)
@click.option(
    "-j",
    "--jobs",
    type=click.IntRange(0),
    default=1,
    show_default=True,
    metavar="N",
    help="Files at a time, each in a process of its own; 0: one for each core.",
)
@click.option(
    "--two-pass",
    is_flag=True,
    help="Hear each file backwards too and take the mean: better, twice the time.",
)
@click.option(
    "--cluster",
    metavar="ADDRESS|local",
    help="Run on a Dask scheduler (tcp://HOST:8786), or on one here with --jobs "
    "processes.",
)
@click.option(
    "--split",
    type=click.FloatRange(0),
    default=0,
    metavar="MINUTES",
    help="With --cluster: longer files go from worker to worker in pieces; what comes "
    "out is the same.  [default: do not]",
)
@click.option(
    "--apart",
    is_flag=True,
    help="With --split: the pieces of a file at the same time, each after 20 s of "
    "run-in. Quick for few long files; not the same bit for bit.",
)
@click.option(
    "--resume",
    is_flag=True,
    help="Go on after an interruption: skip what is done, redo what has changed.",
)
@click.option(
    "--fail-fast/--keep-going",
    default=False,
    help="Stop at the first failure, or do the others.  [default: keep going]",
)
@click.option(
    "--force",
    is_flag=True,
    help="Replace files that exist already; with --resume all but those that are done.",
)
@click.option("--plot", is_flag=True, help="Draw each result, into NAME.EXT.png.")
@click.option(
    "--report",
    metavar="FILE.html",
    type=click.Path(path_type=Path, dir_okay=False),
    help="One page with players and pictures, what lost most first.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object a line.")
def file(
    inputs: tuple[str, ...],
    output: str | None,
    recursive: bool,
    null: bool,
    strength: float | None,
    mix: float,
    removed: bool,
    model: str | None,
    link_channels: bool,
    loudness: float | str | None,
    jobs: int,
    two_pass: bool,
    cluster: str | None,
    split: float,
    apart: bool,
    resume: bool,
    fail_fast: bool,
    force: bool,
    plot: bool,
    report: Path | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Denoise sound files: wav, flac, ogg, opus, mp3, aiff, caf and more.

    The result has the rate, channels, length and format of its input, and lies on it
    sample for sample; in folders, results of earlier runs are passed over unless -o
    names another folder. INPUT is a file, a folder, a pattern, an address (http, https,
    s3, gs), or - for a list of names on standard input.

    \b
    streamdenoise file talk.wav                    makes talk.denoised.wav
    streamdenoise file talk.mp3 -o clean.flac      the extension sets the format
    streamdenoise file *.wav -o clean              makes clean/NAME.wav
    streamdenoise file -r talks -o clean -j 4      a whole tree, four at a time
    streamdenoise file -r talks -o clean --resume  goes on where it was stopped
    streamdenoise file -r talks -o clean --cluster tcp://head:8786
    find . -name '*.wav' -print0 | streamdenoise file -0 - -o clean
    """  # noqa: D301
    from ..batch.plan import DENOISED, REMOVED, make_jobs
    from ..batch.run import Batch
    from ..batch.work import Options

    collected = _collect(inputs, output, recursive, null)
    several = len(inputs) > 1 or collected.many
    into_folder = is_folder(output, several)
    ending = REMOVED if removed else DENOISED
    planned = make_jobs(collected.found, output, into_folder=into_folder, ending=ending)
    if report is not None:
        check_report(report, planned, force=force, resume=resume)
    options = Options(
        settings_from(strength, mix, removed),
        model,
        force=force,
        plot=plot,
        thumbnail=report is not None,
        link_channels=link_channels,
        loudness=loudness,
        two_pass=two_pass,
    )
    place = _cluster(cluster, jobs, split, apart)
    for note in collected.notes:
        warn(note)
    with stop_on_sigterm(), BatchProgress(planned) as progress:
        batch = Batch(
            planned,
            options,
            processes=jobs or os.cpu_count() or 1,
            resume=resume,
            fail_fast=fail_fast,
            watch=progress.step,
            cluster=place,
        )
        if dry_run:
            tell_plan(batch, as_json)
            return
        page = None
        if report is not None:
            from ..batch.page import BatchReport

            page = BatchReport(report, options, root=planned[0].root, resume=resume)
        code = FileView(planned, progress, as_json).run(batch, page)
    if code:
        raise click.exceptions.Exit(code)


# Inputs -----------------------------------------------------------------------------


def _collect(
    inputs: tuple[str, ...], output: str | None, recursive: bool, null: bool
) -> Collected:
    from ..batch.collect import collect
    from ..batch.listed import names_from

    listed: Sequence[str] = ()
    if "-" in inputs:
        listed = list(names_from(sys.stdin.buffer, null=null))
    elif null:
        raise click.UsageError("-0 is for a list on standard input: give - as INPUT")
    collected = collect(
        [name for name in inputs if name != "-"],
        recursive=recursive,
        listed=listed,
        output=output,
        remote=_remote,
    )
    if not collected.found:
        fail("the list on standard input is empty; give it a name a line")
        raise click.exceptions.Exit(EXIT_INPUT)
    return collected


def _remote() -> Remote:
    from ..batch.remote import Remote

    return Remote()


def _cluster(
    address: str | None, jobs: int, split: float, apart: bool
) -> Cluster | None:
    if apart and not split and _is_typed("apart"):
        raise click.UsageError(
            "--apart is for pieces of files; say how long: --split 30"
        )
    if address is None:
        if split and _is_typed("split"):
            raise click.UsageError("--split is for --cluster; add --cluster local")
        return None
    if address != "local" and jobs != 1 and _is_typed("jobs"):
        raise click.UsageError(
            "--jobs is for this computer: a cluster has the workers that were started "
            "for it; leave it out"
        )
    from ..batch.cluster import Cluster

    workers = jobs or os.cpu_count() or 1
    return Cluster(address, workers=workers, split=split, apart=apart)


def _is_typed(name: str) -> bool:
    """Tell a flag of this command from what the config file says for all of them."""
    source = click.get_current_context().get_parameter_source(name)
    return source is not click.core.ParameterSource.DEFAULT_MAP
