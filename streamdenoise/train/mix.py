"""Noisy and clean training pairs, mixed anew for every batch.

Everything linear (change of voice by resampling, equalisation, band limit, room)
is one forward and one backward FFT over the whole sequence, in single precision, which
keeps the mixer well ahead of the training step. What is drawn follows Braun and Tashev
2020 (wide SNR, spectral and level augmentation) and RNNoise's recipe (early reflections
as target, clipping of the input only); the numbers are our own.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import fft

from streamdenoise.constants import GRID_HOP, GRID_RATE
from streamdenoise.train import noises
from streamdenoise.train.calm import calm
from streamdenoise.train.data import UNKNOWN, Pack, noise_weights, piece_weights
from streamdenoise.train.rooms import draw_room, early_part

Audio = npt.NDArray[np.float32]
Rng = np.random.Generator

_CLEAN = 60.0
"""Signal-to-noise ratio in dB of what counts as clean."""


@dataclass(frozen=True)
class MixConfig:
    """What is drawn, and how often. Probabilities are per sequence.

    Attributes
    ----------
    seconds
        Length of a sequence.
    snr_mean, snr_deviation
        Of the normal distribution of signal-to-noise ratios in dB, over active
        speech; cut to [-8, 40].
    level_low, level_high
        Range of the active speech level in dBFS, uniform.
    noise_only, clean_only
        Sequences without speech, and without noise.
    voice, equalise, lowpass, room, clip
        Augmentations: other voice by resampling, random curve, band limit,
        reverberation, clipped input.
    synthetic, babble, distant, second
        Kinds of noise: made from nothing, other speakers, one to three speakers far
        from the microphone while somebody speaks into it, a second recording.
    rumble
        Rumble under a noise; and, as often, a quiet one of its own in a recording
        without other noise, which then is part of the target.
    calm
        Share of runs of mixtures that begin without a voice: see `train.calm`.
    """

    seconds: float = 3.0
    snr_mean: float = 8.0
    snr_deviation: float = 7.0
    level_low: float = -70.0
    level_high: float = -8.0
    noise_only: float = 0.05
    clean_only: float = 0.1
    voice: float = 0.5
    equalise: float = 0.6
    lowpass: float = 0.1
    room: float = 0.25
    clip: float = 0.03
    synthetic: float = 0.3
    babble: float = 0.2
    distant: float = 0.06
    second: float = 0.25
    rumble: float = 0.35
    calm: float = 0.0

    @property
    def samples(self) -> int:
        """Length of a sequence in samples: whole hops."""
        return round(self.seconds * GRID_RATE) // GRID_HOP * GRID_HOP


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
        self.speech = [r for r in pack.index["speech"] if r["valid"] == valid]
        self.noise = [r for r in pack.index["noise"] if r["valid"] == valid]
        self.rooms: dict[str, list[dict[str, Any]]] = {}
        for row in pack.index["rooms"]:
            self.rooms.setdefault(str(row["room"]), []).append(row)
        self._weights = np.cumsum(piece_weights(self.speech))
        self._noise_weights = np.cumsum(noise_weights(self.noise))
        self._by_speaker: dict[str, list[dict[str, Any]]] = {}
        for place, row in enumerate(self.speech):
            self._by_speaker.setdefault(_voice_of(row, place), []).append(row)

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
        noise = self._background(rng, None, alone=True)
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
        band = _lowpass(rng, self.samples) if rng.random() < c.lowpass else None
        level = 10.0 ** (rng.uniform(c.level_low, c.level_high) / 20.0)
        speechless = rng.random() < c.noise_only
        snr = float(np.clip(rng.normal(c.snr_mean, c.snr_deviation), -8.0, 40.0))
        if fresh:
            if not speechless and rng.random() < c.clean_only:
                snr = _CLEAN
            noise = self._background(rng, band, alone=speechless)
            noise *= level * 10.0 ** (-snr / 20.0) / max(rms(noise), 1e-6)
        else:
            noise = np.asarray(going_on)
            level = self._level_after(rng, rms(noise), snr)
        if speechless:
            wet = target = np.zeros(self.samples, np.float32)
        else:
            wet, target = self._voice(rng, band)
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

    def _voice(self, rng: Rng, band: Audio | None) -> tuple[Audio, Audio]:
        """Draw speech as the microphone hears it, and its early part."""
        c, n = self.config, self.samples
        # Rarely far below 1: nothing would be left of the highest band.
        ratio = rng.triangular(0.85, 1.02, 1.2) if rng.random() < c.voice else 1.0
        dry = self._sentence(rng, round(n * ratio / 480) * 480)
        room = self._room(rng) if rng.random() < c.room else None
        tail = 0 if room is None else room[0].size
        spectrum = respectrum(dry, n)
        if rng.random() < c.equalise:
            spectrum *= curve(rng, n)
        if band is not None:
            spectrum *= band
        if room is None:
            voice = fft.irfft(spectrum, n).astype(np.float32)
            return voice, voice
        size = _fast_size(n + tail)
        source = fft.rfft(fft.irfft(spectrum, n), size)
        wet, early = (
            fft.irfft(source * fft.rfft(part, size), size)[:n] for part in room
        )
        return wet.astype(np.float32), early.astype(np.float32)

    def _sentence(self, rng: Rng, samples: int) -> Audio:
        """Join pieces of one speaker, with pauses between them."""
        place = int(np.searchsorted(self._weights, rng.random()))
        first = self.speech[place]
        pieces = self._by_speaker[_voice_of(first, place)]
        out = np.zeros(samples, np.float32)
        at = int(rng.uniform(0.0, 0.5) * GRID_RATE)
        row, skip = first, 0
        if first["length"] > samples:
            # Begin anywhere in a long piece, or its end would never be heard.
            skip = int(rng.integers(0, first["length"] - samples // 2))
            at = 0
        while at < samples:
            piece = self.pack.piece("speech", row)[skip:]
            skip = 0
            part = piece[: samples - at]
            out[at : at + part.size] += part
            at += piece.size + int(rng.uniform(0.05, 0.7) * GRID_RATE)
            row = pieces[int(rng.integers(len(pieces)))]
        return out

    def _room(self, rng: Rng) -> tuple[Audio, Audio]:
        """Draw an impulse response and its early part, energy 1 in the early part."""
        if rng.random() < 0.4:
            # The room first: some were measured at many places.
            rows = list(self.rooms.values())[int(rng.integers(len(self.rooms)))]
            room = self.pack.piece("rooms", rows[int(rng.integers(len(rows)))])
        else:
            room = draw_room(rng)
        early, direct = early_part(room)
        scale = 1.0 / max(float(np.sqrt(np.sum(early**2))), 1e-6)
        # The direct sound moves to the front, so that wet and dry stay aligned.
        start = max(direct - 8, 0)
        return room[start:] * scale, early[start:] * scale

    def _background(self, rng: Rng, band: Audio | None, *, alone: bool) -> Audio:
        """Draw one or several noises and shape them.

        Far voices come with a near one only: alone, they may be a user in an echoing
        room, who must not be muted. A crowd is nobody in particular, and comes instead.
        """
        c, n = self.config, self.samples
        total = np.zeros(n, np.float32)
        kind = rng.random()
        if kind < c.babble or (alone and kind < c.babble + c.distant):
            total += self._babble(rng)
        elif kind < c.babble + c.distant:
            total += self._distant(rng)
        elif kind < c.babble + c.distant + c.synthetic:
            total += _unit(noises.synthetic(rng, n))
        else:
            total += self._recording(rng)
        if rng.random() < c.second:
            other = (
                self._recording(rng)
                if rng.random() < 0.6
                else _unit(noises.synthetic(rng, n))
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
        return _convolved(sound, self._room(rng)[0])

    def _recording(self, rng: Rng) -> Audio:
        """Draw a recorded noise, strung together until the sequence is full."""
        row = self.noise[int(np.searchsorted(self._noise_weights, rng.random()))]
        piece = self.pack.piece("noise", row)
        if rng.random() < 0.3:
            size = round(piece.size * rng.uniform(0.7, 1.4) / 160 + 1) * 160
            piece = fft.irfft(
                respectrum(np.resize(piece, _even(piece.size)), size), size
            ).astype(np.float32)
        start = int(rng.integers(0, max(piece.size - 1, 1)))
        if piece.size >= self.samples:
            start = int(rng.integers(0, piece.size - self.samples + 1))
            return _unit(piece[start : start + self.samples])
        out = np.zeros(self.samples, np.float32)
        at = -start
        sparse = piece.size < GRID_RATE and rng.random() < 0.5
        while at < self.samples:
            low, high = max(at, 0), min(at + piece.size, self.samples)
            out[low:high] += piece[low - at : high - at]
            at += piece.size
            if sparse:
                at += int(rng.uniform(0.0, 1.0) * GRID_RATE)
        return _unit(out)

    def _babble(self, rng: Rng) -> Audio:
        """Sum 4 to 30 speakers: all around, in one room, or at tables far away."""
        tables = int(rng.integers(2, 5)) if rng.random() < 0.5 else 1
        at_table = np.zeros((tables, self.samples), np.float32)
        for i in range(round(4.0 * 7.5 ** rng.random())):
            voice = self._sentence(rng, self.samples)
            at_table[i % tables] += _unit(voice) * _gain(rng, -15.0, 0.0)
        if tables == 1:
            out = self._far(rng, at_table[0]) if rng.random() < 0.5 else at_table[0]
            return _unit(out)
        out = np.zeros(self.samples, np.float32)
        for talk in at_table:
            far = _unit(_convolved(talk, draw_room(rng, distant=True)))
            out += far * _gain(rng, -12.0, 0.0)
        return _unit(out)

    def _distant(self, rng: Rng) -> Audio:
        """Sum 1 to 3 speakers across the room, at a table behind or next door."""
        out = np.zeros(self.samples, np.float32)
        for _ in range(int(rng.integers(1, 4))):
            voice = self._sentence(rng, self.samples)
            far = _unit(_convolved(voice, draw_room(rng, distant=True)))
            out += far * _gain(rng, -12.0, 0.0)
        return _unit(out)


def _gain(rng: Rng, low: float, high: float) -> float:
    """Draw a factor, uniform in dB."""
    return float(10.0 ** (rng.uniform(low, high) / 20.0))


def _convolved(sound: Audio, response: Audio) -> Audio:
    """Return `sound` as heard through `response`, as long as before."""
    size = _fast_size(sound.size + response.size)
    spectrum = fft.rfft(sound, size) * fft.rfft(response, size)
    return np.asarray(fft.irfft(spectrum, size)[: sound.size], np.float32)


def _voice_of(row: dict[str, Any], place: int) -> str:
    """Name the speaker; of the unknown, neighbours in the index most likely agree."""
    speaker = str(row["speaker"])
    return f"{row['source']} {place // 4}" if speaker == UNKNOWN else speaker


def active_level(x: Audio, frame: int = 256) -> float:
    """Return the RMS of `x` over frames within 35 dB of the loudest (16 ms each)."""
    frames = x[: x.size // frame * frame].reshape(-1, frame)
    power = np.mean(frames * frames, axis=1)
    if not power.size or power.max() <= 0.0:
        return 0.0
    return float(np.sqrt(np.mean(power[power > power.max() * 10.0**-3.5])))


def rms(x: npt.NDArray[np.floating[Any]]) -> float:
    """Return the root mean square of `x`."""
    return float(np.sqrt(np.mean(x * x)))


def _unit(x: Audio) -> Audio:
    return (x / max(rms(x), 1e-6)).astype(np.float32)


def _even(n: int) -> int:
    return n + n % 2


def _fast_size(n: int) -> int:
    """Return a size of at least `n` that an FFT does quickly."""
    return -(-n // 2048) * 2048


def respectrum(x: Audio, samples: int) -> npt.NDArray[np.complex64]:
    """Return the spectrum of `x` stretched or squeezed to `samples`."""
    spectrum = fft.rfft(x)
    out = np.zeros(samples // 2 + 1, spectrum.dtype)
    keep = min(out.size, spectrum.size)
    out[:keep] = spectrum[:keep] * (samples / x.size)
    return out


def curve(rng: Rng, samples: int, top: float = 8000.0, knots: int = 9) -> Audio:
    """Draw a smooth equaliser curve: knots on a mel-like axis, 4 dB deviation.

    Parameters
    ----------
    rng
        Drawn from once for each knot.
    samples
        Of the signal whose spectrum is to be multiplied.
    top
        Highest frequency in Hz: half the sample rate.
    knots
        From 0 Hz to `top`.
    """
    mel = _mel(samples // 2 + 1, top)
    levels = rng.normal(0.0, 4.0 * np.log(10.0) / 20.0, knots)
    shape = np.interp(mel, np.linspace(0.0, mel[-1], knots), levels)
    return np.exp(shape.astype(np.float32))


@cache
def _mel(bins: int, top: float) -> npt.NDArray[np.float64]:
    """Return a mel-like number for each bin from 0 Hz to `top`."""
    return np.log1p(np.linspace(0.0, top, bins) / 700.0)


def _lowpass(rng: Rng, samples: int) -> Audio:
    """Draw a band limit as telephones, codecs and cheap microphones have it."""
    frequency = np.linspace(0.0, 8000.0, samples // 2 + 1)
    corner = rng.choice([3400.0, 4000.0, 5500.0, 7000.0])
    slope = rng.uniform(50.0, 400.0)
    curve = 1.0 / (1.0 + np.exp((frequency - corner) / slope))
    return np.asarray(curve, np.float32)
