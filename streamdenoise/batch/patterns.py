"""Patterns of names: as in the shell, and each folder is looked into once."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator
from typing import Final

from .folders import folders_below

__all__ = ["fixed_part", "matching"]

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
        for folder, _, _ in folders_below(top):
            yield from _expand(os.path.join(glob.escape(folder), tail))  # noqa: PTH118


def fixed_part(pattern: str) -> str:
    """Return the folder of a pattern that stands before its first wildcard."""
    fixed = re.split(r"[*?\[]", pattern, maxsplit=1)[0]
    return os.path.dirname(fixed)  # noqa: PTH120
