"""What a person sees of ``live`` and ``devices``: sentences, codes, numbers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import streamdenoise.live.devices as devices_module
import streamdenoise.live.session as session_module
from streamdenoise import RuntimeMissingError
from streamdenoise.cli import cli
from streamdenoise.cli.live import session_name
from streamdenoise.cli.liveview import summary_lines
from streamdenoise.control.client import NAME
from streamdenoise.live.stream import XRUN_KINDS
from tests.fakes import IdentityModel
from tests.fakesound import FakeSound, Flags, device


def run(
    monkeypatch: pytest.MonkeyPatch, sound: FakeSound | None, *words: str
) -> Result:
    """Type a command on a machine with the devices of `sound`."""

    def load() -> Any:
        if sound is None:
            raise RuntimeMissingError("no PortAudio; install it with: apt ...")
        return sound

    monkeypatch.setattr(devices_module, "load_sounddevice", load)
    monkeypatch.setattr(session_module, "load_sounddevice", load)
    monkeypatch.setattr(session_module, "load_model", lambda name: IdentityModel())
    monkeypatch.setattr(session_module, "DEADLINE_SHARE", float("inf"))
    return CliRunner().invoke(cli, list(words), prog_name="streamdenoise")


def desk(**more: Any) -> FakeSound:
    return FakeSound([device("USB card"), device("Speakers", 0, 2)], **more)


def test_live_sums_itself_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Devices first; then latency in named parts, xruns, and step times."""
    done = run(monkeypatch, desk(), "live", "--duration", "0.4")
    assert done.exit_code == 0, done.output
    assert done.stdout == ""
    head, *rest = done.stderr.splitlines()
    assert "0 USB card (ALSA) -> 0 USB card (ALSA), 48000 Hz" in head
    assert "Ctrl-C ends" in head
    text = "\n".join(rest)
    assert "56.0 ms = device in 16.0 + hop 8.0 + window 8.0 + device out 24.0" in text
    assert "xruns    none" in text
    assert "step     p50" in text
    assert "\x1b" not in done.stderr


def test_live_json_is_all_of_standard_output(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scripts read one object; its parts sum up to the total."""
    done = run(monkeypatch, desk(), "live", "--duration", "0.3", "--json")
    summary = json.loads(done.stdout)
    latency = summary["latency"]
    total = latency.pop("total")
    assert sum(latency.values()) == pytest.approx(total)
    assert set(summary["xruns"]) == set(XRUN_KINDS)
    assert summary["sample_rate"] == 48_000
    assert {"p50", "p99", "max"} <= set(summary["step"])


def test_xruns_come_with_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each kind is counted, and one option to type is named."""
    sound = desk(flags=lambda call: Flags(output_underflow=call == 60))
    done = run(monkeypatch, sound, "live", "--duration", "0.5")
    assert "1 (output underflow 1)" in done.stderr
    assert "advice   the output was not filled in time" in done.stderr
    assert "try --latency 0.0" in done.stderr


def test_record_and_force(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """--record makes a file, never over another one without --force."""
    path = tmp_path / "talk.wav"
    words = ("live", "--duration", "0.3", "--record", str(path))
    done = run(monkeypatch, desk(), *words)
    assert done.exit_code == 0
    assert f"wrote    {path}" in done.stderr
    before = path.read_bytes()
    done = run(monkeypatch, desk(), *words)
    assert done.exit_code == 1
    assert "--force" in done.stderr
    assert "Traceback" not in done.stderr
    assert path.read_bytes() == before
    assert run(monkeypatch, desk(), *words, "--force").exit_code == 0


@pytest.mark.parametrize(
    ("sound", "words", "text"),
    [
        (desk(), ("--input", "ubs"), "match in part: 0 USB card"),
        (desk(), ("--input", "speakers"), "input device"),
        (desk(), ("--output", "7"), "there is no device 7"),
        (FakeSound([]), (), "no input devices were found"),
        (desk(refuse=lambda *_: -9985), (), "in use by another program"),
        (desk(refuse=lambda *_: -9997), (), "refuses the sample rate"),
        (desk(dies_after=3), ("--duration", "3"), "went away"),
        (None, (), "install it with"),
    ],
)
def test_trouble_with_devices_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, sound: Any, words: tuple[str, ...], text: str
) -> None:
    """Exit code 3, what to do, and no traceback."""
    done = run(monkeypatch, sound, "live", *words)
    assert done.exit_code == 3, done.output
    assert text in done.stderr
    complaints = [x for x in done.stderr.splitlines() if x.startswith("streamdenoise:")]
    # A device that went away is waited for first, which is said as well.
    waited = [line for line in complaints if "Waiting" in line]
    assert len(complaints) - len(waited) == 1
    assert done.stdout == ""


@pytest.mark.parametrize(
    "words",
    [
        ("--latency", "soon"),
        ("--latency", "0"),
        ("--latency", "60"),
        ("--rate", "0"),
        ("--rate", "1000000"),
        ("--channels", "0"),
        ("--channels", "65"),
        ("--duration", "-1"),
        ("--duration", "nan"),
        ("--strength", "-3"),
    ],
)
def test_wrong_usage_is_said_before_a_device_opens(
    monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    """Numbers that cannot be meant exit with 2."""
    sound = desk()
    assert run(monkeypatch, sound, "live", *words).exit_code == 2
    assert sound.opened == []


def test_devices_is_a_table_and_json(monkeypatch: pytest.MonkeyPatch) -> None:
    """Index, name, host API, channels, rates and defaults, for eyes and programs."""
    sound = desk(default=(0, 1))
    done = run(monkeypatch, sound, "devices")
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    head = ("N", "NAME", "HOST", "API", "IN", "OUT", "RATE", "LATENCY", "TAKES")
    assert tuple(lines[0].split()) == head
    assert lines[1].split()[:4] == ["i", "0", "USB", "card"]
    assert lines[2].split()[:3] == ["o", "1", "Speakers"]
    found = json.loads(run(monkeypatch, sound, "devices", "--json").stdout)
    assert [d["index"] for d in found] == [0, 1]
    assert found[0]["default_input"] and not found[0]["default_output"]
    assert 48_000 in found[0]["rates"]


def test_no_devices_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty list is valid JSON and a sentence, with exit code 3."""
    done = run(monkeypatch, FakeSound([]), "devices", "--json")
    assert done.exit_code == 3
    assert json.loads(done.stdout) == []
    assert "no input devices" in done.stderr


def test_a_summary_of_nothing_prints() -> None:
    """Ending before the first block is no error."""
    summary = {
        "seconds": 0.0,
        "sample_rate": 16_000,
        "model": "base",
        "latency": {"hop": 0.008, "buffer": 0.0, "total": 0.008},
        "xruns": dict.fromkeys(XRUN_KINDS, 0),
        "step": None,
        "hop_seconds": 0.008,
        "bad_samples": 0,
        "recorded": None,
    }
    assert summary_lines(summary)[1] == "latency  8.0 ms = hop 8.0"
    for losses, often in ((1, "once"), (2, "2 times")):
        lines = summary_lines({**summary, "losses": losses})
        assert f"lost     a device went away {often}" in lines


def test_advice_at_the_end_is_above_the_latency_in_use(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The output has 24 ms, the input 16: what is proposed is more than both."""
    sound = desk(flags=lambda call: Flags(output_underflow=call % 40 == 39))
    done = run(monkeypatch, sound, "live", "--duration", "0.5", "--json")
    assert json.loads(done.stdout)["device_latency"] == 0.024
    sound = desk(flags=lambda call: Flags(output_underflow=call % 40 == 39))
    words = ("--duration", "0.5", "--latency", "0.024")
    done = run(monkeypatch, sound, "live", *words)
    assert "try --latency 0.03," in done.stderr


OUTPUT = 'output = "card"'
MIC = "virtual-mic = true"


@pytest.mark.parametrize(
    ("config", "words", "wins"),
    [
        (f"[live]\n{OUTPUT}", "--virtual-mic", "mic"),
        (f"[live]\n{MIC}", "--output card", "output"),
        (f"[profile.p]\n{MIC}", "--profile p --output card", "output"),
        (f"[live]\n{OUTPUT}\n[profile.p]\n{MIC}", "--profile p", "mic"),
        (f"[live]\n{MIC}\n[profile.p]\n{OUTPUT}", "--profile p", "output"),
        (f"{OUTPUT}\n[live]\n{MIC}", "", "mic"),
        (f"[profile.p]\n{MIC}\n[profile.p.live]\n{OUTPUT}", "--profile p", "output"),
        (f"[profile.live]\n{MIC}\n[live]\n{OUTPUT}", "--profile live", "mic"),
        (f"{OUTPUT}\n{MIC}", "", "the config file has both"),
        (f"[live]\n{OUTPUT}\n{MIC}", "", "both output and virtual-mic in [live]"),
        ("", "--output card --virtual-mic", "leave --output out, or --virtual-mic"),
    ],
)
def test_the_stronger_of_two_outputs_counts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, config: str, words: str, wins: str
) -> None:
    """Typed wins over profile over the rest; equals are a sentence about what is there.

    A microphone is wanted where no sound server answers, so asking for it shows.
    """
    path = tmp_path / "config.toml"
    path.write_text(config)
    monkeypatch.setenv("STREAMDENOISE_CONFIG", str(path))
    monkeypatch.setenv("PULSE_SERVER", f"unix:{tmp_path}/none")
    words = f"live --duration 0.2 {words}"
    done = run(monkeypatch, desk(), *words.split())
    if wins == "output":
        assert done.exit_code == 0, done.output
        assert "-> 0 USB card" in done.stderr
    elif wins == "mic":
        assert done.exit_code == 3
        assert "sound server" in done.stderr
    else:
        assert done.exit_code == 2
        assert wins in " ".join(done.stderr.split())


@pytest.mark.parametrize(
    ("profile", "name"),
    [
        (None, "live"),
        ("call", "call"),
        ("my-call", "my_call"),
        ("at home", "at_home"),
        ("-x", "x"),
        ("\u00fcber uns", "ber_uns"),
        ("\u00e4\u00f6", "live"),
        ("x" * 40, "x" * 32),
    ],
)
def test_a_session_has_a_name_that_ctl_takes(profile: str | None, name: str) -> None:
    """Whatever a profile is called, its session can be found."""
    assert session_name(profile) == name
    assert NAME.fullmatch(name)


@pytest.mark.parametrize("command", ["live", "devices"])
def test_help_imports_nothing_heavy(command: str) -> None:
    """Help is quick because neither numpy nor PortAudio is loaded for it."""
    code = (
        "import sys\n"
        "from streamdenoise.cli import cli\n"
        f"try: cli(['{command}', '--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'numpy', 'sounddevice', 'soundfile'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=dict(os.environ),
    )
    assert done.stdout.rstrip().endswith("[]")
