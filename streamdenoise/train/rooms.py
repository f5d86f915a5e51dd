"""Rooms: impulse responses made from nothing, and what of one is to be kept.

The target of a recording in a room is the direct sound with its early reflections,
which a voice sounds bare without; what comes later is reverberation.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import fft

from streamdenoise.constants import GRID_RATE

Audio = npt.NDArray[np.float32]
Rng = np.random.Generator

EARLY_SECONDS = 0.05
"""What of a room counts as part of the voice, from the direct sound on."""

_FADE_SECONDS = 0.005


def early_part(response: Audio) -> tuple[Audio, int]:
    """Return the early part of an impulse response, and where the direct sound is.

    The early part fades out after `EARLY_SECONDS`, and is as long as the whole.
    """
    direct = int(np.argmax(np.abs(response)))
    end, fade = (
        round(seconds * GRID_RATE) for seconds in (EARLY_SECONDS, _FADE_SECONDS)
    )
    early = response.copy()
    tail = early[direct + end : direct + end + fade]
    tail *= np.linspace(1.0, 0.0, fade, dtype=np.float32)[: tail.size]
    early[direct + end + fade :] = 0.0
    return early, direct


def draw_room(rng: Rng, *, distant: bool = False) -> Audio:
    """Draw a small room: direct sound, sparse early echoes, decaying dense tail.

    The decay time falls with frequency as air and furniture absorb, RT60 0.1 to
    0.9 s at low frequencies; the direct-to-reverberant ratio is -3 to 12 dB.

    Parameters
    ----------
    rng
        What everything is drawn from.
    distant
        Whether the sound comes from across a room or from the next one: RT60 from
        0.3 s, and a direct-to-reverberant ratio of -18 to -5 dB.
    """
    rt60 = float(rng.uniform(0.3 if distant else 0.1, 0.9))
    ratio = (-18.0, -5.0) if distant else (-3.0, 12.0)
    samples = int(rt60 * GRID_RATE) // 256 * 256
    time = np.arange(samples) / GRID_RATE
    tail = np.zeros(samples)
    white = fft.rfft(rng.standard_normal(samples, np.float32))
    frequency = np.linspace(0.0, 8000.0, white.size)
    for low, high, share in ((0, 800, 1.0), (800, 3000, 0.85), (3000, 8001, 0.6)):
        band = fft.irfft(white * ((frequency >= low) & (frequency < high)), samples)
        tail += band * 10.0 ** (-3.0 * time / (rt60 * share))
    onset = int(rng.uniform(0.002, 0.02) * GRID_RATE)
    tail[:onset] = 0.0
    for _ in range(int(rng.integers(3, 12))):
        at = int(rng.uniform(0.001, 0.04) * GRID_RATE)
        if at < samples:
            tail[at] += rng.normal(0.0, 3.0) * 10.0 ** (-3.0 * at / GRID_RATE / rt60)
    tail *= 10.0 ** (-rng.uniform(*ratio) / 20.0) / np.sqrt(np.sum(tail**2) + 1e-9)
    tail[0] = 1.0
    return tail.astype(np.float32)
