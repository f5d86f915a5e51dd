"""What happens around a running session: hooks, and what their trouble does."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest

import streamdenoise.control.desk as desk_module
import streamdenoise.live.session as session_module
from streamdenoise.control.desk import Desk
from streamdenoise.control.view import View
from streamdenoise.errors import DeviceError
from streamdenoise.live.session import LiveOptions, LiveSession, Status
from tests.fakes import IdentityModel
from tests.fakesound import FakeSound, device


class Kept:
    """A view that keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def attach(self, session: LiveSession, keys: bool) -> None:
        pass

    def __call__(self, status: Status) -> None:
        pass

    def note(self, text: str) -> None:
        self.said.append(text)

    sentence = note

    def help(self) -> None:
        pass

    def clear(self) -> None:
        pass


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[LiveSession]:
    """A real session on a device that is no hardware."""
    monkeypatch.setattr(session_module, "load_model", lambda name: IdentityModel())
    monkeypatch.setattr(session_module, "DEADLINE_SHARE", float("inf"))
    with LiveSession(LiveOptions(), FakeSound([device("card")])) as session:
        yield session


def status(state: Any, openings: int = 1) -> Status:
    return Status(1.0, -20.0, -30.0, 10.0, 0.1, {}, state=state, openings=openings)


def waiting_until(desk: Desk, done: Callable[[], bool]) -> None:
    """Tick while devices are waited for, as `run` would."""
    end = time.monotonic() + 20.0
    while not done():
        assert time.monotonic() < end
        desk(status("waiting for device"))
        time.sleep(0.01)


def test_the_hook_of_waiting_is_called_now_and_then(
    session: LiveSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once, then after a pause each, and never while sound runs."""
    monkeypatch.setattr(desk_module, "AGAIN_SECONDS", 0.2)
    view: View = Kept()
    calls: list[float] = []
    with Desk(session, view, waiting=lambda: calls.append(time.monotonic())) as desk:
        desk(status("running"))
        assert calls == []
        desk(status("waiting for device"))
        assert len(calls) == 1
        waiting_until(desk, lambda: len(calls) == 4)
        pauses = [b - a for a, b in pairwise(calls)]
        assert min(pauses) >= 0.2
        desk(status("running", 2))
        assert len(calls) == 4


def test_what_hinders_while_waiting_is_said_once(
    session: LiveSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that refuses each second is one sentence, until it says another."""
    monkeypatch.setattr(desk_module, "AGAIN_SECONDS", 0.0)
    view, calls = Kept(), [0]

    def refuse() -> None:
        calls[0] += 1
        raise DeviceError("no" if calls[0] < 5 else "never")

    with Desk(session, view, waiting=refuse) as desk:
        waiting_until(desk, lambda: calls[0] == 8)
    assert view.said == ["no", "never"]


def test_trouble_of_the_system_does_not_end_the_sound(session: LiveSession) -> None:
    """An error of the file system is a sentence as our own are."""
    view = Kept()

    def fail() -> None:
        raise FileNotFoundError(2, "No such file or directory", "gone\x1b[2J")

    with Desk(session, view, resumed=fail) as desk:
        desk(status("running"))
    assert len(view.said) == 1
    assert "No such file" in view.said[0] and "sound goes on" in view.said[0]
    assert view.said[0].isprintable()
