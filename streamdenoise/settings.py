"""What a user may change while the engine runs."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """User settings of a `Denoiser`; frozen, so that a swap is atomic.

    Replace the whole object while audio runs (``d.settings = replace(...)``); the
    engine reads it once for each hop, and the overlap-add cross-fades the change.

    Attributes
    ----------
    strength_db
        Most that a bin may be attenuated, in dB. ``None`` sets no limit. 0 changes
        nothing, 12 leaves a quiet, natural background, 100 is silence in practice.
    mix
        Share of the enhanced signal in the output, 0 (all dry) to 1 (all enhanced).
        Dry and enhanced are aligned, so that a mix never phases.
    removed
        Play what is taken away instead of what is kept.
    bypass
        Pass the input through, delayed as the enhanced signal is.

    Raises
    ------
    ValueError
        If `strength_db` is negative or not a number, or `mix` is outside [0, 1].
    """

    strength_db: float | None = None
    mix: float = 1.0
    removed: bool = False
    bypass: bool = False

    def __post_init__(self) -> None:
        if self.strength_db is not None and not self.strength_db >= 0.0:
            raise ValueError(
                f"strength_db is {self.strength_db}; give a number of decibels from 0 "
                "(no change) upwards, or None for no limit"
            )
        if not 0.0 <= self.mix <= 1.0:
            raise ValueError(f"mix is {self.mix}; give a number from 0 (dry) to 1")

    @property
    def floor(self) -> float:
        """Lowest gain that the strength allows, as an amplitude ratio."""
        if self.strength_db is None or math.isinf(self.strength_db):
            return 0.0
        return float(10.0 ** (-self.strength_db / 20.0))

    @property
    def weights(self) -> tuple[float, float]:
        """Weights of the input and of the enhanced spectrum in the output.

        Every setting is a linear combination of the two; removed is the input less
        what would be heard without it.
        """
        if self.bypass:
            return 1.0, 0.0
        enhanced = self.mix * (1.0 - self.floor)
        if self.removed:
            return enhanced, -enhanced
        return 1.0 - enhanced, enhanced
