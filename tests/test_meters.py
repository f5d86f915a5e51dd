"""Tests of the counters."""

from __future__ import annotations

import numpy as np
import pytest

from streamdenoise import Denoiser, Meter
from streamdenoise.meters import BANDS, BandMeter, Shares
from tests.fakes import GainModel


def test_percentiles_are_over_what_is_remembered() -> None:
    """Old hop times leave the percentiles but not the maximum, and nothing grows."""
    meter = Meter(remember=100)
    meter.record(0, 0, 0, 1.0, 0, 0)
    for i in range(100):
        meter.record(0, 0, 0, i / 1000, 0, 0)
    times = meter.step_times()
    assert meter.times().size == 100
    assert times.count == 101 and times.max == 1.0
    assert times.p50 == pytest.approx(0.0495)
    assert times.p99 <= 0.099


def test_nothing_measured_yet() -> None:
    """A meter that is read before the first hop shows silence and zeros."""
    meter = Meter()
    assert meter.step_times().max == 0.0
    assert meter.level_in == meter.level_out == -120.0
    assert meter.reduction == 0.0


@pytest.mark.parametrize("bulk", [False, True])
def test_engine_fills_the_meter(rng: np.random.Generator, bulk: bool) -> None:
    """Levels, reduction, hops and times are those of the stream."""
    meter = Meter()
    denoiser = Denoiser(GainModel(0.1), channels=2, meter=meter, bulk=bulk)
    x = 0.1 * rng.standard_normal((16000, 2))
    x[100, 0] = np.nan
    denoiser.process(x)
    assert meter.hops == 125
    assert meter.level_in == pytest.approx(-20, abs=0.3)
    assert meter.reduction == pytest.approx(20, abs=0.3)
    assert meter.bad_samples == denoiser.bad_samples == 1
    parts = meter.analysis_seconds + meter.model_seconds + meter.synthesis_seconds
    assert 0 < parts < meter.total_seconds
    assert meter.step_times().p50 <= meter.step_times().max


def test_shares_are_counted_without_growing(rng: np.random.Generator) -> None:
    """Percentiles agree with those of the numbers themselves to 0.1 %."""
    shares, values = Shares(), rng.exponential(0.1, 20_000)
    assert shares.percentile(99.9) == 0.0
    for value in values:
        shares.add(float(value))
    assert shares.count == len(values)
    assert shares.most == values.max()
    for percent in (50, 99, 99.9):
        exact = float(np.percentile(values, percent, method="inverted_cdf"))
        assert shares.percentile(percent) == pytest.approx(exact, abs=0.002)
    shares.add(7.0)
    assert shares.percentile(100) == 7.0


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000, 192_000])
def test_bands_show_where_the_sound_is(rng: np.random.Generator, rate: int) -> None:
    """A tone stands in its band at its level, whatever the sizes of the blocks."""
    meter = BandMeter(rate)
    assert len(meter.edges) == BANDS + 1
    assert meter.edges[-1] <= rate / 2 + 1e-6
    for band in range(1, BANDS):
        hertz = float(np.mean(meter.edges[band : band + 2]))
        at = np.arange(rate // 4)
        x = (0.5 * np.sin(2 * np.pi * hertz / rate * at)).astype(np.float32)[:, None]
        start = 0
        while start < len(x):
            size = int(rng.integers(1, 3000))
            meter.push(x[start : start + size], 0.1 * x[start : start + size])
            start += size
        before, after = meter.levels()
        assert int(np.argmax(before)) == band
        assert before[band] == pytest.approx(20 * np.log10(0.5) - 3, abs=1.2)
        assert before[band] - after[band] == pytest.approx(20, abs=0.1)


def test_bands_of_all_sum_up_to_the_level(rng: np.random.Generator) -> None:
    """White noise at 16 kHz: the powers of the bands are the power of the signal."""
    meter = BandMeter(16_000)
    x = (0.1 * rng.standard_normal((16_000, 1))).astype(np.float32)
    meter.push(x, x)
    power = sum(10 ** (level / 10) for level in meter.levels()[0])
    assert 10 * np.log10(power) == pytest.approx(-20, abs=0.6)
