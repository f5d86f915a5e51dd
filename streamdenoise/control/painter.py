"""Writes a picture of a few lines over the last one, and only what has changed.

rich draws such a picture too, but takes most of a millisecond for it, five times a
second, in a process that has better things to do. It is asked once what the colours of
this terminal are; the lines are then put together here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TextIO

from .panel import Piece

__all__ = ["Painter", "colours"]

WHOLE_AFTER: Final = 10
"""Pictures after which all of the next one is written: who knows what else wrote."""

_HIDE, _SHOW = "\x1b[?25l", "\x1b[?25h"
_TO_END_OF_LINE, _TO_END = "\x1b[K", "\x1b[J"


def colours(console: object, styles: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Return what a terminal wants to see before and after each style.

    Parameters
    ----------
    console
        A rich ``Console``: it knows how many colours there are, and whether any are
        wanted.
    styles
        What the names mean to rich.
    """
    from rich.color import ColorSystem
    from rich.style import Style

    name = getattr(console, "color_system", None)
    system = None if name is None else ColorSystem[_SYSTEMS[name]]
    codes = {}
    for key, text in styles.items():
        style = Style.parse(text)
        if getattr(console, "no_color", False):
            style = style.without_color
        before, _, after = style.render("\0", color_system=system).partition("\0")
        codes[key] = (before, after)
    return codes


_SYSTEMS = {
    "standard": "STANDARD",
    "256": "EIGHT_BIT",
    "truecolor": "TRUECOLOR",
    "windows": "WINDOWS",
}


class Painter:
    """Keeps one picture on a terminal up to date.

    Parameters
    ----------
    out
        Where to write; it may take it later, but must take it in order.
    codes
        From `colours`.
    """

    def __init__(self, out: TextIO, codes: Mapping[str, tuple[str, str]]) -> None:
        self._out, self._codes = out, codes
        self._shown: list[str] = []
        self._sparing = 0

    def paint(self, rows: Sequence[Sequence[Piece]], width: int, height: int) -> None:
        """Show these rows in place of the last ones.

        Parameters
        ----------
        rows
            Pieces of text with the names of their styles.
        width, height
            Columns and lines that may be used; what is beyond is left out.
        """
        lines = [self._line(row, width) for row in rows[: max(height, 1)]]
        before = self._shown
        if len(lines) != len(before):
            text = self._gone() + _HIDE + "\r\n".join(lines)
            self._sparing = 0
        else:
            self._sparing = (self._sparing + 1) % WHOLE_AFTER
            if lines == before and self._sparing:
                return
            text = self._top() + "\r\n".join(
                "" if new == old and self._sparing else new + _TO_END_OF_LINE
                for new, old in zip(lines, before, strict=True)
            )
        self._shown = lines
        self._out.write(text)
        self._out.flush()

    def clear(self) -> None:
        """Take the picture away and give the cursor back; nothing if none is there."""
        if self._shown:
            self._out.write(self._gone() + _SHOW)
            self._out.flush()
            self._shown = []

    def leave(self) -> None:
        """Give the cursor back, and let the picture stand: others wrote below it."""
        if self._shown:
            self._out.write(_SHOW)
            self._out.flush()
            self._shown = []

    def _line(self, row: Sequence[Piece], width: int) -> str:
        text = ""
        for piece, style in row:
            kept, width = _fit(piece, width)
            before, after = self._codes[style]
            text += before + kept + after if kept else ""
        return text

    def _top(self) -> str:
        """Go from the end of the picture to its beginning."""
        up = len(self._shown) - 1
        return f"\r\x1b[{up}A" if up > 0 else "\r"

    def _gone(self) -> str:
        return self._top() + _TO_END if self._shown else ""


def _fit(text: str, width: int) -> tuple[str, int]:
    """Return what of a text fits into so many columns, and how many are left."""
    if text.isascii():
        return text[:width], max(0, width - len(text))
    from rich.cells import cell_len, set_cell_size

    cells = cell_len(text)
    if cells > width:
        return set_cell_size(text, width), 0
    return text, width - cells
