"""A second report set, from speakers and noises that training never hears.

Two voices decide most of what a small set of pairs says. This one is made of all
voices and noises of the validation split: each SNR dry and in a room, at levels that
vary, with clean speech alone and noise alone beside it. It is the same every time, and
it stays out of the repository.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from streamdenoise.constants import GRID_RATE
from streamdenoise.errors import AudioFormatError
from streamdenoise.train.data import Pack
from streamdenoise.train.rooms import early_part

Audio = npt.NDArray[np.float32]
Rng = np.random.Generator
Row = dict[str, Any]

SNRS_DB = (0.0, 5.0, 10.0, 15.0)
LEVELS_DBFS = (-32.0, -18.0)
_MIN_SECONDS, _MAX_SECONDS = 3.0, 8.0
_NOISE_SECONDS = 5.0
_PEAK = 0.98


@dataclass(frozen=True)
class Clip:
    """One row of the set's index.

    Attributes
    ----------
    name
        File name without suffix.
    kind
        ``"pair"``, ``"clean"`` or ``"noise"``.
    seconds, snr_db, level_dbfs
        Length; energy of speech over that of noise; RMS level of the speech, or of the
        noise where there is none.
    speaker, noise, room
        Where the parts come from; empty where there is none.
    """

    name: str
    kind: str
    seconds: float
    snr_db: str
    level_dbfs: float
    speaker: str
    noise: str
    room: str


def make_valid_set(
    pack: Pack, folder: Path, *, per_cell: int = 12, singles: int = 16, seed: int = 1
) -> list[Clip]:
    """Write the set: ``noisy/``, ``clean/`` and ``index.csv``.

    Parameters
    ----------
    pack
        A decoded corpus with its validation split.
    folder
        New or empty folder.
    per_cell
        Pairs for each SNR, dry and in a room: 8 times as many in all.
    singles
        Clips of clean speech alone, and as many of noise alone.
    seed
        Of all that is drawn.

    Raises
    ------
    AudioFormatError
        If the folder holds files, or the pack has no validation split.
    """
    import soundfile

    if folder.exists() and any(folder.iterdir()):
        raise AudioFormatError(f"{folder} is not empty: give a new folder for the set")
    clips = []
    for side in ("noisy", "clean"):
        (folder / side).mkdir(parents=True)
    for clip, noisy, clean in _clips(pack, per_cell, singles, seed):
        for side, samples in (("noisy", noisy), ("clean", clean)):
            path = folder / side / f"{clip.name}.flac"
            soundfile.write(path, samples, GRID_RATE, subtype="PCM_16")
        clips.append(clip)
    with (folder / "index.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(Clip.__dataclass_fields__))
        writer.writeheader()
        writer.writerows(asdict(clip) for clip in clips)
    return clips


@dataclass(frozen=True)
class _Plan:
    """What one clip shall be made of; empty names where there is nothing."""

    kind: str
    snr_db: float
    voice: str
    noise: str
    room: str


class _Source:
    """The validation split of a pack, grouped by speaker, recording and room."""

    def __init__(self, pack: Pack) -> None:
        self.pack = pack
        voices = _by(pack.index["speech"], "speaker")
        self.speech = {name: _best(rows) for name, rows in voices.items()}
        self.noises = _by(pack.index["noise"], "recording")
        self.rooms = _by(pack.index["rooms"], "room")
        if not self.speech or not self.noises:
            raise AudioFormatError("this pack has no validation split to make a set of")

    def plans(self, per_cell: int, singles: int, seed: int) -> Iterator[_Plan]:
        """Deal voices, noises and rooms: each has its turn before a second one."""
        voices = _turns(sorted(self.speech), np.random.default_rng([seed, 1]))
        noises = _turns(sorted(self.noises), np.random.default_rng([seed, 2]))
        rooms = _turns(sorted(self.rooms), np.random.default_rng([seed, 3]))
        for snr in SNRS_DB:
            for wet in (False, True):
                for _ in range(per_cell):
                    room = next(rooms) if wet else ""
                    yield _Plan("pair", snr, next(voices), next(noises), room)
        for _ in range(singles):
            yield _Plan("clean", 0.0, next(voices), "", "")
        for _ in range(singles):
            yield _Plan("noise", 0.0, "", next(noises), "")

    def mix(self, plan: _Plan, level: float, rng: Rng) -> tuple[Audio, Audio]:
        """Return noisy and clean of one clip."""
        if plan.kind == "noise":
            size = round(_NOISE_SECONDS * GRID_RATE)
            noise = _noise(self.pack, self.noises[plan.noise], size, rng)
            return noise * _gain(noise, level), np.zeros(size, np.float32)
        heard = target = _speech(self.pack, self.speech[plan.voice], rng)
        if plan.room:
            heard, target = _in_room(self.pack, self.rooms[plan.room], heard, rng)
        gain = _gain(target, level)
        heard, target = heard * gain, target * gain
        if plan.kind == "pair":
            noise = _noise(self.pack, self.noises[plan.noise], heard.size, rng)
            heard = heard + noise * _gain(noise, _level(heard) - plan.snr_db)
        return heard, target


def _clips(
    pack: Pack, per_cell: int, singles: int, seed: int
) -> Iterator[tuple[Clip, Audio, Audio]]:
    source = _Source(pack)
    for number, plan in enumerate(source.plans(per_cell, singles, seed)):
        rng = np.random.default_rng([seed, 4, number])
        level = float(rng.uniform(*LEVELS_DBFS))
        noisy, clean = source.mix(plan, level, rng)
        peak = max(float(np.max(np.abs(side))) for side in (noisy, clean))
        if peak > _PEAK:
            fit = np.float32(_PEAK / peak)
            noisy, clean = noisy * fit, clean * fit
            level += 20 * float(np.log10(fit))
        snr = f"{plan.snr_db:.0f}" if plan.kind == "pair" else ""
        clip = Clip(
            name=f"{number:03d}-{plan.kind}" + (f"-{snr}db" if snr else ""),
            kind=plan.kind,
            seconds=round(noisy.size / GRID_RATE, 3),
            snr_db=snr,
            level_dbfs=round(level, 1),
            speaker=plan.voice,
            noise=plan.noise,
            room=plan.room,
        )
        yield clip, noisy, clean


def _by(rows: list[Row], key: str) -> dict[str, list[Row]]:
    """Group the rows of the validation split; rooms have none, and all are taken."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        if row.get("valid", True):
            groups.setdefault(row[key], []).append(row)
    return groups


def _best(rows: list[Row]) -> list[Row]:
    """Return a speaker's sentences without audible floor, or what comes nearest."""
    sentences = [row for row in rows if row["kind"] != "word"] or rows
    return [row for row in sentences if row["strict"]] or sentences


def _turns(names: list[str], rng: Rng) -> Iterator[str]:
    while names:
        yield from (names[i] for i in rng.permutation(len(names)))


def _speech(pack: Pack, rows: list[Row], rng: Rng) -> Audio:
    """Join pieces of one speaker until they are long enough."""
    pause = np.zeros(round(0.25 * GRID_RATE), np.float32)
    parts, size = [pause], pause.size
    for i in np.tile(rng.permutation(len(rows)), 20):
        if size >= _MIN_SECONDS * GRID_RATE:
            break
        piece = pack.piece("speech", rows[i])
        parts += [piece, pause]
        size += piece.size + pause.size
    return np.concatenate(parts)[: round(_MAX_SECONDS * GRID_RATE)]


def _noise(pack: Pack, rows: list[Row], size: int, rng: Rng) -> Audio:
    """Cut a stretch out of a recording, repeated if it is too short."""
    row = rows[int(rng.integers(len(rows)))]
    noise = pack.piece("noise", row)
    noise = np.tile(noise, -(-size // noise.size) + 1)
    start = int(rng.integers(noise.size - size))
    return noise[start : start + size]


def _in_room(pack: Pack, rows: list[Row], dry: Audio, rng: Rng) -> tuple[Audio, Audio]:
    """Return speech as it sounds in a room, and with its early reflections only."""
    response = pack.piece("rooms", rows[int(rng.integers(len(rows)))])
    early, _ = early_part(response)
    size = 1 << (dry.size + response.size).bit_length()
    spectrum = np.fft.rfft(dry, size)
    wet, target = (
        np.fft.irfft(spectrum * np.fft.rfft(r, size), size)[: dry.size]
        for r in (response, early)
    )
    return wet.astype(np.float32), target.astype(np.float32)


def _level(x: Audio) -> float:
    return 10 * float(np.log10(np.mean(x.astype(np.float64) ** 2) + 1e-12))


def _gain(x: Audio, level: float) -> Any:
    """Return the factor to an RMS level, as float32 so that arrays stay float32."""
    return np.float32(10.0 ** ((level - _level(x)) / 20.0))
