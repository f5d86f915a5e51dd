"""What runs in the workers of a cluster. Nothing here knows of the client's side.

A worker keeps its models loaded, one for each of its threads.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ..errors import ModelError, OutputError, StreamDenoiseError
from ..names import shown
from .chain import do_chained
from .cleaning import Cleaner
from .file import load_any
from .joined import Joined
from .pieces import Piece, PieceError, do_piece
from .task import Denoise
from .urls import is_remote
from .work import Options, Outcome, Work

__all__ = [
    "TOPIC",
    "PieceDone",
    "Unseen",
    "join_pieces",
    "look",
    "version",
    "whole_file",
    "work_piece",
]

TOPIC: Final = "streamdenoise"
"""Of the events by which workers tell how far they are."""

_TELL_SECONDS: Final = 1.0
_kept = threading.local()


@dataclass(frozen=True)
class PieceDone:
    """What became of a piece.

    Attributes
    ----------
    why
        Why the whole must be done instead; empty if all is well.
    handed
        What the next piece needs, where it follows this one.
    """

    why: str = ""
    handed: bytes = b""


class Unseen(StreamDenoiseError):
    """A worker does not see what the client sees."""


def version() -> str:
    """Return the version of streamdenoise here."""
    from .. import __version__

    return __version__


def look(folders: list[str], model: str | None) -> dict[str, Any]:
    """Return what a worker is and sees, for the client to compare.

    Parameters
    ----------
    folders
        Of inputs.
    model
        Name or path.
    """
    from ..card import sha256_of
    from ..model import find_model

    found: dict[str, Any] = {"version": version(), "unseen": "", "model": ""}
    for folder in folders:
        # Never an error: the client takes one for a connection that was lost.
        if not os.path.isdir(folder):  # noqa: PTH112
            found["unseen"] = folder
            break
    with contextlib.suppress(StreamDenoiseError, OSError):
        found["model"] = sha256_of(find_model(model)[0].read_bytes())
    return found


def whole_file(options: Options, work: Work, run: str) -> Outcome:
    """Denoise one file; see `task.Denoise.run`.

    Raises
    ------
    Unseen
        If its input, or the folder for its result, is not there.
    """
    _check_seen(work)
    task: Denoise = _once(("task", options), lambda: _prepared(options))
    return task.run(work, _Teller(run, work, 0))


def work_piece(
    options: Options,
    work: Work,
    run: str,
    number: int,
    piece: Piece,
    before: bytes | None = None,
) -> PieceDone:
    """Denoise one piece of a file into a file of its own.

    Parameters
    ----------
    options, work, run
        As for `whole_file`.
    number, piece
        Its place among the pieces, and the piece.
    before
        What the piece before handed on, empty for the first; None for a piece that is
        done apart from the others.

    Raises
    ------
    Unseen
        As for `whole_file`.
    ModelError
        If the piece before was done by another model.
    """
    _check_seen(work)
    source, target = Path(work.job.source), _piece_path(work, number)
    try:
        clean, model = _once(("clean", options), lambda: _cleaner(options))
        teller = _Teller(run, work, number)
        if before is None:
            do_piece(source, piece, target, clean, teller)
            return PieceDone()
        handed = do_chained(source, piece, target, clean, model, before, teller)
        return PieceDone(handed=handed)
    except ModelError:
        raise
    except (StreamDenoiseError, OSError, MemoryError) as error:
        return PieceDone(str(error) or type(error).__name__)


def join_pieces(options: Options, work: Work, run: str, pieces: list[Piece]) -> Outcome:
    """Write the result of a file whose pieces are done.

    Raises
    ------
    Unseen
        As for `whole_file`.
    PieceError
        If they do not fit the file, so that the whole must be done instead.
    """
    _check_seen(work)
    paths = [_piece_path(work, number) for number in range(len(pieces))]
    broken: list[PieceError] = []
    joined = Joined(pieces, paths)

    def clean(*args: Any) -> Any:
        try:
            yield from joined(*args)
        except PieceError as error:
            broken.append(error)
            raise

    task = Denoise(options, clean)
    outcome = task.run(work, _Teller(run, work, len(pieces)))
    if broken:
        raise broken[0]
    for path in paths:
        with contextlib.suppress(OSError):
            path.unlink()
    return outcome


def _worker() -> Any:
    """Return Dask's worker whose task this is."""
    import distributed  # type: ignore[import-not-found,unused-ignore]

    return distributed.get_worker()


def _prepared(options: Options) -> Denoise:
    task = Denoise(options, who=f"worker {_worker().address}")
    task.prepare()
    return task


def _cleaner(options: Options) -> tuple[Cleaner, str]:
    """Return what does pieces, and the sha256 of its model's file."""
    from ..card import sha256_of
    from ..model import find_model

    sha = sha256_of(find_model(options.model)[0].read_bytes())
    how = options.settings, options.link_channels, options.two_pass
    return Cleaner(load_any(options.model), *how), sha


def _once(key: tuple[str, Options], make: Callable[[], Any]) -> Any:
    # The loaded model belongs to one thread; the last kind of run is kept.
    held = getattr(_kept, key[0], None)
    if held is None or held[0] != key[1]:
        held = (key[1], make())
        setattr(_kept, key[0], held)
    return held[1]


def _piece_path(work: Work, number: int) -> Path:
    return Path(work.job.target).parent / f"{work.number}-{number}.f32"


def _check_seen(work: Work) -> None:
    source, target = work.job.source, work.job.target
    if not is_remote(source) and not os.path.lexists(source):
        raise Unseen(source)
    if not is_remote(target) and not Path(target).parent.is_dir():
        raise Unseen(str(Path(target).parent))


class _Teller:
    """Tells the scheduler once a second how far a piece of work is.

    It ends the work when the folder for results is gone: then the run was stopped.
    """

    def __init__(self, run: str, work: Work, part: int) -> None:
        self._worker = _worker()
        self._message = {"run": run, "number": work.number, "part": part}
        target = work.job.target
        self._folder = None if is_remote(target) else Path(target).parent
        self._last = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._last < _TELL_SECONDS:
            return
        self._last = now
        share = done / total if total else 0.0
        self._worker.log_event(TOPIC, {**self._message, "share": share})
        if self._folder is not None and not self._folder.is_dir():
            raise OutputError(f"{shown(self._folder)} is gone: the run was stopped")
