"""Virtual devices of ours on the sound server, made of their parts.

A microphone is a null sink that live plays into, and a remapped source in front of its
monitor, because browsers and call programs hide monitors; both are mono, with the
position set. A loudspeaker is a null sink alone, and stereo, as what calls play.
See `found` for what tells them from others.
"""

from __future__ import annotations

import contextlib
import re
import time
from typing import Final

from ..errors import DeviceError
from . import soundserver
from .found import KIND, LOUDSPEAKER, MARK, OWNER, Found, find_all

__all__ = [
    "KEPT",
    "keep_defaults",
    "make",
    "make_loudspeaker",
    "slug_of",
]

KEPT: Final = "kept"
"""Owner of a microphone that stays until it is removed by command."""

_APPEARS_SECONDS: Final = 3.0


def keep_defaults(before: soundserver.Server, made: Found) -> None:
    """Undo it where a server made the new devices its defaults."""
    assert made.sink is not None
    after = soundserver.server()
    sinks = {entry.name for entry in soundserver.entries("sinks")}
    sources = {e.name for e in soundserver.entries("sources") if not e.is_monitor}
    if after.default_sink == made.sink.name and before.default_sink in sinks:
        soundserver.set_default("sinks", before.default_sink)
    ours = {f"{made.sink.name}.monitor", made.source.name if made.source else ""}
    if after.default_source in ours and before.default_source in sources:
        soundserver.set_default("sources", before.default_source)


def slug_of(name: str) -> str:
    """Return a name as the server takes it."""
    slug = re.sub(r"[^a-z0-9_.-]+", "-", name.strip().lower()).strip("-.")[:64]
    if not slug:
        raise DeviceError(
            f"a virtual microphone cannot be called '{name}'; use letters and digits"
        )
    return slug


def make(name: str, description: str, rate: int, owner: str) -> Found:
    """Load both modules; nothing stays if one is refused."""
    marks = {MARK: name, OWNER: owner, KIND: "microphone"}
    sink, source = f"{name}.sink", f"{name}.mic"
    shape = ("channels=1", "channel_map=mono")
    labels = {**marks, "device.description": f"{description}: what it says"}
    loaded = []
    try:
        loaded.append(
            _null_sink(
                f"sink_name={sink}",
                f"rate={rate}",
                "format=float32le",
                *shape,
                f"sink_properties={soundserver.quoted(labels)}",
            )
        )
        # Monitors are hidden from people, a "sound" device is shown as a microphone.
        labels |= {"device.description": description, "device.class": "sound"}
        loaded.append(
            soundserver.load_module(
                "module-remap-source",
                f"source_name={source}",
                f"master={sink}.monitor",
                *shape,
                "remix=no",
                f"source_properties={soundserver.quoted(labels)}",
            )
        )
        return _appeared(name)
    except BaseException:
        for number in reversed(loaded):
            with contextlib.suppress(DeviceError):
                soundserver.unload_module(number)
        raise


def make_loudspeaker(name: str, description: str, rate: int, owner: str) -> Found:
    """Load a null sink alone."""
    marks = {MARK: name, OWNER: owner, KIND: LOUDSPEAKER}
    number = _null_sink(
        f"sink_name={name}",
        f"rate={rate}",
        "format=float32le",
        "channels=2",
        "channel_map=front-left,front-right",
        "sink_properties="
        + soundserver.quoted({**marks, "device.description": description}),
    )
    try:
        return _appeared(name)
    except BaseException:
        with contextlib.suppress(DeviceError):
            soundserver.unload_module(number)
        raise


def _null_sink(*arguments: str) -> int:
    # An idle null sink runs two seconds ahead, and what is then played into it is lost
    # as long. One that never rewinds keeps to 50 ms; PulseAudio before 15 has none.
    try:
        return soundserver.load_module("module-null-sink", "norewinds=1", *arguments)
    except soundserver.RefusedError:
        return soundserver.load_module("module-null-sink", *arguments)


def _appeared(name: str) -> Found:
    """Wait until all of it is listed; PipeWire takes a moment."""
    until = time.monotonic() + _APPEARS_SECONDS
    while True:
        for found in find_all():
            if found.name == name and found.state != "broken":
                return found
        if time.monotonic() > until:
            raise DeviceError(
                f"the sound server took the virtual device '{name}' but does not list "
                "it; start the server again with: systemctl --user restart "
                "pipewire-pulse (or: pulseaudio -k)"
            )
        time.sleep(0.05)
