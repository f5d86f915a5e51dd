"""Training of the head above 8 kHz, on what it hears in mixtures."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from streamdenoise.head import HIGH_BANDS, LOW_BANDS
from streamdenoise.train import highnet
from streamdenoise.train.highheard import Heard

Array = npt.NDArray[np.float32]

SEQUENCE: Final = 500
"""Frames of a training sequence, 4 s."""

EATEN: Final = 4.0
"""Extra weight where a band comes out quieter than the clean one. With .5 an "s" in
noise lost twice as much as by the rule."""

COLOUR_DB: Final = 4.0
"""Deviation of the random colour of each band: microphones differ."""

_LOWER_RATES: Final = (2, 3, 5)
"""Bands that there are at 22.05, 24 and 32 kHz, for a share of the sequences."""


def targets(heard: Heard) -> Array:
    """Return noisy and clean powers and where they count, ``[N, T, 3 bands]``.

    Scaled so that the clean sound above 8 kHz has mean power 1 in a sequence; without
    one, so that the noise has 20.
    """
    noisy = heard.powers[..., :HIGH_BANDS]
    scale = np.maximum(heard.clean.mean((1, 2)), 0.05 * noisy.mean((1, 2))) + 1e-12
    known = np.broadcast_to(heard.known[:, None], noisy.shape)
    parts = [noisy / scale[:, None, None], heard.clean / scale[:, None, None], known]
    return np.concatenate(parts, axis=-1).astype(np.float32)


def loss(wanted: Any, gains: Any) -> Any:
    """Return the loss of each frame: compressed magnitudes as in the models' loss.

    To it comes a little of the squared distance of the logarithms, which keeps the
    quiet parts in sight, where hiss is heard.
    """
    noisy, clean, known = ops.split(wanted, 3, axis=-1)
    out = ops.log(ops.square(gains) * noisy + 1e-6)
    goal = ops.log(clean + 1e-6)
    error = ops.square(ops.exp(0.15 * out) - ops.exp(0.15 * goal))
    error = error * (1.0 + EATEN * ops.cast(out < goal, "float32"))
    audible = ops.square(
        ops.log(ops.square(gains) * noisy + 1e-3) - ops.log(clean + 1e-3)
    )
    total = ops.sum((error + 0.02 * audible) * known, axis=-1)
    return total / (ops.sum(known, axis=-1) + 1e-3)


def fit(
    heard: Heard,
    valid: Heard,
    units: int,
    minutes: float = 7.0,
    *,
    updates: int = 0,
    batch: int = 32,
    rate: float = 3e-3,
    seed: int = 1,
    say: Callable[[str], None] = print,
) -> highnet.HighNet:
    """Train a head for some minutes, or updates; keep what validates best.

    The rate falls linearly over them.
    """
    keras.utils.set_random_seed(seed)
    net = highnet.build(units)
    net.compile(
        keras.optimizers.AdamW(rate, weight_decay=1e-3, clipnorm=1.0), loss=loss
    )
    wanted, valid_wanted = targets(heard), targets(valid)
    rng = np.random.default_rng(seed)
    begin, losses = time.monotonic(), []
    best, kept, done = float("inf"), net.get_weights(), 0.0
    while done < 1.0:
        net.optimizer.learning_rate = rate * max(0.02, 1.0 - done)
        rows = rng.choice(len(wanted), batch)
        at = int(rng.integers(wanted.shape[1] - SEQUENCE + 1))
        part = slice(at, at + SEQUENCE)
        powers, goal = heard.powers[rows, part], wanted[rows, part]
        _colour(rng, powers, goal)
        _cut_some(rng, powers, goal)
        losses.append(float(net.train_on_batch(powers, goal)))
        elapsed = (time.monotonic() - begin) / 60.0
        done = len(losses) / updates if updates else elapsed / minutes
        if len(losses) % 500 == 0 or done >= 1.0:
            now = net.evaluate(valid.powers, valid_wanted, batch_size=32, verbose=0)
            if now < best:
                best, kept = now, net.get_weights()
            say(
                f"{len(losses)} updates, {elapsed:.1f} min: loss "
                f"{np.mean(losses[-500:]):.4f}, validation {now:.4f}"
            )
    net.set_weights(kept)
    return net


def _colour(rng: np.random.Generator, powers: Array, goal: Array) -> None:
    """Filter each sequence by its own random curve, before and after alike."""
    shape = len(powers), 1, HIGH_BANDS + LOW_BANDS
    curve = np.float32(10.0 ** (rng.normal(0.0, COLOUR_DB / 10.0, shape)))
    curve *= np.float32(10.0 ** rng.uniform(-1.0, 1.0, (len(powers), 1, 1)))
    powers[..., : HIGH_BANDS + LOW_BANDS] *= curve
    powers[..., HIGH_BANDS + LOW_BANDS :] *= curve[..., HIGH_BANDS:]
    # Scaled goals keep their level: what is louder in one band weighs more in it.
    high = curve[..., :HIGH_BANDS] / curve[..., :HIGH_BANDS].mean(-1, keepdims=True)
    goal[..., :HIGH_BANDS] *= high
    goal[..., HIGH_BANDS : 2 * HIGH_BANDS] *= high


def _cut_some(rng: np.random.Generator, powers: Array, goal: Array) -> None:
    """Take the upper bands away from a fifth of the sequences, as lower rates do."""
    for i in np.flatnonzero(rng.random(len(powers)) < 0.2):
        bands = int(rng.choice(_LOWER_RATES))
        powers[i, :, bands:HIGH_BANDS] = 0.0
        goal[i, :, 2 * HIGH_BANDS + bands :] = 0.0
