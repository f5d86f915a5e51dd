"""Noisy and clean pairs at 48 kHz, for the head above 8 kHz."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from streamdenoise.errors import AudioFormatError
from streamdenoise.train.fullband import FULL_RATE, Audio, stretched
from streamdenoise.train.shaping import active_level, curve, rms

MIXTURE_SECONDS: Final = 8
"""Length of a mixture."""

_N: Final = MIXTURE_SECONDS * FULL_RATE
_TOP = FULL_RATE / 2.0
_FULL_REACH = 18_500.0
_FRAME = FULL_RATE * 16 // 1000

Rng = np.random.Generator


class FullMixer:
    """Draws pairs from a full-band pack; every draw is a function of seed and number.

    Parameters
    ----------
    folder
        The pack: see `fullband.build_full_pack`.
    valid
        Draw voices and noises that training never hears.
    seed
        First part of the seed of every draw.

    Raises
    ------
    AudioFormatError
        If the folder holds no full-band pack.
    """

    def __init__(self, folder: Path, *, valid: bool = False, seed: int = 0) -> None:
        if not (folder / "index.json").is_file():
            raise AudioFormatError(
                f"{folder} holds no full-band pack; make one with "
                "scripts/train-high-band pack"
            )
        self._audio = np.load(folder / "audio.npy", mmap_mode="r")
        index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        rows = [row for row in index if row["valid"] == valid]
        self._noises = [row for row in rows if row["kind"] == "noise"]
        self._voices: dict[str, list[dict[str, Any]]] = {}
        for row in rows:
            if row["kind"] == "speech":
                self._voices.setdefault(row["group"], []).append(row)
        self._names = list(self._voices)
        self._voice_weights = _share([_weight(v) for v in self._voices.values()])
        lengths = [min(row["length"], 30 * FULL_RATE) for row in self._noises]
        self._noise_weights = _share([np.sqrt(n) for n in lengths])
        self._seed = seed, int(valid)

    def pair(self, number: int) -> tuple[Audio, Audio, float]:
        """Draw noisy and clean, and the frequency in Hz that the voice reaches to."""
        rng = np.random.default_rng([*self._seed, number])
        level = 10.0 ** (rng.uniform(-55.0, -12.0) / 20.0)
        clean, reach = np.zeros(_N, np.float32), _TOP
        speech = rng.random() >= 0.08
        if speech:
            clean, reach = self._voice(rng)
            clean = _shaped(rng, clean)
            clean *= level / _active(clean)
        noise = self._background(rng)
        snr = float(np.clip(rng.normal(9.0, 7.0), -5.0, 35.0))
        if speech and rng.random() < 0.12:
            snr = 60.0
        noisy = clean + noise * (level * 10.0 ** (-snr / 20.0) / _rms(noise))
        fit = 0.99 / max(float(np.max(np.abs(noisy))), 0.99)
        return (noisy * fit).astype(np.float32), (clean * fit).astype(np.float32), reach

    def _piece(self, row: dict[str, Any]) -> Audio:
        samples = self._audio[row["start"] : row["start"] + row["length"]]
        piece: Audio = np.asarray(samples, np.float32) / np.float32(32768.0)
        return piece

    def _voice(self, rng: Rng) -> tuple[Audio, float]:
        """Join pieces of one voice together, most of them in another pitch."""
        place = int(rng.choice(len(self._names), p=self._voice_weights))
        rows = self._voices[self._names[place]]
        # Upwards too, and further than voices go: what ends at 16 kHz then ends at 22.
        ratio = rng.uniform(0.85, 1.4) if rng.random() < 0.6 else 1.0
        out, reach = np.zeros(_N, np.float32), _TOP
        at = int(rng.uniform(0.2, 1.5) * FULL_RATE)
        while at < _N:
            row = rows[int(rng.integers(len(rows)))]
            piece = self._piece(row)
            if ratio != 1.0:
                piece = stretched(piece, round(piece.size / ratio))
            piece = piece * (10.0 ** (rng.uniform(-2.0, 2.0) / 20.0) / _active(piece))
            part = piece[: _N - at]
            out[at : at + part.size] += part
            at += piece.size + int(rng.uniform(0.05, 0.7) * FULL_RATE)
            reach = min(reach, row["reach"] * ratio)
        return out, reach

    def _background(self, rng: Rng) -> Audio:
        draw = _made if rng.random() < 0.3 else self._recorded
        noise = draw(rng)
        if rng.random() < 0.3:
            other = self._recorded if rng.random() < 0.6 else _made
            noise = noise + other(rng) * 10.0 ** (rng.uniform(-12.0, 3.0) / 20.0)
        return _shaped(rng, noise)

    def _recorded(self, rng: Rng) -> Audio:
        row = self._noises[int(rng.choice(len(self._noises), p=self._noise_weights))]
        piece = self._piece(row)
        if rng.random() < 0.5:
            piece = stretched(piece, round(piece.size / rng.uniform(0.8, 1.4)))
        if piece.size >= _N:
            start = int(rng.integers(piece.size - _N + 1))
            return piece[start : start + _N] / _rms(piece[start : start + _N])
        out = np.zeros(_N, np.float32)
        short = piece.size < 2 * FULL_RATE
        at = 0 if short else -int(rng.integers(piece.size))
        while at < _N:
            low, high = max(at, 0), min(at + piece.size, _N)
            out[low:high] += piece[low - at : high - at]
            at += piece.size + (int(rng.uniform(0.0, 1.0) * FULL_RATE) if short else 0)
        return out / _rms(out)


def _made(rng: Rng) -> Audio:
    """Draw broadband noise of any colour, at times hiss alone, at times whistling."""
    spectrum = np.fft.rfft(rng.standard_normal(_N).astype(np.float32))
    hz = np.linspace(0.0, _TOP, spectrum.size)
    octave = np.log2(np.maximum(hz, 40.0) / 1000.0)
    shape = octave * rng.uniform(-7.0, 3.0)
    for _ in range(int(rng.integers(0, 4))):
        centre, width = rng.uniform(-3.0, 4.5), rng.uniform(0.1, 1.0)
        shape += rng.uniform(-8.0, 14.0) * np.exp(-(((octave - centre) / width) ** 2))
    if rng.random() < 0.25:
        shape += np.where(hz > rng.uniform(4e3, 14e3), rng.uniform(5.0, 20.0), 0.0)
    x = np.fft.irfft(spectrum * 10.0 ** (shape / 20.0), _N)
    x /= _rms(x)
    knots = rng.normal(0.0, 4.0 * rng.random(), 2 * MIXTURE_SECONDS + 2)
    wander = np.interp(np.arange(_N), np.linspace(0.0, _N, knots.size), knots)
    x *= 10.0 ** (wander / 20.0)
    if rng.random() < 0.3:
        time = np.arange(_N) / FULL_RATE
        for _ in range(int(rng.integers(1, 4))):
            # Coils, chargers, cathode ray tubes.
            tone = np.sin(2.0 * np.pi * rng.uniform(6e3, 21e3) * time)
            x += 10.0 ** (rng.uniform(-30.0, 0.0) / 20.0) * tone
    return np.asarray(x / _rms(x), np.float32)


def _shaped(rng: Rng, x: Audio) -> Audio:
    """Put a smooth random curve over some signals: knots on a mel-like axis, 4 dB."""
    if rng.random() >= 0.6:
        return x
    shape = curve(rng, x.size, _TOP, 11)
    return np.fft.irfft(np.fft.rfft(x) * shape, x.size).astype("f4")


def _weight(rows: list[dict[str, Any]]) -> float:
    """Weigh a voice by its length; the few that reach to the top count three times."""
    reach = float(np.median([row["reach"] for row in rows]))
    length = float(np.sqrt(sum(row["length"] for row in rows)))
    return length * (3.0 if reach > _FULL_REACH else 1.0)


def _share(weights: list[float]) -> npt.NDArray[np.float64]:
    each = np.array(weights, np.float64)
    return np.asarray(each / each.sum())


def _active(x: Audio) -> float:
    return max(active_level(x, _FRAME), 1e-6)


def _rms(x: npt.NDArray[np.floating[Any]]) -> float:
    return max(rms(x), 1e-6)
