"""The virtual microphone on PipeWire: the same words to another server."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from streamdenoise.virtual import soundserver
from streamdenoise.virtual.found import find_all
from streamdenoise.virtual.mic import VirtualMic
from tests.alike import share_heard
from tests.pipewire import PipeWireServer, pipewire
from tests.test_live_pulse import recording
from tests.test_virtualmic import (
    HOLD,
    RATE,
    ROOT,
    start,
    start_live,
    test_a_stream_that_a_server_moves_late_is_brought_back,
    test_remove_leaves_one_that_live_plays_into,
    test_taken_away_while_it_plays_it_is_made_anew,
    test_what_is_read_is_what_the_server_has,
)

__all__ = [
    "pipewire",
    "test_a_stream_that_a_server_moves_late_is_brought_back",
    "test_remove_leaves_one_that_live_plays_into",
    "test_taken_away_while_it_plays_it_is_made_anew",
    "test_what_is_read_is_what_the_server_has",
]


@pytest.fixture
def server(
    pipewire: PipeWireServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[PipeWireServer]:
    """The private server, used by this process too; left as it was found."""
    pipewire.use(monkeypatch)
    yield pipewire
    for found in find_all():
        found.remove()


NATIVE = """
import os, sys, time
import sounddevice as sd
from streamdenoise.virtual import soundserver, route

route.prepare()
quiet = lambda data, *_: data.fill(0)
out = sd.OutputStream(48000, device="pipewire", channels=1, callback=quiet)
into = sd.InputStream(48000, device="pipewire", channels=1)
with out, into:
    time.sleep(1.0)
    def where(kind, targets):
        # A sink and its monitor have one number.
        names = {e.index: e.name for e in soundserver.entries(targets)}
        ours = soundserver.streams_of(kind, os.getpid())
        return [names.get(e.attached) for e in ours]
    def both():
        return where("sink-inputs", "sinks") + where("source-outputs", "sources")
    usual = both()
    print(*usual, flush=True)
    until = time.monotonic() + 10.0
    while set(usual) & set(both()) and time.monotonic() < until:
        route.follow_environment()  # live says it twice, too
        time.sleep(1.0)
    print(*both(), flush=True)
"""


def test_streams_of_its_own_device_are_brought_along(server: PipeWireServer) -> None:
    """Its ALSA device heeds no variable, and its streams do not say whose they are."""
    if not any(Path("/usr/lib").glob("*/alsa-lib/libasound_module_pcm_pipewire.so")):
        pytest.skip("needs pipewire-alsa: apt install pipewire-alsa")
    server.add_sink("far")

    def ended(sink: str, source: str) -> list[str]:
        env = {**server.env, "PULSE_SINK": sink, "PULSE_SOURCE": source}
        done = subprocess.run(
            [sys.executable, "-c", NATIVE],
            env={**env, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    usual = "room room.monitor"
    assert ended("far", "ear.monitor") == [usual, "far ear.monitor"]
    # The server remembers where a name was moved to: that must not count elsewhere.
    assert ended("ear", "far.monitor") == [usual, "ear far.monitor"]


def test_it_is_made_as_on_pulseaudio(server: PipeWireServer) -> None:
    """A mono source with its name and position, which goes away again."""
    assert soundserver.server().name == "PipeWire"
    with VirtualMic.create("desk") as mic:
        source = next(e for e in soundserver.entries("sources") if e.name == "desk.mic")
        assert source.description == mic.description == "desk (denoised)"
        assert source.properties["media.class"] == "Audio/Source"
        assert source.properties["audio.position"] == "MONO"
        assert not source.is_monitor
        assert [f.state for f in find_all()] == ["live"]
    assert find_all() == []


def test_a_killed_one_is_found_and_removed(server: PipeWireServer) -> None:
    """The owner is kept by this server too."""
    process = start(server, HOLD, "gone")
    process.kill()
    process.communicate()
    assert [f.state for f in find_all()] == ["left over"]
    with VirtualMic.create("gone"):
        assert [f.state for f in find_all()] == ["live"]


def test_a_recorder_hears_the_denoised_sound(
    server: PipeWireServer, model_path: Path, tmp_path: Path, rng: np.random.Generator
) -> None:
    """What a program records from it is what live played."""
    x = recording(rng)
    talk = tmp_path / "talk.wav"
    soundfile.write(talk, x, RATE, subtype="FLOAT")
    history = []
    for attempt in range(5):
        kept = tmp_path / f"kept-{attempt}.wav"
        process = start_live(server, model_path, 6, "--record", str(kept))
        try:
            with server.recording("streamdenoise.mic", RATE) as heard:
                server.play(talk, "room")
                time.sleep(0.5)
            said = process.communicate(timeout=30)[1]
        finally:
            process.kill()
        assert process.returncode == 0, said
        assert find_all() == []
        played = soundfile.read(kept, dtype="float32")[0]
        history.append(share_heard(played, heard[0], RATE))
        if history[-1] > 0.8:
            return
    pytest.fail(f"too little of what was played was heard: {history}")
