"""Errors that nobody raised on purpose, as sentences for a person."""

from __future__ import annotations

import os
from typing import Final

from .names import shown

__all__ = ["TRACEBACK", "bug", "refused", "traceback_wanted"]

TRACEBACK: Final = "STREAMDENOISE_TRACEBACK"
"""Names the variable that shows a traceback in place of a sentence."""


def traceback_wanted() -> bool:
    """Tell whether one is to be shown."""
    return bool(os.environ.get(TRACEBACK))


def refused(error: OSError) -> str:
    """Return what the system refused, and of which file if that is known."""
    where = f" ({shown(error.filename)})" if error.filename else ""
    return f"the system refused: {error.strerror or error}{where}"


def bug(error: BaseException | None) -> str:
    """Return what else went wrong."""
    return f"this is a bug: {type(error).__name__}: {error}"
