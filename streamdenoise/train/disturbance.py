"""How different two sounds are to the ear: the disturbances of PESQ, with a gradient.

After ITU-T P.862 (2001), section 10: band powers on the Bark scale, hearing threshold,
loudness, a dead zone that masks small differences, and a second disturbance that counts
only what was added. Left out is what has no use where level and timing are known, and
what looks at more than one frame: alignment, equalisation, the smoothing of the gain.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

from streamdenoise.constants import GRID_BINS, GRID_HOP, GRID_RATE, GRID_WIN
from streamdenoise.windows import windows

LISTENING_LEVEL = 79.0
"""Sound pressure in dB that the speech is played at."""

BAND_BARK = 0.5
"""Width of a band."""

_LOUDNESS = 0.1866
"""Sone per unit at 16 kHz."""

_TINY = 1e-6


def disturbance(
    target: tuple[Any, Any], estimate: tuple[Any, Any], level: float
) -> Any:
    """Return how far an estimate is from perfect, in points of PESQ, ``[B]``.

    Parameters
    ----------
    target, estimate
        Real and imaginary frames ``[B, T, 257]``.
    level
        Root mean square of the target's waveform that stands for `LISTENING_LEVEL`.
    """
    bands, threshold, power = _tables()
    scale = _pressure(level)
    a, b = (
        ops.matmul((re * re + im * im) * scale, bands) + _TINY
        for re, im in (target, estimate)
    )
    b = b * _follow(a, b, threshold)[..., None]
    loud_a, loud_b = (_sone(p, threshold, power) for p in (a, b))
    difference = loud_b - loud_a
    dead = 0.25 * ops.minimum(loud_a, loud_b)
    heard = ops.maximum(ops.abs(difference) - dead, 0.0)
    added = ops.exp(1.2 * (ops.log(b + 50.0) - ops.log(a + 50.0)))
    added = heard * ops.where(added < 3.0, 0.0, ops.minimum(added, 12.0))
    total = BAND_BARK * bands.shape[1]
    symmetric = BAND_BARK * ops.sqrt(total * ops.sum(heard * heard, axis=-1) + _TINY)
    asymmetric = BAND_BARK * ops.sum(added, axis=-1)
    weight = ops.exp(-0.04 * ops.log((ops.sum(a, axis=-1) + 1e5) / 1e7))
    return 0.1 * _over_time(symmetric * weight) + 0.0309 * _over_time(
        asymmetric * weight
    )


def _over_time(x: Any) -> Any:
    """Weigh bad moments more: the root mean square of frames."""
    # No frame counts more than this, as in P.862.
    return ops.sqrt(ops.mean(ops.square(ops.minimum(x, 45.0)), axis=-1) + _TINY)


def _follow(a: Any, b: Any, threshold: Any) -> Any:
    """Return the gain that brings the audible power of each frame of `b` to `a`'s.

    The ear forgives a level that moves: of 184 pairs, with it the correlation with
    PESQ-WB is -.93 (of the disturbance's logarithm), without it -.91.
    """
    heard_a, heard_b = (
        ops.sum(ops.where(p > 100.0 * threshold, p, 0.0), axis=-1) for p in (a, b)
    )
    return ops.clip((heard_a + 5e3) / (heard_b + 5e3), 3e-4, 5.0)


def _sone(band: Any, threshold: Any, power: Any) -> Any:
    """Return the loudness of band powers after Zwicker, 0 below the threshold."""
    at = ops.log(0.5 + 0.5 * band / threshold)
    full = _LOUDNESS * np.exp(power * np.log(threshold / 0.5))
    return ops.maximum(full * (ops.exp(power * at) - 1.0), 0.0)


def _pressure(level: float) -> float:
    """Return what turns squared bins into power re the threshold of hearing."""
    analysis, _ = windows(GRID_WIN, 2 * GRID_HOP, GRID_HOP)
    mean = GRID_BINS * level**2 * float(np.sum(analysis**2))
    return float(10.0 ** (LISTENING_LEVEL / 10.0) / mean)


@cache
def _tables() -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Return band weights ``[257, bands]``, thresholds and exponents ``[bands]``.

    The Bark scale is Schroeder's, ``7 asinh(f / 650)``; the threshold in quiet is
    Terhardt's (1979); the exponent grows below 4 Bark as in P.862.
    """
    hertz = np.arange(GRID_BINS) * GRID_RATE / GRID_WIN
    place = 7.0 * np.arcsinh(hertz / 650.0) / BAND_BARK
    count = int(place[-1])
    centres = np.arange(count) + 0.5
    # What lies beyond the middle of the first or last band belongs to it.
    place = np.clip(place, centres[0], centres[-1])
    bands = np.maximum(0.0, 1.0 - np.abs(place[:, None] - centres))
    bark = centres * BAND_BARK
    khz = 0.65 * np.sinh(bark / 7.0)
    quiet = 3.64 * khz**-0.8 - 6.5 * np.exp(-0.6 * (khz - 3.3) ** 2) + 1e-3 * khz**4
    low = np.where(bark < 4.0, np.minimum(6.0 / (bark + 2.0), 2.0), 1.0)
    power = 0.23 * low**0.15
    return (
        bands.astype(np.float32),
        (10.0 ** (quiet / 10.0)).astype(np.float32),
        power.astype(np.float32),
    )
