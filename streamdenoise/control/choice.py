"""Which view suits the terminal: at the start, and when its size changes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from .outlet import is_terminal, terminal_size
from .panel import HEIGHT, MIN_WIDTH
from .view import JournalView, LineView, PanelView, View

if TYPE_CHECKING:
    from ..live.session import LiveSession, Status

__all__ = ["FittingView", "choose_view"]


def choose_view(*, plain: bool = False, none: bool = False) -> View:
    """Return the view that suits the terminal and what is asked for.

    Parameters
    ----------
    plain
        One line is enough.
    none
        Nothing but lines on change.
    """
    if none or not is_terminal():
        return JournalView()
    if plain or os.environ.get("TERM", "dumb") in ("dumb", ""):
        return LineView()
    try:
        return FittingView()
    except ImportError:  # rich is missing, or of no use: the line has the same numbers
        return LineView()


class FittingView:
    """The picture while the terminal has room for it, else the line.

    Attributes
    ----------
    shown
        The one of them that is there now.
    """

    def __init__(self) -> None:
        self._picture, self._line = PanelView(), LineView()
        self.shown: View = self._fitting()

    def attach(self, session: LiveSession, keys: bool) -> None:
        """Remember the session, for both."""
        self._picture.attach(session, keys)
        self._line.attach(session, keys)

    def __call__(self, status: Status) -> None:
        """Show the numbers, in the view that fits."""
        view = self._fitting()
        if view is not self.shown:
            self.shown.clear()
            self.shown = view
        self.shown(status)

    def note(self, text: str) -> None:
        """Show what a command did."""
        self.shown.note(text)

    def sentence(self, text: str) -> None:
        """Leave a line that stays."""
        self.shown.sentence(text)

    def help(self) -> None:
        """Show the keys, or stop showing them."""
        self.shown.help()

    def clear(self) -> None:
        """Take away what is written over."""
        self.shown.clear()

    def _fitting(self) -> View:
        width, height = terminal_size()
        small = width < MIN_WIDTH + 1 or height < HEIGHT + 2
        return self._line if small else self._picture
