"""Temporary files beside a target: their names, and whether somebody writes them."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import Final

from ..locks import is_held

__all__ = ["leftovers", "part_files", "short_name"]

_LONG_NAME: Final = 96
"""Bytes of a name that stand in those of its temporary files: some file systems take
143 in all."""


def part_files(target: Path) -> list[Path]:
    """Return the temporary files that lie beside `target`, made by `target.PartFile`.

    They are named ``.NAME.XXXXXXXX.part`` (or ``.tmp``), with eight hexadecimal digits.
    """
    pattern = re.compile(
        rf"\.{re.escape(short_name(target.name))}"
        r"\.[0-9a-f]{8}(\.\w{1,8})*\.(part|tmp)"
    )
    try:
        with os.scandir(target.parent) as entries:
            return [
                Path(entry.path)
                for entry in entries
                if pattern.fullmatch(entry.name)
                and entry.is_file(follow_symlinks=False)
            ]
    except OSError:
        return []


def leftovers(target: Path) -> list[Path]:
    """Return those of them that nobody is at work on: a killed run left them."""
    return [path for path in part_files(target) if not is_held(path)]


def short_name(name: str) -> str:
    """Return a file name, or a sign of it that leaves room for more."""
    whole = os.fsencode(name)
    if len(whole) <= _LONG_NAME:
        return name
    # Not what two long names have in common.
    sign = hashlib.sha256(whole).hexdigest()[:8]
    while len(os.fsencode(name)) > _LONG_NAME - len(sign) - 1:
        name = name[:-1]
    return f"{name}~{sign}"
