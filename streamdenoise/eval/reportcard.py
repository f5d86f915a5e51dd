"""The report card: models, oracles and any folder of outputs over a set of pairs.

Of a set (`pairs`) only pairs are scored here, clean speech and noise alone in
`behaviour`.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from streamdenoise.constants import GRID_RATE
from streamdenoise.errors import AudioFormatError, OutputError
from streamdenoise.eval import metrics
from streamdenoise.eval.pairs import Pair, load_pairs
from streamdenoise.eval.systems import System

Audio = npt.NDArray[np.float32]
Scores = dict[str, float]

MEASURES = ("pesq_wb", "stoi", "si_sdr")
"""Measures of a row, all of them better when higher."""

MAX_LAG = GRID_RATE // 10
"""Farthest delay of a foreign system, in samples, that is looked for and undone."""

_RESAMPLES = 2000


def score(clean: Audio, enhanced: Audio) -> Scores:
    """Score one output against its clean reference, its delay undone.

    Level is no matter: PESQ levels both signals itself, STOI and SI-SDR do not see it.

    Returns
    -------
    dict
        One number for each of `MEASURES`, and ``lag`` in samples.

    Raises
    ------
    AudioFormatError
        If a measure cannot be taken.
    """
    reference, estimate, late = metrics.align(clean, enhanced, MAX_LAG)
    return {
        "pesq_wb": metrics.pesq_wb(reference, estimate),
        "stoi": metrics.stoi(reference, estimate),
        "si_sdr": metrics.si_sdr(reference, estimate),
        "lag": float(late),
    }


def _score_pair(task: tuple[Pair, tuple[System, ...]]) -> dict[str, Scores]:
    """Score all systems on one pair: one unit of work for a process."""
    pair, systems = task
    noisy, clean = pair.load()
    rows = {}
    for system in systems:
        try:
            rows[system.name] = score(clean, system.run(pair, noisy, clean))
        except AudioFormatError as error:
            raise AudioFormatError(f"{system.name} on {pair.name}: {error}") from error
    return rows


@dataclass(frozen=True)
class Interval:
    """A mean and its 95 % confidence interval."""

    mean: float
    low: float
    high: float


def bootstrap(values: Sequence[float], seed: int = 0) -> Interval:
    """Return the mean with the percentile bootstrap interval (Efron 1979) over clips.

    It says how far the mean moves if other clips *like these* had been drawn. It knows
    nothing of voices and noises that the set does not have.
    """
    array = np.asarray(values, np.float64)
    draws = np.random.default_rng(seed).integers(
        0, array.size, (_RESAMPLES, array.size)
    )
    low, high = np.percentile(array[draws].mean(axis=1), (2.5, 97.5))
    return Interval(float(array.mean()), float(low), float(high))


@dataclass(frozen=True)
class ReportCard:
    """Scores of several systems over one set.

    Attributes
    ----------
    name
        Of the set.
    clips
        For each clip by name, for each system by name, its scores.
    """

    name: str
    clips: Mapping[str, Mapping[str, Scores]]

    @property
    def systems(self) -> list[str]:
        """Names of the systems, in the order of the rows."""
        return list(next(iter(self.clips.values()), {}))

    def values(self, system: str, measure: str) -> list[float]:
        """Return one measure of one system for all clips."""
        return [rows[system][measure] for rows in self.clips.values()]

    def summary(self) -> dict[str, dict[str, Interval]]:
        """Return means with confidence intervals, by system and measure."""
        return {
            system: {m: bootstrap(self.values(system, m)) for m in MEASURES}
            for system in self.systems
        }

    def as_dict(self) -> dict[str, Any]:
        """Return what ``--json`` prints: the summary, ready for the export."""
        summary = self.summary()
        rows = {
            system: {
                m: {"mean": i.mean, "low": i.low, "high": i.high}
                for m, i in measures.items()
            }
            for system, measures in summary.items()
        }
        return {
            "format": 1,
            "set": self.name,
            "pairs": len(self.clips),
            "systems": rows,
        }

    def table(self) -> list[str]:
        """Return the card as lines of text, one row for each system."""
        head = f"{'system':<24}{'PESQ-WB':>22}{'STOI':>22}{'SI-SDR dB':>24}{'lag':>6}"
        lines = [f"{self.name}: {len(self.clips)} pairs; mean [95 % interval]", head]
        for system, row in self.summary().items():
            p, s, d = (row[m] for m in MEASURES)
            lags = [round(v) for v in self.values(system, "lag")]
            lines.append(
                f"{system:<24}"
                f"{p.mean:>8.3f} [{p.low:.3f}, {p.high:.3f}]"
                f"{s.mean:>8.4f} [{s.low:.3f}, {s.high:.3f}]"
                f"{d.mean:>9.2f} [{d.low:6.2f}, {d.high:6.2f}]"
                f"{int(np.median(lags)):>6}"
            )
        return lines

    def write_csv(self, path: Path) -> None:
        """Write one row for each clip and system.

        Raises
        ------
        OutputError
            If the file cannot be written.
        """
        try:
            with path.open("w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file)
                writer.writerow(["name", "system", *MEASURES, "lag"])
                for clip, rows in self.clips.items():
                    for system, row in rows.items():
                        numbers = [f"{row[m]:.4f}" for m in MEASURES]
                        writer.writerow([clip, system, *numbers, round(row["lag"])])
        except OSError as error:
            raise OutputError(f"cannot write {path}: {error.strerror}") from error


def evaluate(
    folder: Path,
    systems: Iterable[System],
    *,
    every: int = 1,
    jobs: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> ReportCard:
    """Score systems over all pairs of a set.

    Parameters
    ----------
    folder
        The set.
    systems
        Rows of the card, each with a name of its own.
    every
        Only the first of so many pairs, by name: a share of the set for a quick look.
    jobs
        Processes to use; 1 stays in this one.
    progress
        Called after each pair with the number done and of all.

    Raises
    ------
    AudioFormatError
        If the set, or an output, cannot be scored.
    ModelError
        If a model cannot be loaded.
    """
    rows = tuple(systems)
    if len({system.name for system in rows}) < len(rows):
        raise ValueError("two systems of a report card have the same name")
    pairs = load_pairs(folder)[::every]
    if not pairs:
        raise AudioFormatError(f"{folder} holds no pairs to score")
    tasks = [(pair, rows) for pair in pairs]
    clips: dict[str, dict[str, Scores]] = {}

    def collect(results: Iterable[dict[str, Scores]]) -> None:
        for pair, result in zip(pairs, results, strict=True):
            clips[pair.name] = result
            if progress is not None:
                progress(len(clips), len(pairs))

    if jobs <= 1:
        collect(map(_score_pair, tasks))
    else:
        with ProcessPoolExecutor(jobs) as pool:
            collect(pool.map(_score_pair, tasks))
    return ReportCard(folder.resolve().name, clips)
