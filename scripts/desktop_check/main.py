"""The command line of scripts/desktop-check."""

from __future__ import annotations

import argparse

from other_system import (
    NotPossibleError,
    add_folder,
    read_arguments,
    say,
    table,
    take,
    tell,
)

from .machine import Machine, missing
from .steps import Bench

__all__ = ["main"]

HELP = """\
Boot a whole Debian desktop's sound (systemd, PipeWire) and use streamdenoise there.

The system lies in --folder; our wheel is installed in it from wheels only, and what its
user would do is done: doctor, doctor --loop, live --virtual-mic, and a service that is
installed, heard, killed, hung, cut off from its sound server, rebooted and removed.
Needs root, debootstrap and systemd-nspawn; takes five minutes. Exit code 0: all is as
it should be; 1: something is not; 3: this machine lacks what is needed.
"""


def main(words: list[str] | None = None) -> int:
    """Do all of it; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="scripts/desktop-check",
        description=HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--suite", default="trixie", help="Debian's [trixie]")
    add_folder(parser, "streamdenoise-desktop-check")
    parser.add_argument("--json", action="store_true", help="print JSON")
    asked = read_arguments(parser, words)
    why = missing()
    if why is not None:
        say(why)
        return 3
    with Machine(asked.folder / asked.suite, asked.suite) as machine:
        try:
            say(f"Debian {asked.suite} in {machine.path}")
            machine.build()
            rows = take(Bench(machine).steps())
        except NotPossibleError as error:
            say(str(error))
            return 3
    return tell(rows, {"suite": asked.suite}, table(rows), asked.json)
