"""The picture of a running session: ten lines, from plain numbers.

`rows` makes styled pieces of text and knows nothing of terminals. The same picture goes
to the terminal, by `painter`, and by rich and ``scripts/make-live-view`` into the
documentation.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from ..names import shown
from .commands import strength_text
from .keys import HELP

if TYPE_CHECKING:
    from ..live.session import LiveSession, Status
    from ..settings import Settings

__all__ = [
    "HEIGHT",
    "MIN_WIDTH",
    "Panel",
    "Scene",
    "clock",
    "rows",
    "scene_of",
    "xruns",
]

HEIGHT: Final = 10
"""Lines of the picture."""

MIN_WIDTH: Final = 59
"""Columns below which there is no room for it."""

MAX_WIDTH: Final = 100

_FLOOR, _TOP = -72.0, 0.0
_BAND_FLOOR, _BAND_TOP = -96.0, -24.0
_BLOCKS: Final = " ▁▂▃▄▅▆▇█"
_ASCII_BLOCKS: Final = " ..::-=+#"

_SHORT: Final = {"device in": "in", "device out": "out"}
_SHORTEST: Final = {**_SHORT, "window": "win", "buffer": "buf"}
_LATENCY_FORMS: Final[tuple[tuple[Mapping[str, str], str, int], ...]] = (
    ({}, " + ", 1),
    (_SHORT, " + ", 1),
    (_SHORTEST, "+", 1),
    (_SHORTEST, "+", 0),
)
"""Names, what joins them, and decimals, from the longest."""

Piece = tuple[str, str]
"""Text, and the name of its style in `STYLES`."""

STYLES: Final = {
    "": "",
    "good": "green",
    "high": "yellow",
    "bad": "bold red",
    "in": "cyan",
    "out": "green",
    "less": "magenta",
    "dim": "bright_black",
    "name": "bold",
    "on": "black on yellow",
    "rec": "bold white on red",
    "key": "bold cyan",
}
"""What the names mean to rich."""


@dataclass(frozen=True)
class Scene:
    """All that the picture shows.

    Attributes
    ----------
    status, settings
        Of this moment.
    latency
        Seconds by part, in the order in which sound passes them.
    source, sink
        Names of the devices.
    rate
        In Hz.
    note
        What the last key did.
    help
        Show the keys instead of the levels.
    keys
        Whether there are keys at all.
    """

    status: Status
    settings: Settings
    latency: Mapping[str, float] = field(default_factory=dict)
    source: str = ""
    sink: str = ""
    rate: int = 0
    note: str = ""
    help: bool = False
    keys: bool = True


def scene_of(session: LiveSession, status: Status, **more: Any) -> Scene:
    """Return the scene of a session; `more` are further attributes of it.

    Levels by band that the status lacks are computed.
    """
    if not status.bands_in:
        before, after = session.core.bands.levels()
        status = replace(status, bands_in=before, bands_out=after)
    return Scene(
        status,
        session.settings,
        session.latency().parts(),
        *session.names,
        session.rate,
        **more,
    )


def rows(scene: Scene, width: int, *, blocks: bool = True) -> list[list[Piece]]:
    """Return the picture as `HEIGHT` lines of at most `width` columns.

    Parameters
    ----------
    scene
        What to show.
    width
        Columns that there are.
    blocks
        Draw with block characters; without, with ASCII.
    """
    width = max(MIN_WIDTH, min(width, MAX_WIDTH))
    body = _help(scene) if scene.help else _levels(scene, width, blocks)
    lines = [
        _head(scene, width, blocks),
        *body,
        _advice(scene),
        _keys(width) if scene.keys else [(" Ctrl-C ends", "dim")],
    ]
    return [_cut(line, width) for line in lines]


def _head(scene: Scene, width: int, blocks: bool) -> list[Piece]:
    status = scene.status
    running = status.state == "running"
    dot, arrow = ("●", "→") if blocks else ("*", "->")
    left: list[Piece] = [
        (f" {dot} {status.state}", "good" if running else "bad"),
        (f"  {shown(status.model)}", "name"),
        (f"  {scene.rate / 1000:g} kHz  ", ""),
    ]
    right = f"  {clock(status.seconds)} "
    room = width - sum(len(text) for text, _ in left) - len(right)
    names = f"{shown(scene.source)} {arrow} {shown(scene.sink)}"
    return [*left, (_filled(names, room), "dim"), (right, "")]


def _filled(text: str, columns: int) -> str:
    """Return a text cut or filled up to so many columns; some characters take two."""
    if text.isascii():
        return text[:columns].ljust(columns)
    from rich.cells import set_cell_size

    return set_cell_size(text, columns)


def _levels(scene: Scene, width: int, blocks: bool) -> list[list[Piece]]:
    status, settings = _heard(scene.status), scene.settings
    count = max(len(status.bands_in), 1)
    each = 2 if width >= 44 + 2 * count else 1
    bar = min(width - 20 - each * count, 44)
    share_in, share_out = _share(status.level_in), _share(status.level_out)
    less = [i - o for i, o in zip(status.bands_in, status.bands_out, strict=False)]
    scale = _scale(each * count)
    return [
        [
            (f" in   {_figure(status.level_in, '6.1f')} dB  ", ""),
            *_bar(share_in, bar, _loudness(status.level_in), blocks),
            ("  ", ""),
            *_bands(status.bands_in, each, "in", blocks),
        ],
        [
            (f" out  {_figure(status.level_out, '6.1f')} dB  ", ""),
            *_bar(share_out, bar, "out", blocks),
            ("  ", ""),
            *_bands(status.bands_out, each, "out", blocks),
        ],
        [
            (f" less {_figure(status.reduction, '6.1f')} dB  ", ""),
            *_bar(status.reduction / 48.0, bar, "less", blocks),
            ("  ", ""),
            *_bands([_BAND_FLOOR + 2.0 * x for x in less], each, "less", blocks),
        ],
        [
            (f" load {_figure(status.load, '6.1%')}     ", ""),
            *_bar(status.load, bar, "bad" if status.load > 0.7 else "good", blocks),
            ("  ", ""),
            (scale, "dim"),
        ],
        _latency(scene, width),
        [
            (" xruns   ", ""),
            (xruns(status.xruns), "high" if status.xrun_count else "good"),
        ],
        _switches(status, settings, blocks),
    ]


def _heard(status: Status) -> Status:
    """Return a status without levels where none come in: the last ones are over."""
    if status.state == "running":
        return status
    none = (math.nan,) * len(status.bands_in)
    return replace(
        status,
        level_in=math.nan,
        level_out=math.nan,
        reduction=math.nan,
        load=math.nan,
        bands_in=none,
        bands_out=none,
    )


def _figure(value: float, form: str) -> str:
    return format(value, form) if math.isfinite(value) else "--".rjust(6)


def _latency(scene: Scene, width: int) -> list[Piece]:
    """Return the sum with all of its parts, in the longest form that fits."""
    text, terms = f" latency {1000 * scene.status.latency:.1f} ms", ""
    parts = [(n, 1000 * s) for n, s in scene.latency.items() if s or n != "buffer"]
    for names, plus, digits in _LATENCY_FORMS:
        terms = plus.join(f"{names.get(n, n)} {ms:.{digits}f}" for n, ms in parts)
        if len(text) + len(" = ") + len(terms) <= width:
            break
    return [(text, ""), (f" = {terms}" if terms else "", "dim")]


def _switches(status: Status, settings: Settings, blocks: bool) -> list[Piece]:
    pieces: list[Piece] = [(f" strength {strength_text(settings.strength_db)}", "")]
    if settings.mix < 1.0:
        pieces.append((f"  mix {settings.mix:.0%}", ""))
    for name, on in (
        ("bypass", settings.bypass),
        ("removed", settings.removed),
        ("muted", status.muted),
    ):
        if on:
            pieces += [("  ", ""), (f" {name} ", "on")]
    if status.recording is not None:
        dot = "●" if blocks else "*"
        pieces += [("  ", ""), (f" {dot} rec {shown(status.recording.name)} ", "rec")]
    return pieces


def _advice(scene: Scene) -> list[Piece]:
    if scene.note:
        return [(f" {scene.note}", "name")]
    # What happened stands in the line of the xruns already.
    advice = (scene.status.advice or "").rpartition(": ")[2]
    return [(f" {advice}", "high")] if advice else []


def _keys(width: int) -> list[Piece]:
    """Return the keys; where not all fit, those that `?` lists are left out first."""
    shown_keys = list(HELP)
    while sum(len(key) + len(name) + 3 for key, name, _ in shown_keys) > width + 1:
        del shown_keys[-3]  # the last two are help and quit
    pieces: list[Piece] = []
    for key, name, _ in shown_keys:
        pieces += [(f" {key}", "key"), (f" {name} ", "dim")]
    return pieces


def _help(scene: Scene) -> list[list[Piece]]:
    """Return the keys in as many lines as `_levels` has."""
    return [
        [(f" {key:>4}  ", "key"), (text, "")] for key, _, text in HELP if key != "?"
    ]


def _bar(share: float, width: int, style: str, blocks: bool) -> list[Piece]:
    full, rest = ("█", "·") if blocks else ("#", ".")
    share = share if math.isfinite(share) else 0.0
    filled = round(min(max(share, 0.0), 1.0) * width)
    return [(full * filled, style), (rest * (width - filled), "dim")]


def _bands(levels: Iterable[float], each: int, style: str, blocks: bool) -> list[Piece]:
    signs = _BLOCKS if blocks else _ASCII_BLOCKS
    text = ""
    for level in levels:
        share = (level - _BAND_FLOOR) / (_BAND_TOP - _BAND_FLOOR)
        share = min(max(share, 0.0), 1.0) if math.isfinite(share) else 0.0
        text += signs[round(share * (len(signs) - 1))] * each
    return [(text, style)]


def _scale(width: int) -> str:
    left, right = "low", "high"
    return left + right.rjust(width - len(left)) if width > 8 else ""


def _share(level: float) -> float:
    return (level - _FLOOR) / (_TOP - _FLOOR)


def _loudness(level: float) -> str:
    return "bad" if level > -3.0 else "high" if level > -9.0 else "in"


def _cut(line: list[Piece], width: int) -> list[Piece]:
    """Keep what fits; an empty line keeps its place."""
    kept: list[Piece] = []
    for text, style in line:
        text = text[: max(width, 0)]
        width -= len(text)
        if text:
            kept.append((text, style))
    return kept or [(" ", "")]


def clock(seconds: float) -> str:
    """Return a time as minutes and seconds, from an hour on with hours."""
    whole = int(seconds)
    if whole >= 3600:
        return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"
    return f"{whole // 60}:{whole % 60:02d}"


def xruns(counts: Mapping[str, int]) -> str:
    """Return counters of xruns for a person."""
    kinds = [f"{kind} {count}" for kind, count in counts.items() if count]
    return f"{sum(counts.values())} ({', '.join(kinds)})" if kinds else "none"


class Panel:
    """The picture as rich draws it, into documents."""

    def __init__(self, *, blocks: bool = True) -> None:
        from rich.style import Style

        self.scene: Scene | None = None
        self._blocks = blocks
        self._styles = {name: Style.parse(text) for name, text in STYLES.items()}

    def __rich_console__(self, console: Any, options: Any) -> Iterator[Any]:
        """Yield the segments of the picture."""
        from rich.segment import Segment

        if self.scene is None:
            return
        end = Segment.line()
        for line in rows(self.scene, options.max_width, blocks=self._blocks):
            for text, style in line:
                yield Segment(text, self._styles[style])
            yield end
