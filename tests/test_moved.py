"""A live whose streams a person moves, on servers that know nothing of it yet.

PipeWire remembers where streams of a name were moved to, so others do not share these.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamdenoise.control.client import request
from streamdenoise.live.pulse.libpulse import load_libpulse
from streamdenoise.live.pulse.streams import OutputStream
from streamdenoise.virtual import soundserver
from streamdenoise.virtual.absence import SETTLED_SECONDS
from streamdenoise.virtual.mic import VirtualMic
from streamdenoise.virtual.places import NEWS_SECONDS, Places
from streamdenoise.virtual.route import bring
from tests.pulse import PulseServer, pactl, wait_for
from tests.servers import either, pipewire, pulse
from tests.test_places import live, plug, unplug

__all__ = ["either", "pipewire", "pulse"]


def test_streams_that_a_person_moves_stay_there(
    either: PulseServer, model_path: Path
) -> None:
    """No device was named: the move is told of, also long after the start, and kept.

    The server may remember it, and then the next one says where it really is.
    """
    plug(either, "head")
    pactl("set-default-sink", "ear")
    pactl("set-default-source", "room.monitor")
    try:
        with live(either, model_path) as session:
            assert session.settles("ear", "room.monitor"), session.said
            time.sleep(10.0)  # the looks of the beginning are over

            def moved() -> bool:
                # PipeWire's session manager now and then overlooks it.
                bring("head", process=session.process.pid)
                return session.places()[0] == ["head"]

            assert wait_for(moved), session.said
            assert session.says("the loudspeaker is '"), session.said
            time.sleep(2.0)
            assert session.places() == (["head"], ["room.monitor"]), session.said
        with live(either, model_path) as session:
            assert wait_for(lambda: session.places()[0] != []), session.said
            if session.places()[0] == ["head"]:
                assert session.says("the loudspeaker is '"), session.said
    finally:
        unplug(either, "head")


def test_a_person_may_move_what_was_named(
    either: PulseServer, model_path: Path
) -> None:
    """Who named a device and then moves its stream means it: it stays, and is told.

    Once that device is gone, the one that was named is taken again.
    """
    plug(either, "head")
    try:
        with live(either, model_path, source="room.monitor", sink="ear") as session:
            assert session.settles("ear", "room.monitor"), session.said
            time.sleep(SETTLED_SECONDS + 3.0)

            def moved() -> bool:
                bring("head", process=session.process.pid)
                return session.places()[0] == ["head"]

            assert wait_for(moved), session.said
            assert session.says("now, as its stream was moved there"), session.said
            time.sleep(10.0)  # there are looks for some seconds
            assert session.places() == (["head"], ["room.monitor"]), session.said
            unplug(either, "head")
            assert session.says(" again\n"), session.said
            assert session.settles("ear", "room.monitor"), session.said
            assert session.said.count("the loudspeaker is") == 2
    finally:
        unplug(either, "head")


def test_who_moves_a_stream_on_at_once_is_obeyed_too(
    either: PulseServer, model_path: Path
) -> None:
    """The second choice in a menu counts as the first did, however soon it comes."""
    plug(either, "head")
    plug(either, "far")
    try:
        with live(either, model_path, source="room.monitor", sink="ear") as session:
            assert session.settles("ear", "room.monitor"), session.said
            time.sleep(SETTLED_SECONDS + 3.0)
            for times, sink in enumerate(("head", "far", "ear"), 1):

                def moved(sink: str = sink) -> bool:
                    bring(sink, process=session.process.pid)
                    return session.places()[0] == [sink]

                assert wait_for(moved), session.said
                assert session.says("the loudspeaker is '", times), session.said
            time.sleep(6.0)
            assert session.places() == (["ear"], ["room.monitor"]), session.said
            assert session.said.count("now, as its stream was moved there") == 2
            assert session.said.count(" again\n") == 1
    finally:
        unplug(either, "head")
        unplug(either, "far")


def test_a_virtual_microphone_is_not_left_without_sound(
    either: PulseServer, model_path: Path
) -> None:
    """What feeds it is brought back from where a person has moved it, and told."""
    pactl("set-default-source", "room.monitor")
    with live(either, model_path, more=["--virtual-mic"]) as session:
        mic = ["streamdenoise.sink"]
        assert wait_for(lambda: session.places()[0] == mic), session.said
        assert session.says("-> Denoised microphone ("), session.said
        time.sleep(SETTLED_SECONDS + 3.0)
        status = request(["status"], pid=session.process.pid)["status"]
        assert status["output"] == "Denoised microphone"

        def moved() -> bool:
            bring("ear", process=session.process.pid)
            return "was moved away from 'Denoised microphone'" in session.said

        assert wait_for(moved), session.said
        assert wait_for(lambda: session.places()[0] == mic), session.said


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PulseServer]:
    """A server that may be started again, and streams that settle soon."""
    monkeypatch.setattr("streamdenoise.virtual.absence.SETTLED_SECONDS", 0.5)
    server = PulseServer(tmp_path)
    server.use(monkeypatch)
    yield server
    server.stop()


@contextlib.contextmanager
def playing(sink: str) -> Iterator[OutputStream]:
    """Play silence into a sink, in this process."""
    stream = OutputStream(
        load_libpulse(),
        OSError,
        "a test",
        device=sink,
        samplerate=48_000,
        blocksize=480,
        channels=1,
        latency=0.1,
        callback=lambda outdata, *_: outdata.fill(0.0),
        title="a stream",
    )
    try:
        stream.start()
        yield stream
    finally:
        stream.close()


def start_with(server: PulseServer, *sinks: str) -> None:
    """Start it again, if it runs already, with these sinks: they count from 0."""
    if soundserver.entries("sinks"):
        server.kill()
        server.start()
    for sink in sinks:
        server.add_sink(sink)


def where() -> list[str]:
    """Names of the sinks that this process plays into."""
    names = {entry.index: entry.name for entry in soundserver.entries("sinks")}
    streams = soundserver.streams_of("sink-inputs", os.getpid())
    return [names[each.attached or 0] for each in streams]


def test_a_number_that_another_device_has_by_now_is_not_obeyed(
    own: PulseServer,
) -> None:
    """Moved by a person to what a new server has not: the named one is right again."""
    said: list[str] = []
    start_with(own, "ear", "head")
    places = Places("ear", None, said.append)
    with playing("ear"):
        places.look(said.append)
        time.sleep(0.6)
        bring("head")
        places.look(said.append)
        time.sleep(NEWS_SECONDS + 0.1)
        places.look(said.append)
        assert len(said) == 1 and "by hand" in said[0], said
    start_with(own, "ear", "other")
    places.waiting()
    with playing("ear"):
        places.look(said.append)
        assert where() == ["ear"]
    assert len(said) == 2 and said[1].endswith(" again"), said


def test_two_devices_of_one_name_are_told_apart(own: PulseServer) -> None:
    """As two headsets of a kind are: their names on the server stand beside it."""
    said: list[str] = []
    start_with(own, "left", "right")
    places = Places(None, None, said.append)
    with playing("left"):
        places.look(said.append)
        for sink in ("right", "left"):
            bring(sink)
            places.look(said.append)
    called = soundserver.entries("sinks")[0].known_as
    assert said == [
        f"the loudspeaker is '{called}' (right) now",
        f"the loudspeaker is '{called}' (left) now",
    ]


def test_a_stream_of_a_new_server_was_moved_by_nobody(own: PulseServer) -> None:
    """Its numbers may be those of the last one, which had been there for long."""
    said: list[str] = []
    start_with(own, "ear", "head")
    places = Places("ear", None, said.append)
    with playing("ear"):
        places.look(said.append)
        time.sleep(0.6)
    start_with(own, "ear", "head")
    places.waiting()
    with playing("head"):  # as where a server remembers another sink for it
        for _ in range(2):
            places.look(said.append)
            time.sleep(NEWS_SECONDS + 0.1)
        assert where() == ["ear"]
    assert said == []


def test_what_feeds_a_microphone_made_anew_was_moved_by_nobody(
    own: PulseServer,
) -> None:
    """After the server was started again only that it is back is said."""
    said: list[str] = []
    start_with(own, "ear")
    mic = VirtualMic.create("again")
    with playing(mic.sink_name):
        mic.mend(said.append)
        time.sleep(0.6)
    start_with(own, "ear")
    with playing("ear"):
        mic.mend(said.append)
        assert where() == [mic.sink_name]
    mic.close()
    assert len(said) == 1 and "was gone; it is back" in said[0], said
