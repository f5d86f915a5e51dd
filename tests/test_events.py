"""Noticing that devices come and go: every time, at once, and nothing else."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

import streamdenoise.virtual.events as events_module
from streamdenoise.live.devices import Kind, find_device, list_devices
from streamdenoise.virtual.devices import VirtualDevices
from streamdenoise.virtual.events import DeviceEvents
from tests.pulse import (
    PulseServer,
    hide_libpulse,
    list_anew,
    pactl,
    pulse,
    wait_for,
)

__all__ = ["pulse"]

KINDS: Final[tuple[Kind, Kind]] = ("input", "output")


@pytest.fixture
def server(
    pulse: PulseServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[PulseServer]:
    """The private server, which this process asks too."""
    pulse.use(monkeypatch)
    yield pulse


def seen(events: DeviceEvents, seconds: float) -> bool:
    """Ask again and again for a time, as a session does."""
    return wait_for(events.seen, seconds)


def test_a_sink_that_comes_and_goes_is_noticed(server: PulseServer) -> None:
    """Streams and volumes are no reason to look."""
    with DeviceEvents() as events:
        assert not seen(events, 0.5)
        server.add_sink("guest")
        assert seen(events, 5.0)
        seen(events, 0.5)  # its monitor
        server.remove_sink("guest")
        assert seen(events, 5.0)
        seen(events, 0.5)
        pactl("set-sink-mute", "ear", "1")
        pactl("set-sink-mute", "ear", "0")
        assert not seen(events, 0.5)
    assert not events.seen()


def test_a_server_that_ended_is_looked_for_again(
    server: PulseServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What went meanwhile nobody has told, so that is a reason to look, once."""
    monkeypatch.setattr(events_module, "PAUSE_SECONDS", 1.0)
    with DeviceEvents() as events:
        assert not seen(events, 0.5)
        server.kill()
        assert not seen(events, 1.5)
        server.start()
        assert seen(events, 5.0)
        seen(events, 0.5)
        server.add_sink("ear")
        assert seen(events, 5.0)
        seen(events, 0.5)
        assert not seen(events, 0.5)
    events.close()
    assert not events.seen()


def test_without_libpulse_it_is_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing can be asked, nothing is seen, and nothing fails."""
    hide_libpulse(monkeypatch)
    with DeviceEvents() as events:
        assert not seen(events, 0.1)


def test_a_server_that_hangs_is_asked_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looks that became due while one waited in vain are one, and one question."""
    monkeypatch.setattr("streamdenoise.virtual.asking.ANSWER_SECONDS", 1.0)
    monkeypatch.setattr("streamdenoise.virtual.devices.LOOKS", (0.0, 0.1, 0.2))
    own, said, held = PulseServer(tmp_path), list[str](), list[str]()
    own.use(monkeypatch)
    list_anew()
    own.add_sink("room")
    monkeypatch.setenv("PULSE_SOURCE", "room.monitor")
    process = own._children[0]
    try:
        with VirtualDevices(said.append) as virtual:
            virtual.add_mic("hung")
            ends = [find_device(None, kind, list_devices()) for kind in KINDS]
            virtual.attend(ends[0], ends[1], held.append)
            virtual.resumed()
            time.sleep(0.3)
            process.send_signal(signal.SIGSTOP)
            try:
                began = time.monotonic()
                for _ in range(5):
                    virtual.always()
                assert 0.9 < time.monotonic() - began < 1.9
            finally:
                process.send_signal(signal.SIGCONT)
        assert (said, held) == ([], [])
    finally:
        own.stop()
