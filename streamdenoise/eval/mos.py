"""What listeners would say, guessed by nets that hear the output alone.

PESQ compares with the clean recording, and our nets are trained on a function like it.
DNSMOS is another judge: nets of others, trained on votes of listeners. SIG, BAK and
OVRL are the scales of ITU-T P.835 (speech, background, all; Reddy et al. 2022, "DNSMOS
P.835"), P808 the one of ITU-T P.808 (Reddy et al. 2021, "DNSMOS"). All go from 1 to 5.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from streamdenoise.constants import GRID_RATE
from streamdenoise.errors import RuntimeMissingError
from streamdenoise.eval.pairs import load_pairs
from streamdenoise.eval.systems import System

SCALES = ("sig", "bak", "ovrl", "p808")
"""Scales of an opinion, all of them better when higher."""

Opinion = dict[str, float]


def opinion(samples: npt.NDArray[np.floating[Any]]) -> Opinion:
    """Return what DNSMOS says of a recording.

    Parameters
    ----------
    samples
        Mono at 16 kHz, at least one sample. What is beyond full scale is scaled down.

    Returns
    -------
    dict
        One number for each of `SCALES`.

    Raises
    ------
    RuntimeMissingError
        If the package speechmos is not installed.
    """
    try:
        from speechmos import dnsmos
    except ImportError as error:
        raise RuntimeMissingError(
            "DNSMOS needs the package speechmos and what it imports: type "
            f'pip install ".[mos]" ({error})'
        ) from error
    peak = float(np.max(np.abs(samples)))
    within = np.asarray(samples / max(1.0, peak), np.float32)
    said = dnsmos.run(within, GRID_RATE)
    return {scale: float(said[f"{scale}_mos"]) for scale in SCALES}


def opinions(
    folder: Path,
    systems: Iterable[System],
    *,
    every: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Opinion]:
    """Return mean opinions of systems over the pairs of a set, and of its clean side.

    Parameters
    ----------
    folder, systems, every, progress
        As for `reportcard.evaluate`.
    """
    rows, pairs = list(systems), load_pairs(folder)[::every]
    said: dict[str, list[Opinion]] = {row.name: [] for row in rows}
    said["clean"] = []
    for done, pair in enumerate(pairs):
        noisy, clean = pair.load()
        for row in rows:
            said[row.name].append(opinion(row.run(pair, noisy, clean)))
        said["clean"].append(opinion(clean))
        if progress is not None:
            progress(done + 1, len(pairs))
    return {
        name: {scale: float(np.mean([o[scale] for o in each])) for scale in SCALES}
        for name, each in said.items()
    }


def table(said: Mapping[str, Opinion]) -> list[str]:
    """Return opinions as lines of text, one row for each system."""
    lines = [f"{'DNSMOS':<24}" + "".join(f"{scale.upper():>8}" for scale in SCALES)]
    for name, each in said.items():
        lines.append(f"{name:<24}" + "".join(f"{each[s]:>8.3f}" for s in SCALES))
    return lines
