"""How near gains bring the bands above 8 kHz to the clean sound."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from streamdenoise.head import HIGH_BANDS
from streamdenoise.train import highnet
from streamdenoise.train.highfit import loss, targets
from streamdenoise.train.highheard import Heard

__all__ = ["Verdict", "gains_of", "ideal_gains", "judge"]

Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Verdict:
    """How near some gains bring the bands above 8 kHz to the clean sound.

    Attributes
    ----------
    loss
        That of training.
    distance_db
        Log-spectral distance over the bands, both lifted to 40 dB under the loudest
        frame of the band.
    sibilants_lost
        Share of what is within 20 dB of the loudest of the clean sound, and above the
        noise, that comes out more than 10 dB quieter than it was.
    hiss_db
        What is taken away where the clean sound is 40 dB under its loudest, mean.
    """

    loss: float
    distance_db: float
    sibilants_lost: float
    hiss_db: float


def judge(heard: Heard, gains: Array) -> Verdict:
    """Judge gains ``[N, T, bands]`` or ``[N, T, 1]``."""
    wanted = targets(heard)
    noisy, clean, known = np.split(wanted, 3, axis=-1)
    out = np.square(gains) * noisy
    loudest = clean.max(axis=1, keepdims=True)
    speech = (known > 0.0) & (loudest > 0.0)
    floor = 1e-4 * loudest + 1e-9
    apart = 10.0 * np.log10((out + floor) / (clean + floor))
    rows = speech.any(axis=(1, 2))
    count = speech[rows].sum(-1)
    frames = np.sqrt((apart[rows] ** 2 * speech[rows]).sum(-1) / np.maximum(count, 1))
    pauses = (known > 0.0) & (clean <= 1e-4 * loudest)
    loud = speech & (clean > 1e-2 * loudest) & (noisy < 2.0 * clean)
    taken = 10.0 * np.log10((noisy[pauses] + 1e-9) / (out[pauses] + 1e-9))
    full = np.broadcast_to(gains, noisy.shape).astype(np.float32)
    return Verdict(
        float(np.mean(np.asarray(loss(wanted, full)))),
        float(frames[count > 0].mean()),
        float(np.mean(apart[loud] < -10.0)),
        float(taken.mean()),
    )


def gains_of(net: highnet.HighNet, heard: Heard) -> Array:
    """Return what a head makes of mixtures, ``[N, T, bands]``."""
    return np.asarray(net.predict(heard.powers, batch_size=32, verbose=0))


def ideal_gains(heard: Heard) -> Array:
    """Return the best that gains of the bands can do, ``[N, T, bands]``."""
    noisy = np.maximum(heard.powers[..., :HIGH_BANDS], 1e-20)
    return np.asarray(np.sqrt(np.minimum(heard.clean / noisy, 1.0)))
