"""Where a sound server is behind a device, it is asked why the device does not open."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamdenoise.live.behind import server_trouble
from streamdenoise.live.portaudio import explain
from tests.fakesound import PortAudioError
from tests.pulse import PulseServer, hide_libpulse, need_pulse

ROOT = Path(__file__).parent.parent
DOOR, CARD = "1 default (ALSA)", "0 USB Audio: - (hw:1,0) (ALSA)"
FAILED = PortAudioError("Unanticipated host error", -9999)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PulseServer]:
    """A server of its own, that may be killed."""
    need_pulse()
    server = PulseServer(tmp_path)
    server.use(monkeypatch)
    try:
        server.add_sink("room")
        yield server
    finally:
        server.stop()


def test_a_server_that_has_gone_is_named(server: PulseServer) -> None:
    """Not the latency is the cause, and what starts it is said; a card asks nobody."""
    generic = str(explain(FAILED, f"the input device {DOOR}"))
    assert "Unanticipated" in generic  # it answers, and lacks nothing
    server.kill()
    for what in (f"the input device {DOOR}", f"the pair {DOOR} and {DOOR}"):
        said = str(explain(FAILED, what))
        assert "the sound server does not answer; start it with: " in said
        assert "--latency" not in said and said.count("default") == 1
    assert server_trouble(f"the input device {CARD}") is None


def test_what_the_environment_names_must_be_there(
    server: PulseServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A source or sink that has gone is told by its name, on its own side."""
    monkeypatch.setenv("PULSE_SOURCE", "room.monitor")
    monkeypatch.setenv("PULSE_SINK", "@DEFAULT_SINK@")
    assert server_trouble(f"{DOOR} or {DOOR}") is None
    monkeypatch.setenv("PULSE_SINK", "gone\n")
    said = server_trouble(f"the output device {DOOR}")
    assert said is not None and "no sink gone\\n, which PULSE_SINK names" in said
    assert "type: unset PULSE_SINK" in said
    assert server_trouble(f"the input device {DOOR}") is None
    server.remove_sink("room")
    said = server_trouble(f"the input device {DOOR}")
    assert said is not None and "no source room.monitor, which PULSE_SOURCE" in said
    monkeypatch.delenv("PULSE_SOURCE")
    said = server_trouble(f"the input device {DOOR}")
    assert said is not None and "has no source; connect a device" in said


def test_live_says_which_source_is_missing(
    server: PulseServer, model_path: Path
) -> None:
    """Typed with a name that is wrong, it ends with the name and what to type."""
    words = ["live", "--model", str(model_path), "--duration", "1"]
    done = subprocess.run(
        [sys.executable, "-m", "streamdenoise", *words],
        env=server.env_for("gone", "room"),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 3
    assert "has no source gone, which PULSE_SOURCE names" in done.stderr
    assert "--latency" not in done.stderr


def test_one_device_for_both_sides_is_said_once() -> None:
    """A pair of two is one, a pair of one is not."""
    for pair in (f"{CARD} or {CARD}", f"the pair {CARD} and {CARD}"):
        said = str(explain(FAILED, pair))
        assert said.startswith(f"{CARD} cannot be opened")
    both = f"the pair {CARD} and 2 Speakers (ALSA)"
    assert str(explain(FAILED, both)).startswith(both)


def test_without_libpulse_nothing_is_claimed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether the server answers is not known then."""
    hide_libpulse(monkeypatch)
    assert server_trouble(DOOR) is None
