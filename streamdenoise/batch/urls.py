"""Addresses as text: what is one, its parts, and places below it."""

from __future__ import annotations

import os
import re
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import unquote, urlsplit

from ..names import shown

__all__ = [
    "SCHEMES",
    "is_remote",
    "other_address",
    "relative_place",
    "scheme_of",
    "url_join",
    "url_name",
]

SCHEMES: Final = ("http", "https", "s3", "gs")
"""Kinds of addresses that can be read; the last two can be written too."""

_ANY: Final = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
_ADDRESS: Final = re.compile(rf"({'|'.join(SCHEMES)})://", re.IGNORECASE)


def is_remote(text: str) -> bool:
    """Tell an address from a path."""
    return _ADDRESS.match(text) is not None


def other_address(text: str) -> str:
    """Say why an address of another kind cannot be used; empty if it is none."""
    if is_remote(text) or not _ANY.match(text) or os.path.lexists(text):
        return ""
    kinds = f"{', '.join(SCHEMES[:-1])} or {SCHEMES[-1]}"
    return (
        f"{shown(text)} is an address of a kind that cannot be opened here; copy the "
        f"file first, or name an address with {kinds}"
    )


def scheme_of(url: str) -> str:
    """Return the kind of an address, in small letters."""
    return url.split("://", 1)[0].lower()


def url_name(url: str) -> str:
    """Return the file name at the end of an address, or nothing."""
    if scheme_of(url) in ("http", "https"):
        path = unquote(urlsplit(url).path)
    else:
        path = "/" + url.split("://", 1)[1].partition("/")[2]
    return path.rsplit("/", 1)[-1]


def url_join(url: str, relative: PurePosixPath) -> str:
    """Return the address of a place below another."""
    return url.rstrip("/") + "/" + str(relative)


def relative_place(text: str) -> PurePosixPath | None:
    """Return a relative path without empty parts, or None if it leaves its folder.

    Names of objects in a store may hold anything, ``..`` included; taken as a path,
    that must not lead out of the folder that they are saved in.
    """
    if os.name == "nt":
        text = text.replace("\\", "/")
    parts = [part for part in text.split("/") if part not in ("", ".")]
    if not parts or ".." in parts or "\0" in text:
        return None
    if os.name == "nt" and any(":" in part for part in parts):
        return None
    return PurePosixPath(*parts)
