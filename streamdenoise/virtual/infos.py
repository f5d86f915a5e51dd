"""What a sound server says of itself and of its parts, read from libpulse's memory.

Layouts are those of the library's public header ``pulse/introspect.h``, as far as they
are read here; its later versions add at the end only.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator, Mapping
from ctypes import POINTER, c_char_p, c_int, c_uint32, c_uint64, c_void_p
from dataclasses import dataclass, field
from typing import Any

from ..live.pulse.libpulse import DEFAULT as NONE
from ..live.pulse.libpulse import MOST_CHANNELS, ChannelMap, SampleSpec
from ..names import shown

__all__ = [
    "ClientInfo",
    "DeviceInfo",
    "Entry",
    "PlayingInfo",
    "Port",
    "RecordingInfo",
    "Server",
    "ServerInfo",
    "read_client",
    "read_device",
    "read_server",
    "read_stream",
]


@dataclass(frozen=True)
class Entry:
    """A sink, a source, a stream that plays into or records from one, or a client.

    Attributes
    ----------
    index
        The server's number for it.
    name, description
        Of a sink or source: for programs, and for people. Empty for a stream.
    module
        Number of the module that made it, or None.
    attached
        Of a stream: index of its sink or source.
    client
        Of a stream: index of the client that it belongs to.
    monitor
        Of a sink: name of its monitor; of a monitor: name of its sink.
    rate, channels
        Of a sink or source; the rate in Hz.
    port
        Of a sink or source: name and description of what is in use of it, such as a
        socket for headphones; empty where it has none.
    muted
        Of a sink or source: whether it is.
    properties
        As the server keeps them.
    """

    index: int
    name: str = ""
    description: str = ""
    module: int | None = None
    attached: int | None = None
    client: int | None = None
    monitor: str = ""
    rate: int = 0
    channels: int = 0
    port: tuple[str, ...] = ()
    muted: bool = False
    properties: Mapping[str, str] = field(default_factory=dict)

    @property
    def known_as(self) -> str:
        """Name for people, which may come from afar: a headset says its own."""
        said = shown(self.description)
        return self.name if said in ("", "(null)") else said

    @property
    def is_monitor(self) -> bool:
        """Whether a source is what a sink plays, and no microphone."""
        return self.properties.get("device.class") == "monitor" or bool(self.monitor)

    @property
    def process(self) -> int | None:
        """Process number of a client's or a stream's program, as that program says."""
        text = self.properties.get("application.process.id", "")
        return int(text) if text.isdecimal() else None


@dataclass(frozen=True)
class Server:
    """The sound server.

    Attributes
    ----------
    name
        ``"PulseAudio"`` or ``"PipeWire"``.
    version
        As it says.
    default_sink, default_source
        Names.
    """

    name: str
    version: str
    default_sink: str
    default_source: str


class _Volume(ctypes.Structure):
    _fields_ = [("channels", ctypes.c_uint8), ("values", c_uint32 * MOST_CHANNELS)]


class Port(ctypes.Structure):
    """The beginning of what is said of a socket, or what is built in."""

    _fields_ = [("name", c_char_p), ("description", c_char_p)]


class DeviceInfo(ctypes.Structure):
    """Of a sink or a source; both have one layout."""

    _fields_ = [
        ("name", c_char_p),
        ("index", c_uint32),
        ("description", c_char_p),
        ("spec", SampleSpec),
        ("places", ChannelMap),
        ("module", c_uint32),
        ("volume", _Volume),
        ("mute", c_int),
        ("monitor", c_uint32),
        ("monitor_name", c_char_p),
        ("latency", c_uint64),
        ("driver", c_char_p),
        ("flags", c_int),
        ("properties", c_void_p),
        ("configured_latency", c_uint64),
        ("base_volume", c_uint32),
        ("state", c_int),
        ("volume_steps", c_uint32),
        ("card", c_uint32),
        ("port_count", c_uint32),
        ("ports", c_void_p),
        ("active_port", POINTER(Port)),
    ]


_STREAM: list[Any] = [
    ("index", c_uint32),
    ("name", c_char_p),
    ("module", c_uint32),
    ("client", c_uint32),
    ("attached", c_uint32),
    ("spec", SampleSpec),
    ("places", ChannelMap),
]
_STREAM_MORE: list[Any] = [
    ("buffered", c_uint64),
    ("behind", c_uint64),
    ("resampler", c_char_p),
    ("driver", c_char_p),
]


class PlayingInfo(ctypes.Structure):
    """Of a stream that plays into a sink."""

    _fields_ = [
        *_STREAM,
        ("volume", _Volume),
        *_STREAM_MORE,
        ("mute", c_int),
        ("properties", c_void_p),
    ]


class RecordingInfo(ctypes.Structure):
    """Of a stream that records from a source."""

    _fields_ = [*_STREAM, *_STREAM_MORE, ("properties", c_void_p)]


class ClientInfo(ctypes.Structure):
    """Of a program."""

    _fields_ = [
        ("index", c_uint32),
        ("name", c_char_p),
        ("module", c_uint32),
        ("driver", c_char_p),
        ("properties", c_void_p),
    ]


class ServerInfo(ctypes.Structure):
    """Of the server."""

    _fields_ = [
        ("user", c_char_p),
        ("host", c_char_p),
        ("version", c_char_p),
        ("name", c_char_p),
        ("spec", SampleSpec),
        ("default_sink", c_char_p),
        ("default_source", c_char_p),
    ]


def read_device(library: Any, info: DeviceInfo) -> Entry:
    """Return a sink or a source."""
    port = info.active_port.contents if info.active_port else None
    return Entry(
        index=info.index,
        name=_text(info.name),
        description=_text(info.description),
        module=_number(info.module),
        monitor=_text(info.monitor_name),
        rate=info.spec.rate,
        channels=info.spec.channels,
        port=() if port is None else (_text(port.name), _text(port.description)),
        muted=bool(info.mute),
        properties=dict(_properties(library, info.properties)),
    )


def read_stream(library: Any, info: PlayingInfo | RecordingInfo) -> Entry:
    """Return a stream."""
    return Entry(
        index=info.index,
        module=_number(info.module),
        attached=_number(info.attached),
        client=_number(info.client),
        properties=dict(_properties(library, info.properties)),
    )


def read_client(library: Any, info: ClientInfo) -> Entry:
    """Return a client."""
    return Entry(
        index=info.index,
        module=_number(info.module),
        properties=dict(_properties(library, info.properties)),
    )


def read_server(_library: Any, info: ServerInfo) -> Server:
    """Return the server."""
    behind = re.search(r"on PipeWire ([\d.]+)", _text(info.name))
    return Server(
        name="PipeWire" if behind else "PulseAudio",
        version=behind[1] if behind else _text(info.version),
        default_sink=_text(info.default_sink),
        default_source=_text(info.default_source),
    )


def _text(said: bytes | None) -> str:
    return said.decode("utf-8", "replace") if said else ""


def _number(index: int) -> int | None:
    return None if index == NONE else index


def _properties(library: Any, listed: int | None) -> Iterator[tuple[str, str]]:
    """Go through a list of properties; those that are no text are left out."""
    if not listed:
        return
    at = c_void_p()
    while (key := library.pa_proplist_iterate(listed, ctypes.byref(at))) is not None:
        value = library.pa_proplist_gets(listed, key)
        if value is not None:
            yield _text(key), _text(value)
