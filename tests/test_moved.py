"""A live whose streams a person moves, on servers that know nothing of it yet.

PipeWire remembers where streams of a name were moved to, so others do not share these.
"""

from __future__ import annotations

import time
from pathlib import Path

from streamdenoise.control.client import request
from streamdenoise.virtual.absence import SETTLED_SECONDS
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
            assert session.says("' again\n"), session.said
            assert session.settles("ear", "room.monitor"), session.said
            assert session.said.count("the loudspeaker is") == 2
    finally:
        unplug(either, "head")


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
