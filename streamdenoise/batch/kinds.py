"""Extensions of names: which are looked for in folders."""

from __future__ import annotations

import os
from collections.abc import Iterable
from importlib.util import find_spec
from typing import Final

__all__ = [
    "MAY_BE_TEXT",
    "SOUND",
    "VIDEO",
    "may_come_from",
    "split_name",
    "wanted_kinds",
]

SOUND: Final = frozenset(
    {"wav", "wave", "flac", "ogg", "oga", "opus", "mp3", "aif", "aiff", "aifc"}
    | {"au", "snd", "caf", "w64", "rf64", "mp2"}
)
"""Extensions that are looked for in folders; a file that is named may have any."""

VIDEO: Final = frozenset(
    {"mp4", "m4v", "f4v", "mov", "qt", "3gp", "3g2", "m4a", "m4b"}
    | {"mkv", "mka", "webm", "weba", "avi", "flv", "wmv", "asf", "wma"}
    | {"ts", "mts", "m2ts", "m2t", "mpg", "mpeg", "vob", "mxf"}
    | {"aac", "ac3", "eac3", "amr", "wv", "tta"}
)
"""The same, where PyAV is installed to read them."""

MAY_BE_TEXT: Final = ("ts", "mts")
"""Extensions of cameras and of TypeScript."""


def split_name(name: str) -> tuple[str, str]:
    """Return the stem and the extension in small letters, without its dot."""
    stem, extension = os.path.splitext(name)  # noqa: PTH122
    return stem, extension[1:].lower()


def wanted_kinds() -> frozenset[str]:
    """Return the extensions that can be read here."""
    return SOUND | VIDEO if find_spec("av") else SOUND


def may_come_from(kind: str) -> Iterable[str]:
    """Return the extensions of what a result of a kind may have been made of."""
    return [kind] if kind != "wav" else sorted(SOUND | VIDEO)
