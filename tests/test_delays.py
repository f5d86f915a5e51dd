"""Means of the waits in devices: right, quick to start, and never upset."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from streamdenoise.live.delays import DelayMeter


def block(age: float = 0.0, ahead: float = 0.0, now: float = 1000.0) -> SimpleNamespace:
    """What PortAudio tells of a block."""
    return SimpleNamespace(
        currentTime=now, inputBufferAdcTime=now - age, outputBufferDacTime=now + ahead
    )


def test_the_mean_is_found_within_a_second(rng: np.random.Generator) -> None:
    """Blocks come in bursts; what counts is their mean."""
    meter = DelayMeter()
    for _ in range(150):
        meter.heard(block(age=float(rng.choice([0.004, 0.012, 0.020]))))
        meter.played(block(ahead=float(rng.choice([0.070, 0.078, 0.086]))))
    assert meter.age == pytest.approx(0.012, abs=0.002)
    assert meter.ahead == pytest.approx(0.078, abs=0.002)
    assert meter.known


def test_a_change_is_followed() -> None:
    """After an xrun the buffers hold another amount."""
    meter = DelayMeter()
    for ahead in [0.02] * 300 + [0.05] * 500:
        meter.played(block(ahead=ahead))
    assert meter.ahead == pytest.approx(0.05, abs=0.001)


def test_old_sound_after_a_pause_is_not_the_mean() -> None:
    """Two seconds of it come within a moment; what stays for long is believed."""
    meter = DelayMeter()
    for at in range(300):
        meter.heard(block(age=0.01, now=1000 + 0.008 * at))
    for at in range(250):
        meter.heard(block(age=2.0 - 0.008 * at + 0.01, now=1004 + 0.001 * at))
    assert meter.age == pytest.approx(0.01, abs=0.1)
    for at in range(1000):
        meter.heard(block(age=0.5, now=1005 + 0.008 * at))
    assert meter.age == pytest.approx(0.5, abs=0.01)


def test_host_apis_that_do_not_tell() -> None:
    """No time at all, zeros, and nonsense change nothing."""
    meter = DelayMeter()
    for time in (
        None,
        SimpleNamespace(currentTime=1, inputBufferAdcTime=0, outputBufferDacTime=0),
        block(age=-1.0, ahead=-1.0),
        block(age=100.0, ahead=100.0),
        block(age=float("nan"), ahead=float("nan")),
    ):
        for _ in range(100):
            meter.heard(time)
            meter.played(time)
    assert (meter.age, meter.ahead, meter.known) == (0.0, 0.0, False)


def test_looks_at_the_buffer_are_averaged_and_forgotten() -> None:
    """The first look counts at once; a restart forgets all."""
    meter = DelayMeter()
    meter.looked(0.02)
    assert meter.held == 0.02
    for _ in range(200):
        meter.looked(0.01)
        meter.looked(0.03)
    assert meter.held == pytest.approx(0.02, abs=0.002)
    meter.restart()
    assert meter.held == 0.0
