"""The journals of a batch: one in each folder that results go to."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ..audio.parts import leftovers
from ..errors import OutputError
from ..userfolder import home_folder
from .journal import JOURNAL, Journal, JournalHeldError
from .plan import Job
from .remote import Remote
from .urls import is_remote

__all__ = [
    "Before",
    "Journals",
    "clean",
    "name_in",
    "noted_before",
    "place_of",
    "sent_before",
]

_MOST_JOURNALS: Final = 64


@dataclass(frozen=True)
class Before:
    """What earlier runs left of a result.

    Attributes
    ----------
    written
        Where it is, if it is done and still right; else empty.
    result
        Its figures, if they are known.
    owned, owned_plot
        Whether result and picture are ours to replace.
    """

    written: str = ""
    result: dict[str, Any] = field(default_factory=dict)
    owned: bool = False
    owned_plot: bool = False


def noted_before(journal: Journal, job: Job, key: str) -> Before:
    """Look up in a journal what an earlier run made."""
    name = name_in(journal, job.target)
    if journal.is_done(name, key):
        result = journal.result(name)
        written = place_of(journal, journal.written(name))
        return Before(written, result, owned=True, owned_plot="plot" in result)
    return Before(owned=journal.owns(name), owned_plot=journal.owns_plot(name))


def sent_before(client: Remote, job: Job, key: str) -> Before:
    """Ask a store itself what an earlier run, of any computer, put there."""
    wav = os.path.splitext(job.target)[0] + ".wav"  # noqa: PTH122
    # Another extension may have been taken.
    for place in dict.fromkeys([job.target, wav] if job.substitute else [job.target]):
        found = client.key_of(place)
        if found:
            plot = bool(client.key_of(f"{place}.png"))
            return Before(place if found == key else "", owned=True, owned_plot=plot)
    return Before()


class Journals:
    """The journals of all folders that results go to; a bounded number is open.

    Parameters
    ----------
    resume
        Clean up after a run that was killed.
    look
        Change nothing: make no journal where there is none, clean nothing.
    """

    def __init__(self, resume: bool, *, look: bool = False) -> None:
        self._resume, self._look = resume, look
        self._open: dict[Path, Journal] = {}
        self._known: set[Path] = set()
        self.cleaned = 0

    def of(self, job: Job) -> Journal | None:
        """Return the journal of a job; None if its folder cannot hold one.

        Raises
        ------
        OutputError
            If another run holds it, or it cannot be written.
        """
        path = _journal_path(job)
        if path in self._open:
            return self._open[path]
        if self._look and not path.is_file():
            return None
        try:
            if job.root:
                path.parent.mkdir(parents=True, exist_ok=True)
            elif not path.parent.is_dir():
                return None
        except OSError:
            return None  # the job itself will say what is wrong with the folder
        while len(self._open) >= _MOST_JOURNALS:
            self._open.pop(next(iter(self._open))).close()
        stamp = Remote().known_stamp if is_remote(job.target) else None
        try:
            journal = self._open[path] = Journal(path, stamp)
        except OutputError as error:
            # Beside the inputs several runs may be at work, each on files of its own;
            # and one folder that takes no journal is no reason to give up the others.
            held = isinstance(error, JournalHeldError)
            if job.root or (self._resume and held):
                raise
            return None
        if path not in self._known and self._resume and not self._look:
            # Only at the first time: later on, what is begun is under way.
            for name in journal.cut_off():
                if not is_remote(name):
                    self.cleaned += clean(path.parent / name)
        self._known.add(path)
        return journal

    def close(self) -> None:
        """Close all."""
        for journal in self._open.values():
            journal.close()
        self._open.clear()


def _journal_path(job: Job) -> Path:
    if not is_remote(job.target):
        folder = Path(job.root) if job.root else Path(job.target).parent
        return folder / JOURNAL
    # There is no appending to an object in a store: the journal stays here.
    home = home_folder() or Path(tempfile.gettempdir())
    state = os.environ.get("XDG_STATE_HOME") or home / ".local" / "state"
    root = job.root or job.target.rsplit("/", 1)[0]
    name = hashlib.sha256(root.encode()).hexdigest()[:16]
    folder = Path(state) / "streamdenoise"
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{name}.jsonl"


def name_in(journal: Journal, target: str) -> str:
    """Return the name of a result as the journal has it: relative to its folder."""
    if is_remote(target):
        return target
    return os.path.relpath(target, journal.path.parent)


def place_of(journal: Journal, name: str) -> str:
    """Return the place of a result from its name in the journal."""
    return name if is_remote(name) else os.path.normpath(journal.path.parent / name)


def clean(target: Path) -> int:
    """Remove the temporary files of a result that was cut off."""
    count = 0
    for name in {target, target.with_suffix(".wav"), Path(f"{target}.png")}:
        for path in leftovers(name):
            with contextlib.suppress(OSError):
                path.unlink()
                count += 1
    return count
