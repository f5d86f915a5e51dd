"""A batch on a Dask cluster: files, or pieces of long ones, are its tasks.

The client hands out a bounded number of tasks, hears of what is done, and puts results
in place; the scheduler gives the tasks of a lost worker to another. Only this module
and `onworker` know of Dask, and import it when they are used.
"""

from __future__ import annotations

import contextlib
import queue
import secrets
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..errors import RuntimeMissingError, StreamDenoiseError
from ..model import find_model
from . import onworker
from .chain import cut_chained
from .clustercheck import check_workers, connect
from .ended import is_a, raise_if_general, result_of, why
from .flight import Flight, timed
from .jobs import Crash, Done, Step
from .pieces import Piece, cut_apart, plan_pieces
from .staging import Staging
from .urls import is_remote
from .work import Options, Outcome, Work, failed

if TYPE_CHECKING:
    from .jobs import Event

__all__ = ["Cluster"]

_WAIT: Final = 0.5
_NOBODY_SECONDS: Final = 60.0
_LOOK_SECONDS: Final = 5.0
_AHEAD: Final = 2
_BYTES_PER_SECOND: Final = 500


class Cluster:
    """Where a batch runs: a scheduler, and how long files are cut.

    Parameters
    ----------
    address
        Of the scheduler, such as ``tcp://host:8786``, or ``local``: processes here.
    workers
        Processes of ``local``.
    split
        Minutes from which on a file is cut into pieces; 0: never.
    apart
        Pieces of a file are done at the same time, each after a run-in. Else each goes
        on from the state in which the one before ended, and no sample is different.
    """

    def __init__(
        self,
        address: str,
        *,
        workers: int = 1,
        split: float = 0.0,
        apart: bool = False,
    ) -> None:
        self._address, self._workers = address, workers
        self._split, self._apart = split, apart

    def run(
        self, options: Options, items: Iterator[Work], *, resume: bool = False
    ) -> Generator[Event[Work, Outcome], None, None]:
        """Do work on the cluster; yield what happens, as `jobs.run_in_processes` does.

        Closing the generator cancels what is under way.

        Raises
        ------
        RuntimeMissingError
            If there is no cluster to run on, or one that cannot do this.
        """
        if options.model is None:
            # The default is that of this computer, not of each worker.
            options = replace(options, model=find_model()[1].name)
        staging = Staging(resume, plot=options.plot)
        with contextlib.ExitStack() as stack:
            client = stack.enter_context(connect(self._address, self._workers))
            stack.callback(staging.remove)
            run = _Run(client, options, staging, self._split, apart=self._apart)
            yield from run.events(items)


class _Run:
    """One batch on a connected client."""

    def __init__(
        self,
        client: Any,
        options: Options,
        staging: Staging,
        split: float,
        *,
        apart: bool,
    ) -> None:
        self._client, self._options, self._staging = client, options, staging
        self._split, self._apart = split, apart
        self._id = secrets.token_hex(8)
        self._news: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self._flights: dict[int, Flight] = {}
        self._of: dict[str, tuple[Flight, int]] = {}
        self._looked = self._alive = time.monotonic()
        self._room = 1
        self._cut = _cutter(options, apart=apart) if split else None

    def events(self, items: Iterator[Work]) -> Generator[Event[Work, Outcome]]:
        client = self._client
        client.subscribe_topic(onworker.TOPIC, self._hear)
        try:
            checked = False
            for work in items:
                if not checked:
                    check_workers(client, self._options.model, work.job.source)
                    self._count_workers()
                    checked = True
                yield from self._begin(work)
                while len(self._of) >= self._room:
                    yield from self._next()
            while self._flights:
                yield from self._next()
        finally:
            with contextlib.suppress(Exception):
                client.unsubscribe_topic(onworker.TOPIC)
                futures = [f for one in self._flights.values() for f in one.futures]
                if futures:
                    client.cancel(futures, force=True)

    # Handing out ------------------------------------------------------------------

    def _begin(self, work: Work) -> Iterator[Event[Work, Outcome]]:
        try:
            flight = Flight(work, self._staging.staged(work))
        except StreamDenoiseError as error:
            yield Done(work, failed(work.job, str(error), error.exit_code))
            return
        self._flights[work.number] = flight
        flight.pieces = self._pieces(flight.staged)
        if not flight.pieces:
            self._submit(flight, 0, onworker.whole_file)
        flight.waiting = len(flight.pieces)
        if not self._apart and flight.pieces:
            self._submit_piece(flight, 0, b"")
            return
        for number in range(len(flight.pieces)):
            self._submit_piece(flight, number, None)

    def _submit_piece(self, flight: Flight, number: int, before: bytes | None) -> None:
        piece = flight.pieces[number]
        self._submit(flight, number, onworker.work_piece, number, piece, before)

    def _pieces(self, work: Work) -> list[Piece]:
        job = work.job
        if self._cut is None or is_remote(job.source) or is_remote(job.target):
            return []
        path = Path(job.source)
        with contextlib.suppress(OSError):
            # Not every header need be opened to find the few long files.
            if path.stat().st_size > self._split * 60 * _BYTES_PER_SECOND:
                return plan_pieces(path, self._split, self._cut)
        return []

    def _submit(self, flight: Flight, part: int, what: Any, *args: Any) -> None:
        key = f"streamdenoise-{self._id}-{flight.work.number}-{secrets.token_hex(4)}"
        future = self._client.submit(
            what,
            self._options,
            flight.staged,
            self._id,
            *args,
            key=key,
            pure=False,
            # A file that was begun is to be finished before others are begun.
            priority=10 if flight.waiting < len(flight.pieces) else 0,
        )
        flight.futures.append(future)
        self._of[key] = (flight, part)
        future.add_done_callback(lambda done: self._news.put(("done", done)))

    # Hearing of it ----------------------------------------------------------------

    def _hear(self, event: tuple[float, Any]) -> None:
        self._news.put(("event", event[1]))

    def _next(self) -> Iterator[Event[Work, Outcome]]:
        try:
            kind, what = self._news.get(timeout=_WAIT)
        except queue.Empty:
            self._count_workers()
            return
        if kind == "event":
            yield from self._stepped(what)
            return
        flight, part = self._of.pop(what.key, (None, 0))
        if flight is not None:
            flight.futures.remove(what)
            yield from self._finished(flight, part, what)
        self._count_workers()

    def _stepped(self, message: Any) -> Iterator[Event[Work, Outcome]]:
        flight = self._flights.get(message.get("number", -1))
        if flight is not None and message.get("run") == self._id:
            flight.shares[message["part"]] = float(message["share"])
            yield Step(flight.work, flight.share)

    def _finished(
        self, flight: Flight, part: int, future: Any
    ) -> Iterator[Event[Work, Outcome]]:
        result, error = result_of(future)
        if result is None:
            if is_a(error, "PieceError"):
                self._do_whole(flight)
                return
            raise_if_general(error)
            self._land(flight)
            yield Crash(flight.work, why(error))
            return
        if isinstance(result, Outcome):
            self._land(flight)
            outcome = self._staging.settle(flight.work, flight.staged, result)
            yield Done(flight.work, timed(outcome, flight))
            return
        if result.why:
            self._do_whole(flight)
            return
        flight.waiting -= 1
        flight.shares[part] = 1.0
        yield Step(flight.work, flight.share)
        pieces = flight.pieces
        if not flight.waiting:
            self._submit(flight, len(pieces), onworker.join_pieces, pieces)
        elif not self._apart:
            self._submit_piece(flight, part + 1, result.handed)

    def _do_whole(self, flight: Flight) -> None:
        """Give up the pieces; the whole file tells in its own words what is wrong."""
        self._forget(flight)
        flight.waiting, flight.pieces, flight.shares = 0, [], {}
        self._submit(flight, 0, onworker.whole_file)

    def _land(self, flight: Flight) -> None:
        self._flights.pop(flight.work.number, None)
        self._forget(flight)

    def _forget(self, flight: Flight) -> None:
        """Cancel what is left of a file, and do not hear of its end."""
        if flight.futures:
            self._client.cancel(flight.futures)
        for future in flight.futures:
            self._of.pop(future.key, None)
        flight.futures.clear()

    def _count_workers(self) -> None:
        """Find out now and then how many tasks there is room for."""
        now = time.monotonic()
        if now - self._looked < _LOOK_SECONDS and self._room > 1:
            return
        self._looked = now
        if self._client.status != "running":
            raise_if_general(None)
        try:
            threads = sum(self._client.nthreads().values())
        except OSError:
            raise_if_general(None)
            raise
        if threads:
            self._alive = now
        elif now - self._alive > _NOBODY_SECONDS:
            raise RuntimeMissingError(
                "all workers have left the scheduler; start some, then go on with "
                "--resume"
            )
        self._room = max(_AHEAD * threads, 2)


def _cutter(options: Options, *, apart: bool) -> Callable[..., list[Piece]]:
    """Return what cuts recordings into pieces."""
    from .cleaning import unit_of

    card = find_model(options.model)[1]
    if not card.causal:
        raise RuntimeMissingError(
            f"model '{card.name}' hears whole recordings, so none can be cut; leave "
            "out --split"
        )
    if not apart:
        return partial(cut_chained, card=card, two_pass=options.two_pass)
    return lambda info, most: cut_apart(
        info, most, unit_of(card.stft(info.sample_rate).hop, card.steps)
    )
