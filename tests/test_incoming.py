"""What a call program plays is heard denoised; and nothing stays behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import soundfile

import streamdenoise.virtual.incoming as incoming_module
import streamdenoise.virtual.second as second_module
from streamdenoise import denoise, load_model
from streamdenoise.control.client import NAME, request
from streamdenoise.errors import DeviceError, StreamDenoiseError
from streamdenoise.virtual import soundserver
from streamdenoise.virtual.absence import GONE_SECONDS, Absence
from streamdenoise.virtual.asking import Asking
from streamdenoise.virtual.found import find_all
from streamdenoise.virtual.incoming import Incoming
from streamdenoise.virtual.owner import Owner
from streamdenoise.virtual.parts import make_loudspeaker
from streamdenoise.virtual.second import WAITING, SecondLive
from tests.alike import share_heard
from tests.pulse import PulseServer, pactl, pulse, wait_for
from tests.test_live_pulse import recording
from tests.test_virtualmic import RATE, ROOT, run, server

__all__ = ["pulse", "server"]

HOLD = """
import sys, time
from streamdenoise.virtual.asking import Asking
from streamdenoise.virtual.incoming import Incoming
incoming = Incoming(arguments=["--model", sys.argv[1]])
print("made", incoming._live.pid, flush=True)
time.sleep(60)
"""


def plays() -> bool:
    """Whether the second live has both its streams."""
    sinks = {e.index: e.name for e in soundserver.entries("sinks")}
    names = {sinks.get(e.attached or 0) for e in soundserver.entries("sink-inputs")}
    return "ear" in names and "streamdenoise-incoming" not in names


def test_the_others_are_heard_denoised(
    server: PulseServer, model_path: Path, tmp_path: Path, rng: np.random.Generator
) -> None:
    """A call plays into the loudspeaker; the real one gives what `denoise` gives."""
    pactl("set-default-sink", "ear")
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
        assert soundserver.server().default_sink == "ear"
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
        with pytest.raises(DeviceError, match="belongs to process"):
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
    assert "no-such-model" in said[0] and "no longer denoised" in said[0]


def test_one_that_is_killed_is_started_anew_but_not_for_ever(
    server: PulseServer, model_path: Path
) -> None:
    """What did it is said; at last the call gets another loudspeaker."""
    said: list[str] = []

    def ends(incoming: Incoming) -> bool:
        assert incoming._live is not None
        os.kill(incoming._live.pid, signal.SIGKILL)
        return wait_for(lambda: not incoming.running)

    with Incoming(arguments=["--model", str(model_path)]) as incoming:
        for times in (1, 2, 3):
            assert ends(incoming)
            incoming.check(said.append)
            assert incoming.running
            assert len(said) == times and "SIGKILL" in said[-1]
            assert "started anew" in said[-1]
        assert ends(incoming)
        incoming.check(said.append)
        assert not incoming.running
        assert "no longer denoised" in said[-1] and "SIGKILL" in said[-1]
        assert find_all() == []


def test_the_loudspeaker_that_the_environment_names_is_played_on(
    server: PulseServer, model_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PULSE_SINK wins over the default one, as for every other program."""
    pactl("set-default-sink", "room")
    monkeypatch.setenv("PULSE_SINK", "ear")
    with Incoming(arguments=["--model", str(model_path)]) as incoming:
        assert incoming.output == next(
            entry.description
            for entry in soundserver.entries("sinks")
            if entry.name == "ear"
        )
        assert wait_for(plays)


TALKS = """
import sys
sys.stderr.write("a meter of some kind " * 200_000)
sys.stderr.write("\\nstreamdenoise: the microphone is on fire\\n")
sys.exit(3)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no sound server")
def test_what_the_second_live_says_does_not_grow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Megabytes go through without a file or a full pipe; its end is still told.

    A session of months may say as much, and a file for it may be in memory.
    """
    monkeypatch.setattr(second_module, "_CODE", TALKS)
    files: list[object] = []
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda *_: files.append(1))
    live = SecondLive([], os.environ)
    assert wait_for(lambda: not live.running), "it waits for somebody to listen"
    assert live.reason == "the microphone is on fire"
    live.close()
    assert len(live._tail._last) <= 4000
    assert not live._tail._thread.is_alive()
    assert files == []


def test_it_comes_back(server: PulseServer, model_path: Path) -> None:
    """A loudspeaker that a new server does not know is made anew, and heard again."""
    pactl("set-default-sink", "ear")
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
        assert soundserver.server().default_sink == "ear"
        assert wait_for(listens), "the second live does not listen to it"
        incoming.check(said.append)
        incoming.restore(said.append)
    assert len(said) == 1
    assert find_all() == []


@pytest.fixture
def headset(server: PulseServer) -> Iterator[PulseServer]:
    """A third loudspeaker, the default one, which a test may unplug."""
    server.add_sink("headset")
    pactl("set-default-sink", "headset")
    try:
        yield server
    finally:
        server.remove_sink("headset")
        pactl("set-default-sink", "ear")
        pactl("suspend-sink", "ear", "0")


def state() -> str:
    """What the second live says of itself; nothing while it does not answer."""
    with contextlib.suppress(StreamDenoiseError):
        return str(request(["status"], name="incoming")["status"]["state"])
    return ""


def plays_on(sink: str) -> bool:
    """Whether anything plays into a sink."""
    numbers = {e.index for e in soundserver.entries("sinks") if e.name == sink}
    return any(e.attached in numbers for e in soundserver.entries("sink-inputs"))


def test_an_unplugged_loudspeaker_is_left_for_another(
    headset: PulseServer, model_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the second live cannot open again, it is started on the default one.

    `check` alone sees to that, and asks the server only once there is reason to.
    """
    monkeypatch.setattr(second_module, "ASK_SECONDS", 0.5)
    said: list[str] = []
    asked: list[Asking] = []
    words = ["--model", str(model_path), "--rate", str(RATE), "--latency", "0.06"]
    with Incoming(arguments=words) as incoming:
        assert incoming._sink == "headset"
        assert wait_for(lambda: state() == "running", 30.0)
        with monkeypatch.context() as patch:
            patch.setattr(Asking, "_connect", asked.append)
            until = time.monotonic() + 2.0
            while time.monotonic() < until:
                incoming.check(said.append)
                time.sleep(0.1)
        assert (said, asked) == ([], [])
        pactl("set-default-sink", "ear")
        headset.remove_sink("headset")
        first = incoming._live
        # The server moves its stream, until that has to be opened again: here because
        # nothing comes through for a while.
        assert wait_for(lambda: plays_on("ear"))
        pactl("suspend-sink", "ear", "1")
        assert wait_for(lambda: state() == WAITING, 30.0)
        pactl("suspend-sink", "ear", "0")

        def moved() -> bool:
            incoming.check(said.append)
            return incoming._live is not first

        assert wait_for(moved, 30.0), said
        assert wait_for(lambda: state() == "running" and plays_on("ear"), 30.0)
        incoming.check(said.append)
        told = [s for s in said if "is gone; the others are heard on" in s]
        assert len(told) == 1
        assert said[-1] == told[0]
        headset.add_sink("headset")
        incoming.restore(said.append)
        assert wait_for(lambda: plays_on("headset"), 5.0)
        assert "heard on" in said[-1] and said[-1].endswith("again")
    assert first is not None and not first.running
    assert find_all() == []


def test_it_goes_back_to_the_headset(headset: PulseServer, model_path: Path) -> None:
    """Where the server itself moves the stream nothing is started anew, nor asked for.

    What was set while it ran stays, and each way is said once.
    """
    said: list[str] = []
    words = ["--model", str(model_path), "--rate", str(RATE), "--latency", "0.06"]
    with Incoming(arguments=words) as incoming:
        assert wait_for(lambda: state() == "running" and plays_on("headset"), 30.0)
        first = incoming._live
        incoming.restore(said.append)
        assert said == []

        def heard_on(sink: str) -> bool:
            incoming.restore(said.append)
            there = next(
                (e for e in soundserver.entries("sinks") if e.name == sink), None
            )
            return there is not None and incoming._heard_on([there]) is not None

        pactl("set-default-sink", "ear")
        for _ in range(2):
            headset.remove_sink("headset")
            assert wait_for(lambda: plays_on("ear"), 10.0)
            assert wait_for(lambda: heard_on("ear"), 10.0)
            assert not incoming._absence.noted
            headset.add_sink("headset")
            assert wait_for(lambda: heard_on("headset"), 10.0)
            incoming.restore(said.append)
        assert incoming._live is first
    assert len(said) == 4
    assert all("is gone; the others are heard on" in s for s in said[::2])
    assert all(s.endswith("again") for s in said[1::2])


def test_a_loudspeaker_that_is_late_is_waited_for(
    headset: PulseServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that has just begun lists one device after the other: no haste."""
    said: list[str] = []
    with Incoming(arguments=["--model", "no-such-model"]) as incoming:
        monkeypatch.setattr(Incoming, "running", True)
        starts: list[str] = []
        monkeypatch.setattr(incoming, "_start", lambda: starts.append(incoming._sink))
        headset.remove_sink("headset")
        incoming.restore(said.append)
        headset.add_sink("headset")
        incoming.restore(said.append)
        time.sleep(GONE_SECONDS)
        headset.remove_sink("headset")
        pactl("set-default-sink", "ear")
        incoming.restore(said.append)
        assert (starts, said) == ([], [])
        time.sleep(GONE_SECONDS)
        incoming.restore(said.append)
        incoming.restore(said.append)
        assert starts == ["ear"]
    assert len(said) == 1 and "the others are heard on" in said[0]


def test_started_anew_it_gets_the_environment_of_the_start(
    server: PulseServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the first live says there of its own streams is not said of these."""
    given: list[dict[str, str]] = []

    def second(words: object, env: dict[str, str]) -> Says:
        given.append(env)
        return Says()

    monkeypatch.setattr(incoming_module, "SecondLive", second)
    with Incoming() as incoming:
        monkeypatch.setenv("PIPEWIRE_ALSA", "{ application.name = theirs }")
        monkeypatch.setenv("PULSE_SINK", "streamdenoise.sink")
        incoming._start()
    assert given[0] == given[1]
    assert given[0]["PULSE_SINK"] in ("room", "ear")


class Says:
    """Stands in for a second live, with its answers."""

    running = True

    def __init__(self, *answers: str | None) -> None:
        self._answers = iter(answers)

    def news(self) -> str | None:
        return next(self._answers)

    def close(self) -> None:
        """Nothing runs."""


def test_waiting_is_said_once_and_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others are not heard, and whoever hears nothing is told why."""
    incoming = Incoming.__new__(Incoming)
    incoming.output, incoming._waited, incoming._absence = "ear", 0, Absence()
    # A moment, then for long; no answer is neither.
    answers = [None, "", WAITING, "running", None, WAITING, "", WAITING, WAITING, None]
    answers += ["running", "running"]
    incoming._live = cast(SecondLive, Says(*answers))
    tries: list[object] = []

    def refused(warn: object) -> None:
        tries.append(warn)
        raise soundserver.NoServerError("no server")

    monkeypatch.setattr(incoming, "restore", refused)
    said: list[str] = []
    for _ in answers:
        incoming.check(said.append)
    assert len(tries) == answers.count(WAITING)
    assert len(said) == 2
    assert "not heard" in said[0] and "'ear'" in said[0]
    assert "heard again" in said[1]


def test_one_of_another_container_is_named_so(server: PulseServer) -> None:
    """After `docker kill` nobody can say whether it runs; how to take it away is said.

    And it can be taken away so, however long its name is.
    """
    here = Owner.here()
    elsewhere = str(Owner(7, "1", "pid:[1]", here.boot))
    for name in ("streamdenoise", "x" * 80):
        slug = f"{name[:55]}-incoming"
        make_loudspeaker(slug, "A loudspeaker", RATE, elsewhere)
        with pytest.raises(DeviceError, match="another machine or container") as told:
            Incoming(name)
        words = str(told.value).partition("type: streamdenoise virtual-mic ")[2].split()
        assert words == ["remove", "--name", slug]
        assert slug in run(*words).output
        assert find_all() == []


def answers() -> bool:
    """Whether the second live runs, with its streams started, not merely open."""
    with contextlib.suppress(StreamDenoiseError):
        return bool(request(["status"], name="incoming").get("ok"))
    return False


def listens() -> bool:
    """Whether the second live records what the loudspeaker plays."""
    sources = {e.index: e.name for e in soundserver.entries("sources")}
    names = {
        sources.get(e.attached or 0) for e in soundserver.entries("source-outputs")
    }
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
