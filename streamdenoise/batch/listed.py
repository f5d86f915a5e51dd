"""Names of inputs in a list, such as on standard input."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import BinaryIO

__all__ = ["names_from"]


def names_from(stream: BinaryIO, *, null: bool = False) -> Iterator[str]:
    """Yield the names of a list, one a line, or ended by NUL.

    Parameters
    ----------
    stream
        The list as bytes; names need not be text.
    null
        Names are ended by a zero byte, as ``find -print0`` writes them, and may hold
        newlines.
    """
    end = b"\0" if null else b"\n"
    rest = b""
    while chunk := stream.read(1 << 16):
        *whole, rest = (rest + chunk).split(end)
        yield from _decoded(whole, null)
    yield from _decoded([rest], null)


def _decoded(names: list[bytes], null: bool) -> Iterator[str]:
    for name in names:
        clean = name if null else name.rstrip(b"\r")
        if clean:
            yield os.fsdecode(clean)
