"""Noisy and clean training pairs, mixed anew for every batch.

Everything linear (change of voice by resampling, equalisation, band limit, room)
is one forward and one backward FFT over the whole sequence, in single precision, which
keeps the mixer well ahead of the training step. What is drawn follows Braun and Tashev
2020 (wide SNR, spectral and level augmentation) and RNNoise's recipe (early reflections
as target, clipping of the input only); the numbers are our own.
"""

from __future__ import annotations

import numpy as np

from streamdenoise.train import noises
from streamdenoise.train.backgrounds import Backgrounds
from streamdenoise.train.calm import calm
from streamdenoise.train.data import Pack
from streamdenoise.train.mixconfig import MixConfig
from streamdenoise.train.shaping import Audio, Rng, active_level, lowpass, rms
from streamdenoise.train.voices import Voices

_CLEAN = 60.0
"""Signal-to-noise ratio in dB of what counts as clean."""


class Mixer:
    """Draws pairs from a pack; every draw is a function of seed and number.

    Parameters
    ----------
    pack
        Decoded corpus.
    config
        What to draw.
    valid
        Draw from the validation split instead of the training split.
    seed
        First part of the seed of every batch.
    """

    def __init__(
        self, pack: Pack, config: MixConfig, *, valid: bool = False, seed: int = 0
    ) -> None:
        self.pack, self.config, self.seed = pack, config, seed
        self.valid = valid
        self.samples = config.samples
        self.voices = Voices(pack, config, valid=valid)
        self.backgrounds = Backgrounds(pack, config, self.voices, valid=valid)

    def batch(self, number: int, size: int) -> tuple[Audio, Audio]:
        """Return batch `number`: noisy and clean, each ``[size, samples]``."""
        noisy = np.empty((size, self.samples), np.float32)
        clean = np.empty((size, self.samples), np.float32)
        for i in range(size):
            now, before = (
                calm(self.seed, n, i, self.config.calm)
                for n in (number, max(number - 1, 0))
            )
            if now is not None:
                noisy[i], clean[i] = self._waiting(now), 0.0
                continue
            rng = np.random.default_rng([self.seed, int(self.valid), number, i])
            # Somebody begins to speak in the noise that has been there all along.
            going_on = None if before is None else self._waiting(before)
            noisy[i], clean[i] = self.pair(rng, going_on)
        return noisy, clean

    def _waiting(self, rng: Rng) -> Audio:
        """Draw what is heard while nobody speaks: a muted microphone, or one noise."""
        # Rarely: in exact zeros the engine does not ask the model.
        if rng.random() < 0.03:
            return np.zeros(self.samples, np.float32)
        noise = self.backgrounds.draw(rng, None, alone=True)
        level = 10.0 ** (rng.uniform(-85.0, -20.0) / 20.0)
        scaled = noise * (level / max(rms(noise), 1e-6))
        return np.asarray(np.clip(scaled, -0.99, 0.99), np.float32)

    def pair(self, rng: Rng, going_on: Audio | None = None) -> tuple[Audio, Audio]:
        """Draw one noisy sequence and its clean target, ``[samples]`` each.

        Parameters
        ----------
        rng
            What everything is drawn from.
        going_on
            Noise to go on with, at its own level; the voice has one for the SNR.
            Drawn as well if None or silent.
        """
        c = self.config
        fresh = going_on is None or not np.any(going_on)
        band = lowpass(rng, self.samples) if rng.random() < c.lowpass else None
        level = 10.0 ** (rng.uniform(c.level_low, c.level_high) / 20.0)
        speechless = rng.random() < c.noise_only
        snr = float(np.clip(rng.normal(c.snr_mean, c.snr_deviation), -8.0, 40.0))
        if fresh:
            if not speechless and rng.random() < c.clean_only:
                snr = _CLEAN
            noise = self.backgrounds.draw(rng, band, alone=speechless)
            noise *= level * 10.0 ** (-snr / 20.0) / max(rms(noise), 1e-6)
        else:
            noise = np.asarray(going_on)
            level = self._level_after(rng, rms(noise), snr)
        if speechless:
            wet = target = np.zeros(self.samples, np.float32)
        else:
            wet, target = self.voices.draw(rng, band)
            scale = level / max(active_level(target), 1e-6)
            wet, target = wet * scale, target * scale
            if snr == _CLEAN and rng.random() < c.rumble:
                # Good recordings rumble too, and are to come out as they were.
                own = level * 10.0 ** (rng.uniform(-45.0, -15.0) / 20.0)
                rumble = noises.rumble(rng, self.samples) * np.float32(own)
                wet, target = wet + rumble, target + rumble
        noisy = wet + noise
        peak = float(np.max(np.abs(noisy), initial=1e-9))
        if peak > 0.99:
            noisy, target = noisy * (0.99 / peak), target * (0.99 / peak)
        if rng.random() < c.clip:
            ceiling = float(np.max(np.abs(noisy))) * rng.uniform(0.3, 0.9)
            noisy = np.clip(noisy, -ceiling, ceiling)
        return noisy.astype(np.float32), target.astype(np.float32)

    def _level_after(self, rng: Rng, noise: float, snr: float) -> float:
        """Draw the level of a voice that begins in a noise of the given level."""
        loudest = 10.0 ** (self.config.level_high / 20.0)
        if rng.random() < 0.5:
            return float(min(noise * 10.0 ** (snr / 20.0), loudest))
        # Most often a room is quiet, and the voice in it as loud as ever.
        usual = 10.0 ** (rng.uniform(-40.0, -12.0) / 20.0)
        return float(min(max(usual, noise * 10.0 ** (-5.0 / 20.0)), loudest))
