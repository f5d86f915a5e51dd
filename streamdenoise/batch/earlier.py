"""What earlier runs of a batch left of a result, and by what it is known again."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

from ..errors import AudioFormatError
from .journal import Journal, job_key
from .journals import Before, noted_before, sent_before
from .plan import Job
from .remote import Remote
from .urls import is_remote
from .work import Options

__all__ = ["Earlier"]


class Earlier:
    """Looks up results of earlier runs, in journals and in stores.

    Parameters
    ----------
    options
        What is done with each file.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self._remote: Remote | None = None

    def shape(self) -> dict[str, Any]:
        """Return all that decides what a result sounds like; see `Options.shape`."""
        from ..card import sha256_of
        from ..model import find_model

        path, card = find_model(self._options.model)
        return self._options.shape(card.sha256 or sha256_of(path.read_bytes()))

    def key(self, job: Job, shape: dict[str, Any]) -> str:
        """Return what changes when the input or the `shape` does; see `job_key`."""
        if is_remote(job.source):
            stamp: list[Any] | None = self._client().known_stamp(job.source)
            return job_key({"input": job.source, "stamp": stamp}, shape)
        path = os.path.abspath(job.source)  # noqa: PTH100
        try:
            status = os.stat(path)  # noqa: PTH116
            stamp = [status.st_size, status.st_mtime_ns]
        except (OSError, ValueError):
            stamp = None
        return job_key({"input": path, "stamp": stamp}, shape)

    def before(self, journal: Journal | None, job: Job, key: str) -> Before:
        """Find out what earlier runs left of a result: here, else in the store."""
        found = Before() if journal is None else noted_before(journal, job, key)
        if not found.written and is_remote(job.target):
            sent = sent_before(self._client(), job, key)
            found = replace(
                sent,
                owned=found.owned or sent.owned,
                owned_plot=found.owned_plot or sent.owned_plot,
            )
        drawn = not self._options.plot or not found.written
        if not drawn and not self.is_there(f"{found.written}.png"):
            return replace(found, written="")
        return found

    def is_there(self, target: str) -> bool:
        """Tell whether something is there; also if the server does not say."""
        if not is_remote(target):
            return os.path.lexists(target)
        try:
            return self._client().stamp(target) is not None
        except AudioFormatError:
            return True

    def _client(self) -> Remote:
        if self._remote is None:
            self._remote = Remote()
        return self._remote
