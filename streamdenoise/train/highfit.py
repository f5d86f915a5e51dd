"""Training of the head above 8 kHz, on what the shipped models make of mixtures."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from streamdenoise.constants import GRID_BINS
from streamdenoise.errors import AudioFormatError
from streamdenoise.head import HIGH_BANDS, HIGH_EDGES, LOW_BANDS
from streamdenoise.highband import BandPowers, HighBandRule
from streamdenoise.model import StepModel, load_model
from streamdenoise.offline import analyse, to_grid
from streamdenoise.stepper import Stepper
from streamdenoise.train import highnet
from streamdenoise.train.fullband import FULL_RATE
from streamdenoise.train.fullmix import FullMixer

Array = npt.NDArray[np.float32]

SEQUENCE: Final = 500
"""Frames of a training sequence, 4 s."""

EATEN: Final = 4.0
"""Extra weight where a band comes out quieter than the clean one. With .5 an "s" in
noise lost twice as much as by the rule."""

COLOUR_DB: Final = 4.0
"""Deviation of the random colour of each band: microphones differ."""

_TOP = 22_000.0
_LOWER_RATES: Final = (2, 3, 5)
"""Bands that there are at 22.05, 24 and 32 kHz, for a share of the sequences."""


@dataclass(frozen=True)
class Heard:
    """What a head hears in mixtures, and what it should leave of it.

    Attributes
    ----------
    powers
        ``[N, T, POWERS]``, as `head.POWERS` says.
    clean
        Power of the clean sound in the bands above 8 kHz, ``[N, T, bands]``.
    rule
        What `HighBandRule` would do, ``[N, T]``.
    reach
        Frequency in Hz that each voice reaches to, ``[N]``.
    """

    powers: Array
    clean: Array
    rule: Array
    reach: Array

    @classmethod
    def load(cls, *paths: Path) -> Heard:
        """Join what `save` wrote.

        Raises
        ------
        AudioFormatError
            If a file holds something else.
        """
        try:
            files = [np.load(path) for path in paths]
            joined = {
                name: np.concatenate([file[name] for file in files])
                for name in cls.__dataclass_fields__
            }
        except (OSError, KeyError, ValueError) as error:
            raise AudioFormatError(
                f"no mixtures in {', '.join(map(str, paths))}: {error}; make them with "
                "scripts/train-high-band hear"
            ) from error
        return cls(**joined)

    def save(self, path: Path) -> None:
        """Write everything into one file."""
        np.savez(path, **self.__dict__)

    @property
    def known(self) -> npt.NDArray[np.bool_]:
        """Where the clean sound is known: bands that the voice's recording has."""
        edges = np.minimum(np.array(HIGH_EDGES), _TOP)
        middles = (edges[:-1] + edges[1:]) / 2.0
        return np.asarray(self.reach[:, None] >= middles)


def hear(
    pack: Path,
    models: tuple[str, ...],
    numbers: range,
    *,
    valid: bool = False,
    jobs: int = 1,
) -> Heard:
    """Let the models, by turns, hear mixtures of a full-band pack."""
    parts = [[int(n) for n in part] for part in np.array_split(numbers, jobs)]
    work = [(pack, models, part, valid) for part in parts]
    if jobs > 1:
        with ProcessPoolExecutor(jobs) as pool:
            done = list(pool.map(_hear_some, work))
    else:
        done = [_hear_some(one) for one in work]
    each = [one for part in done for one in part]
    powers, clean, rule, reach = zip(*each, strict=True)
    return Heard(
        np.stack(powers), np.stack(clean), np.stack(rule), np.array(reach, np.float32)
    )


def _hear_some(
    work: tuple[Path, tuple[str, ...], list[int], bool],
) -> list[tuple[Array, Array, Array, float]]:
    """Open the pack and each model once, and hear some mixtures."""
    pack, names, numbers, valid = work
    mixer = FullMixer(pack, valid=valid, seed=5)
    loaded = {name: load_model(name) for name in set(names)}
    return [_hear_one(mixer, loaded[names[n % len(names)]], n) for n in numbers]


def _hear_one(
    mixer: FullMixer, model: StepModel, number: int
) -> tuple[Array, Array, Array, float]:
    noisy, clean, reach = mixer.pair(number)
    params = model.card.stft(FULL_RATE)
    spectra, wanted = analyse(noisy, params), analyse(clean, params)
    before = to_grid(spectra)
    after = enhanced_grid(model, before)
    hear_bands = BandPowers(params)
    powers = hear_bands(before, after, (spectra[:, GRID_BINS:],))
    goal = hear_bands(before, after, (wanted[:, GRID_BINS:],))[:, :HIGH_BANDS]
    rule = HighBandRule(hop_seconds=params.hop_seconds).process(before, after)
    return powers, goal, rule[:, 0], reach


def enhanced_grid(
    model: StepModel, grid: npt.NDArray[np.complex64]
) -> npt.NDArray[np.complex64]:
    """Run all frames of a recording through a model, (frames, 257)."""
    stepper, group = Stepper(model), model.group
    whole = np.zeros((-(-len(grid) // group) * group, GRID_BINS), np.complex64)
    whole[: len(grid)] = grid
    out = np.empty_like(whole)
    for at in range(0, len(whole), group):
        part = slice(at, at + group)
        frames = whole[part].view(np.float32).reshape(1, group, GRID_BINS, 2)
        out[part] = stepper.steps(frames).view(np.complex64)[0, :, :, 0]
    return out[: len(grid)]


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
