"""What ``live`` shows while it runs: a picture, one line, or lines on change.

A terminal that is large enough gets the picture of `panel`. A small or a dumb one, or
``--plain``, gets one line that is written over. A log gets a line when something
changes; `choice` chooses. All of them stay quiet between two looks, and a terminal
that has gone away is no reason to end the sound. Behind a shell (``bg``, ``&``)
nothing is painted over its lines; sentences are said all the same.
"""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final, Protocol, TextIO, cast

from ..names import shown
from .commands import strength_text
from .line import meter_line
from .outlet import Outlet, terminal_size
from .panel import STYLES, rows, scene_of, xruns

if TYPE_CHECKING:
    from ..live.session import LiveSession, Status
    from ..settings import Settings

__all__ = ["JournalView", "LineView", "PanelView", "View"]

PAUSE: Final = 0.18
"""Least seconds between two pictures: five or six a second are enough for eyes."""

JOURNAL_PAUSE: Final = 10.0
"""Least seconds between two lines about xruns in a log."""

NOTE_SECONDS: Final = 4.0
"""How long the answer to a key stays."""


class View(Protocol):
    """Shows a session; all calls come from the main thread."""

    def attach(self, session: LiveSession, keys: bool) -> None:
        """Say what is shown, and whether there are keys."""

    def __call__(self, status: Status) -> None:
        """Show the numbers of this moment, or do nothing."""

    def note(self, text: str) -> None:
        """Show what a command did."""

    def sentence(self, text: str) -> None:
        """Say something odd, so that it stays to be read."""

    def help(self) -> None:
        """Show the keys, or stop showing them."""

    def clear(self) -> None:
        """Take away what is written over; the next call brings it back."""


class JournalView:
    """Lines on change for a log: state, model, switches, xruns now and then."""

    def __init__(self) -> None:
        self._out = Outlet()
        self._session: LiveSession | None = None
        self._seen: dict[str, Any] | None = None
        self._counted = 0
        self._said_at = float("-inf")

    def attach(self, session: LiveSession, keys: bool) -> None:
        """Remember the session, and how it begins."""
        self._session = session
        self._seen = _changing(session.status(), session.settings)

    def __call__(self, status: Status) -> None:
        """Say what has changed."""
        if self._session is None or self._seen is None:
            return
        now = _changing(status, self._session.settings)
        before, self._seen = self._seen, now
        for name, value in now.items():
            if value != before[name]:
                _say(self._out, f"live: {_change(name, value, before[name])}")
        count, moment = status.xrun_count, time.monotonic()
        if count < self._counted:  # the devices were opened again
            self._counted = count
        if count != self._counted and moment - self._said_at >= JOURNAL_PAUSE:
            self._counted, self._said_at = count, moment
            advice = f"; {status.advice}" if status.advice else ""
            self.sentence(f"xruns so far: {xruns(status.xruns)}{advice}")

    def note(self, text: str) -> None:
        """Say nothing: what has changed is said anyway."""

    def sentence(self, text: str) -> None:
        """Say it, marked as ours."""
        _say(self._out, f"streamdenoise: {text}")

    def help(self) -> None:
        """Say what the keys do."""
        _say(self._out, "\n".join(_help_lines()))

    def clear(self) -> None:
        """Nothing is written over."""


def _changing(status: Status, settings: Settings) -> dict[str, Any]:
    return {
        "state": status.state,
        "model": status.model,
        "muted": status.muted,
        "recording": status.recording,
        **asdict(settings),
    }


def _change(name: str, value: Any, before: Any) -> str:
    if name == "state":
        return str(value)
    if name == "muted":
        return "muted" if value else "no longer muted"
    if name == "recording":
        if value is None:
            return f"no longer recording to {shown(before)}"
        return f"recording to {shown(value)}"
    if name == "strength_db":
        return f"strength {strength_text(value)}"
    if isinstance(value, bool):
        return f"{name} {'on' if value else 'off'}"
    return f"{name} {shown(str(value))}"


class LineView:
    """One line that is written over; needs nothing but a carriage return."""

    def __init__(self) -> None:
        self._out = Outlet()
        self._session: LiveSession | None = None
        self._width = 0

    def attach(self, session: LiveSession, keys: bool) -> None:
        """Remember the session, for its switches."""
        self._session = session

    def __call__(self, status: Status) -> None:
        """Write the line over."""
        if not self._out.in_front():
            self._width = 0  # the shell has written behind it
            return
        if not self._out.through():
            return
        settings = None if self._session is None else self._session.settings
        line = meter_line(status, settings, terminal_size()[0] - 1)
        self._out.write("\r" + line.ljust(self._width))
        self._out.flush()
        self._width = len(line)

    def note(self, text: str) -> None:
        """Leave a line behind."""
        self.clear()
        _say(self._out, f"live: {text}")

    def sentence(self, text: str) -> None:
        """Leave a line behind, marked as ours."""
        self.clear()
        _say(self._out, f"streamdenoise: {text}")

    def help(self) -> None:
        """Leave the list of keys behind."""
        self.clear()
        _say(self._out, "\n".join(_help_lines()))

    def clear(self) -> None:
        """Take the line away."""
        if self._width and self._out.in_front():
            self._out.write("\r" + " " * self._width + "\r")
            self._out.drain()
        self._width = 0


class PanelView:
    """The picture of `panel`, written over by `painter`."""

    def __init__(self) -> None:
        from rich.console import Console

        from .painter import Painter, colours

        self._out = Outlet()
        file = cast(TextIO, self._out)
        console = Console(file=file)
        if console.legacy_windows:
            raise ImportError("this console does not know escape sequences")
        self._painter = Painter(file, colours(console, STYLES))
        self._blocks = _has_blocks(self._out.encoding)
        self._session: LiveSession | None = None
        self._keys = True
        self._size: tuple[int, int] | None = None
        self._drawn_at = float("-inf")
        self._note, self._noted_at = "", 0.0
        self._help = False

    def attach(self, session: LiveSession, keys: bool) -> None:
        """Remember the session."""
        self._session, self._keys = session, keys

    def __call__(self, status: Status) -> None:
        """Draw, if the last time is long enough ago."""
        now = time.monotonic()
        if not self._out.in_front():
            self._drawn_at = float("-inf")
            self._painter.leave()
            return
        if now - self._drawn_at < PAUSE or self._session is None:
            return
        if not self._out.through():  # the last picture is not even on the screen
            return
        self._drawn_at = now
        if self._note and now - self._noted_at > NOTE_SECONDS:
            self._note = ""
        size = terminal_size()
        if size != self._size:
            # Lines that the terminal has folded cannot be counted: begin anew below.
            self.clear()
            self._drawn_at, self._size = now, size
        more = {"note": self._note, "help": self._help, "keys": self._keys}
        scene = scene_of(self._session, status, **more)
        width, height = max(size[0] - 1, 1), size[1]
        self._painter.paint(rows(scene, width, blocks=self._blocks), width, height)

    def note(self, text: str) -> None:
        """Show it in the picture for some seconds."""
        self._note, self._noted_at = text, time.monotonic()
        self._drawn_at = float("-inf")

    def sentence(self, text: str) -> None:
        """Leave a line above the picture."""
        self.clear()
        _say(self._out, f"streamdenoise: {text}")

    def help(self) -> None:
        """Show the keys in the picture, or the levels again."""
        self._help = not self._help
        self._drawn_at = float("-inf")

    def clear(self) -> None:
        """Take the picture away, if it is ours, and give the cursor back."""
        self._drawn_at = float("-inf")
        if self._out.in_front():
            self._painter.clear()
        else:
            self._painter.leave()
        self._out.drain()


def _help_lines() -> list[str]:
    from .keys import HELP

    return [f"{key:>5}  {text}" for key, _, text in HELP]


def _has_blocks(encoding: str) -> bool:
    try:
        "●→█▁·".encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _say(out: Outlet, text: str) -> None:
    out.write(text + "\n")
    out.flush()
