"""Patterns of names: as in the shell, and each folder is looked into once."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator
from typing import Final

__all__ = ["fixed_part", "folder_id", "matching"]

_ENDS: Final = re.escape("".join({"/", os.sep}))
_ANY_DEPTH: Final = re.compile(rf"(^|[{_ENDS}])(?:\*\*(?:[{_ENDS}]+|$))+")


def matching(pattern: str) -> list[str]:
    """Return the names that fit a pattern, sorted.

    Parameters
    ----------
    pattern
        With ``*``, ``?``, ``[]``, and ``**`` for folders of any depth. Linked folders
        are looked into as well, but each folder only once: Python's own `glob` follows
        links that lead back for as long as the system lets it.
    """
    return sorted(set(_expand(pattern)))


def _expand(pattern: str) -> Iterator[str]:
    found = _ANY_DEPTH.search(pattern)
    if found is None:
        yield from glob.iglob(pattern)  # noqa: PTH207
        return
    head, tail = pattern[: found.end(1)], pattern[found.end() :] or "*"
    for top in glob.iglob(head) if glob.has_magic(head) else [head]:  # noqa: PTH207
        for folder in _folders(top):
            yield from _expand(os.path.join(glob.escape(folder), tail))  # noqa: PTH118


def _folders(top: str) -> Iterator[str]:
    """Yield a folder and those below it, save for hidden ones."""
    seen: set[tuple[int, int]] = set()
    waiting = [top]
    while waiting:
        folder = waiting.pop()
        identity = folder_id(folder or os.curdir)
        if identity is None or identity in seen:
            continue
        seen.add(identity)
        yield folder
        try:
            names = sorted(os.listdir(folder or os.curdir), reverse=True)  # noqa: PTH208
        except OSError:
            continue
        paths = [os.path.join(folder, n) for n in names if not n.startswith(".")]  # noqa: PTH118
        waiting += [path for path in paths if os.path.isdir(path)]  # noqa: PTH112


def folder_id(path: str) -> tuple[int, int] | None:
    """Return what a folder is known by under any name; None if it is not there."""
    try:
        status = os.stat(path)  # noqa: PTH116
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino


def fixed_part(pattern: str) -> str:
    """Return the folder of a pattern that stands before its first wildcard."""
    fixed = re.split(r"[*?\[]", pattern, maxsplit=1)[0]
    return os.path.dirname(fixed)  # noqa: PTH120
