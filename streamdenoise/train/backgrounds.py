"""Noises behind a voice: recorded, made from nothing, and other people's talk."""

from __future__ import annotations

import numpy as np
from scipy import fft

from streamdenoise.constants import GRID_RATE
from streamdenoise.train import noises
from streamdenoise.train.data import Pack, noise_weights
from streamdenoise.train.mixconfig import MixConfig
from streamdenoise.train.rooms import draw_room
from streamdenoise.train.shaping import (
    Audio,
    Rng,
    convolved,
    curve,
    gain,
    respectrum,
    unit,
)
from streamdenoise.train.voices import Voices


class Backgrounds:
    """Draws noises from a pack.

    Parameters
    ----------
    pack
        Decoded corpus.
    config
        What to draw.
    voices
        Where those who talk in the background and the rooms come from.
    valid
        Draw from the validation split instead of the training split.

    Attributes
    ----------
    rows
        Of the pack's index: the recordings of the split.
    """

    def __init__(
        self, pack: Pack, config: MixConfig, voices: Voices, *, valid: bool
    ) -> None:
        self._pack, self._config, self._voices = pack, config, voices
        self._samples = config.samples
        self.rows = [r for r in pack.index["noise"] if r["valid"] == valid]
        self._weights = np.cumsum(noise_weights(self.rows))

    def draw(self, rng: Rng, band: Audio | None, *, alone: bool) -> Audio:
        """Draw one or several noises and shape them.

        Far voices come with a near one only: alone, they may be a user in an echoing
        room, who must not be muted. A crowd is nobody in particular, and comes instead.
        """
        c, n = self._config, self._samples
        total = np.zeros(n, np.float32)
        kind = rng.random()
        if kind < c.babble or (alone and kind < c.babble + c.distant):
            total += self._babble(rng)
        elif kind < c.babble + c.distant:
            total += self._distant(rng)
        elif kind < c.babble + c.distant + c.synthetic:
            total += unit(noises.synthetic(rng, n))
        else:
            total += self._recording(rng)
        if rng.random() < c.second:
            other = (
                self._recording(rng)
                if rng.random() < 0.6
                else unit(noises.synthetic(rng, n))
            )
            total += other * 10.0 ** (rng.uniform(-12.0, 3.0) / 20.0)
        if rng.random() < c.rumble:
            level = np.float32(10.0 ** (rng.uniform(-15.0, 15.0) / 20.0))
            total += noises.rumble(rng, n) * level
        shapes = [] if band is None else [band]
        if rng.random() < c.equalise:
            shapes.append(curve(rng, n))
        if shapes:
            total = fft.irfft(fft.rfft(total) * np.prod(shapes, axis=0), n)
        noise = total.astype(np.float32, copy=False)
        # Noises are in rooms as well, or what reverberates would be the voice.
        return self._far(rng, noise) if rng.random() < 0.5 * c.room else noise

    def _far(self, rng: Rng, sound: Audio) -> Audio:
        """Put a sound into a room."""
        return convolved(sound, self._voices.room(rng)[0])

    def _recording(self, rng: Rng) -> Audio:
        """Draw a recorded noise, strung together until the sequence is full."""
        row = self.rows[int(np.searchsorted(self._weights, rng.random()))]
        piece = self._pack.piece("noise", row)
        if rng.random() < 0.3:
            size = round(piece.size * rng.uniform(0.7, 1.4) / 160 + 1) * 160
            piece = fft.irfft(
                respectrum(np.resize(piece, piece.size + piece.size % 2), size), size
            ).astype(np.float32)
        start = int(rng.integers(0, max(piece.size - 1, 1)))
        if piece.size >= self._samples:
            start = int(rng.integers(0, piece.size - self._samples + 1))
            return unit(piece[start : start + self._samples])
        out = np.zeros(self._samples, np.float32)
        at = -start
        sparse = piece.size < GRID_RATE and rng.random() < 0.5
        while at < self._samples:
            low, high = max(at, 0), min(at + piece.size, self._samples)
            out[low:high] += piece[low - at : high - at]
            at += piece.size
            if sparse:
                at += int(rng.uniform(0.0, 1.0) * GRID_RATE)
        return unit(out)

    def _babble(self, rng: Rng) -> Audio:
        """Sum 4 to 30 speakers: all around, in one room, or at tables far away."""
        tables = int(rng.integers(2, 5)) if rng.random() < 0.5 else 1
        at_table = np.zeros((tables, self._samples), np.float32)
        for i in range(round(4.0 * 7.5 ** rng.random())):
            voice = self._voices.sentence(rng, self._samples)
            at_table[i % tables] += unit(voice) * gain(rng, -15.0, 0.0)
        if tables == 1:
            out = self._far(rng, at_table[0]) if rng.random() < 0.5 else at_table[0]
            return unit(out)
        out = np.zeros(self._samples, np.float32)
        for talk in at_table:
            far = unit(convolved(talk, draw_room(rng, distant=True)))
            out += far * gain(rng, -12.0, 0.0)
        return unit(out)

    def _distant(self, rng: Rng) -> Audio:
        """Sum 1 to 3 speakers across the room, at a table behind or next door."""
        out = np.zeros(self._samples, np.float32)
        for _ in range(int(rng.integers(1, 4))):
            voice = self._voices.sentence(rng, self._samples)
            far = unit(convolved(voice, draw_room(rng, distant=True)))
            out += far * gain(rng, -12.0, 0.0)
        return unit(out)
