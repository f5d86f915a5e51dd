"""What the head above 8 kHz hears in mixtures that the shipped models denoise."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from streamdenoise.constants import GRID_BINS
from streamdenoise.errors import AudioFormatError
from streamdenoise.head import HIGH_BANDS, HIGH_EDGES
from streamdenoise.highband import BandPowers, HighBandRule
from streamdenoise.model import StepModel, load_model
from streamdenoise.offline import analyse, to_grid
from streamdenoise.stepper import Stepper
from streamdenoise.train.fullband import FULL_RATE
from streamdenoise.train.fullmix import FullMixer

__all__ = ["Heard", "enhanced_grid", "hear"]

Array = npt.NDArray[np.float32]

_TOP = 22_000.0


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
