"""The part of libpulse that is used here, by ctypes.

Names, numbers and layouts are those of the library's public headers (``pulse/def.h``,
``pulse/sample.h``, ``pulse/channelmap.h``), which have been stable since its version
0.9.15; PipeWire's server speaks to the same library.
"""

from __future__ import annotations

import ctypes
import functools
import sys
from ctypes import POINTER, c_char_p, c_int, c_int64, c_size_t, c_uint32, c_uint64
from typing import Any, Final

__all__ = [
    "CONTEXT_READY",
    "DEFAULT",
    "FLOAT32",
    "MOST_CHANNELS",
    "STREAM_READY",
    "BufferAttr",
    "ChannelMap",
    "Event",
    "Notice",
    "Request",
    "SampleSpec",
    "error_text",
    "free_context",
    "load_libpulse",
    "new_context",
    "text",
    "turn",
]

FILE: Final = "libpulse.so.0"

FLOAT32: Final = 5 if sys.byteorder == "little" else 6
DEFAULT: Final = 0xFFFFFFFF
"""A size that the server is to choose."""

MOST_CHANNELS: Final = 32

CONTEXT_READY: Final = 4
STREAM_READY: Final = 2
FAILED_CONTEXT: Final = (5, 6)
FAILED_STREAM: Final = (3, 4)

START_CORKED: Final = 0x0001
AUTO_TIMING_UPDATE: Final = 0x0008
ADJUST_LATENCY: Final = 0x2000

NO_ENTITY: Final = 5
"""Error: there is no device of that name, or none at all."""

_MAP_DEFAULT: Final = 0
_POINTER: Final = ctypes.c_void_p


class SampleSpec(ctypes.Structure):
    """What a stream carries: format, rate in Hz, channels."""

    _fields_ = [
        ("format", c_int),
        ("rate", c_uint32),
        ("channels", ctypes.c_uint8),
    ]


class ChannelMap(ctypes.Structure):
    """Where the channels of a stream are."""

    _fields_ = [
        ("channels", ctypes.c_uint8),
        ("map", c_int * MOST_CHANNELS),
    ]


class BufferAttr(ctypes.Structure):
    """Sizes of a stream's buffers on the server, in bytes."""

    _fields_ = [
        ("maxlength", c_uint32),
        ("tlength", c_uint32),
        ("prebuf", c_uint32),
        ("minreq", c_uint32),
        ("fragsize", c_uint32),
    ]


Notice: Final = ctypes.CFUNCTYPE(None, _POINTER, _POINTER)
"""Called with an object and user data: it has changed, or it ran dry."""

Request: Final = ctypes.CFUNCTYPE(None, _POINTER, c_size_t, _POINTER)
"""Called with a stream, a count of bytes, and user data."""

Event: Final = ctypes.CFUNCTYPE(None, _POINTER, c_int, c_uint32, _POINTER)
"""Called with a context, what has happened, to which number, and user data."""

_OPERATIONS: Final[dict[str, list[Any]]] = {
    "get_server_info": [],
    "get_sink_info_list": [],
    "get_source_info_list": [],
    "get_sink_input_info_list": [],
    "get_source_output_info_list": [],
    "get_client_info_list": [],
    "move_sink_input_by_name": [c_uint32, c_char_p],
    "move_source_output_by_name": [c_uint32, c_char_p],
    "set_default_sink": [c_char_p],
    "set_default_source": [c_char_p],
    "load_module": [c_char_p, c_char_p],
    "unload_module": [c_uint32],
    "subscribe": [c_int],
}
"""Functions of a context that begin an operation, by their arguments between the
context and what is called back, with user data."""

_SIGNATURES: Final[dict[str, tuple[Any, list[Any]]]] = {
    "pa_mainloop_new": (_POINTER, []),
    "pa_mainloop_free": (None, [_POINTER]),
    "pa_mainloop_get_api": (_POINTER, [_POINTER]),
    "pa_mainloop_iterate": (c_int, [_POINTER, c_int, POINTER(c_int)]),
    "pa_mainloop_prepare": (c_int, [_POINTER, c_int]),
    "pa_mainloop_poll": (c_int, [_POINTER]),
    "pa_mainloop_dispatch": (c_int, [_POINTER]),
    "pa_mainloop_wakeup": (None, [_POINTER]),
    "pa_context_new": (_POINTER, [_POINTER, c_char_p]),
    "pa_context_connect": (c_int, [_POINTER, c_char_p, c_int, _POINTER]),
    "pa_context_disconnect": (None, [_POINTER]),
    "pa_context_unref": (None, [_POINTER]),
    "pa_context_get_state": (c_int, [_POINTER]),
    "pa_context_errno": (c_int, [_POINTER]),
    "pa_context_set_subscribe_callback": (None, [_POINTER, Event, _POINTER]),
    "pa_get_library_version": (c_char_p, []),
    "pa_strerror": (c_char_p, [c_int]),
    "pa_channel_map_init_extend": (
        POINTER(ChannelMap),
        [POINTER(ChannelMap), ctypes.c_uint, c_int],
    ),
    "pa_stream_new": (
        _POINTER,
        [_POINTER, c_char_p, POINTER(SampleSpec), POINTER(ChannelMap)],
    ),
    "pa_stream_unref": (None, [_POINTER]),
    "pa_stream_get_state": (c_int, [_POINTER]),
    "pa_stream_connect_record": (
        c_int,
        [_POINTER, c_char_p, POINTER(BufferAttr), c_int],
    ),
    "pa_stream_connect_playback": (
        c_int,
        [_POINTER, c_char_p, POINTER(BufferAttr), c_int, _POINTER, _POINTER],
    ),
    "pa_stream_disconnect": (c_int, [_POINTER]),
    "pa_stream_set_state_callback": (None, [_POINTER, Notice, _POINTER]),
    "pa_stream_set_read_callback": (None, [_POINTER, Request, _POINTER]),
    "pa_stream_set_write_callback": (None, [_POINTER, Request, _POINTER]),
    "pa_stream_set_underflow_callback": (None, [_POINTER, Notice, _POINTER]),
    "pa_stream_set_overflow_callback": (None, [_POINTER, Notice, _POINTER]),
    "pa_stream_set_latency_update_callback": (None, [_POINTER, Notice, _POINTER]),
    "pa_stream_set_moved_callback": (None, [_POINTER, Notice, _POINTER]),
    "pa_stream_cork": (_POINTER, [_POINTER, c_int, _POINTER, _POINTER]),
    "pa_operation_unref": (None, [_POINTER]),
    "pa_stream_readable_size": (c_size_t, [_POINTER]),
    "pa_stream_writable_size": (c_size_t, [_POINTER]),
    "pa_stream_peek": (c_int, [_POINTER, POINTER(_POINTER), POINTER(c_size_t)]),
    "pa_stream_drop": (c_int, [_POINTER]),
    "pa_stream_write": (
        c_int,
        [_POINTER, _POINTER, c_size_t, _POINTER, c_int64, c_int],
    ),
    "pa_stream_get_latency": (c_int, [_POINTER, POINTER(c_uint64), POINTER(c_int)]),
    "pa_stream_update_timing_info": (_POINTER, [_POINTER, _POINTER, _POINTER]),
    "pa_stream_get_buffer_attr": (POINTER(BufferAttr), [_POINTER]),
    "pa_operation_get_state": (c_int, [_POINTER]),
    "pa_proplist_iterate": (c_char_p, [_POINTER, POINTER(_POINTER)]),
    "pa_proplist_gets": (c_char_p, [_POINTER, c_char_p]),
    **{
        f"pa_context_{name}": (_POINTER, [_POINTER, *arguments, _POINTER, _POINTER])
        for name, arguments in _OPERATIONS.items()
    },
}


@functools.cache  # each loading would leave classes behind for the collector
def load_libpulse() -> Any:
    """Return the library, with the signatures of what is used of it.

    Raises
    ------
    OSError
        If it is not there, or is none of this machine's.
    AttributeError
        If it lacks a function.
    """
    library = ctypes.CDLL(FILE)
    for name, (result, arguments) in _SIGNATURES.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def channel_map(library: Any, channels: int) -> ChannelMap:
    """Return the usual places of so many channels; any count has some."""
    places = ChannelMap()
    library.pa_channel_map_init_extend(ctypes.byref(places), channels, _MAP_DEFAULT)
    return places


def new_context(library: Any, name: str) -> tuple[int | None, int | None]:
    """Return a loop and a context on it, not yet connected; None of either: no room.

    Parameters
    ----------
    library
        From `load_libpulse`.
    name
        What the server calls this program, in lists of who plays and records.
    """
    loop: int | None = library.pa_mainloop_new()
    if not loop:  # which the library itself would end the process for
        return None, None
    context: int | None = library.pa_context_new(
        library.pa_mainloop_get_api(loop), text(name)
    )
    return loop, context


def free_context(library: Any, loop: int | None, context: int | None) -> None:
    """Give back what `new_context` has returned."""
    if context:
        library.pa_context_disconnect(context)
        library.pa_context_unref(context)
    if loop:
        library.pa_mainloop_free(loop)


def turn(library: Any, loop: int | None, seconds: float) -> bool:
    """Turn a loop once, waiting so long at most; return whether it can go on."""
    turned: bool = (
        library.pa_mainloop_prepare(loop, int(1e6 * seconds)) >= 0
        and library.pa_mainloop_poll(loop) >= 0
        and library.pa_mainloop_dispatch(loop) >= 0
    )
    return turned


def text(words: str) -> bytes:
    """Return words as the library takes them; of other bytes it makes no object."""
    return words.encode("utf-8", "replace")


def error_text(library: Any, number: int) -> str:
    """Return what the library calls an error."""
    said: bytes | None = library.pa_strerror(number)
    return said.decode("utf-8", "replace") if said else f"error {number}"
