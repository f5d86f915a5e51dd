"""Devices of a real sound server are found, opened and said by their own names."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from streamdenoise.cli import completers
from streamdenoise.errors import ModelError
from streamdenoise.live.devices import Device, find_device, list_devices
from streamdenoise.live.session import LiveOptions, LiveSession
from streamdenoise.virtual import soundserver
from streamdenoise.virtual.found import find_all
from streamdenoise.virtual.named import Chosen
from tests.pulse import PulseServer, hear_until, list_anew, pactl, pulse, wait_for

__all__ = ["pulse"]

ROOT = Path(__file__).parent.parent
SPEAKERS, MICROPHONE = "Built-in_Audio_Speakers", "Built-in_Internal_Microphone"
HEAD = "USB_Headphones"


@pytest.fixture
def server(
    pulse: PulseServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[PulseServer]:
    """The private server with a loudspeaker, headphones and a microphone."""
    pulse.use(monkeypatch)
    yield from furnished(pulse)


def furnished(server: PulseServer) -> Iterator[PulseServer]:
    """A server with devices that have names for people; left as it was found."""
    list_anew()
    properties = "{}_properties=device.description={}"
    made = [
        soundserver.load_module(module, *words, properties.format(kind, name))
        for module, kind, name, *words in (
            ("module-null-sink", "sink", SPEAKERS, "sink_name=spk", "rate=48000"),
            (
                "module-null-sink",
                "sink",
                "USB_Headphones",
                "sink_name=head",
                "rate=48000",
            ),
            (
                "module-remap-source",
                "source",
                MICROPHONE,
                "source_name=imic",
                "master=room.monitor",
                "channels=1",
                "channel_map=mono",
            ),
        )
    ]
    assert wait_for(lambda: {"spk", "head", "imic"} <= set(names()), 10.0)
    yield server
    for found in find_all():
        found.remove()
    for number in reversed(made):
        soundserver.unload_module(number)


def names() -> list[str]:
    return [e.name for kind in ("sinks", "sources") for e in entries(kind)]


def entries(kind: Any) -> list[soundserver.Entry]:
    return soundserver.entries(kind)


def ends(process: int) -> tuple[list[str], list[str]]:
    """Where a process records from, and what it plays into."""
    found = []
    for streams, kind in (("source-outputs", "sources"), ("sink-inputs", "sinks")):
        known = {e.index: e.name for e in entries(kind)}
        attached = [e.attached for e in soundserver.streams_of(streams, process)]  # type: ignore[arg-type]
        found.append([known[at] for at in attached if at in known])
    return found[0], found[1]


class Live:
    """A running ``live``; ended by `end`."""

    def __init__(self, server: PulseServer, model: Path, *words: str) -> None:
        base = [sys.executable, "-m", "streamdenoise", "live", "--model", str(model)]
        self.process = subprocess.Popen(
            [*base, "--json", *words],
            env=server.env,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.said = hear_until(self.process, "Ctrl-C ends")

    def reaches(self, source: str, sink: str) -> bool:
        """Wait until its streams are where they belong."""
        return wait_for(lambda: ends(self.process.pid) == ([source], [sink]), 15.0)

    def end(self) -> dict[str, Any]:
        self.process.send_signal(signal.SIGINT)
        assert self.process.stderr is not None and self.process.stdout is not None
        # Not `communicate`, which passes over what was read along with a line.
        self.said += self.process.stderr.read()
        out = self.process.stdout.read()
        self.process.wait(30)
        assert self.process.returncode == 0, self.said
        summary: dict[str, Any] = json.loads(out)
        return summary


def served() -> dict[str, Device]:
    return {d.server_name: d for d in list_devices() if d.server_name}


def test_they_are_listed(server: PulseServer) -> None:
    """With description, channels, rate and default; what is ours for others is not."""
    pactl("set-default-sink", "head")
    assert wait_for(lambda: soundserver.server().default_sink == "head", 5.0)
    found = served()
    kind = soundserver.server().name
    speakers, microphone = found["spk"], found["imic"]
    assert (speakers.name, speakers.host_api) == (SPEAKERS, kind)
    assert (speakers.inputs, speakers.outputs, speakers.default_rate) == (0, 2, 48_000)
    assert (microphone.name, microphone.inputs) == (MICROPHONE, 1)
    assert found["spk.monitor"].is_monitor and not microphone.is_monitor
    assert found["head"].default_output and not speakers.default_output
    door = next(d for d in list_devices() if d.name == "default")
    assert door.real("output").server_name == "head"

    def said(*words: str) -> str:
        command = [sys.executable, "-m", "streamdenoise", "devices", *words]
        done = subprocess.run(
            command, env=server.env, cwd=ROOT, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    rows = {row["server_name"]: row for row in json.loads(said("--json"))}
    assert rows["imic"]["description"] == rows["imic"]["name"] == MICROPHONE
    assert rows["imic"]["kind"] == "source" and rows["spk"]["kind"] == "sink"
    assert rows["imic"]["index"] is None
    lines = [line.split() for line in said().splitlines()]
    assert ["o", HEAD, "head", "-", "2", "48000"] in lines
    assert [SPEAKERS, "spk", "-", "2", "48000"] in lines


def test_they_are_offered(server: PulseServer) -> None:
    """Each word that the shell completes finds its device; what is played is none."""
    done = subprocess.run(
        [sys.executable, "-c", completers._LIST],
        env={**server.env, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    rows = json.loads(done.stdout)
    outputs = [(row[0], row[1], row[4], row[5]) for row in rows if row[3]]
    words = completers.words_for(outputs)
    assert {SPEAKERS, HEAD, "pulse"} <= {name for _, name in words}
    for word, name in words:
        assert find_device(word, "output", list_devices()).name == name
    assert not any("onitor" in row[1] for row in rows)


def test_live_goes_where_it_was_told(server: PulseServer, model_path: Path) -> None:
    """Parts of the names are enough, and what is opened is said by its name."""
    words = ("--input", "INTERNAL", "--output", "speakers")
    live = Live(server, model_path, *words)
    assert live.reaches("imic", "spk"), ends(live.process.pid)
    summary = live.end()
    kind = soundserver.server().name
    assert f"{MICROPHONE} ({kind}) -> {SPEAKERS} ({kind})" in live.said
    assert live.said.count("wear headphones") == 1
    assert summary["input"]["server_name"] == "imic"
    assert summary["output"]["name"] == SPEAKERS
    assert summary["losses"] == 0


def test_headphones_need_no_advice(server: PulseServer, model_path: Path) -> None:
    """And what a loudspeaker plays is an input where it is named."""
    live = Live(server, model_path, "--input", "spk.monitor", "--output", "headph")
    assert live.reaches("spk.monitor", "head"), ends(live.process.pid)
    live.end()
    assert "howl" not in live.said and "again and again" not in live.said


def test_a_virtual_microphone_hears_the_one_that_is_named(
    server: PulseServer, model_path: Path
) -> None:
    """Though the default source is another one."""
    pactl("set-default-source", "ear.monitor")
    live = Live(server, model_path, "--virtual-mic", "--input", "internal")
    assert live.reaches("imic", "streamdenoise.sink"), ends(live.process.pid)
    live.end()
    assert "instead" not in live.said


def test_the_others_are_heard_on_the_output_that_was_named(
    server: PulseServer, model_path: Path
) -> None:
    """In a call each direction has an output of its own."""
    pactl("set-default-sink", "spk")
    words = ("--virtual-mic", "--also-incoming", "--input", "internal")
    live = Live(server, model_path, *words, "--output", "headphones")

    def others_on() -> list[str]:
        names = {e.index: e.name for e in entries("sinks")}
        streams = [e for e in entries("sink-inputs") if e.process != live.process.pid]
        return [names[e.attached] for e in streams if e.attached in names]

    assert live.reaches("imic", "streamdenoise.sink"), ends(live.process.pid)
    assert wait_for(lambda: others_on() == ["head"], 15.0), others_on()
    live.end()
    assert "you hear it on 'USB_Headphones'" in live.said


def test_our_own_microphone_is_no_input(server: PulseServer, model_path: Path) -> None:
    """It would hear itself: one sentence, and exit code 3."""
    soundserver.load_module(
        "module-null-sink",
        "sink_name=ours",
        'sink_properties="device.description=Denoised streamdenoise.mic=ours"',
    )
    command = [sys.executable, "-m", "streamdenoise", "live", "--input", "denoised"]
    done = subprocess.run(
        command, env=server.env, cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 3
    assert "would hear itself" in done.stderr and done.stderr.count("\n") == 1


def test_the_environment_is_put_back_where_nothing_opens(
    server: PulseServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The device is there, and the model is not."""
    monkeypatch.setenv("PULSE_SINK", "ear")
    options = LiveOptions(output="speakers", model="/nowhere.tflite")
    with pytest.raises(ModelError):
        LiveSession(options)
    assert os.environ["PULSE_SINK"] == "ear"


def test_the_environment_is_put_back(
    server: PulseServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a name sets ends with the session, and what was there before is back."""
    monkeypatch.setenv("PULSE_SINK", "ear")
    with Chosen() as chosen:
        chosen.name("internal", "speakers")
        assert os.environ["PULSE_SOURCE"] == "imic"
        assert os.environ["PULSE_SINK"] == "spk"
    assert "PULSE_SOURCE" not in os.environ
    assert os.environ["PULSE_SINK"] == "ear"
