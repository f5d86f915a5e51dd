"""Tell whether a ``.tflite`` file is all there, before any C code reads it.

``ai_edge_litert`` checks that itself; ``tflite_runtime`` takes the process down on a
file that was cut short. Only offsets and lengths are followed here, after the layout
of FlatBuffers (flatbuffers.dev, "FlatBuffer Internals") and the TFLite schema.
"""

from __future__ import annotations

import struct
from typing import Any

# Fields to follow, by number: an int is a vector of items of that size (a string is a
# vector of bytes), a dict is a table, and a list of one dict is a vector of tables.
_TENSOR = {0: 4, 3: 1, 4: {0: 4, 1: 4, 2: 4, 3: 8}, 7: 4}
_OPERATOR: dict[int, Any] = {1: 4, 2: 4, 4: {}, 5: 1}
_TENSOR_MAP = {0: 1}
_SIGNATURE = {0: [_TENSOR_MAP], 1: [_TENSOR_MAP], 2: 1}
_MODEL: dict[int, Any] = {
    1: [{1: 1}],
    2: [{0: [_TENSOR], 1: 4, 2: 4, 3: [_OPERATOR], 4: 1}],
    3: 1,
    4: [{0: 1}],
    5: 4,
    6: [{0: 1}],
    7: [_SIGNATURE],
}


def is_complete_model(content: bytes) -> bool:
    """Tell whether everything that a TFLite file refers to lies within it."""
    if content[4:8] != b"TFL3":
        return False
    try:
        _table(content, _offset(content, 0), _MODEL)
    except (struct.error, IndexError):
        return False
    return True


def _reach(content: bytes, start: int, end: int) -> None:
    if not 0 <= start <= end <= len(content):
        raise IndexError


def _offset(content: bytes, at: int) -> int:
    _reach(content, at, at + 4)
    return at + int(struct.unpack_from("<I", content, at)[0])


def _table(content: bytes, at: int, fields: dict[int, Any]) -> None:
    _reach(content, at, at + 4)
    vtable = at - struct.unpack_from("<i", content, at)[0]
    _reach(content, vtable, vtable + 4)
    vtable_size, table_size = struct.unpack_from("<HH", content, vtable)
    _reach(content, vtable, vtable + vtable_size)
    _reach(content, at, at + table_size)
    for number, kind in fields.items():
        entry = 4 + 2 * number
        if entry + 2 > vtable_size:
            continue
        (inside,) = struct.unpack_from("<H", content, vtable + entry)
        if inside:
            _field(content, _offset(content, at + inside), kind)


def _field(content: bytes, at: int, kind: Any) -> None:
    if isinstance(kind, dict):
        _table(content, at, kind)
        return
    _reach(content, at, at + 4)
    (count,) = struct.unpack_from("<I", content, at)
    size = kind if isinstance(kind, int) else 4
    _reach(content, at, at + 4 + count * size)
    if isinstance(kind, list):
        for i in range(count):
            _table(content, _offset(content, at + 4 + 4 * i), kind[0])
