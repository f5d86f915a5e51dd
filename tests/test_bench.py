"""The speed measurement; its numbers belong to the machine, its sums do not."""

from __future__ import annotations

import json

import pytest

from tests.clitools import model_arg, run

__all__ = ["model_arg"]


def test_figures_hang_together(model_arg):
    """Shares add up to 1, percentiles are in order, ratios are those of the rows."""
    args = ("--seconds", "0.5", "--passes", "2", "--rate", "16000", "--json")
    result = run("bench", model_arg, model_arg, *args)
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert len(told["results"]) == 2
    for r in told["results"]:
        shares = [r["share_fft"], r["share_model"], r["share_rest"]]
        assert sum(shares) == pytest.approx(1.0) and min(shares) > 0
        assert 0 < r["p50"] <= r["p99"] <= r["p999"] <= r["max"]
        assert r["p999_cpu"] > 0
        assert r["live_cpu"] > 0 and r["file_times_real_time"] > 0
        assert r["audio_seconds"] == pytest.approx(0.5, abs=0.01)
    one, two = told["results"]
    assert told["ratios"][0]["live"] == pytest.approx(two["live_cpu"] / one["live_cpu"])


def test_table_has_a_row_for_each_rate(model_arg):
    """Rates are measured side by side."""
    args = ("--seconds", "0.5", "--passes", "1", "--rate", "16000", "--rate", "48000")
    result = run("bench", "--model", model_arg, *args)
    lines = result.stdout.splitlines()
    assert lines[0].split()[2:5] == ["RATE", "LIVE", "FILE"]
    assert [line.split()[2] for line in lines[1:3]] == ["16000", "48000"]


def test_unknown_model_names_those_there_are():
    """A wrong name is an error of the input."""
    assert run("bench", "no/such.tflite").exit_code == 1
