"""File names as text that is safe to print."""

from __future__ import annotations

import os

__all__ = ["shown"]


def shown(path: str | bytes | os.PathLike[str] | os.PathLike[bytes]) -> str:
    r"""Return `path` with everything a terminal could act on escaped.

    A file name may hold newlines, escape sequences, direction marks or bytes that
    are no text at all. Those come out as ``\n``, ``\x1b``, ``\u202e``, ``\xff``;
    every other name comes out as it is.

    Parameters
    ----------
    path
        Any path; undecodable bytes may be present as surrogates.

    Returns
    -------
    str
        One printable line.
    """
    return "".join(map(_safe, os.fsdecode(path)))


def _safe(char: str) -> str:
    if char.isprintable():
        return char
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # a raw byte, as surrogateescape stores it
        return f"\\x{code - 0xDC00:02x}"
    return char.encode("unicode_escape").decode("ascii")
