"""What PESQ would say, with a gradient.

After ITU-T P.862 (2001), section 10, and P.862.2 (2007): level by the telephone band,
power on the Bark scale, compensation of a fixed colour and of a slowly moving gain,
loudness, a dead zone that masks small differences, a second disturbance that counts
only what was added, both as L6 over thirds of a second and L2 over those. Time
alignment, which denoising does not need, is left out. Bands, threshold and exponents
are textbook formulas instead of the standard's tables; what they leave open (level,
exponent, the weight of the second disturbance) was fitted to PESQ-WB itself.

Over 288 outputs of 32 recordings, between 1.0 and 4.3, it correlates with PESQ-WB on
PESQ's own scale by .994, and by .956 between the outputs of one recording, without the
noisy input and what a perfect gain would give: `scripts/quality-study`.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

from streamdenoise.constants import GRID_RATE

HOP, WIN = 256, 512
"""Of the frames in samples; the window is Hann's."""

LISTENING_LEVEL = 84.0
"""Sound pressure in dB that the telephone band of both sounds is played at."""

TELEPHONE = (350.0, 3250.0)
"""Band in Hz that sets the level."""

BAND_BARK = 0.5
"""Width of a band."""

EXPONENT = 0.25
"""Of loudness over power; 0.23 after Zwicker."""

ADDED = 0.309
"""Weight of the disturbance that counts what was added, over the other's."""

PERFECT = 4.3
"""Raw PESQ without disturbance, for the middle of the scale (its end is 4.5)."""

SPLIT = 20
"""Frames that one L6 norm goes over: a third of a second, half overlapping."""

_LOUDNESS = 0.1866
"""Sone per unit at 16 kHz."""

_FULL = 0.05
"""Root mean square that a target is expected at: sets what counts as silent."""

_TINY = 1e-6


def quality(target: Any, estimate: Any) -> Any:
    """Return what PESQ-WB would say of an estimate, about 1 to 4.6, ``[B]``.

    Parameters
    ----------
    target, estimate
        Waveforms ``[B, samples]`` of 0.4 s at least; the target's root mean square
        near 0.05 where there is a voice.
    """
    raw = PERFECT - disturbance(target, estimate)
    # P.862.2, equation 1.
    return 0.999 + 4.0 * ops.sigmoid(1.3669 * raw - 3.8224)


def disturbance(target: Any, estimate: Any) -> Any:
    """Return how far an estimate is from perfect, on the scale of raw PESQ, ``[B]``."""
    tables = _tables()
    threshold = tables["threshold"]
    a, b = (_bands(x, tables) for x in (target, estimate))
    a = a * _colour(a, b, threshold)[:, None]
    b = b * _follow(a, b, threshold)[..., None]
    loud_a, loud_b = (_sone(p, threshold, tables["power"]) for p in (a, b))
    dead = 0.25 * ops.minimum(loud_a, loud_b)
    heard = ops.maximum(ops.abs(loud_b - loud_a) - dead, 0.0)
    added = ops.exp(1.2 * (ops.log(b + 50.0) - ops.log(a + 50.0)))
    added = heard * ops.where(added < 3.0, 0.0, ops.minimum(added, 12.0))
    total = BAND_BARK * a.shape[-1]
    both = BAND_BARK * ops.sqrt(total * ops.sum(heard * heard, axis=-1) + _TINY)
    added = BAND_BARK * ops.sum(added, axis=-1)
    audible = ops.sum(ops.where(a > threshold, a, 0.0), axis=-1)
    weight = ops.exp(-0.04 * ops.log((audible + 1e5) / 1e7))
    return 0.1 * (_over_time(both * weight) + ADDED * _over_time(added * weight))


def _bands(x: Any, tables: dict[str, NDArray[np.float32]]) -> Any:
    """Return the power of a waveform in bands re the threshold of hearing."""
    rows = ops.shape(x)[0]
    count = x.shape[1] // HOP
    hops = ops.reshape(x[:, : count * HOP], (rows, count, HOP))
    frames = ops.concatenate([hops[:, :-1], hops[:, 1:]], axis=-1)
    real, imag = ops.rfft(frames * tables["window"])
    power = real * real + imag * imag
    level = ops.mean(ops.matmul(power, tables["telephone"]), axis=1)[:, None, None]
    # A pause is not turned up to the level of speech.
    level = ops.maximum(level, 0.1 * _FULL**2)
    return ops.matmul(power, tables["bands"]) / level + _TINY


def _colour(a: Any, b: Any, threshold: Any) -> Any:
    """Return the gain of each band that gives `a` the long-term spectrum of `b`."""
    a, b = (ops.where(p > 100.0 * threshold, p, 0.0) for p in (a, b))
    spoken = ops.cast(ops.sum(a, axis=-1, keepdims=True) > 1e6, a.dtype)
    count = ops.sum(spoken, axis=1) + _TINY
    a, b = (ops.sum(p * spoken, axis=1) / count + 1e3 for p in (a, b))
    return ops.clip(b / a, 0.01, 100.0)


def _follow(a: Any, b: Any, threshold: Any) -> Any:
    """Return the gain that brings each frame of `b` to the audible power of `a`.

    The ear forgives a level that moves slowly.
    """
    a, b = (ops.sum(ops.where(p > threshold, p, 0.0), axis=-1) for p in (a, b))
    gain = (a + 5e3) / (b + 5e3)
    # One pole with .8 for the newest frame, from 1 at the start; its tail is cut off.
    padded = ops.pad(gain, [[0, 0], [3, 0]], constant_values=1.0)
    count = gain.shape[1]
    shares = (0.8, 0.16, 0.032, 0.008)
    gain = sum(w * padded[:, 3 - k : 3 - k + count] for k, w in enumerate(shares))
    return ops.clip(gain, 3e-4, 5.0)


def _sone(band: Any, threshold: Any, power: Any) -> Any:
    """Return the loudness of band powers after Zwicker, 0 below the threshold."""
    at = ops.log(0.5 + 0.5 * band / threshold)
    full = _LOUDNESS * np.exp(power * np.log(threshold / 0.5))
    return ops.maximum(full * (ops.exp(power * at) - 1.0), 0.0)


def _over_time(x: Any) -> Any:
    """Weigh bad moments more: L6 over thirds of a second, L2 over those."""
    half = SPLIT // 2
    # No frame counts more than 45, as in P.862; in 45ths, no sixth power overflows.
    x = ops.minimum(x / 45.0, 1.0)
    count = x.shape[1] // half
    sixth = ops.square(x * x * x)[:, : count * half]
    sums = ops.sum(ops.reshape(sixth, (-1, count, half)), axis=-1)
    means = (sums[:, :-1] + sums[:, 1:]) / SPLIT
    squares = ops.exp(ops.log(means + 1e-18) / 3.0)
    return 45.0 * ops.sqrt(ops.mean(squares, axis=-1))


@cache
def _tables() -> dict[str, NDArray[np.float32]]:
    """Return all constants.

    The window; the weights ``[257]`` of bins in the level and ``[257, bands]`` in each
    band, scaled to pressure; thresholds and exponents ``[bands]``. The Bark scale is
    Schroeder's, ``7 asinh(f / 650)``; the threshold in quiet is Terhardt's (1979); the
    exponent grows below 4 Bark as in P.862.
    """
    window = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(WIN) / WIN)
    bins = WIN // 2 + 1
    hertz = np.arange(bins) * GRID_RATE / WIN
    # Mean square of a waveform from the squared bins of its windowed frames.
    mean_square = 2.0 / (WIN * np.sum(window**2))
    low, high = ((hertz / f) ** 8 for f in TELEPHONE)
    telephone = mean_square * low / (1.0 + low) / (1.0 + high)
    place = 7.0 * np.arcsinh(hertz / 650.0) / BAND_BARK
    count = int(place[-1])
    centres = np.arange(count) + 0.5
    # What lies beyond the middle of the first or last band belongs to it.
    place = np.clip(place, centres[0], centres[-1])
    bands = np.maximum(0.0, 1.0 - np.abs(place[:, None] - centres))
    # A high-pass at 100 Hz, as P.862.2 puts before everything.
    rumble = (hertz / 100.0) ** 4
    bands *= (rumble / (1.0 + rumble))[:, None]
    bands *= mean_square * 10.0 ** (LISTENING_LEVEL / 10.0)
    bark = centres * BAND_BARK
    khz = 0.65 * np.sinh(bark / 7.0)
    quiet = 3.64 * khz**-0.8 - 6.5 * np.exp(-0.6 * (khz - 3.3) ** 2) + 1e-3 * khz**4
    slow = np.where(bark < 4.0, np.minimum(6.0 / (bark + 2.0), 2.0), 1.0)
    tables = {
        "window": window,
        "telephone": telephone,
        "bands": bands,
        "threshold": 10.0 ** (quiet / 10.0),
        "power": EXPONENT * slow**0.15,
    }
    return {name: table.astype(np.float32) for name, table in tables.items()}
