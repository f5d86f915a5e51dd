"""``streamdenoise demo``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from ..names import shown
from .options import json_option, model_option, settings_from, settings_options
from .printing import columns, print_json, warn, write
from .progress import Progress
from .stopping import stop_on_sigterm

if TYPE_CHECKING:
    from ..demo import DemoResult

__all__ = ["demo"]

_FOLDER: Final = "demo-output"


@click.command(short_help="Hear and see it work, without files or sound card.")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    metavar="FOLDER",
    default=_FOLDER,
    show_default=True,
    type=click.Path(path_type=Path),
    help="Where the sounds and the picture go.",
)
@click.option(
    "--force",
    is_flag=True,
    help=f"Replace what is there already; in {_FOLDER} that is always so.",
)
@settings_options
@model_option
@json_option
def demo(
    file: Path | None,
    output: Path,
    force: bool,
    strength: float | None,
    mix: float,
    removed: bool,
    model: str | None,
    as_json: bool,
) -> None:
    """Hear and see it work: on a clip that comes along, or on FILE.

    Cleans it, prints figures before and after, and saves both sounds and a picture.
    """
    from ..batch.file import load_any
    from ..demo import run_demo

    settings = settings_from(strength, mix, removed)
    with stop_on_sigterm(), Progress("cleaning") as progress:
        done = run_demo(
            file,
            output,
            load_any(model),
            settings,
            progress,
            force=force or output == Path(_FOLDER),
        )
    for note in done.result.notes:
        warn(f"{shown(done.before)}: {note}")
    if as_json:
        print_json(_as_dict(done))
        return
    _print(done, own=file is not None)


def _as_dict(done: DemoResult) -> dict[str, object]:
    values = done.result.as_dict()
    for key in ("input", "output"):
        values.pop(key)
    return {
        "before": shown(done.before),
        "after": shown(done.after),
        "picture": shown(done.picture),
        "si_sdr_before": done.si_sdr_before,
        "si_sdr_after": done.si_sdr_after,
        **values,
    }


def _print(done: DemoResult, *, own: bool) -> None:
    r = done.result
    what = "Your recording" if own else "A synthetic voice with fan, hiss and keyboard"
    write(f"{what}, {r.seconds:.1f} s at {r.sample_rate} Hz:\n")
    rows = [
        ["", "before", "after"],
        *_scores(done),
        [
            "  noise floor (dBFS)",
            f"{r.noise_floor_before:.1f}",
            f"{r.noise_floor_after:.1f}",
        ],
        ["  level (dBFS)", f"{r.level_before:.1f}", f"{r.level_after:.1f}"],
    ]
    for line in columns(rows, "lrr"):
        write(line)
    if not own:
        write("\nSI-SDR tells how far the voice stands above all that is not voice.")
    write(f"Cleaned {r.times_real_time:.0f} times faster than it plays.\n")
    write("Listen:")
    for path in (done.before, done.after):
        write(f"  {shown(path)}")
    write(f"Look:\n  {shown(done.picture)}\n")
    write("Next:")
    steps = [
        ["  streamdenoise demo FILE", "the same with a recording of yours"],
        ["  streamdenoise file FILE", "clean a file into NAME.denoised.EXT"],
        ["  streamdenoise live", "clean your microphone while you speak"],
    ]
    for line in columns(steps[1:] if own else steps):
        write(line)


def _scores(done: DemoResult) -> list[list[str]]:
    if done.si_sdr_before is None or done.si_sdr_after is None:
        return []
    return [["  SI-SDR (dB)", f"{done.si_sdr_before:.1f}", f"{done.si_sdr_after:.1f}"]]
