"""What is compared on a report card: models, nets, oracles, and folders of outputs."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from streamdenoise.constants import GRID_RATE
from streamdenoise.eval.oracle import ORACLES, oracle
from streamdenoise.eval.pairs import Pair, find_audio, read_mono

__all__ = ["System", "enhancer", "references", "unexported"]

Audio = npt.NDArray[np.float32]


@dataclass(frozen=True)
class System:
    """Something that makes enhanced from noisy: what is compared.

    Attributes
    ----------
    name
        Heading of its row.
    kind
        ``"noisy"``, ``"oracle"``, ``"model"``, ``"net"`` or ``"folder"``.
    source
        Kind of the oracle, name or path of the model, the folder, or what a net that
        is not exported yet is loaded from, with commas between the parts of a mean.
    rate
        Sample rate in Hz that a model runs at; its input is resampled to it, and its
        output back.
    floor
        Share of the noisy sound that stays under what a net gives; None as exported.
    """

    name: str
    kind: str
    source: str = ""
    rate: int = GRID_RATE
    floor: float | None = None

    def run(self, pair: Pair, noisy: Audio, clean: Audio) -> Audio:
        """Return the enhanced signal for a pair; a folder's may be of any length."""
        if self.kind == "noisy":
            return noisy
        if self.kind == "oracle":
            return oracle(clean, noisy, next(k for k in ORACLES if k == self.source))
        if self.kind == "model":
            return enhancer(self.source, self.rate)(noisy)
        if self.kind == "net":
            return unexported(self.source, self.floor)(noisy)
        return read_mono(find_audio(Path(self.source), pair.name))


def references() -> list[System]:
    """Return the rows that every card has: the input, and the ceilings of a gain."""
    oracles = [System(f"oracle-{kind}", "oracle", kind) for kind in ORACLES]
    return [System("noisy", "noisy"), *oracles]


@lru_cache(maxsize=8)
def enhancer(model: str, rate: int = GRID_RATE) -> Callable[[Audio], Audio]:
    """Return a function that denoises a 16 kHz signal with a model.

    A model that needs whole files is run by `offline`, any other one by the engine.
    At another `rate` than 16 kHz the signal is resampled there and back.
    """
    from streamdenoise.api import denoise
    from streamdenoise.model import find_model, load_model
    from streamdenoise.offline import denoise_whole, load_whole

    if find_model(model)[1].causal:
        causal = load_model(model)
        return lambda x: _at_rate(x, rate, lambda y: denoise(y, rate, causal))
    whole = load_whole(model)
    return lambda x: _at_rate(x, rate, lambda y: denoise_whole(y, rate, whole))


@lru_cache(maxsize=8)
def unexported(source: str, floor: float | None = None) -> Callable[[Audio], Audio]:
    """Return a function that denoises a 16 kHz signal with a net; see `System`."""
    from streamdenoise.train.whole import net_enhancer

    return net_enhancer(source.split(","), floor)


def _at_rate(x: Audio, rate: int, run: Callable[[Any], Any]) -> Audio:
    if rate == GRID_RATE:
        return np.asarray(run(x))
    from scipy.signal import resample_poly

    factor = math.gcd(rate, GRID_RATE)
    up, down = rate // factor, GRID_RATE // factor
    y = resample_poly(run(resample_poly(x, up, down)), down, up)
    return np.asarray(y[: x.size], x.dtype)
