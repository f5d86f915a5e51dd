"""Full-band speech and noise for the head above 8 kHz, decoded once to 48 kHz.

The corpus of the models is 16 kHz. What a head learns from has to reach higher, and
few open recordings do: so each piece is kept with the frequency that it reaches to.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from streamdenoise.errors import AudioFormatError, StreamDenoiseError
from streamdenoise.train.shaping import respectrum

FULL_RATE: Final = 48_000
"""Sample rate in Hz of a full-band pack."""

Audio = npt.NDArray[np.float32]

VOICES: Final = "gcompris/GCompris-voices"
READER: Final = "PhilippMatthes/dc_tts"
DULL_VOICES: Final = ("eo", "sl")
"""Languages whose recordings end below 12 kHz."""

VALID_VOICES: Final = ("zh_TW", "ur", "he", "it", "nl", "fi", "el", "ast", "br")
"""Languages that training never hears."""

NOISES: Final = {
    "ambientsounds": "Muges/ambientsounds",
    "ambienzzz": "coldino/AmbienZZZzz",
    "antum-sounds": "AntumMT/mod-sounds",
    "berlin-noise": "thomasrosen/berlin_noise",
    "focus-flow": "Adil-l/focus-flow",
    "keystrokes": "JBFH-Dev/Keystroke-Datasets",
    "kitchen20": "marc-moreaux/kitchen20",
    "mapinabox": "sjtaylor82/MapInABox",
    "megaglest": "MegaGlest/megaglest-data",
    "noice": "ashutoshgngwr/noice",
    "noisekun": "mateusfg7/Noisekun",
    "openclonk": "openclonk/openclonk",
}
"""Repository of each source of the noise corpus whose files reach above 8 kHz."""

_LEAST_REACH = 9000.0
_SPEECH_SECONDS, _NOISE_SECONDS = 20.0, 120.0
_EXTENSIONS = (".wav", ".flac", ".ogg", ".mp3", ".m4a")


@dataclass(frozen=True)
class Source:
    """One file of the corpus: see `sources_of`."""

    path: Path
    kind: str
    group: str
    valid: bool


def sources_of(clones: Path, noise_index: Path) -> list[Source]:
    """List the files that a full-band pack is made of.

    Parameters
    ----------
    clones
        Folder with a checkout of each repository, as ``OWNER/NAME``.
    noise_index
        ``index.csv`` of the noise corpus: it says which files of these repositories
        are noise, and which of them training never hears.

    Returns
    -------
    list of Source
        `group` is the speaker's language, or the class of a noise.
    """
    found: dict[Path, Source] = {}
    for path in _audio_below(clones / VOICES):
        language = path.relative_to(clones / VOICES).parts[0]
        if language not in DULL_VOICES:
            valid = language in VALID_VOICES
            found[path] = Source(path, "speech", language, valid)
    for path in _audio_below(clones / READER):
        found[path] = Source(path, "speech", "ljspeech", False)
    with noise_index.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["source"] not in NOISES:
                continue
            # After the path: the author, or the part of a long recording.
            inside = re.sub(r" [\[(].*", "", row["origin"])
            path = clones / NOISES[row["source"]] / inside
            if path.is_file():
                valid = row["split"] == "valid"
                found[path] = Source(path, "noise", row["class"], valid)
    return list(found.values())


def _audio_below(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in _EXTENSIONS and path.is_file():
            yield path


def build_full_pack(sources: list[Source], folder: Path, jobs: int = 1) -> list[str]:
    """Decode files into ``audio.npy`` (int16, 48 kHz) and ``index.json``.

    Files that cannot be read, are nearly silent, or end below 9 kHz are left out.

    Returns
    -------
    list of str
        Hours of each kind and split, to be shown.

    Raises
    ------
    AudioFormatError
        If nothing is left.
    """
    with ProcessPoolExecutor(jobs) as pool:
        pieces = list(pool.map(_decoded, sources, chunksize=16))
    rows: list[dict[str, Any]] = []
    parts: list[npt.NDArray[np.int16]] = []
    at = 0
    for source, piece in zip(sources, pieces, strict=True):
        if piece is None:
            continue
        samples, reach = piece
        rows.append(
            {
                "kind": source.kind,
                "group": source.group,
                "valid": source.valid,
                "reach": reach,
                "start": at,
                "length": samples.size,
            }
        )
        parts.append(samples)
        at += samples.size
    if not rows:
        raise AudioFormatError("none of the files reaches above 9 kHz")
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "audio.npy", np.concatenate(parts))
    (folder / "index.json").write_text(json.dumps(rows), encoding="utf-8")
    return [_hours(rows, k, v) for k in ("speech", "noise") for v in (False, True)]


def _hours(rows: list[dict[str, Any]], kind: str, valid: bool) -> str:
    own = [r for r in rows if (r["kind"], r["valid"]) == (kind, valid)]
    hours = sum(r["length"] for r in own) / FULL_RATE / 3600.0
    split = "validation" if valid else "training"
    return f"{kind}, {split}: {hours:.2f} h in {len(own)} pieces"


def _decoded(source: Source) -> tuple[npt.NDArray[np.int16], float] | None:
    """Return one file at 48 kHz without silent ends, and where it ends in Hz."""
    from streamdenoise.audio.file import open_reader

    seconds = _SPEECH_SECONDS if source.kind == "speech" else _NOISE_SECONDS
    try:
        with open_reader(source.path) as reader:
            track = reader.tracks[0]
            rate = track.info.sample_rate
            blocks = [block.mean(axis=1) for block in track]
    except StreamDenoiseError:
        return None
    x = np.concatenate(blocks)[: round(seconds * rate)] if blocks else np.zeros(0, "f4")
    if rate < 2 * _LEAST_REACH or x.size < 0.4 * rate:
        return None
    x = stretched(x - x.mean(), round(x.size * FULL_RATE / rate))
    peak = float(np.max(np.abs(x)))
    if peak < 0.003:
        return None
    x *= 0.7 / peak
    loud = np.flatnonzero(np.abs(x) > 0.004)
    edge = FULL_RATE // 40
    x = x[max(int(loud[0]) - edge, 0) : int(loud[-1]) + edge]
    reach = reach_of(x)
    if reach < _LEAST_REACH:
        return None
    return np.round(x * 32767.0).astype(np.int16), reach


def stretched(x: Audio, samples: int) -> Audio:
    """Resample to a number of samples, by FFT; pitch and speed change together."""
    even = x[: x.size - x.size % 2]
    size = samples - samples % 2
    return np.fft.irfft(respectrum(even, size), size).astype(np.float32)


def reach_of(x: Audio) -> float:
    """Return the frequency in Hz above which a 48 kHz piece has nothing.

    That is the highest one whose power in loud frames is within 65 dB of the mean
    between 1 and 8 kHz: codecs and converters cut like a wall.
    """
    size = 2048
    count = x.size // size
    if count < 2:
        return 0.0
    frames = x[: count * size].reshape(count, size) * np.hanning(size)
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2
    total = power.sum(axis=1)
    mean = power[total > total.max() * 1e-3].mean(axis=0)
    mean = np.convolve(mean, np.ones(9) / 9.0, "same")
    hz = np.arange(mean.size) * (FULL_RATE / size)
    usual = mean[(hz > 1000.0) & (hz < 8000.0)].mean()
    heard = np.flatnonzero(mean > usual * 10.0**-6.5)
    return float(hz[heard[-1]]) if heard.size else 0.0
