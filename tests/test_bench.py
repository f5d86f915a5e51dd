"""The speed measurement; its numbers belong to the machine, its sums do not."""

from __future__ import annotations

import json
import platform

import pytest

from streamdenoise import __version__
from streamdenoise.machine import describe, has_small_core, is_small
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
    """A wrong name is wrong usage."""
    assert run("bench", "no/such.tflite").exit_code == 2


def test_json_is_one_line_that_says_on_what(model_arg):
    """An owner of a board sends one line; nobody has to ask what it was measured on."""
    args = ("--seconds", "0.5", "--passes", "1", "--rate", "16000", "--json")
    text = run("bench", model_arg, *args).stdout
    assert text.endswith("}\n") and text.count("\n") == 1
    told = json.loads(text)
    assert told["streamdenoise"] == __version__
    machine = told["machine"]
    assert machine["python"] == platform.python_version()
    assert machine["cpus"] >= 1 and machine["os"] and machine["packages"]["numpy"]
    (result,) = told["results"]
    assert {"model", "runtime", "sample_rate", "live_cpu"} <= result.keys()
    assert platform.node() not in text.split('"') or not platform.node()


def test_a_board_is_called_by_its_name(tmp_path):
    """What a Raspberry Pi tells in its files is what is told, without a stray zero."""
    files = {
        "proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.5\0",
        "proc/cpuinfo": "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd08\n",
        "proc/meminfo": "MemTotal:        3885396 kB\n",
        "sys/devices/system/cpu/cpu0/cpufreq/scaling_max_freq": "1800000\n",
        "etc/os-release": 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\n',
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    machine = describe(tmp_path)
    assert machine["board"] == "Raspberry Pi 4 Model B Rev 1.5"
    assert machine["cpu"] == "Cortex-A72"
    assert (machine["mhz"], machine["memory_mib"]) == (1800, 3794)
    assert machine["os"] == "Debian GNU/Linux 12 (bookworm)"


@pytest.mark.parametrize(
    ("board", "small"),
    [
        ("Raspberry Pi Model B Rev 2", True),
        ("Raspberry Pi Zero W Rev 1.1", True),
        ("Raspberry Pi Zero 2 W Rev 1.0", True),
        ("Raspberry Pi 2 Model B Rev 1.1", True),
        ("Raspberry Pi 3 Model B Plus Rev 1.3", True),
        ("Raspberry Pi 4 Model B Rev 1.5", True),
        ("Raspberry Pi 400 Rev 1.0", True),
        ("Raspberry Pi Compute Module 4S Rev 1.0", True),
        ("Raspberry Pi 5 Model B Rev 1.0", False),
        ("Raspberry Pi 500 Rev 1.0", False),
        ("Raspberry Pi Compute Module 5 Lite Rev 1.0", False),
        ("Raspberry Pi 6 Model B Rev 1.0", False),
        ("Some other board", False),
        ("", False),
    ],
)
def test_boards_with_small_cores_by_their_names(board, small):
    """All before the fifth generation; what nobody knows is taken for large."""
    assert is_small(board, "aarch64") is small


def test_small_cores_by_what_they_are():
    """Boards of other makers by their cores, all of them; 32-bit ARM in any case."""
    board = "FriendlyElec NanoPi NEO Plus2"
    assert is_small(board, "aarch64", 64, ["0xd03"] * 4)
    assert not is_small(board, "aarch64", 64, ["0xd05", "0xd0b"])
    # A server or a phone has such cores and no name of a board.
    assert not is_small("", "aarch64", 64, ["0xd08"])
    for machine in ("armv7l", "aarch64"):
        assert is_small("", machine, 32) and not is_small("", machine, 64)
    assert not is_small("", "arm64", 64) and not is_small("", "i686", 32)


def test_small_core_is_read_from_where_the_kernel_says_it(tmp_path):
    """From files beside each other, as on a board; without them the core is large."""
    assert not has_small_core(tmp_path)
    tree = tmp_path / "proc" / "device-tree"
    tree.mkdir(parents=True)
    (tree / "model").write_text("Pine64 Pine A64\0")
    cores = "processor\t: 0\nCPU part\t: 0xd03\n\nprocessor\t: 1\nCPU part\t: 0xd03\n"
    (tmp_path / "proc" / "cpuinfo").write_text(cores)
    assert has_small_core(tmp_path)
    (tree / "model").write_text("Raspberry Pi 5 Model B Rev 1.0\0")
    assert not has_small_core(tmp_path)


def test_where_nothing_is_told_nothing_is_made_up(tmp_path):
    """Another system has none of those files."""
    machine = describe(tmp_path)
    assert machine["board"] is machine["mhz"] is machine["memory_mib"] is None
    assert json.loads(json.dumps(machine)) == machine
