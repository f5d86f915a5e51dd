"""Decoded speech, noise and rooms as memory-mapped arrays.

Cutting random segments out of compressed files is what makes training slow, so
the corpus is decoded once into a pack: three flat ``.npy`` arrays and one JSON
index. A pack is made by ``scripts/build-corpus`` and never enters the repository.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from streamdenoise.constants import GRID_RATE
from streamdenoise.errors import AudioFormatError

VALID_PERCENT = 5
"""Share of speakers, in percent, that training never hears."""

UNKNOWN = "unknown"
"""What the index says where it knows no speaker."""

EVERYDAY = frozenset(
    """ambience airplane babble background blender bus cafe car city computer
    construction crowd dishwasher dryer engine fan fans fridge hum interior keyboard
    machine market metro microwave mouse playground rain room school stadium street
    traffic train transport typing vacuum washing wind""".split()  # noqa: SIM905
)
"""Words in the class of a noise in which people talk and call."""

_EVERYDAY_WEIGHT = 3.0
_UNKNOWN_SAMPLES = 240 * GRID_RATE
_TESTED = frozenset({"snsd-e-319"})
"""Recordings that the report set of VoiceBank+DEMAND has in its mixtures."""

_WORD_WEIGHT = 0.3
_FLOOR_WEIGHT = 0.5


def is_valid_speaker(speaker: str) -> bool:
    """Tell whether a speaker belongs to the validation split.

    The split is a hash of the name, so that it stays the same when speakers are
    added. Pieces whose speaker is not known are for training: among them there may be
    any speaker.

    Parameters
    ----------
    speaker
        Name of the speaker in the corpus index.
    """
    if speaker == UNKNOWN:
        return False
    digest = hashlib.sha256(speaker.encode()).digest()
    return int.from_bytes(digest[:4], "big") % 100 < VALID_PERCENT


@dataclass(frozen=True)
class Pack:
    """A decoded corpus.

    Attributes
    ----------
    speech, noise, rooms
        Flat int16 arrays at 16 kHz; a piece is a slice of one of them.
    index
        Lists of pieces per array: start, length and what the source says of them.
    """

    speech: npt.NDArray[np.int16]
    noise: npt.NDArray[np.int16]
    rooms: npt.NDArray[np.int16]
    index: dict[str, list[dict[str, Any]]]

    @classmethod
    def open(cls, folder: str | Path) -> Pack:
        """Map a pack from disk.

        Raises
        ------
        AudioFormatError
            If `folder` holds no pack.
        """
        folder = Path(folder)
        if not (folder / "index.json").is_file():
            raise AudioFormatError(
                f"{folder} holds no corpus pack; make one with scripts/build-corpus"
            )
        arrays = {
            name: np.load(folder / f"{name}.npy", mmap_mode="r")
            for name in ("speech", "noise", "rooms")
        }
        index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        return cls(index=index, **arrays)

    def piece(self, kind: str, row: dict[str, Any]) -> npt.NDArray[np.float32]:
        """Return one piece as float32 in [-1, 1]; `kind` names the array."""
        array: npt.NDArray[np.int16] = getattr(self, kind)
        start = int(row["start"])
        piece = array[start : start + int(row["length"])]
        sound: npt.NDArray[np.float32]
        sound = np.multiply(piece, np.float32(1.0 / 32768.0), dtype=np.float32)
        return sound


def noise_weights(rows: list[dict[str, Any]]) -> npt.NDArray[np.float64]:
    """Weigh noise by the square root of its length, and more where people talk in it.

    A corpus of noises is no sample of life: without that, crying babies, animals and
    kitchen drawers are a third of it, fans, traffic and cafés a twentieth.

    Returns
    -------
    ndarray
        Probabilities that sum to 1, one for each row.
    """
    raw = np.sqrt([row["length"] for row in rows])
    raw *= [
        _EVERYDAY_WEIGHT if _is_everyday(row["class"].split()) else 1.0 for row in rows
    ]
    weights: npt.NDArray[np.float64] = raw / raw.sum()
    return weights


def _is_everyday(words: Sequence[str]) -> bool:
    # A car horn is no car.
    return bool(EVERYDAY.intersection(words)) and "horn" not in words


def piece_weights(rows: list[dict[str, Any]]) -> npt.NDArray[np.float64]:
    """Weigh speech pieces so that no single voice or word list rules.

    A speaker's share grows with the square root of the speaker's material; isolated
    words and recordings with an audible floor count less. Pieces of unknown speakers
    count as if each of these had spoken for four minutes.

    Returns
    -------
    ndarray
        Probabilities that sum to 1, one for each row.
    """
    samples: dict[str, float] = {}
    for row in rows:
        samples[row["speaker"]] = samples.get(row["speaker"], 0.0) + row["length"]
    samples[UNKNOWN] = _UNKNOWN_SAMPLES
    raw = np.array([row["length"] / np.sqrt(samples[row["speaker"]]) for row in rows])
    raw *= [_WORD_WEIGHT if row["kind"] == "word" else 1.0 for row in rows]
    raw *= [1.0 if row["strict"] else _FLOOR_WEIGHT for row in rows]
    weights: npt.NDArray[np.float64] = raw / raw.sum()
    return weights


def build_pack(data: Path, folder: Path, jobs: int = 1) -> dict[str, float]:
    """Decode a data folder into a pack.

    Parameters
    ----------
    data
        Folder with ``speech``, ``noise`` and ``rir``, each with an ``index.csv``.
    folder
        Where the pack goes.
    jobs
        Processes that decode.

    Returns
    -------
    dict
        Hours of each array.
    """
    folder.mkdir(parents=True, exist_ok=True)
    speech_rows = _read_index(data / "speech")
    for row in speech_rows:
        row["strict"] = row["strict"] == "1"
        row["valid"] = is_valid_speaker(row["speaker"])
    noise_rows = [
        row for row in _read_index(data / "noise") if row["recording"] not in _TESTED
    ]
    for row in noise_rows:
        row["valid"] = row["split"] == "valid"
    room_rows = _read_index(data / "rir")
    index: dict[str, list[dict[str, Any]]] = {}
    hours = {}
    for name, sub, rows in (
        ("speech", "speech", speech_rows),
        ("noise", "noise", noise_rows),
        ("rooms", "rir", room_rows),
    ):
        array, kept = _decode(data / sub, rows, jobs)
        np.save(folder / f"{name}.npy", array)
        index[name] = kept
        hours[name] = array.size / GRID_RATE / 3600.0
    (folder / "index.json").write_text(json.dumps(index), encoding="utf-8")
    return hours


def _read_index(folder: Path) -> list[dict[str, Any]]:
    with (folder / "index.csv").open(encoding="utf-8", newline="") as file:
        return [dict(row) for row in csv.DictReader(file)]


def _decode(
    folder: Path, rows: Iterable[dict[str, Any]], jobs: int
) -> tuple[npt.NDArray[np.int16], list[dict[str, Any]]]:
    """Cut the pieces of an index out of its files, scaled to fit int16."""
    by_file: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        by_file.setdefault(row["file"], []).append(row)
    work = [folder / name for name in by_file], list(by_file.values())
    if jobs > 1:
        with ProcessPoolExecutor(jobs) as pool:
            decoded = list(pool.map(_cut, *work))
    else:
        decoded = list(map(_cut, *work))
    parts = [part for file in decoded for part in file]
    kept = []
    at = 0
    for row, part in zip((r for rs in work[1] for r in rs), parts, strict=True):
        kept.append({**row, "start": at, "length": int(part.size)})
        at += int(part.size)
    return np.concatenate(parts), kept


def _cut(path: Path, rows: list[dict[str, Any]]) -> list[npt.NDArray[np.int16]]:
    """Decode one file and cut out its pieces, a voice to be learned without pauses."""
    import soundfile

    audio, rate = soundfile.read(path, dtype="float32")
    if rate != GRID_RATE:
        raise AudioFormatError(
            f"{path} decodes at {rate} Hz, {GRID_RATE} Hz was "
            "expected; use a libsndfile that gives Opus at its coded rate"
        )
    parts = []
    for row in rows:
        start = int(row.get("start", 0))
        piece = audio[start : start + int(row.get("length", audio.size))]
        # Only speech has that mark; validation sets stay as they have always been.
        if "strict" in row and not row["valid"]:
            piece = trimmed(piece)
        # Lossy coding overshoots full scale on clicks; scaling keeps their shape.
        peak = float(np.max(np.abs(piece), initial=1e-9))
        parts.append(np.round(piece / max(peak, 1.0) * 32767.0).astype(np.int16))
    return parts


def trimmed(
    voice: npt.NDArray[np.float32], before: float = 0.1, after: float = 0.2
) -> npt.NDArray[np.float32]:
    """Return a voice without the silence before its first and after its last word.

    Some recordings are two thirds silence, and count by their length.

    Parameters
    ----------
    voice
        Samples at 16 kHz.
    before, after
        Seconds that stay around what is within 40 dB of the loudest 10 ms.
    """
    frame = GRID_RATE // 100
    frames = voice[: voice.size // frame * frame].reshape(-1, frame)
    power = np.mean(frames * frames, axis=1)
    if not power.size or power.max() <= 0.0:
        return voice
    loud = np.flatnonzero(power > power.max() * 1e-4) * frame
    first = max(int(loud[0]) - round(before * GRID_RATE), 0)
    return voice[first : int(loud[-1]) + frame + round(after * GRID_RATE)]
