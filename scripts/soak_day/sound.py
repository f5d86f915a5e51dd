"""Sound for a day: speech, noise, silence, clipped sound, offsets and bursts."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from .watch import ROOT

__all__ = ["LEAD_SECONDS", "PROBE_SECONDS", "Day", "Sound", "level"]

CLIP = ROOT / "streamdenoise" / "assets" / "demo-noisy.flac"
KINDS = ("speech", "noise", "silence", "clipping", "offset", "bursts")
LEAD_SECONDS, PROBE_SECONDS = 30, 10
"""Of the piece that is heard every hour."""

Sound = NDArray[np.float32]


def level(samples: Sound) -> float:
    """Return the mean power in dB below full scale."""
    power = float(np.mean(np.square(samples, dtype=np.float64)))
    return 10.0 * math.log10(max(power, 1e-20))


class Day:
    """Sound for a day, a minute at a time; the same for the same number."""

    def __init__(self, rate: int) -> None:
        import soundfile
        from scipy.signal import resample_poly

        clip, own = soundfile.read(CLIP, dtype="float32")
        divisor = math.gcd(rate, own)
        clip = resample_poly(clip, rate // divisor, own // divisor)
        self.rate = rate
        self._clip = clip.astype(np.float32)

    def speech(self, seconds: float, at: int = 0) -> Sound:
        """Return the noisy clip over and over, from a place in it."""
        count = round(seconds * self.rate)
        return self._clip[(at + np.arange(count)) % len(self._clip)]

    def minute(self, number: int) -> Sound:
        """Return a minute of one of `KINDS`, at a level drawn by chance."""
        rng = np.random.default_rng(number)
        kind = KINDS[number % len(KINDS)]
        gain = np.float32(10.0 ** (rng.uniform(-40.0, 0.0) / 20.0))
        count = 60 * self.rate
        voice = self.speech(60, int(rng.integers(len(self._clip))))
        if kind == "silence":
            return np.zeros(count, np.float32)
        if kind == "clipping":
            return np.clip(100.0 * gain * voice, -1.0, 1.0).astype(np.float32)
        if kind == "offset":
            return gain * voice + np.float32(rng.uniform(-1.0, 1.0))
        noise = rng.standard_normal(count, dtype=np.float32)
        if kind == "noise":
            return np.float32(0.3) * gain * noise
        if kind == "bursts":  # a few loud syllables in near silence
            second = np.arange(count) // (self.rate // 4)
            loud = rng.random(int(second[-1]) + 1) < 0.2
            return np.where(loud[second], gain * noise, 1e-4 * noise).astype("f4")
        return gain * voice

    def test_piece(self) -> Sound:
        """Return lead-in and probe: always the same."""
        return self.speech(LEAD_SECONDS + PROBE_SECONDS)
