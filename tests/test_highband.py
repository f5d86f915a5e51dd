"""Tests of the rule for the band above the model."""

from __future__ import annotations

import numpy as np
import pytest

from streamdenoise.highband import HighBandRule


def frame(rng: np.random.Generator) -> np.ndarray:
    z = rng.standard_normal(257) + 1j * rng.standard_normal(257)
    return z.astype(np.complex64)


def test_gain_follows_the_models_upper_bins(rng: np.random.Generator) -> None:
    """The gain settles on what the model does just below 8 kHz."""
    rule, x = HighBandRule(), frame(rng)
    y = x.copy()
    y[:150] = 0
    y[176:] *= 0.25
    for _ in range(100):
        gain = rule.process(x, y)
    assert gain == pytest.approx(0.25, rel=1e-3)


def test_rises_at_once_and_falls_slowly(rng: np.random.Generator) -> None:
    """The start of a sibilant is whole; its end does not flutter."""
    rule, x = HighBandRule(), frame(rng)
    assert rule.process(x, 0 * x) == 0.0
    assert rule.process(x, x) == 1.0
    falling = [rule.process(x, 0 * x) for _ in range(60)]
    assert falling[0] > 0.7
    assert falling[4] == pytest.approx(np.exp(-1), abs=0.01)
    assert falling[-1] < 1e-4


def test_never_amplifies(rng: np.random.Generator) -> None:
    """A model that makes its upper bins louder does not make the high band louder."""
    x = frame(rng)
    assert HighBandRule().process(x, 3 * x) == 1.0


def test_silence_keeps_the_gain(rng: np.random.Generator) -> None:
    """Digital silence says nothing about the gain and divides nothing by zero."""
    rule, x = HighBandRule(), frame(rng)
    rule.process(x, x)
    assert rule.process(0 * x, 0 * x) == 1.0
    rule.reset()
    assert rule.process(0 * x, 0 * x) == 0.0
