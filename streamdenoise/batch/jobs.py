"""Worker processes: one loaded model in each, one file at a time.

A worker belongs to its parent by a pipe. It ends when that closes, so that nothing
goes on after the parent was killed; and a worker that dies (a crash in a decoder, the
system short of memory) costs the one file that it had.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import Any, Generic, Protocol, TypeVar

from ..errors import RuntimeMissingError

__all__ = ["Crash", "Done", "Event", "Step", "Task", "run_in_processes"]

T = TypeVar("T")
R = TypeVar("R")
T_in = TypeVar("T_in", contravariant=True)
R_out = TypeVar("R_out", covariant=True)

_STEP_SECONDS = 0.1
_STOP_SECONDS = 10.0


class Task(Protocol[T_in, R_out]):
    """What workers do; it is pickled once for each of them.

    `prepare` runs first in every worker, such as to load a model.
    """

    def prepare(self) -> None:
        """Get ready in this process."""

    def run(self, item: T_in, progress: Callable[[int, int], None]) -> R_out:
        """Do one piece of work; it returns its failures and does not raise them."""


@dataclass(frozen=True)
class Step(Generic[T]):
    """A piece of work has come this far, from 0 to 1."""

    item: T
    share: float


@dataclass(frozen=True)
class Done(Generic[T, R]):
    """A piece of work is done."""

    item: T
    result: R


@dataclass(frozen=True)
class Crash(Generic[T]):
    """The process that did this piece of work died; `why` says of what."""

    item: T
    why: str


Event = Step[T] | Done[T, R] | Crash[T]


def run_in_processes(
    task: Task[T, R], items: Iterable[T], count: int
) -> Generator[Event[T, R], None, None]:
    """Do work in `count` processes; yield what happens, in the order it happens.

    Closing the generator stops the workers; each undoes what it had half-done.

    Parameters
    ----------
    task
        Must be picklable, as must items and results.
    items
        Taken one by one as workers get free.
    count
        Number of processes.

    Raises
    ------
    Exception
        What `task.prepare` raised in a worker.
    """
    pool = _Pool(task, iter(items), count)
    try:
        yield from pool.events()
    finally:
        pool.stop()


class _Worker(Generic[T]):
    def __init__(self, task: Any) -> None:
        # Spawned: a fork would take over threads and locks of the interpreter.
        context = multiprocessing.get_context("spawn")
        self.pipe: Connection
        self.pipe, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(
            target=_serve, args=(theirs, task), daemon=True
        )
        self.process.start()
        theirs.close()
        self.item: T | None = None
        self.ready = False

    def give(self, item: T) -> bool:
        """Hand over a piece of work; False if the worker is gone."""
        self.item = item
        try:
            self.pipe.send(item)
        except OSError:
            return False
        return True

    def death(self) -> str:
        self.process.join(_STOP_SECONDS)
        code = self.process.exitcode
        if code is not None and code < 0:
            name = _signal_name(-code)
            hint = "; is there enough memory?" if name == "SIGKILL" else ""
            return f"the process that worked on it was ended by {name}{hint}"
        return f"the process that worked on it ended with code {code}"


class _Pool(Generic[T, R]):
    def __init__(self, task: Task[T, R], items: Iterator[T], count: int) -> None:
        self._task, self._items = task, items
        self._more = True
        self._workers: list[_Worker[T]] = []
        for _ in range(count):
            self._start()

    def _start(self) -> None:
        self._workers.append(_Worker(self._task))

    def events(self) -> Iterator[Event[T, R]]:
        while self._workers:
            pipes: dict[Any, _Worker[T]] = {w.pipe: w for w in self._workers}
            for pipe in wait(list(pipes)):
                worker = pipes[pipe]
                try:
                    kind, value = worker.pipe.recv()
                except (EOFError, OSError):
                    yield from self._bury(worker)
                    continue
                yield from self._heed(worker, kind, value)

    def _heed(self, worker: _Worker[T], kind: str, value: Any) -> Iterator[Event[T, R]]:
        item = worker.item
        if kind == "step":
            assert item is not None
            yield Step(item, value)
            return
        if kind == "failed":
            raise value
        worker.ready, worker.item = True, None
        if item is not None:
            yield Done(item, value)
        self._feed(worker)

    def _feed(self, worker: _Worker[T]) -> None:
        try:
            item = next(self._items)
        except StopIteration:
            self._retire(worker)
            return
        worker.give(item)  # if it is gone, the pipe tells next, and what it had

    def _retire(self, worker: _Worker[T]) -> None:
        self._workers.remove(worker)
        worker.pipe.close()
        worker.process.join(_STOP_SECONDS)

    def _bury(self, worker: _Worker[T]) -> Iterator[Event[T, R]]:
        self._workers.remove(worker)
        why = worker.death()
        worker.pipe.close()
        if not worker.ready:
            raise RuntimeMissingError(
                f"a worker process could not start ({why}); try --jobs 1"
            )
        if worker.item is not None:
            yield Crash(worker.item, why)
        self._start()

    def stop(self) -> None:
        """End all workers: by their pipe, else by a signal, else by force."""
        for worker in self._workers:
            worker.pipe.close()
        deadline = time.monotonic() + _STOP_SECONDS
        for end in (None, BaseProcess.terminate, BaseProcess.kill):
            for worker in self._workers:
                if end is not None and worker.process.is_alive():
                    end(worker.process)
            for worker in self._workers:
                worker.process.join(max(deadline - time.monotonic(), 0.05))
            deadline = time.monotonic() + 2.0
        self._workers.clear()


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


# In the worker ----------------------------------------------------------------------


class _Orphaned(BaseException):
    """The parent is gone; passes through every handler of exceptions."""


def _serve(pipe: Connection, task: Any) -> None:
    """Do what comes through the pipe until it closes."""
    # Ctrl-C goes to all processes of a terminal; the parent decides what it means.
    # A terminal that closes tells all of them too.
    for name in ("SIGINT", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end)
    with contextlib.suppress(_Orphaned, EOFError, OSError):
        try:
            task.prepare()
        except Exception as error:
            pipe.send(("failed", error))
            return
        pipe.send(("done", None))
        while True:
            item = pipe.recv()
            result = task.run(item, _Reporter(pipe))
            pipe.send(("done", result))


def _end(number: int, frame: FrameType | None) -> None:
    raise _Orphaned


class _Reporter:
    """Sends how far a piece of work is, ten times a second; finds out orphans."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._last = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._last < _STEP_SECONDS:
            return
        self._last = now
        try:
            self._pipe.send(("step", done / total if total else 0.0))
        except OSError as error:
            raise _Orphaned from error
