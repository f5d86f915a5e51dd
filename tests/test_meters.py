"""Tests of the counters."""

from __future__ import annotations

import numpy as np
import pytest

from streamdenoise import Denoiser, Meter
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
