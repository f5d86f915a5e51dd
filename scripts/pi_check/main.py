"""The command line of scripts/pi-check, and the table of what was found."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from other_system import (
    NotPossibleError,
    Row,
    add_folder,
    read_arguments,
    say,
    take,
    tell,
)
from other_system import table as plain_table

from .boards import ARCHS, BOARDS, board_for
from .root import Root, missing
from .steps import Bench

__all__ = ["main"]

HELP = """\
Install and run streamdenoise on the processors of the Raspberry Pi, emulated.

A Debian of that processor is put together in --folder; our wheel is built, and
installed in it from wheels only; the commands and the tests of the engine are run, and
the output of every shipped model is compared with the output on this machine. Emulated
times mean nothing. Exit code 0: all is as it should be; 1: something is not; 3: this
machine lacks what is needed.
"""


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="scripts/pi-check",
        description=HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--arch", choices=ARCHS, help="armhf is 32 bit [arm64]")
    parser.add_argument("--board", choices=BOARDS, help="its processor [pi4, pi2]")
    parser.add_argument("--suite", default="bookworm", help="Debian's [bookworm]")
    add_folder(parser, "streamdenoise-pi-check")
    parser.add_argument("--no-tests", action="store_true", help="leave the tests out")
    parser.add_argument("--json", action="store_true", help="print JSON")
    asked = read_arguments(parser, words)
    try:
        asked.board = board_for(asked.arch, asked.board)
    except ValueError as error:
        parser.error(str(error))
    return asked


def run(asked: argparse.Namespace) -> list[Row]:
    """Make the root, and take the steps; the later ones need the first."""
    root = Root(asked.folder, ARCHS[asked.board.arch], asked.suite, asked.board)
    say(f"{asked.board.says}: {asked.board.cpu}, {asked.suite}, {root.arch.name}")
    say(f"{'found' if root.build() else 'made'} {root.path}")
    work = asked.folder / f"work-{root.arch.name}"
    work.mkdir(exist_ok=True)
    return take(Bench(root, work).steps(not asked.no_tests))


def table(rows: list[Row]) -> list[str]:
    """Return the rows as lines, and how far each model is apart below them."""
    lines = plain_table(rows)
    for row in rows:
        for each in row.details.get("rows", []):
            level = each["si_sdr_db"]
            lines.append(
                f"{'':<7} {each['model']:<13} {each['way']:<5} {each['kernels']:<8} "
                f"{each['max_abs_difference']:.1e}  "
                + ("equal" if level is None else f"{level:.1f} dB")
            )
    return lines


def main(words: list[str] | None = None) -> int:
    """Do all of it; return the exit code."""
    asked = arguments(words)
    why = missing(ARCHS[asked.board.arch])
    if why is None:
        try:
            rows = run(asked)
        except NotPossibleError as error:
            why = str(error)
    if why is not None:
        say(why)
        return 3
    about = {"board": asdict(asked.board), "suite": asked.suite}
    return tell(rows, about, table(rows), asked.json)
