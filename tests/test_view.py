"""What ``live`` shows: the picture, the line, and the lines of a log."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamdenoise.control.choice import FittingView, choose_view
from streamdenoise.control.line import meter_line
from streamdenoise.control.panel import (
    HEIGHT,
    MAX_WIDTH,
    MIN_WIDTH,
    STYLES,
    Scene,
    clock,
    rows,
    xruns,
)
from streamdenoise.control.view import JournalView, LineView, PanelView, View
from streamdenoise.live.latency import Latency
from streamdenoise.live.session import Status
from streamdenoise.live.stream import XRUN_KINDS
from streamdenoise.settings import Settings

NONE = dict.fromkeys(XRUN_KINDS, 0)
USUAL = Status(
    75.0,
    -23.4,
    -41.0,
    17.6,
    0.04,
    NONE,
    latency=0.04,
    bands_in=tuple(np.linspace(-30, -80, 16)),
    bands_out=tuple(np.linspace(-30, -110, 16)),
    model="base",
)
SCENE = Scene(
    USUAL,
    Settings(strength_db=12.0),
    {"device in": 0.008, "hop": 0.008, "buffer": 0.0, "device out": 0.024},
    "USB card",
    "Speakers",
    48_000,
)


class FakeTerminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


class FakeSession:
    """What a view asks a session for; the real one needs devices."""

    names = ("USB card", "USB card")
    rate = 48_000

    def __init__(self, status: Status) -> None:
        self.settings = Settings()
        self._status = status

    def status(self) -> Status:
        return self._status

    def latency(self) -> Latency:
        return Latency(0.008, 0.008, 0.008, 0.0, 0.016)


def text_of(scene: Scene, width: int = 80, **how: Any) -> str:
    return "\n".join(
        "".join(text for text, _ in line) for line in rows(scene, width, **how)
    )


def test_the_picture_has_what_a_person_asks_for() -> None:
    """Devices, levels, reduction, load, latency by parts, xruns, settings, keys."""
    text = text_of(SCENE, 100)
    for part in (
        "● running  base  48 kHz  USB card → Speakers",
        "1:15",
        "in    -23.4 dB",
        "out   -41.0 dB",
        "less   17.6 dB",
        "load   4.0%",
        "latency 40.0 ms = device in 8.0 + hop 8.0 + device out 24.0",
        "xruns   none",
        "strength 12 dB",
        "b bypass",
        "q quit",
    ):
        assert part in text, part


@pytest.mark.parametrize("columns", [60, 80, 100])
@pytest.mark.parametrize("long", [False, True])
def test_all_parts_of_the_latency_fit(columns: int, long: bool) -> None:
    """Each part and its number is there, and they add up to the sum, on any screen."""
    parts = Latency(0.0019, 0.008, 0.008, 0.0248, 0.0222)
    if long:
        parts = Latency(0.5019, 0.024, 0.016, 1.2248, 0.5222)
    scene = replace(
        SCENE,
        status=replace(USUAL, latency=parts.total),
        latency=parts.parts(),
    )
    line = text_of(scene, columns - 1).split("\n")[5]
    total, _, terms = line.partition(" ms = ")
    names = [term.split()[-2][:3] for term in terms.split("+")]
    assert names == ["in", "hop", "win", "buf", "out"]
    numbers = [float(term.split()[-1]) for term in terms.split("+")]
    assert sum(numbers) == pytest.approx(float(total.split()[-1]), abs=2.0)
    assert ("device in 1.9 + hop" in line) == (columns == 100 and not long)


@pytest.mark.parametrize("columns", [60, 70, 80])
def test_help_and_quit_are_always_among_the_keys(columns: int) -> None:
    """Where not all keys fit, none is cut, and the way to the rest is there."""
    keys = text_of(SCENE, columns - 1).split("\n")[-1]
    assert keys.startswith(" b bypass") and keys.rstrip().endswith("? help  q quit")
    assert len(keys.rstrip()) < columns


def test_the_picture_keeps_its_size_whatever_it_shows(
    rng: np.random.Generator,
) -> None:
    """Always as many lines, never wider than the terminal, every style known."""
    odd = [0.0, -120.0, 99.9, float("nan"), float("inf"), -float("inf"), 1e9]

    def one() -> float:
        return float(rng.choice(odd))

    for _ in range(300):
        status = replace(
            USUAL,
            seconds=float(rng.choice([0, 59.9, 1e6])),
            level_in=one(),
            level_out=one(),
            reduction=one(),
            load=one(),
            xruns=dict.fromkeys(XRUN_KINDS, int(rng.integers(0, 10**6))),
            bands_in=tuple(one() for _ in range(int(rng.integers(0, 32)))),
            bands_out=tuple(one() for _ in range(int(rng.integers(0, 32)))),
            muted=bool(rng.integers(2)),
            recording=Path("a\x1b[2J" * 40),
            model="x" * int(rng.integers(0, 200)),
            state="waiting for device",
            advice="try " * 100,
        )
        scene = Scene(
            status,
            Settings(bypass=True, mix=0.5),
            source="ü" * 100,
            sink="\n",
            help=bool(rng.integers(2)),
            keys=bool(rng.integers(2)),
            note="n" * int(rng.integers(0, 300)),
        )
        width = int(rng.integers(0, 200))
        for blocks in (True, False):
            lines = rows(scene, width, blocks=blocks)
            assert len(lines) == HEIGHT
            for line in lines:
                text = "".join(part for part, _ in line)
                assert len(text) <= max(MIN_WIDTH, min(width, MAX_WIDTH))
                assert text.isprintable()
                assert all(style in STYLES for _, style in line)


def test_while_waiting_there_are_no_levels() -> None:
    """The last ones would look as if sound came in; the room for them stays."""
    waiting = replace(SCENE, status=replace(USUAL, state="waiting for device"))
    lines = text_of(waiting).split("\n")
    assert len(lines) == HEIGHT
    for line, name in zip(lines[1:5], ("in", "out", "less", "load"), strict=True):
        assert line.startswith(f" {name:<4}     --")
        assert not re.search(r"[█▁▂▃▄▅▆▇\d]", line)
    assert "latency 40.0 ms" in lines[5]
    assert not re.search(r"\d dB|%", meter_line(waiting.status))


def test_a_terminal_without_blocks_gets_ascii() -> None:
    """The picture can be drawn in any encoding."""
    assert text_of(SCENE, blocks=False).isascii()


def test_bars_and_bands_follow_the_levels() -> None:
    """Louder is longer, and higher; what is taken away shows in its own row."""
    lengths = []
    for level in (-120.0, -60.0, -30.0, -10.0, 0.0):
        line = rows(replace(SCENE, status=replace(USUAL, level_in=level)), 90)[1]
        lengths.append("".join(text for text, _ in line).count("█"))
    assert lengths == sorted(lengths) and lengths[0] < lengths[-1]
    picture = rows(SCENE, 90)
    assert picture[3][-1][0].rstrip()[-1] > picture[3][-1][0][0]  # more at the top


def test_switches_and_trouble_stand_out() -> None:
    """Bypass, muted, recording and a lost device are marked, not merely written."""
    status = replace(
        USUAL, muted=True, recording=Path("talk.wav"), state="waiting for device"
    )
    scene = replace(SCENE, status=status, settings=Settings(bypass=True))
    lines = rows(scene, 100)[:-1]  # all but the keys
    styles = {text.strip(): style for line in lines for text, style in line}
    assert styles["bypass"] == styles["muted"] == "on"
    assert styles["● rec talk.wav"] == "rec"
    assert styles["● waiting for device"] == "bad"
    assert "try this" in text_of(
        replace(SCENE, status=replace(USUAL, advice="try this"))
    )


def test_the_line_fits_a_terminal() -> None:
    """All numbers in 80 columns, near the extremes as well."""
    line = meter_line(USUAL)
    assert "-23.4 dB" in line and "17.6 dB" in line and "1:15" in line
    long = Status(35_999.0, -120.0, -120.0, 99.9, 12.0, dict.fromkeys(XRUN_KINDS, 99))
    assert meter_line(long, width=79).endswith("load 1200%")
    waiting = meter_line(replace(USUAL, state="waiting for device"))
    assert waiting.startswith("waiting for device")


@pytest.mark.parametrize("state", ["running", "waiting for device"])
def test_a_narrow_line_has_whole_fields(state: Any) -> None:
    """What is switched on comes first, and what does not fit is left out, not cut."""
    status = replace(USUAL, muted=True, recording=Path("a.wav"), state=state)

    def fields(width: int) -> list[str]:
        line = meter_line(status, Settings(bypass=True), width)
        assert len(line) <= width
        return re.split(r"  (?=[a-z]|\d+:)", line) if line else []

    whole = fields(1000)
    assert whole[:3] == ["muted", "bypass", "rec"] and len(whole) > 4
    for width in range(120):
        found = fields(width)
        assert found == whole[: len(found)]
        assert found == whole or len("  ".join(whole[: len(found) + 1])) > width


@pytest.mark.parametrize("width", [60, 80, 100])
@pytest.mark.parametrize(
    "sink", ["Speakers", "麦克风扬声器マイクロフォン", "スピ" * 40]
)
def test_the_clock_is_seen_beside_any_name(width: int, sink: str) -> None:
    """Characters that take two columns push nothing off the line."""
    cells = pytest.importorskip("rich.cells", reason="rich draws the picture")
    head = "".join(text for text, _ in rows(replace(SCENE, sink=sink), width)[0])
    assert cells.cell_len(head) == width and head.endswith(" 1:15 ")


def test_the_line_at_forty_columns() -> None:
    """Levels and xruns are there; what is removed shows by its name."""
    some = {**NONE, "output underflow": 3}
    status = replace(USUAL, level_in=-120.0, level_out=-120.0, xruns=some)
    assert meter_line(status, Settings(), 39) == "in -120.0 dB  out -120.0 dB  xruns 3"
    assert meter_line(status, Settings(removed=True), 39).startswith("removed  in")


CHOICE = "streamdenoise.control.choice"


def shown_first() -> View:
    """Return what a terminal that may change its size gets first."""
    view = choose_view()
    assert isinstance(view, FittingView)
    return view.shown


def test_the_view_suits_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture where it can be, a line where it cannot, lines on change in a log."""
    pytest.importorskip("rich", reason="rich draws the picture")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert isinstance(choose_view(), JournalView)
    monkeypatch.setattr(sys, "stderr", FakeTerminal())
    assert isinstance(shown_first(), PanelView)
    assert isinstance(choose_view(plain=True), LineView)
    assert isinstance(choose_view(none=True), JournalView)
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(choose_view(), LineView)
    monkeypatch.setenv("TERM", "xterm")
    for small in ((59, 24), (80, 8)):
        monkeypatch.setattr(f"{CHOICE}.terminal_size", lambda small=small: small)
        assert isinstance(shown_first(), LineView)


def test_the_view_follows_the_size_of_the_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A window that becomes too small gets the line, where answers to keys are seen."""
    pytest.importorskip("rich", reason="rich draws the picture")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", FakeTerminal())
    size = [40, 8]
    monkeypatch.setattr(f"{CHOICE}.terminal_size", lambda: tuple(size))
    view = choose_view()
    view.attach(FakeSession(USUAL), True)  # type: ignore[arg-type]

    def written(act: Callable[[], None]) -> str:
        before = len(sys.stderr.getvalue())  # type: ignore[attr-defined]
        act()
        view(USUAL)
        return str(sys.stderr.getvalue()[before:])  # type: ignore[attr-defined]

    assert "\x1b" not in written(lambda: None)
    size[:] = 100, 30
    assert "q quit" in re.sub(r"\x1b\[[\d;]*m", "", written(lambda: None))
    size[:] = 40, 8
    gone = written(lambda: None)
    assert "\x1b[J" in gone and "\x1b[?25h" in gone  # the picture; the cursor is back
    assert "live: bypass on\n" in written(lambda: view.note("bypass on"))


def test_without_rich_the_line_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing package is no reason not to run."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", FakeTerminal())
    for name in ("rich", "rich.console", "rich.live", "rich.style"):
        monkeypatch.setitem(sys.modules, name, None)
    assert isinstance(choose_view(), LineView)


def test_rich_is_not_loaded_for_a_log() -> None:
    """A service does not pay for a picture that nobody sees."""
    code = (
        "import sys\n"
        "from streamdenoise.control.choice import choose_view\n"
        "choose_view()\n"
        "print([m for m in sys.modules if m.split('.')[0] in ('rich', 'numpy')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_the_line_needs_no_escape_sequences(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dumb terminal can only go back to the beginning of its line."""
    monkeypatch.setattr(sys, "stderr", FakeTerminal())
    view = LineView()
    view.attach(FakeSession(USUAL), True)  # type: ignore[arg-type]
    for status in (USUAL, replace(USUAL, state="waiting for device"), USUAL):
        view(status)
    view.note("bypass on")
    view.sentence("odd")
    view(USUAL)
    view.clear()
    text = sys.stderr.getvalue()  # type: ignore[attr-defined]
    assert "\x1b" not in text
    lines = text.split("\n")
    assert lines[0].endswith("\rlive: bypass on") and lines[1] == "streamdenoise: odd"
    # What is written over is covered wholly.
    first, second = lines[0].split("\r")[1:3]
    assert len(second) == len(first)
    assert lines[-1].endswith(" \r")


def test_a_log_gets_lines_on_change_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """An hour without events is an hour without lines."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr("streamdenoise.control.view.JOURNAL_PAUSE", 0.0)
    session: Any = FakeSession(USUAL)
    view = JournalView()
    view.attach(session, False)
    for _ in range(1000):
        view(replace(USUAL, level_in=-10.0, load=0.5))
    assert stream.getvalue() == ""
    some = {**NONE, "output underflow": 2}
    view(replace(USUAL, xruns=some, advice="try this"))
    view(replace(USUAL, xruns=some, advice="try this"))
    view(replace(USUAL, xruns=some, state="waiting for device"))
    view(replace(USUAL, xruns=some, muted=True, model="small\n"))
    view(replace(USUAL, xruns=some, recording=Path("a.wav")))
    view(replace(USUAL, xruns=some))
    session.settings = Settings(strength_db=12.0, bypass=True)
    view.note("strength 12 dB")
    view(replace(USUAL, xruns=some))
    assert stream.getvalue().splitlines() == [
        "streamdenoise: xruns so far: 2 (output underflow 2); try this",
        "live: waiting for device",
        "live: running",
        "live: model small\\n",
        "live: muted",
        "live: model base",
        "live: no longer muted",
        "live: recording to a.wav",
        "live: no longer recording to a.wav",
        "live: strength 12 dB",
        "live: bypass on",
    ]


def test_xruns_in_a_log_do_not_flood_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many there are, there is a line every now and then."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    view = JournalView()
    view.attach(FakeSession(USUAL), False)  # type: ignore[arg-type]
    for count in range(500):
        view(replace(USUAL, xruns={**NONE, "input overflow": count}))
    assert len(stream.getvalue().splitlines()) == 1


@pytest.mark.parametrize("make", [JournalView, LineView, PanelView])
def test_a_terminal_that_goes_away_ends_nothing(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sound and recording go on when the window is closed."""
    if make is PanelView:
        pytest.importorskip("rich", reason="rich draws the picture")

    class Gone(FakeTerminal):
        def write(self, text: str) -> int:
            raise OSError(5, "Input/output error")

        def flush(self) -> None:
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(sys, "stderr", Gone())
    view = make()
    view.attach(FakeSession(USUAL), True)
    view.note("bypass on")
    view.sentence("odd")
    view.help()
    view(replace(USUAL, muted=True))
    view.clear()


def test_times_and_counters_are_readable() -> None:
    """Minutes up to an hour, then hours; kinds that happened, by name."""
    assert [clock(s) for s in (0, 59.9, 60, 3599, 3600, 90_061)] == [
        "0:00",
        "0:59",
        "1:00",
        "59:59",
        "1:00:00",
        "25:01:01",
    ]
    assert xruns(NONE) == "none"
    some = {**NONE, "input overflow": 2, "buffer overrun": 1}
    assert xruns(some) == "3 (input overflow 2, buffer overrun 1)"


@pytest.mark.parametrize("make", [LineView, PanelView])
def test_behind_the_shell_nothing_is_painted(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After bg, or with &, its lines stay; what is odd is said; fg brings it back."""
    if make is PanelView:
        pytest.importorskip("rich", reason="rich draws the picture")
    monkeypatch.setattr("streamdenoise.control.view.PAUSE", 0.0)
    monkeypatch.setattr(sys, "stderr", FakeTerminal())
    view, front = make(), [True]
    monkeypatch.setattr(type(view._out), "in_front", lambda out: front[0])
    view.attach(FakeSession(USUAL), True)

    def written(status: Status | None = None) -> str:
        before = len(sys.stderr.getvalue())  # type: ignore[attr-defined]
        if status is not None:
            view(status)
        else:
            view.clear()
        return str(sys.stderr.getvalue()[before:])  # type: ignore[attr-defined]

    assert "-23.4 dB" in written(USUAL)
    front[0] = False
    first = written(USUAL)
    assert first == ("\x1b[?25h" if make is PanelView else "")  # the cursor, once
    assert written(replace(USUAL, level_in=-10.0)) == written() == ""
    view.sentence("odd")
    assert sys.stderr.getvalue().endswith("streamdenoise: odd\n")  # type: ignore[attr-defined]
    assert written(USUAL) == ""
    front[0] = True
    again = written(USUAL)
    assert "-23.4 dB" in again
    assert not re.search(r"\x1b\[\d*A", again)  # not up, over what the shell wrote
