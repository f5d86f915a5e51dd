"""Levels, noise floor and SI-SDR."""

from __future__ import annotations

import math

import numpy as np
import pytest

from streamdenoise.audio.levels import SILENCE_DB, LevelMeter, si_sdr
from tests.clitools import noise


def test_block_size_does_not_matter(rng):
    """A level belongs to the sound, not to how it came."""
    x = noise(20011, 2)
    whole, parts = LevelMeter(16000, 2), LevelMeter(16000, 2)
    whole.push(x)
    at = 0
    while at < len(x):
        n = int(rng.integers(0, 900))
        parts.push(x[at : at + n])
        at += n
    assert parts.level == pytest.approx(whole.level, abs=1e-6)
    assert parts.noise_floor == whole.noise_floor and parts.peak == whole.peak


def test_noise_floor_is_what_is_heard_between_words():
    """Loud speech does not lift the floor, nor does one silent moment sink it."""
    x = noise(16000, level=0.001)
    x[4000:14000] = noise(10000, level=0.2)
    meter = LevelMeter(16000)
    meter.push(x)
    assert meter.noise_floor == pytest.approx(-60.0, abs=1.0)
    assert meter.level == pytest.approx(-16.0, abs=1.0)


@pytest.mark.parametrize("n", [0, 1, 100])
def test_next_to_nothing_has_a_level_too(n):
    """Silence and single samples give a number, not an error."""
    meter = LevelMeter(16000)
    meter.push(np.zeros((n, 1), np.float32))
    assert meter.level == meter.noise_floor == SILENCE_DB


def test_si_sdr_knows_scale_and_noise(rng):
    """A factor changes nothing; noise of a tenth of the level gives 20 dB."""
    x, n = rng.standard_normal((2, 100_000))
    assert si_sdr(-3.0 * x + 5.0, x) > 200
    assert si_sdr(x + 0.1 * n, x) == pytest.approx(20.0, abs=0.1)
    assert si_sdr(np.zeros(10), np.ones(10)) == -math.inf
