"""Printing: results to standard output, talk to standard error, both safely."""

from __future__ import annotations

import contextlib
import json
import math
import os
import sys
from collections.abc import Iterator
from typing import Any, TextIO

import click

__all__ = [
    "columns",
    "fail",
    "keep_descriptors",
    "plain",
    "print_json",
    "quiet_exit",
    "say",
    "unless_closed",
    "warn",
    "write",
]


def write(text: str = "") -> None:
    """Print a result to standard output."""
    _emit(text, sys.stdout)


def say(text: str) -> None:
    """Print talk to standard error; what nobody can read any more is no failure."""
    try:
        _emit(text, sys.stderr)
    except OSError:
        _lead_nowhere(sys.stderr)


def warn(sentence: str) -> None:
    """Print something odd to standard error, marked as ours."""
    say(f"streamdenoise: {sentence}")


fail = warn


def _emit(text: str, stream: TextIO | None) -> None:
    if stream is None:  # closed; click would take standard output in its place
        return
    # A terminal in another encoding gets escapes for what it lacks, no traceback.
    encoding = getattr(stream, "encoding", None) or "utf-8"
    click.echo(text.encode(encoding, "backslashreplace").decode(encoding), file=stream)


def print_json(value: Any) -> None:
    """Print `value` as JSON to standard output, infinities and NaN as null."""
    write(json.dumps(plain(value), indent=2))


def plain(value: Any) -> Any:
    """Return `value` as JSON can have it: keys as text, infinities and NaN as None."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def columns(rows: list[list[str]], right: str = "") -> list[str]:
    """Lay out rows of cells in columns.

    Parameters
    ----------
    rows
        Cells; every row as long as the first.
    right
        A letter for each column: ``r`` sets it to the right, anything else left.

    Returns
    -------
    list of str
        Lines without trailing spaces.
    """
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    sides = right.ljust(len(widths), "l")
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if side == "r" else cell.ljust(width)
            for cell, width, side in zip(row, widths, sides, strict=True)
        ]
        lines.append("  ".join(cells).rstrip())
    return lines


@contextlib.contextmanager
def unless_closed() -> Iterator[None]:
    """Print while inside; nothing more once it can no longer be printed.

    That nobody reads it, as with ``head``, passes in silence; a full disk or a terminal
    that has gone is said once.
    """
    try:
        yield
    except BrokenPipeError:
        quiet_exit()
    except OSError as error:
        _lead_nowhere(sys.stdout)
        why = error.strerror or error
        warn(f"cannot write to standard output: {why}; the work goes on without")


def quiet_exit() -> None:
    """Make what is printed to a closed pipe go nowhere, Python's last flush too.

    The same with a terminal that has gone, or a file on a full disk.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (ValueError, AttributeError):
            continue
        except OSError:
            _lead_nowhere(stream)


def keep_descriptors() -> None:
    """Lead standard descriptors that are closed nowhere.

    Else the next file gets the number of one, a recording say, and C libraries print
    into it.
    """
    with contextlib.suppress(OSError):
        while (last := os.open(os.devnull, os.O_RDWR)) <= 2:
            pass
        os.close(last)


def _lead_nowhere(stream: TextIO) -> None:
    with contextlib.suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
