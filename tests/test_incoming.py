"""What a call program plays is heard denoised; and nothing stays behind."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

import streamdenoise.virtual.incoming as incoming_module
from streamdenoise import denoise, load_model
from streamdenoise.control.client import NAME, request
from streamdenoise.errors import DeviceError, StreamDenoiseError
from streamdenoise.virtual import pactl
from streamdenoise.virtual.incoming import Incoming
from streamdenoise.virtual.parts import find_all
from tests.alike import share_heard
from tests.pulse import PulseServer, pulse
from tests.test_live_pulse import recording
from tests.test_virtualmic import RATE, ROOT, server

__all__ = ["pulse", "server"]

HOLD = """
import sys, time
from streamdenoise.virtual.incoming import Incoming
incoming = Incoming(arguments=["--model", sys.argv[1]])
print("made", incoming._process.pid, flush=True)
time.sleep(60)
"""


def wait_for(condition: object, seconds: float = 15.0) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if condition():  # type: ignore[operator]
            return True
        time.sleep(0.1)
    return False


def plays() -> bool:
    """Whether the second live has both its streams."""
    sinks = {e.index: e.name for e in pactl.entries("sinks")}
    names = {sinks.get(e.attached or 0) for e in pactl.entries("sink-inputs")}
    return "ear" in names and "streamdenoise-incoming" not in names


def test_the_others_are_heard_denoised(
    server: PulseServer, model_path: Path, tmp_path: Path, rng: np.random.Generator
) -> None:
    """A call plays into the loudspeaker; the real one gives what `denoise` gives."""
    pactl.run("set-default-sink", "ear")
    x = recording(rng)
    talk = tmp_path / "talk.wav"
    soundfile.write(talk, x, RATE, subtype="FLOAT")
    clean = denoise(x, RATE, load_model(model_path))
    said: list[str] = []
    words = ["--model", str(model_path), "--rate", str(RATE), "--latency", "0.06"]
    near = []
    with Incoming(arguments=words) as incoming:
        assert [(f.kind, f.state) for f in find_all()] == [("loudspeaker", "live")]
        assert incoming.description == "Denoised loudspeaker"
        assert pactl.server().default_sink == "ear"
        assert wait_for(plays), "the second live does not play"
        for _ in range(4):
            with server.recording("ear.monitor", RATE) as heard:
                server.play(talk, incoming.sink_name)
                time.sleep(0.7)
            near.append(share_heard(clean, heard[0], RATE))
            incoming.check(said.append)
            if near[-1] > 0.8:
                break
    assert max(near) > 0.8, near
    assert said == []
    assert find_all() == []
    assert not incoming.running


def test_only_one_of_a_name(server: PulseServer, model_path: Path) -> None:
    """A second one with the same name is refused, and takes nothing away."""
    with Incoming(arguments=["--model", str(model_path)]):
        with pytest.raises(DeviceError, match="is there already"):
            Incoming(arguments=["--model", str(model_path)])
        assert len(find_all()) == 1
    assert find_all() == []


def test_it_says_once_why_it_ended(server: PulseServer) -> None:
    """If the second live cannot run, that is one sentence with its reason."""
    said: list[str] = []
    with Incoming(arguments=["--model", "no-such-model"]) as incoming:
        assert wait_for(lambda: not incoming.running)
        incoming.check(said.append)
        incoming.check(said.append)
    assert len(said) == 1
    assert "no-such-model" in said[0]


TALKS = """
import sys
sys.stderr.write("a meter of some kind " * 200_000)
sys.stderr.write("\\nstreamdenoise: the microphone is on fire\\n")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no sound server")
def test_what_the_second_live_says_does_not_grow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Megabytes go through without a file or a full pipe; its end is still told.

    A session of months may say as much, and a file for it may be in memory.
    """
    monkeypatch.setattr(incoming_module, "_CODE", TALKS)
    incoming = Incoming.__new__(Incoming)
    incoming.sink_name, incoming.control_name = "loudspeaker-incoming", "incoming"
    incoming._door, incoming._arguments = "pulse", []
    files: list[object] = []
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda *_: files.append(1))
    incoming._start("ear")
    assert wait_for(lambda: not incoming.running), "it waits for somebody to listen"
    tail, said = incoming._tail, []
    incoming.check(said.append)
    assert len(said) == 1 and "(the microphone is on fire)" in said[0]
    assert tail is not None and len(tail._last) <= 4000
    assert not tail._thread.is_alive()
    assert files == []


def test_it_comes_back(server: PulseServer, model_path: Path) -> None:
    """A loudspeaker that a new server does not know is made anew, and heard again."""
    pactl.run("set-default-sink", "ear")
    said: list[str] = []
    words = ["--model", str(model_path), "--rate", str(RATE), "--latency", "0.06"]
    with Incoming(arguments=words) as incoming:
        assert wait_for(answers), "the second live does not run"
        incoming.restore(said.append)
        assert said == []
        find_all()[0].remove()
        incoming.restore(said.append)
        assert [(f.kind, f.state) for f in find_all()] == [("loudspeaker", "live")]
        assert len(said) == 1 and "it is back" in said[0]
        assert pactl.server().default_sink == "ear"
        assert wait_for(listens), "the second live does not listen to it"
        incoming.check(said.append)
        incoming.restore(said.append)
    assert len(said) == 1
    assert find_all() == []


def answers() -> bool:
    """Whether the second live runs, with its streams started, not merely open."""
    with contextlib.suppress(StreamDenoiseError):
        return bool(request(["status"], name="incoming").get("ok"))
    return False


def listens() -> bool:
    """Whether the second live records what the loudspeaker plays."""
    sources = {e.index: e.name for e in pactl.entries("sources")}
    names = {sources.get(e.attached or 0) for e in pactl.entries("source-outputs")}
    return "streamdenoise-incoming.monitor" in names


@pytest.mark.parametrize("name", ["Desk", "a" * 22 + "-mic", "x" * 60, "Ann's mic"])
def test_the_second_live_has_a_name_that_it_takes(
    server: PulseServer, name: str
) -> None:
    """However long the name of the loudspeaker is, `live --name` accepts the other."""
    with Incoming(name, ["--model", "no-such-model"]) as incoming:
        assert NAME.fullmatch(incoming.control_name)


def test_it_ends_with_its_parent(server: PulseServer, model_path: Path) -> None:
    """After kill -9 of the first, the second one ends too, and all is cleaned up."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(model_path)],
        env={**server.env, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    second = int(process.stdout.readline().split()[1])
    time.sleep(1.5)
    process.kill()
    process.communicate()
    assert wait_for(lambda: not _runs(second)), "the second live runs on"
    assert [f.state for f in find_all()] == ["left over"]


def _runs(pid: int) -> bool:
    """Whether a process runs; one that waits to be collected does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"
