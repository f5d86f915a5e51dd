"""A live whose streams a person moves, on servers that know nothing of it yet.

PipeWire remembers where streams of a name were moved to, so others do not share these.
"""

from __future__ import annotations

import time
from pathlib import Path

from streamdenoise.virtual import pactl
from streamdenoise.virtual.route import bring
from tests.pulse import PulseServer, wait_for
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
    pactl.run("set-default-sink", "ear")
    pactl.run("set-default-source", "room.monitor")
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
