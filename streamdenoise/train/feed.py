"""Batches from mixing processes, a few ahead of the training step."""

from __future__ import annotations

import multiprocessing
import os
import queue as queues
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from streamdenoise.train.data import Pack
from streamdenoise.train.mix import MixConfig, Mixer

Audio = npt.NDArray[np.float32]
_AHEAD = 3


class Feed:
    """Numbered batches in order, whatever the number of mixing processes.

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
        self._queues = [context.Queue(_AHEAD) for _ in range(workers)]
        self._turn = 0
        self._workers = [
            context.Process(
                target=_work,
                args=(queue, pack, mix, batch, seed, first + k, workers),
                daemon=True,
            )
            for k, queue in enumerate(self._queues)
        ]

    def __enter__(self) -> Feed:
        for worker in self._workers:
            worker.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for worker in self._workers:
            worker.terminate()
        for worker in self._workers:
            worker.join()

    def next(self) -> tuple[Audio, Audio]:
        """Return the next batch: noisy and clean, ``[batch, samples]`` each.

        Raises
        ------
        RuntimeError
            If the mixing process has died.
        """
        queue = self._queues[self._turn]
        worker = self._workers[self._turn]
        self._turn = (self._turn + 1) % len(self._queues)
        while True:
            try:
                pair: tuple[Audio, Audio] = queue.get(timeout=20.0)
                return pair
            except queues.Empty:
                if not worker.is_alive():
                    raise RuntimeError(
                        "a mixing process has died; its message is above"
                    ) from None


def _work(
    queue: Any,
    pack: Path,
    mix: MixConfig,
    batch: int,
    seed: int,
    first: int,
    stride: int,
) -> None:
    os.environ["OMP_NUM_THREADS"] = "1"
    mixer = Mixer(Pack.open(pack), mix, seed=seed)
    number = first
    while True:
        queue.put(mixer.batch(number, batch))
        number += stride
