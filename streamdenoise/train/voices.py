"""Voices as a microphone hears them, and what of that is to be kept."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import fft

from streamdenoise.constants import GRID_RATE
from streamdenoise.train.data import UNKNOWN, Pack, piece_weights
from streamdenoise.train.mixconfig import MixConfig
from streamdenoise.train.rooms import draw_room, early_part
from streamdenoise.train.shaping import Audio, Rng, curve, fast_size, respectrum


class Voices:
    """Draws voices and rooms from a pack.

    Parameters
    ----------
    pack
        Decoded corpus.
    config
        What to draw.
    valid
        Draw from the validation split instead of the training split.

    Attributes
    ----------
    rows
        Of the pack's index: the pieces of speech of the split.
    """

    def __init__(self, pack: Pack, config: MixConfig, *, valid: bool) -> None:
        self._pack, self._config = pack, config
        self.rows = [r for r in pack.index["speech"] if r["valid"] == valid]
        self._rooms: dict[str, list[dict[str, Any]]] = {}
        for row in pack.index["rooms"]:
            self._rooms.setdefault(str(row["room"]), []).append(row)
        self._weights = np.cumsum(piece_weights(self.rows))
        self._by_speaker: dict[str, list[dict[str, Any]]] = {}
        for place, row in enumerate(self.rows):
            self._by_speaker.setdefault(_voice_of(row, place), []).append(row)

    def draw(self, rng: Rng, band: Audio | None) -> tuple[Audio, Audio]:
        """Draw speech as the microphone hears it, and its early part."""
        c, n = self._config, self._config.samples
        # Rarely far below 1: nothing would be left of the highest band.
        ratio = rng.triangular(0.85, 1.02, 1.2) if rng.random() < c.voice else 1.0
        dry = self.sentence(rng, round(n * ratio / 480) * 480)
        room = self.room(rng) if rng.random() < c.room else None
        tail = 0 if room is None else room[0].size
        spectrum = respectrum(dry, n)
        if rng.random() < c.equalise:
            spectrum *= curve(rng, n)
        if band is not None:
            spectrum *= band
        if room is None:
            voice = fft.irfft(spectrum, n).astype(np.float32)
            return voice, voice
        size = fast_size(n + tail)
        source = fft.rfft(fft.irfft(spectrum, n), size)
        wet, early = (
            fft.irfft(source * fft.rfft(part, size), size)[:n] for part in room
        )
        return wet.astype(np.float32), early.astype(np.float32)

    def sentence(self, rng: Rng, samples: int) -> Audio:
        """Join pieces of one speaker, with pauses between them."""
        place = int(np.searchsorted(self._weights, rng.random()))
        first = self.rows[place]
        pieces = self._by_speaker[_voice_of(first, place)]
        out = np.zeros(samples, np.float32)
        at = int(rng.uniform(0.0, 0.5) * GRID_RATE)
        row, skip = first, 0
        if first["length"] > samples:
            # Begin anywhere in a long piece, or its end would never be heard.
            skip = int(rng.integers(0, first["length"] - samples // 2))
            at = 0
        while at < samples:
            piece = self._pack.piece("speech", row)[skip:]
            skip = 0
            part = piece[: samples - at]
            out[at : at + part.size] += part
            at += piece.size + int(rng.uniform(0.05, 0.7) * GRID_RATE)
            row = pieces[int(rng.integers(len(pieces)))]
        return out

    def room(self, rng: Rng) -> tuple[Audio, Audio]:
        """Draw an impulse response and its early part, energy 1 in the early part."""
        if rng.random() < 0.4:
            # The room first: some were measured at many places.
            rows = list(self._rooms.values())[int(rng.integers(len(self._rooms)))]
            room = self._pack.piece("rooms", rows[int(rng.integers(len(rows)))])
        else:
            room = draw_room(rng)
        early, direct = early_part(room)
        scale = 1.0 / max(float(np.sqrt(np.sum(early**2))), 1e-6)
        # The direct sound moves to the front, so that wet and dry stay aligned.
        start = max(direct - 8, 0)
        return room[start:] * scale, early[start:] * scale


def _voice_of(row: dict[str, Any], place: int) -> str:
    """Name the speaker; of the unknown, neighbours in the index most likely agree."""
    speaker = str(row["speaker"])
    return f"{row['source']} {place // 4}" if speaker == UNKNOWN else speaker
