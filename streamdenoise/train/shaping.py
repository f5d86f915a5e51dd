"""What is done to single sounds on their way into a mixture."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import fft

Audio = npt.NDArray[np.float32]
Rng = np.random.Generator


def gain(rng: Rng, low: float, high: float) -> float:
    """Draw a factor, uniform in dB."""
    return float(10.0 ** (rng.uniform(low, high) / 20.0))


def convolved(sound: Audio, response: Audio) -> Audio:
    """Return `sound` as heard through `response`, as long as before."""
    size = fast_size(sound.size + response.size)
    spectrum = fft.rfft(sound, size) * fft.rfft(response, size)
    return np.asarray(fft.irfft(spectrum, size)[: sound.size], np.float32)


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


def unit(x: Audio) -> Audio:
    """Return `x` with a root mean square of 1."""
    return (x / max(rms(x), 1e-6)).astype(np.float32)


def fast_size(n: int) -> int:
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


def lowpass(rng: Rng, samples: int) -> Audio:
    """Draw a band limit as telephones, codecs and cheap microphones have it."""
    frequency = np.linspace(0.0, 8000.0, samples // 2 + 1)
    corner = rng.choice([3400.0, 4000.0, 5500.0, 7000.0])
    slope = rng.uniform(50.0, 400.0)
    curve = 1.0 / (1.0 + np.exp((frequency - corner) / slope))
    return np.asarray(curve, np.float32)
