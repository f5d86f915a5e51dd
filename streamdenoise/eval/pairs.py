"""Sets of noisy and clean pairs, as they lie on disk.

A set is a folder with ``noisy/NAME.flac`` and ``clean/NAME.flac`` (or ``.wav``), 16 kHz
mono, equally long and aligned. An ``index.csv`` beside them may have the columns
``name`` and ``kind``: ``pair``, ``clean`` (nothing to remove) or ``noise`` (nothing to
keep).
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from streamdenoise.constants import GRID_RATE
from streamdenoise.errors import AudioFormatError

Audio = npt.NDArray[np.float32]

_SUFFIXES = (".flac", ".wav", ".ogg")


@dataclass(frozen=True)
class Pair:
    """Two files of a set.

    Attributes
    ----------
    name
        File name without suffix.
    noisy, clean
        Their paths.
    kind
        ``"pair"``, ``"clean"`` or ``"noise"``.
    """

    name: str
    noisy: Path
    clean: Path
    kind: str = "pair"

    def load(self) -> tuple[Audio, Audio]:
        """Return noisy and clean samples.

        Raises
        ------
        AudioFormatError
            If they are not 16 kHz mono, or not equally long.
        """
        noisy, clean = read_mono(self.noisy), read_mono(self.clean)
        if noisy.size != clean.size:
            raise AudioFormatError(
                f"{self.noisy} has {noisy.size} samples and {self.clean} "
                f"{clean.size}: the two of a pair must be equally long"
            )
        return noisy, clean


def read_mono(path: Path) -> Audio:
    """Read a 16 kHz mono file as float32."""
    import soundfile

    try:
        samples, rate = soundfile.read(path, dtype="float32")
    except (OSError, RuntimeError) as error:
        raise AudioFormatError(f"cannot read {path}: {error}") from error
    if rate != GRID_RATE or samples.ndim != 1:
        raise AudioFormatError(
            f"{path} has {rate} Hz and {samples.ndim} dimension(s); report cards "
            f"are made of {GRID_RATE} Hz mono files"
        )
    audio: Audio = samples
    return audio


def find_audio(folder: Path, name: str) -> Path:
    """Return the file of a folder that has this name and any of the usual suffixes."""
    for suffix in _SUFFIXES:
        path = folder / f"{name}{suffix}"
        if path.is_file():
            return path
    raise AudioFormatError(
        f"{folder} has no {name} with suffix {', '.join(_SUFFIXES)}: it must hold one "
        "output for each file of the set, under the same name"
    )


def load_pairs(folder: Path, kind: str | None = "pair") -> list[Pair]:
    """Return the pairs of a set in order of their names.

    Parameters
    ----------
    folder
        The set.
    kind
        Only pairs of this kind; None for all.

    Raises
    ------
    AudioFormatError
        If the folder is no set, or a file of a pair is missing.
    """
    if not (folder / "noisy").is_dir() or not (folder / "clean").is_dir():
        raise AudioFormatError(
            f"{folder} is no set of pairs: it needs the folders 'noisy' and 'clean' "
            "with files of the same names"
        )
    kinds = {}
    if (folder / "index.csv").is_file():
        with (folder / "index.csv").open(encoding="utf-8", newline="") as file:
            kinds = {r["name"]: r.get("kind", "pair") for r in csv.DictReader(file)}
    names = sorted(
        kinds or {p.stem for p in (folder / "noisy").iterdir() if p.suffix in _SUFFIXES}
    )
    pairs = [
        Pair(
            name,
            find_audio(folder / "noisy", name),
            find_audio(folder / "clean", name),
            kinds.get(name, "pair"),
        )
        for name in names
    ]
    return [pair for pair in pairs if kind in (None, pair.kind)]
