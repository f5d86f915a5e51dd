"""Locks on files, which end with the process that has them."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["hold", "is_held"]


def hold(path: Path, *, create: bool = False) -> int | None:
    """Take the lock on a file, until the descriptor that is returned is closed.

    Parameters
    ----------
    path
        The file; not through a link.
    create
        Make it if it is not there, for its owner only.

    Returns
    -------
    int or None
        None if somebody has it, or there are no locks here.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        return None
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | (os.O_CREAT if create else 0)
    try:
        file = os.open(path, flags, 0o600)
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(file)
        return None
    return file


def is_held(path: Path) -> bool:
    """Tell whether somebody has the lock on a file; False where nobody can say."""
    try:
        import fcntl
    except ImportError:
        return False
    try:
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(file)
    return False
