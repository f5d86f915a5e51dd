"""A sound that is easy to find again, and finding it to a part of a sample."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["chirp", "find_delay"]

CLEAR: Final = 6.0
"""How far the chirp must stand out of everything else, as a ratio of amplitudes."""

_LEVEL: Final = 0.25
_CHIRP_SECONDS: Final = 0.15
_BAND: Final = (400.0, 3600.0)

FloatArray = NDArray[np.float32]


def chirp(sample_rate: int) -> FloatArray:
    """Return a sine that sweeps through the band of speech, faded in and out."""
    n = round(_CHIRP_SECONDS * sample_rate)
    t = np.arange(n) / sample_rate
    low, high = _BAND
    phase = 2 * np.pi * (low * t + (high - low) * t**2 / (2 * _CHIRP_SECONDS))
    return (_LEVEL * np.hanning(n) * np.sin(phase)).astype(np.float32)


def find_delay(heard: FloatArray, sample_rate: int) -> float | None:
    """Find the chirp in a piece of sound.

    Matched filter: the cross-correlation with the chirp, whose envelope peaks where
    the chirp begins; a parabola through the peak gives fractions of a sample.

    Parameters
    ----------
    heard
        Sound.
    sample_rate
        In Hz.

    Returns
    -------
    float or None
        Seconds from the first sample to the beginning of the chirp; None if it does
        not stand out.
    """
    sound = chirp(sample_rate)
    size = 1 << math.ceil(math.log2(len(heard) + len(sound)))
    spectrum = np.fft.fft(heard, size) * np.conj(np.fft.fft(sound, size))
    spectrum[size // 2 :] = 0.0  # the analytic signal, so that its size is the envelope
    envelope = np.abs(np.fft.ifft(spectrum))[: len(heard)]
    peak = int(np.argmax(envelope))
    level = float(envelope[peak])
    rest = float(np.sqrt(np.mean(envelope**2)))
    if level < 1e-9 or level < CLEAR * rest:
        return None
    shift = 0.0
    if 0 < peak < len(envelope) - 1:
        left, right = float(envelope[peak - 1]), float(envelope[peak + 1])
        bend = left - 2 * level + right
        shift = 0.5 * (left - right) / bend if bend else 0.0
    return (peak + shift) / sample_rate
