"""``streamdenoise file``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import EXIT_INPUT, EXIT_INTERRUPTED, StreamDenoiseError
from ..names import shown
from .common import (
    Progress,
    fail,
    json_option,
    model_option,
    print_json,
    settings_from,
    settings_options,
    stop_on_sigterm,
    warn,
    write,
)

if TYPE_CHECKING:
    from ..batch import FileResult

__all__ = ["file"]


@click.command(short_help="Denoise sound files.")
@click.argument(
    "inputs",
    metavar="INPUT...",
    nargs=-1,
    required=True,
    type=click.Path(path_type=Path),
)
@click.option(
    "-o",
    "--output",
    metavar="OUT",
    help="File for one input, folder for several (names are kept).  "
    "[default: NAME.denoised.EXT beside the input]",
)
@settings_options
@model_option
@click.option("--force", is_flag=True, help="Replace files that exist already.")
@json_option
def file(
    inputs: tuple[Path, ...],
    output: str | None,
    strength: float | None,
    mix: float,
    removed: bool,
    model: str | None,
    force: bool,
    as_json: bool,
) -> None:
    """Denoise sound files: wav, flac, ogg, opus, mp3, aiff, caf and more.

    The result has the rate, channels, length and format of its input, and lies on it
    sample for sample.

    \b
    streamdenoise file talk.wav                    makes talk.denoised.wav
    streamdenoise file talk.mp3 -o clean.flac      the extension sets the format
    streamdenoise file *.wav -o clean              makes clean/NAME.wav
    streamdenoise file talk.wav --strength 12      keeps a quiet background
    """  # noqa: D301
    from ..batch import denoise_file, load_any, plan_targets

    settings = settings_from(strength, mix, removed)
    folder, as_folder = _folder(output, len(inputs))
    target = None if output is None else Path(output)
    plan = plan_targets(inputs, target, into_folder=as_folder)
    results: list[FileResult] = []
    failures: list[dict[str, str]] = []
    worst = 0
    with stop_on_sigterm():
        loaded = load_any(model)
        try:
            for source, result in plan:
                name = shown(source)
                try:
                    _make_folder(folder)
                    with Progress(name) as progress:
                        done = denoise_file(
                            source,
                            result,
                            loaded,
                            settings,
                            force=force,
                            explicit=output is not None and not as_folder,
                            progress=progress,
                        )
                except StreamDenoiseError as error:
                    # The other files are worth doing; the exit code tells.
                    fail(str(error))
                    failures.append({"input": name, "error": str(error)})
                    worst = worst or error.exit_code
                    continue
                results.append(done)
                for note in done.notes:
                    warn(f"{name}: {note}")
                if not as_json:
                    write(_line(done))
        except KeyboardInterrupt:
            fail(
                f"interrupted: {len(results)} of {len(plan)} files are done, and "
                "nothing half-done was left behind"
            )
            worst = EXIT_INTERRUPTED
    if as_json:
        print_json({"files": [r.as_dict() for r in results], "failed": failures})
    elif len(plan) > 1 and failures:
        fail(f"{len(results)} of {len(plan)} files were denoised")
    if worst:
        raise click.exceptions.Exit(worst)


def _folder(output: str | None, count: int) -> tuple[Path | None, bool]:
    """Tell whether ``-o`` means a folder, and which one may have to be made."""
    if output is None:
        return None, False
    slash = output.endswith((os.sep, "/"))
    if count > 1 or slash or os.path.isdir(output):  # noqa: PTH112
        return Path(output), True
    return None, False


def _make_folder(folder: Path | None) -> None:
    if folder is None:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        fail(f"cannot make the folder {shown(folder)}: {error.strerror}")
        raise click.exceptions.Exit(EXIT_INPUT) from error


def _line(result: FileResult) -> str:
    return (
        f"{shown(result.output)}: {result.seconds:.1f} s, noise floor "
        f"{result.noise_floor_before:.0f} -> {result.noise_floor_after:.0f} dBFS, "
        f"{result.times_real_time:.0f} times real time"
    )
