"""What the checks on another system share: scripts/pi-check, scripts/desktop-check."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

__all__ = [
    "MIRROR",
    "PASSED_ON",
    "REPOSITORY",
    "NoWheelError",
    "NotPossibleError",
    "Row",
    "add_folder",
    "build_wheel",
    "last_line",
    "read_arguments",
    "say",
    "table",
    "take",
    "tell",
]

REPOSITORY = Path(__file__).resolve().parent.parent
MIRROR = "http://deb.debian.org/debian"

PASSED_ON = (
    *("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_CERT", "PIP_DEFAULT_TIMEOUT"),
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"),
    *("http_proxy", "https_proxy", "no_proxy"),
)
"""Variables that pip needs inside as it needs them here."""


class NotPossibleError(Exception):
    """The check cannot be made here; the text says what is missing."""


class NoWheelError(Exception):
    """Our wheel cannot be built; the text says why."""


@dataclass(frozen=True)
class Row:
    """What one step has found."""

    step: str
    ok: bool
    found: str
    details: dict[str, Any] = field(default_factory=dict)


def build_wheel(folder: Path) -> Path:
    """Build our wheel into a folder, where it is the only one then.

    Raises
    ------
    NoWheelError
        If pip cannot.
    """
    for old in folder.glob("*.whl"):
        old.unlink()
    words = ["-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir"]
    built = subprocess.run(
        [sys.executable, *words, str(folder), str(REPOSITORY)],
        capture_output=True,
        text=True,
    )
    if built.returncode:
        raise NoWheelError(f"no wheel: {last_line(built.stderr)}")
    return next(folder.glob("*.whl"))


def last_line(text: str) -> str:
    """Return the last line of what a program has said, mostly the reason."""
    return (text.strip().splitlines() or [""])[-1]


def add_folder(parser: argparse.ArgumentParser, name: str) -> None:
    """Add ``--folder``, by default one of this name in the user's cache."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    parser.add_argument("--folder", type=Path, default=cache / name, help="kept")


def read_arguments(
    parser: argparse.ArgumentParser, words: list[str] | None
) -> argparse.Namespace:
    """Read the command line; a system inside the repository is refused."""
    asked = parser.parse_args(words)
    asked.folder = asked.folder.expanduser().resolve()
    if asked.folder.is_relative_to(REPOSITORY):
        parser.error("--folder has to lie outside of the repository")
    return asked


def say(text: str) -> None:
    """Tell how far it is."""
    print(text, file=sys.stderr, flush=True)


def take(steps: Iterable[Callable[[], Row]]) -> list[Row]:
    """Take the steps one by one; no more of them once nothing is installed."""
    rows: list[Row] = []
    for step in steps:
        began = time.monotonic()
        row = step()
        rows.append(row)
        say(f"{row.step}: {row.found} ({time.monotonic() - began:.0f} s)")
        if row.step == "install" and not row.ok:
            break
    return rows


def table(rows: list[Row]) -> list[str]:
    """Return the rows as lines."""
    width = max((len(row.step) for row in rows), default=0)
    return [
        f"{'ok' if row.ok else 'FAILED':<7} {row.step:<{width}} {row.found}"
        for row in rows
    ]


def tell(
    rows: list[Row], about: Mapping[str, Any], lines: Iterable[str], as_json: bool
) -> int:
    """Print what was found, as JSON or as lines; return the exit code."""
    ok = all(row.ok for row in rows)
    if as_json:
        found = {"ok": ok, **about, "steps": [asdict(row) for row in rows]}
        print(json.dumps(found, indent=2))
    else:
        print("\n".join(lines))
    return 0 if ok else 1
