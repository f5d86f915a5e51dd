"""The painter: the terminal shows the last picture, and gets no more than it needs."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest

from streamdenoise.control.painter import WHOLE_AFTER, Painter, colours
from streamdenoise.control.panel import STYLES

PLAIN = dict.fromkeys(STYLES, ("", ""))
_PIECES = re.compile(r"\x1b\[(\??\d*)([A-Za-z])|(\r)|(\n)|([^\x1b\r\n]+)")


class Screen:
    """As much of a terminal as a painter needs."""

    def __init__(self, above: int = 3) -> None:
        self.lines = [f"above {i}" for i in range(above)] + [""]
        self.row, self.column = above, 0
        self.cursor = True

    def feed(self, text: str) -> None:
        """Show what is written."""
        at = 0
        for found in _PIECES.finditer(text):
            assert found.start() == at, text[at : found.start()]
            at = found.end()
            number, letter, back, down, letters = found.groups()
            if back:
                self.column = 0
            elif down:
                self.row += 1
                if self.row == len(self.lines):
                    self.lines.append("")
            elif letters:
                line = self.lines[self.row].ljust(self.column)
                end = self.column + len(letters)
                self.lines[self.row] = line[: self.column] + letters + line[end:]
                self.column = end
            else:
                self.obey(number, letter)
        assert at == len(text)

    def obey(self, number: str, letter: str) -> None:
        """Do what an escape sequence says."""
        if letter == "A":
            self.row -= int(number)
            assert self.row >= 0
        elif letter == "K":
            self.lines[self.row] = self.lines[self.row][: self.column]
        elif letter == "J":
            del self.lines[self.row + 1 :]
            self.lines[self.row] = self.lines[self.row][: self.column]
        elif number == "?25":
            self.cursor = letter == "h"
        else:
            assert letter == "m", (number, letter)


class Wire(io.StringIO):
    """Counts what is written, and shows it on a screen."""

    def __init__(self, screen: Screen) -> None:
        super().__init__()
        self.screen, self.count = screen, 0

    def write(self, text: str) -> int:
        """Pass it on."""
        self.screen.feed(text)
        self.count += len(text)
        return len(text)


def test_the_screen_shows_the_last_picture(rng: np.random.Generator) -> None:
    """Whatever came before, of any height, with lines of any length; then nothing."""
    screen = Screen()
    painter = Painter(Wire(screen), PLAIN)
    for _ in range(300):
        height = int(rng.integers(1, 9)) if rng.random() < 0.2 else 6
        rows = [
            [("x" * int(rng.integers(0, 30)), ""), (str(rng.integers(100)), "good")]
            for _ in range(height)
        ]
        painter.paint(rows, 24, 7)
        wanted = ["".join(text for text, _ in row)[:24] for row in rows[:7]]
        assert [line.rstrip() for line in screen.lines[3:]] == wanted
        assert screen.lines[:3] == ["above 0", "above 1", "above 2"]
        assert not screen.cursor
        if rng.random() < 0.1:
            painter.clear()
            assert screen.lines[3:] == [""] and screen.cursor


def test_what_has_not_changed_is_not_written() -> None:
    """The same picture costs nothing, one changed line hardly more than that line."""
    wire = Wire(Screen())
    painter = Painter(wire, PLAIN)
    rows = [[("y" * 70, "")] for _ in range(10)]
    painter.paint(rows, 80, 20)
    whole, wire.count = wire.count, 0
    painter.paint(rows, 80, 20)
    assert wire.count == 0
    rows[4] = [("z" * 70, "")]
    painter.paint(rows, 80, 20)
    assert wire.count < 110 < whole


def test_what_another_program_wrote_does_not_stay() -> None:
    """Every now and then all of the picture is written, changed or not."""
    screen = Screen(0)
    painter = Painter(Wire(screen), PLAIN)
    rows = [[(str(i), "")] for i in range(5)]
    painter.paint(rows, 80, 20)
    screen.lines[2] = "a message to all users"
    for _ in range(WHOLE_AFTER):
        painter.paint(rows, 80, 20)
    assert screen.lines == [str(i) for i in range(5)]


def test_wide_letters_do_not_fold_a_line() -> None:
    """A device may have a name in letters that take two columns each."""
    cells = pytest.importorskip("rich.cells", reason="rich knows how wide letters are")
    wire = Wire(Screen(0))
    Painter(wire, PLAIN).paint([[("耳机" * 20, ""), ("end", "")]], 33, 5)
    assert cells.cell_len(wire.screen.lines[0]) <= 33


def test_colours_are_those_of_the_terminal() -> None:
    """None on a terminal without, and none where a person does not want any."""
    console = pytest.importorskip("rich.console", reason="rich knows the colours")
    for system in ("standard", "256", "truecolor"):
        some = console.Console(color_system=system, force_terminal=True, no_color=False)
        codes = colours(some, STYLES)
        assert codes["good"][0].startswith("\x1b[") and codes["good"][1] == "\x1b[0m"
        assert codes[""] == ("", "")
    none = console.Console(color_system=None)
    assert set(colours(none, STYLES).values()) == {("", "")}
    unwanted = console.Console(
        color_system="truecolor", force_terminal=True, no_color=True
    )
    assert "32" not in colours(unwanted, STYLES)["good"][0]


def test_a_picture_that_others_wrote_below_is_left_as_it_is() -> None:
    """The cursor comes back, no line is touched, and the next picture begins anew."""
    screen = Screen(1)
    painter = Painter(Wire(screen), PLAIN)
    rows = [[(str(i), "")] for i in range(3)]
    painter.paint(rows, 80, 20)
    screen.feed("\r\n$ ls\r\n")
    for _ in range(2):
        painter.leave()
    assert screen.cursor
    painter.paint([[("new", "")]], 80, 20)
    assert screen.lines == ["above 0", "0", "1", "2", "$ ls", "new"]
