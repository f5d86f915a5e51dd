"""Batches from mixing processes, a few ahead of the training step."""

from __future__ import annotations

import multiprocessing
import queue as queues
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from streamdenoise.train.data import Pack
from streamdenoise.train.mix import Mixer
from streamdenoise.train.mixconfig import MixConfig

Audio = npt.NDArray[np.float32]
_AHEAD = 3


class Feed:
    """Numbered batches in order, whatever the number of mixing processes.

    Batches lie in memory that both sides map: pickled through a pipe, the batches of
    a fast device take longer to hand over than to learn from.

    Parameters
    ----------
    pack
        Folder of the decoded corpus.
    mix, batch, seed
        What to draw: see `Mixer`.
    first
        Number of the first batch, so that a run that goes on hears new mixtures.
    workers
        Processes; worker ``k`` mixes every `workers`-th batch.
    """

    def __init__(
        self,
        pack: Path,
        mix: MixConfig,
        batch: int,
        seed: int,
        first: int = 0,
        workers: int = 1,
    ) -> None:
        # A fresh interpreter: forking a process that holds a backend's threads
        # can leave their locks taken for ever.
        context = multiprocessing.get_context("spawn")
        shape = (_AHEAD, 2, batch, mix.samples)
        shared = [context.RawArray("f", int(np.prod(shape))) for _ in range(workers)]
        self._slots = [_as_array(memory, shape) for memory in shared]
        self._ready = [context.Queue() for _ in range(workers)]
        self._free = [context.Queue() for _ in range(workers)]
        for free in self._free:
            for slot in range(_AHEAD):
                free.put(slot)
        self._turn = 0
        self._lent: tuple[int, int] | None = None
        self._workers = [
            context.Process(
                target=_work,
                args=(
                    (shared[k], shape, self._free[k], self._ready[k]),
                    (pack, mix, batch, seed),
                    (first + k, workers),
                ),
                daemon=True,
            )
            for k in range(workers)
        ]

    def __enter__(self) -> Feed:
        for worker in self._workers:
            worker.start()
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.terminate()
        for worker in self._workers:
            worker.join()

    def next(self) -> tuple[Audio, Audio]:
        """Return the next batch: noisy and clean, ``[batch, samples]`` each.

        They are views of shared memory, and stay as they are until the next call.

        Raises
        ------
        RuntimeError
            If the mixing process has died.
        """
        if self._lent is not None:
            number, slot = self._lent
            self._free[number].put(slot)
        turn = self._turn
        self._turn = (turn + 1) % len(self._workers)
        while True:
            try:
                slot = self._ready[turn].get(timeout=20.0)
                break
            except queues.Empty:
                if not self._workers[turn].is_alive():
                    raise RuntimeError(
                        "a mixing process has died; its message is above"
                    ) from None
        self._lent = turn, slot
        noisy, clean = self._slots[turn][slot]
        return noisy, clean


def _as_array(memory: Any, shape: tuple[int, ...]) -> Audio:
    return np.frombuffer(memory, np.float32).reshape(shape)


def _work(
    exchange: tuple[Any, tuple[int, ...], Any, Any],
    what: tuple[Path, MixConfig, int, int],
    order: tuple[int, int],
) -> None:
    memory, shape, free, ready = exchange
    pack, mix, batch, seed = what
    number, stride = order
    slots = _as_array(memory, shape)
    mixer = Mixer(Pack.open(pack), mix, seed=seed)
    while True:
        slot = free.get()
        slots[slot, 0], slots[slot, 1] = mixer.batch(number, batch)
        ready.put(slot)
        number += stride
