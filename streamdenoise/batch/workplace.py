"""Temporary folders for what comes from addresses or goes there; none stays behind."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ..locks import hold

__all__ = ["clean_workplaces", "workplace"]

_PREFIX: Final = "streamdenoise-"
_LOCK: Final = ".lock"
_NEW_SECONDS: Final = 60.0


@contextlib.contextmanager
def workplace() -> Iterator[Path]:
    """Give a temporary folder that is removed at the end."""
    with tempfile.TemporaryDirectory(
        prefix=f"{_PREFIX}{os.getpid()}-", ignore_cleanup_errors=True
    ) as folder:
        held = hold(Path(folder) / _LOCK, create=True)
        try:
            yield Path(folder)
        finally:
            if held is not None:
                os.close(held)  # before the removal, which Windows would refuse else


def clean_workplaces() -> int:
    """Remove the temporary folders of our processes that were killed.

    Processes in other containers and on other computers may share the place, and their
    numbers mean nothing here. What tells is a lock, which ends with its process.

    Returns
    -------
    int
        How many there were.
    """
    count = 0
    for path in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*-*"):
        match = re.fullmatch(rf"{_PREFIX}\d+-\w+", path.name)
        if match is None or path.is_symlink() or not _is_ours(path) or _is_new(path):
            continue
        held = hold(path / _LOCK, create=True)
        if held is not None:
            shutil.rmtree(path, ignore_errors=True)
            os.close(held)
            count += 1
    return count


def _is_ours(path: Path) -> bool:
    try:
        return os.name == "nt" or path.stat().st_uid == os.getuid()
    except OSError:
        return False


def _is_new(path: Path) -> bool:
    # It may be on the way to its lock.
    try:
        return time.time() - path.stat().st_mtime < _NEW_SECONDS
    except OSError:
        return True
