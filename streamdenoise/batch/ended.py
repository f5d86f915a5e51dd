"""How the tasks of a cluster ended: what they gave, and what their failures mean."""

from __future__ import annotations

from typing import Any

from ..errors import RuntimeMissingError, StreamDenoiseError
from ..unmeant import bug
from .clustercheck import unseen

__all__ = ["is_a", "raise_if_general", "result_of", "why"]


def result_of(future: Any) -> tuple[Any, BaseException | None]:
    """Return what a task gave, or None and its error; two None: nothing is known."""
    try:
        if future.status == "finished":
            # Fetched from a worker, which may have left since.
            return future.result(), None
        return None, future.exception() if future.status == "error" else None
    except Exception as error:
        lost = isinstance(error, OSError) or is_a(error, "FutureCancelledError")
        return None, None if lost else error


def is_a(error: BaseException | None, name: str) -> bool:
    """Tell whether an error is of a kind, by its name: Dask need not be imported."""
    return type(error).__name__ == name


def why(error: BaseException | None) -> str:
    """Return a sentence on what ended a task."""
    if is_a(error, "KilledWorker"):
        return (
            "the workers that took it were lost one after the other; is there enough "
            "memory on them?"
        )
    return bug(error)


def raise_if_general(error: BaseException | None) -> None:
    """Raise for what would befall every other file too."""
    if error is None:
        raise RuntimeMissingError(
            "the connection to the scheduler was lost; when it runs again, go on "
            "with --resume"
        )
    if is_a(error, "Unseen"):
        raise RuntimeMissingError(unseen("a worker", str(error))) from error
    if isinstance(error, StreamDenoiseError):
        raise error
