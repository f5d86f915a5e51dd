"""Where the workers of a cluster put what they make, until the client gives it a name.

A worker may be lost after it has written and before it has said so, and two may do the
same file. So none of them writes under the name of a result: each writes into a hidden
folder beside it, and one process, the client, puts it in place.
"""

from __future__ import annotations

import contextlib
import re
import secrets
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Final

from ..audio.target import PartFile, check_target, failure
from ..errors import OutputError
from .plan import Job
from .remote import Remote
from .task import make_room, renamed
from .urls import is_remote
from .work import Outcome, Work, failed

__all__ = ["Staging"]

_NAME: Final = re.compile(r"\.streamdenoise-[0-9a-f]{8}\.tmp")


class Staging:
    """The hidden folders of one run.

    Parameters
    ----------
    resume
        Remove those that a killed run left behind.
    plot
        Pictures are made too.
    """

    def __init__(self, resume: bool, *, plot: bool = False) -> None:
        self._resume, self._plot = resume, plot
        self._remote = Remote()
        self._token = secrets.token_hex(4)
        self._folders: set[Path] = set()

    def folder(self, job: Job) -> Path:
        """Return the hidden folder for the result of a job, made if need be.

        Raises
        ------
        OutputError
            If the result must not be put where it is to be, or no folder can be made.
        """
        make_room(job)
        top = (Path(job.root) if job.root else Path(job.target).parent).absolute()
        folder = top / f".streamdenoise-{self._token}.tmp"
        if folder in self._folders:
            return folder
        try:
            if self._resume:
                for old in top.glob(".streamdenoise-*.tmp"):
                    if _NAME.fullmatch(old.name) and not old.is_symlink():
                        shutil.rmtree(old, ignore_errors=True)
            folder.mkdir()
        except OSError as error:
            raise failure(Path(job.target), error) from error
        self._folders.add(folder)
        return folder

    def staged(self, work: Work) -> Work:
        """Return the work as a worker is to do it: whole paths, a hidden target."""
        job = work.job
        source = job.source if is_remote(job.source) else str(_absolute(job.source))
        if is_remote(job.target):
            # Looked up here: a worker may find what a lost one has sent.
            self._check_address(work)
            hidden = replace(job, source=source)
            return replace(work, job=hidden, force=True, force_plot=True)
        check_target(Path(job.target), force=work.force)
        if self._plot:
            check_target(Path(f"{job.target}.png"), force=work.force_plot)
        target = self.folder(job) / f"{work.number}{Path(job.target).suffix}"
        hidden = replace(job, source=source, target=str(target), root="")
        return replace(work, job=hidden, force=True, force_plot=True)

    def _check_address(self, work: Work) -> None:
        target = work.job.target
        self._remote.check_target(target, force=work.force, journal=work.journal)
        if self._plot:
            self._remote.check_target(target + ".png", force=work.force_plot)

    def settle(self, work: Work, staged: Work, outcome: Outcome) -> Outcome:
        """Put what a worker made in place, and speak of it by its real names."""
        job = work.job
        names = {staged.job.target: job.target, staged.job.source: job.source}
        if outcome.status != "done":
            error = renamed(outcome.error, names)
            there = outcome.output if is_remote(job.target) else ""
            return replace(outcome, job=job, error=error, output=there)
        output, plot = outcome.output, outcome.plot
        if not is_remote(job.target):
            made = Path(output)
            final = Path(job.target)
            if made.suffix != Path(staged.job.target).suffix:
                final = final.with_suffix(made.suffix)
            there = ""
            try:
                if plot:
                    check_target(Path(f"{final}.png"), force=work.force_plot)
                _place(made, final, force=work.force)
                there = str(final)
                if plot:
                    _place(Path(plot), Path(f"{final}.png"), force=work.force_plot)
            except OutputError as error:
                outcome = failed(job, str(error), error.exit_code)
                return replace(outcome, output=there)
            names[str(made)] = str(final)
            output, plot = str(final), f"{final}.png" if plot else ""
        notes = [renamed(note, names) for note in outcome.result.get("notes", ())]
        result = {**outcome.result, "notes": notes}
        result |= {"input": job.source, "output": output}
        if plot:
            result["plot"] = plot
        return replace(outcome, job=job, output=output, plot=plot, result=result)

    def remove(self) -> None:
        """Remove the folders; what workers still write there goes with them."""
        for folder in self._folders:
            for _ in range(3):
                shutil.rmtree(folder, ignore_errors=True)
                if not folder.exists():
                    break
        self._folders.clear()


def _absolute(path: str) -> Path:
    return Path(path).absolute()


def _place(made: Path, final: Path, *, force: bool) -> None:
    part = PartFile(final, force=force)
    try:
        made.replace(part.path)
        part.place()
    except OSError as error:
        raise part.failure(error) from error
    finally:
        part.discard()
        with contextlib.suppress(OSError):
            made.unlink()
