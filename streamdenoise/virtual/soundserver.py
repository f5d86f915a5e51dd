"""What the sound server says and does: PulseAudio, or PipeWire, which answers as it.

Each question has a connection of its own, which takes some milliseconds: a server may
end and be started anew at any time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from ..live.pulse.libpulse import text
from .asking import Asking, NoServerError, RefusedError
from .infos import (
    ClientInfo,
    DeviceInfo,
    Entry,
    PlayingInfo,
    RecordingInfo,
    Server,
    ServerInfo,
    read_client,
    read_device,
    read_server,
    read_stream,
)

Streams = Literal["sink-inputs", "source-outputs"]
Devices = Literal["sinks", "sources"]
Kind = Literal["sinks", "sources", "sink-inputs", "source-outputs", "clients"]

__all__ = [
    "Devices",
    "Entry",
    "Kind",
    "NoServerError",
    "RefusedError",
    "Server",
    "Streams",
    "entries",
    "load_module",
    "move",
    "quoted",
    "server",
    "set_default",
    "streams_of",
    "unload_module",
]

_LISTS: Final[dict[Kind, tuple[str, Any, Any]]] = {
    "sinks": ("pa_context_get_sink_info_list", DeviceInfo, read_device),
    "sources": ("pa_context_get_source_info_list", DeviceInfo, read_device),
    "sink-inputs": ("pa_context_get_sink_input_info_list", PlayingInfo, read_stream),
    "source-outputs": (
        "pa_context_get_source_output_info_list",
        RecordingInfo,
        read_stream,
    ),
    "clients": ("pa_context_get_client_info_list", ClientInfo, read_client),
}
_MOVES: Final[dict[Streams, str]] = {
    "sink-inputs": "pa_context_move_sink_input_by_name",
    "source-outputs": "pa_context_move_source_output_by_name",
}
_DEFAULTS: Final[dict[Devices, str]] = {
    "sinks": "pa_context_set_default_sink",
    "sources": "pa_context_set_default_source",
}


def server() -> Server:
    """Return which server runs and what its defaults are.

    Raises
    ------
    NoServerError
        If none answers.
    """
    with Asking() as asking:
        found: Server = asking.told(
            "pa_context_get_server_info", ServerInfo, read_server
        )
    return found


def entries(kind: Kind) -> list[Entry]:
    """Return all sinks, sources, streams, or clients.

    Raises
    ------
    NoServerError
        If none answers.
    """
    with Asking() as asking:
        found: list[Entry] = asking.listed(*_LISTS[kind])
    return found


def streams_of(kind: Streams, process: int) -> list[Entry]:
    """Return the streams of a process.

    Streams that come through PipeWire's own ALSA device do not say whose they are;
    their clients do.

    Raises
    ------
    NoServerError
        If none answers.
    """
    streams = entries(kind)
    theirs: set[int | None] = set()
    if any(e.process is None and e.client is not None for e in streams):
        theirs = {e.index for e in entries("clients") if e.process == process}
    return [
        e
        for e in streams
        if e.process == process or (e.process is None and e.client in theirs)
    ]


def move(kind: Streams, stream: int, target: str) -> None:
    """Move a stream to a sink or a source.

    Raises
    ------
    NoServerError, RefusedError
        As their names say.
    """
    what = f"to move a stream to {target}"
    with Asking() as asking:
        asking.order(what, _MOVES[kind], stream, text(target))


def set_default(kind: Devices, name: str) -> None:
    """Make a sink or a source the default one.

    Raises
    ------
    NoServerError, RefusedError
        As their names say.
    """
    with Asking() as asking:
        asking.order(f"to make {name} its default", _DEFAULTS[kind], text(name))


def load_module(name: str, *arguments: str) -> int:
    """Load a module into the server and return its number.

    Raises
    ------
    NoServerError, RefusedError
        As their names say.
    """
    words = text(name), text(" ".join(arguments))
    with Asking() as asking:
        return asking.numbered(f"to load {name}", "pa_context_load_module", *words)


def unload_module(number: int) -> bool:
    """Unload a module; return whether it was there.

    Raises
    ------
    NoServerError
        If none answers.
    """
    try:
        with Asking() as asking:
            asking.order("to unload a module", "pa_context_unload_module", number)
    except RefusedError:
        return False
    return True


def quoted(properties: Mapping[str, str]) -> str:
    """Return properties as the value of a module's argument ``..._properties=``.

    Two parsers read it, one quote each; what could end a quote is taken out.
    """
    inner = " ".join(f'{key}="{_unquoted(text)}"' for key, text in properties.items())
    return f"'{inner}'"


def _unquoted(text: str) -> str:
    return "".join(c for c in text if c.isprintable() and c not in "\"'\\")
