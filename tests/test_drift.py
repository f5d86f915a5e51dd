"""Two clocks that differ are held together, inaudibly, for as long as one likes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from streamdenoise.live.drift import MAX_SHIFT, DriftController

RATE, BLOCK = 48_000, 1536
DAY = 24 * 3600


@dataclass
class Course:
    """What happened in a simulation; fills in seconds from where they began."""

    fills: np.ndarray
    ratios: np.ndarray
    controller: DriftController


def simulate(
    seconds: float, ppm: float, rng: np.random.Generator, jitter: float = 0.002
) -> Course:
    """Run a controller on the fill between two clocks `ppm` apart.

    Callbacks come late by up to twice the jitter, now and then by 60 ms; the true fill
    starts at 30 ms.
    """
    controller = DriftController(RATE)
    blocks = int(seconds * RATE / BLOCK)
    gain = 1 + ppm * 1e-6
    late = np.abs(rng.normal(0.0, jitter, 100_000)) * RATE
    late[rng.integers(0, len(late), 20)] += 0.06 * RATE
    late = late.tolist()
    fill, begin = 0.03 * RATE, 0.03 * RATE
    fills, ratios = np.empty(blocks), np.empty(blocks)
    for at in range(blocks):
        fill += BLOCK * (gain - controller.ratio)
        controller.observe(fill + late[at % 100_000], BLOCK)
        fills[at] = (fill - begin) / RATE
        ratios[at] = controller.ratio
    return Course(fills, ratios, controller)


@pytest.mark.parametrize("ppm", [-300, 300])
def test_a_day_of_two_clocks(rng: np.random.Generator, ppm: int) -> None:
    """24 hours at +-300 ppm: the delay stays within 5 ms, the rate below 0.1 %."""
    course = simulate(DAY, ppm, rng)
    assert np.abs(course.fills).max() < 0.005
    assert np.abs(course.ratios - 1).max() < 1e-3
    settled = course.ratios[int(300 * RATE / BLOCK) :]
    assert np.abs(settled - 1 - ppm * 1e-6).max() < 60e-6
    assert course.controller.drift == pytest.approx(ppm * 1e-6, abs=15e-6)
    late = course.fills[int(300 * RATE / BLOCK) :]
    assert np.abs(late).max() < 0.0015


def test_equal_clocks_are_left_alone(rng: np.random.Generator) -> None:
    """Without drift the ratio is 1, exactly, whatever the jitter: for hours."""
    course = simulate(4 * 3600, 0.0, rng)
    assert (course.ratios == 1.0).all()
    assert not course.controller.steering


def test_when_the_drift_ends_the_ratio_goes_back_to_1(
    rng: np.random.Generator,
) -> None:
    """A difference that goes away is let go of: 1 again, exactly, and no hunting."""
    controller, fill = DriftController(RATE), 1440.0
    ratios = []
    for at in range(int(1800 * RATE / BLOCK)):
        drift = 200e-6 if at * BLOCK < 300 * RATE else 0.0
        fill += BLOCK * (1 + drift - controller.ratio)
        controller.observe(fill + float(rng.normal(0, 20)), BLOCK)
        ratios.append(controller.ratio)
    assert max(ratios) < 1 + MAX_SHIFT
    assert not controller.steering
    assert ratios[-1] == 1.0


def test_a_drift_that_changes_is_followed(rng: np.random.Generator) -> None:
    """A clock that warms up by 100 ppm in an hour moves the delay by less than 1 ms."""
    controller, fill = DriftController(RATE), 1440.0
    fills = []
    for at in range(int(5400 * RATE / BLOCK)):
        drift = 150e-6 + 100e-6 * at * BLOCK / RATE / 3600
        fill += BLOCK * (1 + drift - controller.ratio)
        controller.observe(fill + float(rng.normal(0, 50)), BLOCK)
        fills.append(fill)
    late = np.array(fills[int(300 * RATE / BLOCK) :]) / RATE
    assert np.ptp(late) < 1e-3


def test_one_long_pause_is_no_drift() -> None:
    """A stall of 300 ms that is made up for again changes nothing."""
    controller = DriftController(RATE)
    for at in range(3000):
        stalled = 1000 <= at < 1000 + int(0.3 * RATE / BLOCK)
        controller.observe(1440.0 - (9600.0 if stalled else 0.0), BLOCK)
        assert controller.ratio == 1.0


def test_the_drift_is_kept_over_a_new_start() -> None:
    """After audio was dropped the place is learned anew, the clocks are not."""
    controller, fill = DriftController(RATE), 1440.0
    for _ in range(int(200 * RATE / BLOCK)):
        fill += BLOCK * (1 + 250e-6 - controller.ratio)
        controller.observe(fill, BLOCK)
    fill += 5000.0
    controller.relearn()
    assert controller.ratio == pytest.approx(1.00025, abs=5e-6)
    for _ in range(int(100 * RATE / BLOCK)):
        fill += BLOCK * (1 + 250e-6 - controller.ratio)
        controller.observe(fill, BLOCK)
    assert fill == pytest.approx(6440.0, abs=30)


def test_stumbling_is_not_taken_for_a_drift(rng: np.random.Generator) -> None:
    """A fill that moves by 4 ms within seconds, again and again, is not steered."""
    controller, fill = DriftController(RATE), 1440.0
    for at in range(int(600 * RATE / BLOCK)):
        if at % int(20 * RATE / BLOCK) == 0:
            fill += 192.0 * rng.choice([-1, 1])
        controller.observe(fill, BLOCK)
        assert controller.ratio == 1.0
