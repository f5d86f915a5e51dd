"""The simulation of a large archive against what can be said on paper."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from dataclasses import replace

import pytest

from streamdenoise.batch.scale import Plan, simulate
from tests.clitools import ROOT

IDEAL = Plan(
    hours=10_000,
    file_minutes=10,
    cores=100,
    times_real_time=100,
    node_megabytes=1e12,
    failures=0,
    task_seconds=0,
)


def test_without_losses_it_is_a_division():
    """Hours over speed are core-hours, and those over cores the wall time."""
    result = simulate(IDEAL)
    assert result.files == result.tasks == 60_000 and result.simulated == 1
    assert result.busy_core_hours == pytest.approx(100)
    assert result.wall_hours == pytest.approx(1.0, rel=0.02)
    assert result.core_hours >= result.busy_core_hours
    assert result.terabytes_read == pytest.approx(10_000 * 3600 * 32_000 / 1e12)
    assert result.terabytes_written == pytest.approx(result.terabytes_read)
    assert result.price is None and result.failures == 0


def test_storage_adds_its_time():
    """Bytes read and written over a core's part of the node's throughput."""
    result = simulate(replace(IDEAL, node_megabytes=160, cores_per_node=16))
    assert result.storage_core_hours == pytest.approx(10_000 * 64_000 / 10e6)
    assert result.busy_core_hours == pytest.approx(100 + result.storage_core_hours)


def test_retries_cost_what_a_memoryless_failure_costs():
    """A task of d seconds at rate r takes (exp(rd) - 1) / r until it is done."""
    plan = replace(IDEAL, hours=1000, file_minutes=60, restart_seconds=0, seed=3)
    plan = replace(plan, hours=20_000, times_real_time=1, failures=100, cores=1000)
    result = simulate(plan)
    # Lengths are exponential with mean m = 1 h, so the mean of it is m / (1 - rm).
    expected = 20_000 / (1 - 0.1)
    assert result.busy_core_hours == pytest.approx(expected, rel=0.02)
    assert result.retry_core_hours == pytest.approx(expected - 20_000, rel=0.2)


def test_pieces_shorten_the_end_and_cost_their_run_in():
    """Few long files on many cores: cut, they are done sooner, for more work."""
    few = replace(IDEAL, hours=500, file_minutes=300, cores=1000)
    whole, cut = simulate(few), simulate(replace(few, split_minutes=10, apart=True))
    assert cut.wall_hours < whole.wall_hours / 5
    assert cut.run_in_core_hours > 0 == whole.run_in_core_hours
    assert cut.busy_core_hours == pytest.approx(
        whole.busy_core_hours + cut.run_in_core_hours
    )
    assert cut.terabytes_written > whole.terabytes_written


def test_pieces_that_follow_bound_what_a_failure_costs():
    """No run-in and no earlier end, but much less work that is lost."""
    frail = replace(IDEAL, hours=20_000, file_minutes=60, times_real_time=1, cores=1000)
    frail = replace(frail, failures=100, restart_seconds=0, seed=3)
    whole, cut = simulate(frail), simulate(replace(frail, split_minutes=10))
    assert cut.run_in_core_hours == 0 and cut.tasks > 5 * cut.files
    assert cut.retry_core_hours < whole.retry_core_hours / 5
    # A failure costs half a piece at most in the mean: 5 minutes.
    assert cut.retry_core_hours < 1.1 * cut.failures * 5 / 60
    calm = replace(frail, failures=0)
    assert simulate(replace(calm, split_minutes=10)).busy_core_hours == pytest.approx(
        simulate(calm).busy_core_hours
    )


def test_a_part_stands_for_the_whole():
    """A million files are scaled up from a share; the same seed gives the same."""
    large = replace(IDEAL, hours=1e6, cores=1000, price=0.5)
    result = simulate(large)
    assert result.simulated < 0.05 and result.files == 6_000_000
    assert result.busy_core_hours == pytest.approx(10_000, rel=1e-6)
    assert result.price == pytest.approx(0.5 * result.core_hours)
    assert result == simulate(large) and math.isfinite(result.wall_hours)


def test_script_prints_it():
    """The script is the simulation."""
    script = [sys.executable, str(ROOT / "scripts" / "scale-plan")]
    args = ["--hours", "100", "--times-real-time", "50", "--price", "2", "--json"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    out = subprocess.run([*script, *args], env=env, capture_output=True, check=True)
    assert json.loads(out.stdout)["files"] == 600
    plain = subprocess.run([*script, *args[:-1]], env=env, capture_output=True)
    assert b"core hours" in plain.stdout
