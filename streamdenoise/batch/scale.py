"""What a large archive costs to denoise: a small simulation, the same for one seed.

Files last as long as an exponential distribution says. Each is a task, or is cut into
pieces; cores take tasks as they get free. Pieces that follow each other count as one
task of which only a piece can be lost. A worker fails at random, at a constant rate;
its task, or its piece, begins again from the start on the next free core.
"""

from __future__ import annotations

import heapq
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from .pieces import RUN_IN

__all__ = ["Plan", "Scale", "simulate"]

_MOST_TASKS: Final = 200_000
_FLOAT_BYTES: Final = 4


@dataclass(frozen=True)
class Plan:
    """What is to be done, and with what.

    Attributes
    ----------
    hours
        Of sound.
    file_minutes
        Mean length of a file.
    cores
        Cores, each with one worker.
    times_real_time
        Seconds of sound that a core does in a second, `file_times_real_time` of
        ``streamdenoise bench --json``.
    cores_per_node
        Cores that share the way to the storage.
    node_megabytes
        Megabytes a second that a node reads and writes.
    bytes_per_second
        Bytes of one second of sound; 32000 is 16 kHz, mono, 16 bits.
    failures
        How often a worker fails in 1000 hours.
    restart_seconds
        Until a worker that failed is there again.
    task_seconds
        What a task costs besides its sound.
    split_minutes
        Longest piece; 0: files are whole.
    apart
        Pieces of a file are done at the same time, each after a run-in.
    price
        Of a core-hour; None: no price is worked out.
    seed
        Of lengths and failures.
    """

    hours: float
    file_minutes: float
    cores: int
    times_real_time: float
    cores_per_node: int = 16
    node_megabytes: float = 200.0
    bytes_per_second: float = 32_000.0
    failures: float = 10.0
    restart_seconds: float = 60.0
    task_seconds: float = 0.05
    split_minutes: float = 0.0
    apart: bool = False
    price: float | None = None
    seed: int = 0


@dataclass(frozen=True)
class Scale:
    """What it comes to.

    Attributes
    ----------
    files, tasks
        How many; `tasks` counts pieces.
    core_hours
        Core time that is paid for until the last task is done, idle cores included.
    busy_core_hours
        Core time spent on tasks, retries included.
    retry_core_hours
        Of that, spent on work that was lost, and waiting for workers to come back.
    run_in_core_hours
        Of that, spent on sound that pieces hear and throw away.
    storage_core_hours
        Of that, spent waiting for storage.
    failures
        Tasks that were begun again.
    wall_hours
        From the first task to the last.
    terabytes_read, terabytes_written
        Pieces are written and read once more.
    price
        `core_hours` at the price of the plan; None without one.
    simulated
        Share of the archive that was simulated; the rest is like it.
    """

    files: int
    tasks: int
    core_hours: float
    busy_core_hours: float
    retry_core_hours: float
    run_in_core_hours: float
    storage_core_hours: float
    failures: int
    wall_hours: float
    terabytes_read: float
    terabytes_written: float
    price: float | None
    simulated: float

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values for JSON."""
        return asdict(self)


def simulate(plan: Plan) -> Scale:
    """Work through an archive.

    Of more than 200,000 tasks that many are simulated, on a like share of the cores;
    hours, bytes and failures are then scaled up.

    Parameters
    ----------
    plan
        What is to be done.

    Returns
    -------
    Scale
    """
    rng = np.random.default_rng(plan.seed)
    files = max(round(plan.hours * 60 / plan.file_minutes), 1)
    whole = plan.file_minutes if not plan.split_minutes else plan.split_minutes
    about = plan.hours * 60 / min(plan.file_minutes, whole)
    share = min(1.0, _MOST_TASKS / about)
    # A whole number of cores, so that the share is exact.
    cores = max(round(plan.cores * share), 1)
    share = min(cores / plan.cores, 1.0)
    count = max(round(files * share), 1)
    lengths = rng.exponential(plan.file_minutes * 60, count)
    lengths *= plan.hours * 3600 * share / lengths.sum()
    heard, sound, counts, cut = _tasks(plan, lengths)
    width = plan.bytes_per_second
    read = sound * width + (heard - sound) * width
    # Pieces are float32 until they are joined: written, read, and written at last.
    spare = cut * sound * width * (_FLOAT_BYTES / 2)
    read, written = read + cut * sound * width + spare, sound * width + spare
    speed = plan.node_megabytes * 1e6 / plan.cores_per_node
    storage = (read + written) / speed
    model = heard / plan.times_real_time
    need = model + storage + plan.task_seconds * counts
    wall, busy, lost, failures = _run(plan, rng, need, need / counts, cores)
    up = 1 / share / 3600
    return Scale(
        files=files,
        tasks=round(counts.sum() / share),
        core_hours=wall * cores * up,
        busy_core_hours=busy * up,
        retry_core_hours=lost * up,
        run_in_core_hours=float((heard - sound).sum()) / plan.times_real_time * up,
        storage_core_hours=float(storage.sum()) * up,
        failures=round(failures / share),
        wall_hours=wall / 3600,
        terabytes_read=float(read.sum()) / share / 1e12,
        terabytes_written=float(written.sum()) / share / 1e12,
        price=None if plan.price is None else wall * cores * up * plan.price,
        simulated=share,
    )


def _tasks(plan: Plan, lengths: Any) -> tuple[Any, Any, Any, Any]:
    """Return of each task seconds heard and made, its pieces, and whether it is cut."""
    ones = np.ones(len(lengths), int)
    if not plan.split_minutes:
        return lengths, lengths, ones, 0.0 * ones
    counts = np.maximum(np.ceil(lengths / (plan.split_minutes * 60)), 1).astype(int)
    if not plan.apart:
        return lengths, lengths, counts, (counts > 1).astype(float)
    sound = np.repeat(lengths / counts, counts)
    first = np.zeros(len(sound), bool)
    first[np.cumsum(counts) - counts] = True
    cut = np.repeat(counts > 1, counts).astype(float)
    heard = sound + np.where(first, 0.0, RUN_IN)
    return heard, sound, np.ones(len(sound), int), cut


def _run(
    plan: Plan, rng: np.random.Generator, need: Any, piece: Any, cores: int
) -> tuple[float, float, float, int]:
    """Return wall, busy and lost seconds, and how often work was lost."""
    rate = plan.failures / 1000 / 3600
    free = [0.0] * cores
    busy = lost = end = 0.0
    failures = 0
    again: list[tuple[float, float]] = []
    tasks = iter(zip(need.tolist(), piece.tolist(), strict=True))
    while True:
        seconds, least = again.pop() if again else next(tasks, (None, 0.0))
        if seconds is None:
            return end, busy, lost, failures
        start = heapq.heappop(free)
        survives = rng.exponential(1 / rate) if rate else np.inf
        if survives < seconds:
            kept = survives // least * least
            again.append((seconds - kept, least))
            failures += 1
            gone = survives + plan.restart_seconds
            lost, busy = lost + gone - kept, busy + gone
        else:
            gone = seconds
            busy += gone
            end = max(end, start + gone)
        heapq.heappush(free, start + gone)
