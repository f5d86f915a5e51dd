"""Keeping libraries quiet that write to standard error behind our back."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator

__all__ = ["hushed"]


@contextlib.contextmanager
def hushed(wanted: bool = True) -> Iterator[None]:
    """Lead the standard error of the process nowhere while a library works.

    libmpg123 writes there what it finds odd in an MP3, and cannot be told not to; what
    matters of it is in the notes of the reader.

    Parameters
    ----------
    wanted
        Do nothing if false.
    """
    # What other threads say must not be lost: with them all stays as it is.
    if not wanted or threading.active_count() > 1:
        yield
        return
    try:
        kept = os.dup(2)
    except OSError:  # nothing is open there
        yield
        return
    try:
        with open(os.devnull, "wb") as nowhere:  # noqa: PTH123
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
