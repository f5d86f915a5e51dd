"""Folders and those below them, each looked into once, whatever links lead back."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath
from typing import Final

__all__ = ["folder_id", "folders_below"]

_HIDDEN: Final = "."


def folders_below(
    top: str,
    *,
    recursive: bool = True,
    skipped: tuple[int, int] | None = None,
    unread: Callable[[str, OSError], None] = lambda folder, error: None,
) -> Iterator[tuple[str, PurePosixPath, list[os.DirEntry[str]]]]:
    """Yield a folder and those below it, sorted by name; hidden ones are left alone.

    Parameters
    ----------
    top
        The folder; empty is the current one.
    recursive
        Look into the folders in it too. Linked folders as well, but each only once.
    skipped
        A folder that is not looked into, see `folder_id`.
    unread
        Called for a folder that cannot be read.

    Yields
    ------
    str, PurePosixPath, list of os.DirEntry
        A folder, its place below `top`, and what is in it but for folders and hidden
        files.
    """
    # A stack, not recursion: no depth of folders is too much.
    seen: set[tuple[int, int]] = set()
    waiting = [(top, PurePosixPath())]
    while waiting:
        folder, place = waiting.pop()
        identity = folder_id(folder or os.curdir)
        if identity is None or identity in seen:
            continue
        seen.add(identity)
        if identity == skipped:
            continue
        deeper, files = [], []
        for entry in _entries(folder, unread):
            if entry.name.startswith(_HIDDEN):
                continue
            if _is_dir(entry):
                path = os.path.join(folder, entry.name)  # noqa: PTH118
                deeper.append((path, place / entry.name))
            else:
                files.append(entry)
        yield folder, place, files
        if recursive:
            waiting.extend(reversed(deeper))


def _entries(
    folder: str, unread: Callable[[str, OSError], None]
) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder or os.curdir) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        unread(folder, error)
        return []


def _is_dir(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def folder_id(path: str) -> tuple[int, int] | None:
    """Return what a folder is known by under any name; None if it is not there."""
    try:
        status = os.stat(path)  # noqa: PTH116
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino
