"""Systemd hears that live sound is ready, alive and about to end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamdenoise.live.summary import Status
from streamdenoise.notify import Notifier, status_line
from tests.pulse import PulseServer, pulse

__all__ = ["pulse"]

pytestmark = pytest.mark.skipif(
    not hasattr(socket, "AF_UNIX") or sys.platform == "win32",
    reason="systemd's socket is one of Unix",
)
ROOT = Path(__file__).parent.parent


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[socket.socket]:
    """The end that systemd reads, as it makes it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind(str(tmp_path / "notify"))
        end.settimeout(5.0)
        yield end


def environment(end: socket.socket, period: str = "", pid: str = "") -> dict[str, str]:
    found = {"NOTIFY_SOCKET": end.getsockname(), "OTHER": "stays"}
    if period:
        found["WATCHDOG_USEC"] = period
    if pid:
        found["WATCHDOG_PID"] = pid
    return found


def waiting(end: socket.socket) -> list[str]:
    """All lines that have come and were not read yet."""
    lines: list[str] = []
    end.setblocking(False)
    try:
        while True:
            lines += end.recv(4096).decode().split("\n")
    except BlockingIOError:
        return lines


def status(state: str = "running") -> Status:
    levels = (-30.0, -40.0, 10.0)
    xruns = {"input_overflow": 2, "output_underflow": 1}
    return Status(1.0, *levels, 0.1, xruns, latency=0.0342, model="base", state=state)


def test_ready_once_then_signs_of_life(systemd: socket.socket) -> None:
    """READY comes with the first look, once, and the status when it changes."""
    with Notifier(environment(systemd, period="30000000")) as told:
        assert told.works
        told(status())
        assert waiting(systemd) == [
            "READY=1",
            "WATCHDOG=1",
            "STATUS=running, latency 34 ms, xruns 3, model base",
        ]
        told(status())
        assert waiting(systemd) == []
        told(status("waiting for device"))
        assert waiting(systemd) == ["STATUS=waiting for device"]
    assert waiting(systemd) == ["STOPPING=1"]


def test_life_is_signed_twice_in_each_period(systemd: socket.socket) -> None:
    """Looks ten times as often as needed make two signs a period, not twenty."""
    with Notifier(environment(systemd, period="200000", pid=str(os.getpid()))) as told:
        end, looks = time.monotonic() + 0.8, 0
        while time.monotonic() < end:
            told(status())
            looks += 1
            time.sleep(0.01)
    signs = waiting(systemd).count("WATCHDOG=1")
    assert 2 <= signs <= 9 < looks


@pytest.mark.parametrize(
    ("period", "pid"), [("", ""), ("0", ""), ("soon", ""), ("200000", "1")]
)
def test_no_life_is_signed_unasked(
    systemd: socket.socket, period: str, pid: str
) -> None:
    """Without a period, or with that of another process, there is no watchdog."""
    with Notifier(environment(systemd, period, pid)) as told:
        told(status())
    assert "WATCHDOG=1" not in waiting(systemd)


def test_what_is_started_from_here_does_not_speak(systemd: socket.socket) -> None:
    """The variables are gone from the environment; all others stay."""
    environ = environment(systemd, "1000", "1")
    with Notifier(environ):
        assert environ == {"OTHER": "stays"}


@pytest.mark.parametrize("name", ["", "relative", "/nowhere/at/all", "@nobody-listens"])
def test_without_a_listener_nothing_changes(name: str) -> None:
    """The look itself is handed back, and calls do nothing."""

    def tick(status: Status) -> None:
        raise AssertionError

    with Notifier({"NOTIFY_SOCKET": name} if name else {}) as told:
        assert not told.works
        assert told.following(tick) is tick
        told(status())


@pytest.mark.skipif(sys.platform != "linux", reason="abstract names are Linux's")
def test_abstract_names_and_the_look_itself() -> None:
    """A name with @ is reached, and what was called before is still called."""
    name = f"streamdenoise-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind("\0" + name)
        seen: list[Status] = []
        with Notifier({"NOTIFY_SOCKET": "@" + name}) as told:
            told.following(seen.append)(status())
        assert len(seen) == 1
        assert waiting(end)[0] == "READY=1"


def test_what_did_not_go_is_said_again(systemd: socket.socket) -> None:
    """A full socket makes nobody wait, and READY is not lost."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.setblocking(False)
        with pytest.raises(BlockingIOError):
            while True:
                other.sendto(b"x", systemd.getsockname())
        with Notifier(environment(systemd)) as told:
            began = time.monotonic()
            told(status())
            assert time.monotonic() - began < 1.0
            assert "READY=1" not in waiting(systemd)
            told(status())
            assert "READY=1" in waiting(systemd)


def test_no_name_breaks_the_line() -> None:
    """A model's path with a line break does not become another message."""
    odd = Status(1.0, 0.0, 0.0, 0.0, 0.1, {}, model="a\nREADY=0", state="running")
    assert "\n" not in status_line(odd)


def test_live_tells_systemd(
    pulse: PulseServer, systemd: socket.socket, tmp_path: Path, model: object
) -> None:
    """The command itself: ready, alive, and stopping when it is asked to end."""
    env = pulse.env_for("room.monitor", "ear")
    env |= environment(systemd, "2000000") | {"PYTHONPATH": str(ROOT)}
    words = ["live", "--no-view", "--latency", "0.2"]
    process = subprocess.Popen(
        [sys.executable, "-m", "streamdenoise", *words],
        env=env,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        systemd.settimeout(60.0)
        heard = systemd.recv(4096).decode().split("\n")
        assert heard[0] == "READY=1" and "WATCHDOG=1" in heard
        while "WATCHDOG=1" not in (heard := systemd.recv(4096).decode().split("\n")):
            pass
    finally:
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert waiting(systemd)[-1] == "STOPPING=1"
