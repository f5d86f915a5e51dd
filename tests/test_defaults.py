"""A change of the default devices is noticed by a process that ends with ours."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from streamdenoise.live.defaults import (
    COMMAND,
    DefaultWatcher,
    default_names,
    watcher_for,
)
from streamdenoise.live.devices import list_devices
from tests.fakesound import FakeSound, device
from tests.pulse import need_pulse

TALK = (
    "import sys, time, pathlib\n"
    "while True:\n"
    "    print(pathlib.Path(sys.argv[1]).read_text(), flush=True)\n"
    "    time.sleep(0.05)\n"
)


def wait(until: Callable[[], bool], seconds: float = 20.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if until():
            return True
        time.sleep(0.05)
    return False


def talking(path: Path, kinds: tuple[bool, bool]) -> DefaultWatcher:
    return DefaultWatcher(kinds, [sys.executable, "-c", TALK, str(path)])


@dataclass
class Wishes:
    input: str | None = None
    output: str | None = None
    reinitialise: bool = True


@pytest.mark.parametrize(
    ("kinds", "expected"), [((False, True), True), ((True, False), False)]
)
def test_only_what_matters_counts(
    tmp_path: Path, kinds: tuple[bool, bool], expected: bool
) -> None:
    """A new output is a change for who follows the output, not for others."""
    said = tmp_path / "names.json"
    said.write_text('[["mic", "X"], ["ear", "X"]]')
    watcher = talking(said, kinds)
    try:
        assert wait(lambda: watcher._latest is not None)
        assert not watcher.changed()
        said.write_text('[["mic", "X"], ["room", "X"]]')
        assert wait(lambda: (watcher._latest or (0, 0))[1] == ("room", "X"))
        assert watcher.changed() is expected
        assert not watcher.changed()
    finally:
        watcher.close()


def test_what_is_gone_or_garbled_is_no_change(tmp_path: Path) -> None:
    """No default at all, or half a line, changes nothing."""
    said = tmp_path / "names.json"
    said.write_text('[["mic", "X"], ["ear", "X"]]')
    watcher = talking(said, (True, True))
    try:
        assert wait(lambda: watcher._latest is not None)
        assert not watcher.changed()
        said.write_text("[null, null]")
        assert wait(lambda: watcher._latest == (None, None))
        assert not watcher.changed()
        said.write_text('{"half')
        time.sleep(0.3)
        assert not watcher.changed()
    finally:
        watcher.close()
        watcher.close()


def test_one_is_started_only_where_it_is_needed() -> None:
    """A named device, a sound server and a shared PortAudio need none."""
    mic, out = list_devices(FakeSound([device("mic", 1, 0), device("out", 0, 2)]))
    assert watcher_for(mic, out, Wishes()) is None
    mac = FakeSound([device("mic", 1, 0), device("out", 0, 2)], apis=["Core Audio"])
    mic, out = list_devices(mac)
    assert watcher_for(mic, out, Wishes("mic", "out")) is None
    assert watcher_for(mic, out, Wishes(reinitialise=False)) is None
    watcher = watcher_for(mic, out, Wishes(output="out"))
    assert watcher is not None
    watcher.close()


def test_names_of_the_defaults() -> None:
    """Name and host API of each direction; None where there is none."""
    sound = FakeSound([device("mic", 1, 0), device("out", 0, 2)], default=(0, 1))
    assert default_names(list_devices(sound)) == (("mic", "ALSA"), ("out", "ALSA"))
    assert default_names([]) == (None, None)


def test_the_process_talks_and_ends_with_us() -> None:
    """The real one says a line of JSON, and is gone when its input is closed."""
    need_pulse()
    process = subprocess.Popen(
        COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None and process.stdin is not None
        assert process.stdout.readline().startswith("[")
        process.stdin.close()
        assert process.wait(10) == 0
    finally:
        process.kill()


def test_a_command_that_is_not_there_is_an_error() -> None:
    """It is told at once, so that `watcher_for` can do without."""
    with pytest.raises(OSError):
        DefaultWatcher((True, True), ["/no/such/program"])
