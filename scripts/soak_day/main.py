"""The command line of scripts/soak-day, and what it prints."""

from __future__ import annotations

import argparse
import json
import signal
from typing import Any

from .bridge import bridge
from .engine import engine
from .file import file

__all__ = ["main"]

HELP = """\
Run a day of sound on a simulated clock, and print what became of it.

    scripts/soak-day engine [--hours 24] [--rate 16000] [--model NAME] [--hop-by-hop]
    scripts/soak-day bridge [--hours 24] [--rate 16000] [--ppm 80]
    scripts/soak-day file   [--hours 10] [--rate 16000] [--model NAME]

engine: one `Denoiser` hears speech, noise, silence, clipped sound and constant offsets,
and at the full hours the same test piece after the same lead-in, whose level at the
output must not move. Memory and the model's states are told for each hour. It runs in
groups of frames as files do; --hop-by-hop is the way of live sound, and slower.
bridge: the buffer between two clocks whose difference swings between 0 and twice --ppm
over the day, with late blocks on both sides.
file: `streamdenoise file` in a process of its own, on a recording written to a
temporary folder (115 MB for each hour at 16 kHz, and as much for the result).

Ctrl-C or kill end the engine's day early, and the hours so far are told.
Nothing waits, so it takes as long as the work does. --json prints everything. Needs
/proc, so Linux, and the [test] extra.
"""


def show(told: dict[str, Any]) -> None:
    """Print the figures for a person."""
    hours = told.pop("hours", [])
    for hour in hours:
        print("  ".join(f"{name} {short(value)}" for name, value in hour.items()))
    for name, value in told.items():
        print(f"{name:22} {short(value)}")


def short(value: Any) -> str:
    """Return a value in few digits."""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return " ".join(map(short, value))
    if isinstance(value, dict):
        return " ".join(f"{name}={short(each)}" for name, each in value.items())
    return str(value)


def main() -> None:
    """Read the arguments, run a part, print its figures."""
    parser = argparse.ArgumentParser(
        description=HELP, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", choices=("engine", "bridge", "file"))
    parser.add_argument("--hours", type=int)
    parser.add_argument("--rate", type=int, default=16_000)
    parser.add_argument("--model")
    parser.add_argument("--hop-by-hop", action="store_true")
    parser.add_argument("--ppm", type=float, default=80.0)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if asked.hours is None:
        asked.hours = 10 if asked.part == "file" else 24
    told = {"engine": engine, "bridge": bridge, "file": file}[asked.part](asked)
    if asked.json:
        print(json.dumps(told, indent=2))
    else:
        show(told)
