"""``streamdenoise compare``."""

from __future__ import annotations

import contextlib
import math
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..names import shown
from .options import json_option
from .printing import columns, print_json, say, write

if TYPE_CHECKING:
    from ..show.compare import Comparison

__all__ = ["compare"]


@click.command(short_help="Say and draw what differs between two recordings.")
@click.argument("a", metavar="A", type=click.Path(path_type=Path))
@click.argument("b", metavar="B", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    metavar="FILE.png",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Draw both spectrograms and the difference of level over time.",
)
@click.option("--force", is_flag=True, help="Replace the picture if it is there.")
@json_option
def compare(a: Path, b: Path, output: Path | None, force: bool, as_json: bool) -> None:
    """Say what differs between recordings A and B, such as before and after.

    Levels, noise floors and octaves; for recordings of one rate and length also the
    lag of B, and its SI-SDR with A as the reference.

    \b
    streamdenoise compare talk.wav talk.denoised.wav
    streamdenoise compare talk.wav talk.denoised.wav -o both.png
    """  # noqa: D301
    from ..audio.target import check_target, write_whole
    from ..show.compare import compare as measure

    if output is not None:
        _check_apart(output, (a, b))
        if output.suffix.lower() not in ("", ".png"):
            raise click.UsageError(
                f"-o {shown(output)}: the picture is a PNG; name it "
                f"{shown(output.with_suffix('.png'))}"
            )
        check_target(output, force=force)
    found = measure(a, b, picture=output is not None)
    if output is not None:
        write_whole(output, found.picture, force=force)
    if as_json:
        print_json(found.as_dict())
        return
    _print(found)
    if output is not None:
        write(f"picture: {shown(output)}")


def _check_apart(output: Path, recordings: tuple[Path, ...]) -> None:
    from ..batch.plan import PlanError

    for one in recordings:
        with contextlib.suppress(OSError, ValueError):
            if output.samefile(one):
                raise PlanError(
                    f"-o {shown(output)} is one of the two recordings; name another "
                    "file for the picture"
                )


def _print(found: Comparison) -> None:
    a, b = found.a, found.b
    say(f"A: {shown(a.path)}\nB: {shown(b.path)}")
    rows = [["", "A", "B", "B - A"]]
    for name, x, y in (
        ("duration (s)", a.seconds, b.seconds),
        ("level (dBFS)", a.level, b.level),
        ("peak (dBFS)", a.peak, b.peak),
        ("noise floor (dBFS)", a.noise_floor, b.noise_floor),
    ):
        rows.append([name, f"{x:.1f}", f"{y:.1f}", f"{y - x:+.1f}"])
    for band in found.bands:
        name = f"octave at {band.hz:g} Hz (dB)"
        change = f"{band.difference:+.1f}"
        rows.append([name, f"{band.a:.1f}", f"{band.b:.1f}", change])
    rates = [f"{one.sample_rate} Hz, {one.channels} ch" for one in (a, b)]
    rows.insert(1, ["form", *rates, "" if rates[0] != rates[1] else "same"])
    for line in columns(rows, "lrrr"):
        write(line)
    if found.lag is None or found.si_sdr is None:
        write("lag and SI-SDR need two recordings of one rate and length, not silent")
        return
    milliseconds = 1000.0 * found.lag / a.sample_rate
    write(f"B is {found.lag} samples ({milliseconds:.1f} ms) behind A")
    score = found.si_sdr
    text = (
        f"{score:.1f} dB" if math.isfinite(score) else ("none" if score < 0 else "same")
    )
    write(f"SI-SDR of B, with A as the reference: {text}")
