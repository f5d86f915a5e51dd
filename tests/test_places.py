"""A live whose devices are unplugged, on servers that move streams and tell nobody."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from streamdenoise.virtual import soundserver
from streamdenoise.virtual.absence import SETTLED_SECONDS
from tests.pulse import PulseServer, pactl, wait_for
from tests.servers import either, pipewire, pulse
from tests.test_virtualmic import ROOT

__all__ = ["either", "pipewire", "pulse"]


class Live:
    """A plain live, what it has said, and where its streams are."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.said = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said += line

    def says(self, what: str, times: int = 1) -> bool:
        """Whether it says so within some seconds."""
        return wait_for(lambda: self.said.count(what) >= times, 20.0)

    def places(self) -> tuple[list[str], list[str]]:
        """Names of the sinks it plays into, and of the sources that it hears."""
        return self._of("sinks", "sink-inputs"), self._of("sources", "source-outputs")

    def _of(self, targets: soundserver.Kind, streams: soundserver.Streams) -> list[str]:
        names = {entry.index: entry.name for entry in soundserver.entries(targets)}
        found = soundserver.streams_of(streams, self.process.pid)
        return [names.get(each.attached or 0, "?") for each in found]

    def settles(self, sink: str, source: str) -> bool:
        """Whether its streams get to these and stay there."""
        return wait_for(lambda: self.places() == ([sink], [source]), 20.0)


@contextlib.contextmanager
def live(
    server: PulseServer, model: Path, more: Sequence[str] = (), **named: str
) -> Iterator[Live]:
    """Run a live with PULSE_SOURCE and PULSE_SINK as given."""
    command = [sys.executable, "-m", "streamdenoise", "live", "--no-view"]
    command += ["--model", str(model), "--rate", "48000", "--latency", "0.06"]
    process = subprocess.Popen(
        [*command, *(more or ("--input", "default", "--output", "default"))],
        env={**server.env, **{f"PULSE_{k.upper()}": v for k, v in named.items()}},
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield Live(process)
    finally:
        process.terminate()
        process.wait(30)


def has(kind: soundserver.Kind, name: str) -> bool:
    return any(entry.name == name for entry in soundserver.entries(kind))


def plug(server: PulseServer, name: str) -> None:
    server.add_sink(name)
    assert wait_for(lambda: has("sinks", name) and has("sources", f"{name}.monitor"))


def unplug(server: PulseServer, name: str) -> None:
    server.remove_sink(name)
    assert wait_for(lambda: not has("sinks", name))


@pytest.mark.parametrize("side", ["source", "sink"])
def test_a_named_device_that_is_unplugged_is_waited_for(
    either: PulseServer, model_path: Path, side: str
) -> None:
    """No other microphone is heard in its place, and sound goes on when it is back."""
    plug(either, "head")
    names = {"source": "room.monitor", "sink": "ear"}
    names[side] = "head.monitor" if side == "source" else "head"
    try:
        with live(either, model_path, **names) as session:
            assert session.settles(names["sink"], names["source"]), session.said
            time.sleep(2.0)  # sound runs
            for times in (1, 2):
                unplug(either, "head")
                assert session.says("went away", times), session.said
                assert wait_for(lambda: session.places() == ([], [])), session.said
                plug(either, "head")
                assert session.says("sound is back", times), session.said
                assert session.settles(names["sink"], names["source"]), session.said
            time.sleep(SETTLED_SECONDS)
            plug(either, "more")  # at which PipeWire may move what hears a monitor
            time.sleep(3.0)
            unplug(either, "more")
            assert "by hand" not in session.said
    finally:
        unplug(either, "head")


def test_the_words_of_the_server_for_a_device_are_understood(
    either: PulseServer, model_path: Path
) -> None:
    """A number, or its word for the default one, is no device that has gone."""
    pactl("set-default-sink", "ear")
    room = next(e for e in soundserver.entries("sources") if e.name == "room.monitor")
    names = {"source": str(room.index), "sink": "@DEFAULT_SINK@"}
    with live(either, model_path, **names) as session:
        assert session.settles("ear", "room.monitor"), session.said
        time.sleep(3.0)
        assert session.places() == (["ear"], ["room.monitor"]), session.said
        assert "went away" not in session.said


def test_what_a_device_is_called_is_safe_to_print() -> None:
    """A description comes from afar: no control characters, and never none at all."""
    told = {"": "x", "(null)": "x", 'Größe "q"': 'Größe "q"', "a\nb": "a\\nb"}
    for description, called in told.items():
        assert soundserver.Entry(0, "x", description).known_as == called


def test_without_names_it_goes_along_and_says_where_to(
    either: PulseServer, model_path: Path
) -> None:
    """The default loudspeaker is unplugged: sound goes on, on one that is named."""
    plug(either, "head")
    plug(either, "far")
    pactl("set-default-sink", "head")
    pactl("set-default-source", "room.monitor")
    try:
        with live(either, model_path) as session:
            assert session.settles("head", "room.monitor"), session.said
            time.sleep(2.0)  # it looks where it is when it begins
            pactl("set-default-sink", "ear")
            assert session.settles("ear", "room.monitor"), session.said
            assert session.says("the loudspeaker is '"), session.said
            unplug(either, "head")
            pactl("set-default-sink", "far")
            assert session.settles("far", "room.monitor"), session.said
            assert session.says("the loudspeaker is '", 2), session.said
    finally:
        unplug(either, "head")
        unplug(either, "far")


def test_what_is_played_never_becomes_the_microphone(
    either: PulseServer, model_path: Path
) -> None:
    """Where the only microphone goes, the server may offer what is played."""
    plug(either, "head")
    pactl("set-default-sink", "ear")
    pactl("set-default-source", "head.monitor")
    try:
        with live(either, model_path) as session:
            assert session.settles("ear", "head.monitor"), session.said
            time.sleep(2.0)  # sound runs
            pactl("set-default-source", "ear.monitor")
            unplug(either, "head")
            assert session.says("Waiting for it"), session.said
            assert wait_for(lambda: session.places() == ([], [])), session.said
            pactl("set-default-source", "room.monitor")
            assert session.settles("ear", "room.monitor"), session.said
    finally:
        unplug(either, "head")


@pytest.mark.parametrize("words", [(), ("--virtual-mic",)])
def test_the_only_microphone_is_waited_for(
    either: PulseServer, model_path: Path, words: Sequence[str]
) -> None:
    """Neither what is played nor the virtual microphone itself is heard instead."""
    make = ["load-module", "module-remap-source", "source_name=usbmic"]
    make += ["master=room.monitor", "source_properties=device.description=USB_Mic"]
    module = pactl(*make).strip()
    pactl("set-default-source", "usbmic")
    pactl("set-default-sink", "ear")
    try:
        with live(either, model_path, words) as session:
            assert wait_for(lambda: session.places()[1] == ["usbmic"]), session.said
            time.sleep(2.0)  # sound runs
            pactl("unload-module", module)
            assert session.says("the microphone 'USB_Mic' went away"), session.said
            assert wait_for(lambda: session.places() == ([], [])), session.said
            time.sleep(4.0)
            assert session.places() == ([], []), session.said
            assert "itself" not in session.said
            module = pactl(*make).strip()
            pactl("set-default-source", "usbmic")
            assert session.says("sound is back"), session.said
            assert wait_for(lambda: session.places()[1] == ["usbmic"]), session.said
    finally:
        pactl("unload-module", module)
        pactl("set-default-source", "room.monitor")
