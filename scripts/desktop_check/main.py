"""The command line of scripts/desktop-check."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path

from .machine import Machine, NotPossibleError, missing
from .steps import Bench, Row

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
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    parser = argparse.ArgumentParser(
        prog="scripts/desktop-check",
        description=HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--suite", default="trixie", help="Debian's [trixie]")
    parser.add_argument(
        "--folder", type=Path, default=cache / "streamdenoise-desktop-check"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    asked = parser.parse_args(words)
    why = missing()
    if why is not None:
        print(why, file=sys.stderr)
        return 3
    folder = asked.folder.expanduser().resolve()
    rows: list[Row] = []
    with Machine(folder / asked.suite, asked.suite) as machine:
        try:
            print(f"Debian {asked.suite} in {machine.path}", file=sys.stderr)
            machine.build()
            began = time.monotonic()
            for row in Bench(machine).rows():
                rows.append(row)
                took = time.monotonic() - began
                print(f"{row.step}: {row.found} ({took:.0f} s)", file=sys.stderr)
                began = time.monotonic()
        except NotPossibleError as error:
            print(error, file=sys.stderr)
            return 3
    ok = all(row.ok for row in rows)
    if asked.json:
        found = {"ok": ok, "suite": asked.suite, "steps": [asdict(r) for r in rows]}
        print(json.dumps(found, indent=2))
    else:
        for row in rows:
            print(f"{'ok' if row.ok else 'FAILED':<7} {row.step:<19} {row.found}")
    return 0 if ok else 1
