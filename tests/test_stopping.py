"""Ctrl-C, ``kill`` and closed terminals: nothing is cut off, and nothing stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import soundfile

from streamdenoise.cli import stopping
from streamdenoise.cli.stopping import Stopping, stop_on_sigterm
from tests.terminal import ROOT

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="POSIX signals")

HANG = """
import ctypes, os, signal, sys, threading, time
from streamdenoise.cli import stopping
stopping.ANSWER_SECONDS, stopping.POLL_SECONDS = 1.0, 0.1
stopping.LAST_ACT_SECONDS = 0.5

def hang(*_):
    "Wait in C for what never comes; no signal gets through."
    mutex = ctypes.create_string_buffer(128)
    c = ctypes.CDLL(None)
    c.pthread_mutex_lock(mutex)
    print("hangs", file=sys.stderr, flush=True)
    c.pthread_mutex_lock(mutex)
"""


def test_kill_and_a_closed_terminal_are_as_ctrl_c() -> None:
    """So that work is undone; what nohup has set to be ignored is ignored."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        with stop_on_sigterm():
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(number)
            signal.raise_signal(number)  # together with the first it is one
            signal.raise_signal(signal.SIGINT)
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_on_sigterm():
            signal.raise_signal(signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_stream_is_asked_once_and_interrupted_the_second_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What a closed terminal sends at once is one wish; a later one is impatience."""
    before = signal.getsignal(signal.SIGTERM)
    with Stopping() as asked:
        assert not asked.look()
        for _ in range(3):
            signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(signal.SIGTERM)
        assert asked.look()
        monkeypatch.setattr(stopping, "AT_ONCE_SECONDS", 0.0)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGTERM) == before
    assert signal.set_wakeup_fd(-1) == -1


def child(code: str, folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", HANG + code],
        env={**os.environ, "PYTHONPATH": str(ROOT), "STREAMDENOISE_CONFIG": ""},
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
    )


def until(process: subprocess.Popen[str], words: str) -> str:
    assert process.stderr is not None
    said = ""
    for line in process.stderr:
        said += line
        if words in line:
            break
    return said


@pytest.mark.skipif(sys.platform != "linux", reason="hangs in a mutex of Linux")
def test_a_hang_in_a_library_can_be_ended(tmp_path: Path) -> None:
    """Each last act is done, one that hangs as well keeps the others from nothing."""
    process = child(
        """
with stopping.Stopping(": the device is dead") as asked:
    asked.at_worst(lambda: print("first", file=sys.stderr, flush=True))
    asked.at_worst(lambda: 1 / 0)
    asked.at_worst(lambda: time.sleep(60))
    hang()
""",
        tmp_path,
    )
    with process:
        until(process, "hangs")
        for _ in range(2):  # the first may have come before it hung
            process.send_signal(signal.SIGTERM)
            time.sleep(0.5)
        said = until(process, "by force")
        assert process.wait(20) == 3
    assert "first" in said and ": the device is dead" in said, said


@pytest.mark.skipif(sys.platform != "linux", reason="hangs in a mutex of Linux")
def test_a_thread_that_answers_is_left_alone(tmp_path: Path) -> None:
    """However long it takes to end what it does."""
    process = child(
        """
with stopping.Stopping() as asked:
    print("runs", file=sys.stderr, flush=True)
    while not asked.look():
        time.sleep(0.05)
    time.sleep(2.5)
sys.exit(7)
""",
        tmp_path,
    )
    with process:
        until(process, "runs")
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 7


@pytest.mark.skipif(sys.platform != "linux", reason="hangs in a mutex of Linux")
def test_live_that_hangs_says_so_and_keeps_the_recording(tmp_path: Path) -> None:
    """The sound server died at the wrong moment: told, ended by Ctrl-C, file kept."""
    process = child(
        """
stopping.SILENT_SECONDS = 1.0
import streamdenoise.live.devices as devices
import streamdenoise.live.session as session
from streamdenoise.live.supervise import Supervisor
from tests.fakes import IdentityModel
from tests.fakesound import FakeSound, device
sound = FakeSound([device("USB card"), device("Speakers", 0, 2)])
devices.load_sounddevice = session.load_sounddevice = lambda: sound
session.load_model = lambda name: IdentityModel()
look, end = Supervisor.look, time.monotonic() + 2.5
Supervisor.look = lambda self: look(self) if time.monotonic() < end else hang()
from streamdenoise.cli import cli
cli(["live", "--record", "kept.wav"], prog_name="streamdenoise")
""",
        tmp_path,
    )
    with process:
        said = until(process, "nothing has moved for")
        assert "does not answer" in said, said
        process.send_signal(signal.SIGINT)
        said = until(process, "ended by force")
        assert process.wait(20) == 3, said
    assert [path.name for path in tmp_path.iterdir()] == ["kept.wav"]
    assert soundfile.info(tmp_path / "kept.wav").duration > 0.5


@pytest.mark.skipif(sys.platform != "linux", reason="hangs in a mutex of Linux")
def test_what_is_dear_is_saved_before_patience_ends(tmp_path: Path) -> None:
    """A driver that hangs as it closes costs no recording when systemd kills."""
    process = child(
        """
stopping.SLOW_SECONDS = 0.5
with stopping.Stopping() as asked:
    asked.at_worst(lambda: print("first", file=sys.stderr, flush=True))
    asked.at_worst(lambda: print("dear", file=sys.stderr, flush=True), dear=True)
    print("runs", file=sys.stderr, flush=True)
    while not asked.look():
        time.sleep(0.05)
    hang()
""",
        tmp_path,
    )
    with process:
        until(process, "runs")
        process.send_signal(signal.SIGTERM)
        said = until(process, "dear")
        assert "hangs" in said and "first" not in said
        process.kill()


def test_a_pause_is_no_hang(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is said while looks come, nor before the first."""
    monkeypatch.setattr(stopping, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(stopping, "SILENT_SECONDS", 0.6)
    with Stopping() as asked:
        time.sleep(0.8)
        for _ in range(8):
            asked.look()
            time.sleep(0.1)
    assert capsys.readouterr().err == ""
