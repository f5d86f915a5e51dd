"""Reading at a rate near 1 is inaudible, and exactly nothing at 1."""

from __future__ import annotations

import numpy as np
import pytest

from streamdenoise.live.resample import HALF, LANDING_SHIFT, MAX_SHIFT, Resampler


def read_all(
    x: np.ndarray, ratios: np.ndarray, count: int, resampler: Resampler | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Read `x` in blocks of `count` frames, one for each ratio; output, positions."""
    x = x.reshape(len(x), -1)
    resampler = resampler or Resampler(x.shape[1], 512)
    at, out, places = HALF, [], []
    for ratio in ratios:
        resampler.ratio = ratio
        places.append(at + resampler.phase + ratio * np.arange(count))
        need = resampler.needed(count)
        resampler.source[: need + 2 * HALF] = x[at - HALF : at + need + HALF]
        block = np.full((count, x.shape[1]), np.nan, np.float32)
        assert resampler.process(block) == need
        assert -0.5 <= resampler.phase < 0.5
        at += need
        out.append(block)
    return np.concatenate(out), np.concatenate(places)


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
@pytest.mark.parametrize("ppm", [-900, -300, 20, 300, 900])
def test_a_tone_of_1_khz_is_exact_below_80_db(rate: int, ppm: int) -> None:
    """The error of a full-scale tone, sample by sample, is below -90 dB."""
    seconds, count = 3, 384
    turn = 2 * np.pi * 1000 / rate
    x = np.sin(turn * np.arange((seconds + 1) * rate)).astype(np.float32)
    ratios = np.full(seconds * rate // count, 1 + ppm * 1e-6)
    y, places = read_all(x, ratios, count)
    error = np.abs(y[:, 0] - np.sin(turn * places)).max()
    assert 20 * np.log10(error) < -90


def test_the_band_of_speech_passes_clean(rng: np.random.Generator) -> None:
    """At 48 kHz every tone up to 16 kHz comes out with an error below -80 dB."""
    for hertz in rng.uniform(50, 16_000, 20):
        turn = 2 * np.pi * hertz / 48_000
        x = np.sin(turn * np.arange(30_000)).astype(np.float32)
        y, places = read_all(x, np.full(50, 1.0004), 384)
        error = np.abs(y[:, 0] - np.sin(turn * places)).max()
        assert 20 * np.log10(error) < -80, hertz


def test_a_ratio_that_moves_makes_no_step(rng: np.random.Generator) -> None:
    """However the ratio wanders between blocks, positions and tone go on smoothly."""
    ratios = 1 + rng.uniform(-MAX_SHIFT, MAX_SHIFT, 200)
    counts = 128
    turn = 2 * np.pi * 1000 / 16_000
    x = np.sin(turn * np.arange(40_000)).astype(np.float32)
    y, places = read_all(x, ratios, counts)
    assert np.abs(np.diff(places) - 1).max() <= MAX_SHIFT * 1.001
    assert np.abs(y[:, 0] - np.sin(turn * places)).max() < 1e-4


def test_at_1_samples_pass_bit_by_bit(rng: np.random.Generator) -> None:
    """On whole frames the output is the input; that is also where it starts from."""
    x = rng.standard_normal((5000, 2)).astype(np.float32)
    y, places = read_all(x, np.ones(20), 100)
    np.testing.assert_array_equal(y, x[places.astype(int)])


def test_it_goes_back_to_whole_frames(rng: np.random.Generator) -> None:
    """`land` leads to phase 0 with a tiny shift, from wherever it was."""
    for _ in range(20):
        resampler = Resampler(1, 512)
        resampler.phase = float(rng.uniform(-0.5, 0.5))
        blocks = 0
        while not resampler.idle:
            resampler.land(384)
            assert abs(resampler.ratio - 1) < 1.001 * LANDING_SHIFT
            resampler.process(np.empty((384, 1), np.float32))
            resampler.landed()
            blocks += 1
        assert blocks <= 0.5 / LANDING_SHIFT / 384 + 1


def test_channels_are_read_alike(rng: np.random.Generator) -> None:
    """Each channel is what it would be alone."""
    x = rng.standard_normal((3000, 3)).astype(np.float32)
    y, _ = read_all(x, np.full(10, 1.0007), 250)
    for channel in range(3):
        alone, _ = read_all(x[:, channel], np.full(10, 1.0007), 250)
        np.testing.assert_array_equal(y[:, channel], alone[:, 0])
