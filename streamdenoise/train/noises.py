"""Noises made from nothing.

The recordings are thin on fans, air conditioners, offices and cars. These
generators fill the gap: broadband noise of random colour with slow changes of
level, hum with harmonics, rotating machines, bursts and clicks.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import fft

from streamdenoise.constants import GRID_RATE

Audio = npt.NDArray[np.float32]
Rng = np.random.Generator


def synthetic(rng: Rng, samples: int) -> Audio:
    """Draw one synthetic noise of `samples` at 16 kHz; its level is arbitrary."""
    kind = rng.choice(4, p=(0.4, 0.15, 0.3, 0.15))
    return (coloured, hum, machine, bursts)[kind](rng, samples)


def coloured(rng: Rng, samples: int) -> Audio:
    """Broadband noise: random slope, random bumps, level that wanders slowly."""
    spectrum = fft.rfft(rng.standard_normal(samples, np.float32))
    frequency = np.linspace(0.0, 8000.0, spectrum.size, dtype=np.float32)
    octave = np.log2(np.maximum(frequency, 40.0) / 1000.0)
    shape = octave * rng.uniform(-7.0, 2.0)
    for _ in range(int(rng.integers(0, 4))):
        centre = rng.uniform(-4.0, 3.0)
        shape += rng.uniform(-8.0, 12.0) * np.exp(
            -(((octave - centre) / rng.uniform(0.1, 1.0)) ** 2)
        )
    x = fft.irfft(spectrum * 10.0 ** (shape / 20.0), samples)
    return np.asarray(x * _wander(rng, samples, 0.0, 4.0), np.float32)


def hum(rng: Rng, samples: int) -> Audio:
    """Mains hum: 50 or 60 Hz (now and then a transformer's multiple), harmonics."""
    base = rng.choice([50.0, 60.0]) * rng.choice([1, 1, 2])
    floor = coloured(rng, samples)
    floor *= 10.0 ** (rng.uniform(-20.0, 0.0) / 20.0) / max(float(floor.std()), 1e-6)
    tone = _harmonics(rng, samples, float(base), rng.uniform(0.0, 1.5))
    return (tone + floor).astype(np.float32)


def machine(rng: Rng, samples: int) -> Audio:
    """Fan or motor: a tone that drifts, and broadband noise that beats with it."""
    base = float(rng.uniform(20.0, 400.0))
    air = coloured(rng, samples)
    air /= max(float(air.std()), 1e-6)
    time = np.arange(samples) / GRID_RATE
    beat = 1.0 + rng.uniform(0.0, 0.5) * np.sin(
        2.0 * np.pi * base / rng.integers(1, 9) * time + rng.uniform(0.0, 6.28)
    )
    tone = _harmonics(rng, samples, base, rng.uniform(0.3, 2.0))
    tone = tone * 10.0 ** (rng.uniform(-20.0, 6.0) / 20.0)
    return np.asarray(air * beat + tone, np.float32)


def rumble(rng: Rng, samples: int) -> Audio:
    """Shake the microphone: traffic, wind, footsteps, a table; unit RMS.

    From a few hertz up to a corner between 30 and 250 Hz, and in gusts. Outdoors it is
    most of a noise's power, though nobody hears it, and coded recordings have lost it.
    """
    frequency = np.linspace(0.0, 8000.0, samples // 2 + 1, dtype=np.float32)
    corner = 30.0 * (250.0 / 30.0) ** (rng.random() ** 2)
    floor = rng.uniform(2.0, 25.0)
    size = int(np.searchsorted(frequency, 6.0 * corner))
    low = frequency[:size]
    # Rises above the floor, leans to one side in between, falls beyond the corner.
    shape = (low / (low + floor)) ** 2
    shape *= np.maximum(low, floor) ** rng.uniform(-1.0, 0.3)
    shape /= 1.0 + (low / corner) ** rng.uniform(2.0, 8.0)
    spectrum = np.zeros(frequency.size, np.complex64)
    both = rng.standard_normal((2, size), np.float32)
    spectrum[:size] = (both[0] + 1j * both[1]) * shape
    spectrum[0] = 0.0
    x = fft.irfft(spectrum, samples) * _wander(rng, samples, 0.0, 8.0)
    return np.asarray(x / max(float(x.std()), 1e-9), np.float32)


def bursts(rng: Rng, samples: int) -> Audio:
    """Clicks, taps and knocks: decaying bursts of coloured noise at random times."""
    out = np.zeros(samples, np.float32)
    for _ in range(int(rng.integers(2, 30))):
        size = int(rng.uniform(0.002, 0.12) * GRID_RATE)
        at = int(rng.integers(0, max(samples - size, 1)))
        decay = np.exp(-np.arange(size) / (size * rng.uniform(0.08, 0.4)))
        burst = coloured(rng, size + size % 2)[:size] * decay
        burst /= max(float(np.sqrt(np.mean(burst**2))), 1e-6)
        out[at : at + size] += burst * 10.0 ** (rng.uniform(-20.0, 0.0) / 20.0)
    floor = coloured(rng, samples)
    floor *= 0.03 / max(float(floor.std()), 1e-6)
    return (out + floor).astype(np.float32)


def _harmonics(rng: Rng, samples: int, base: float, slope: float) -> Audio:
    """Sum harmonics of `base` Hz that drift together; unit RMS."""
    drift = base * (1.0 + 0.01 * (_wander(rng, samples, 0.0, 1.0) - 1.0))
    # One rotation, and its powers: a sine of each would take ten times as long.
    turning = np.exp(2j * np.pi / GRID_RATE * np.cumsum(drift))
    phasor = np.ones(samples, np.complex128)
    out = np.zeros(samples)
    for k in range(1, int(rng.integers(3, 16))):
        if k * base > 7500.0:
            break
        weight = k**-slope * 10.0 ** (rng.normal(0.0, 5.0) / 20.0)
        phasor *= turning
        start = weight * np.exp(1j * rng.uniform(0.0, 6.28))
        out += start.real * phasor.imag + start.imag * phasor.real
    return (out / max(float(out.std()), 1e-6)).astype(np.float32)


def _wander(rng: Rng, samples: int, mean: float, deviation: float) -> Audio:
    """Draw a slow random gain curve; mean and deviation in dB."""
    knots = rng.normal(mean, deviation * rng.random(), max(2, samples // 8000 + 2))
    curve = np.interp(np.arange(samples), np.linspace(0.0, samples, knots.size), knots)
    return np.asarray(10.0 ** (curve.astype(np.float32) / 20.0))
