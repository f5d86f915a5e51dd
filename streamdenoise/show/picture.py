"""Spectrograms before and after as one picture, with numpy alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from .axes import LEFT, mark_frequencies, mark_seconds, write_text
from .colours import BACK, GRID, LEVELS, TEXT, palette

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "before_after",
    "draw",
    "spectrogram",
    "strip",
]

_PANEL: Final = (224, 960)
_RIGHT, _TOP, _GAP, _BOTTOM = 20, 30, 34, 46
_RANGE_DB: Final = 72.0
_SILENT_DB: Final = -129.0
_TOP_HZ: Final = 12_000
_CURVE: Final = 96
_WINDOW_SECONDS: Final = 0.032


def spectrogram(
    x: NDArray[np.float32], sample_rate: int, shape: tuple[int, int], top_hz: float
) -> NDArray[np.float64]:
    """Return levels in dB of a mono signal, a column for each pixel.

    Parameters
    ----------
    x
        Samples, shape (n,).
    sample_rate
        In Hz.
    shape
        Rows and columns; row 0 is `top_hz`, the last row 0 Hz.
    top_hz
        Highest frequency.

    Returns
    -------
    ndarray of float64, of that shape
        In dB relative to a full-scale sine.
    """
    rows, columns = shape
    win = max(16, round(sample_rate * _WINDOW_SECONDS))
    window = np.hanning(win + 1)[:win]
    padded = np.pad(x.astype(np.float64), (win // 2, win))
    starts = np.linspace(0, max(len(x) - 1, 0), columns).astype(int)
    frames = padded[starts[:, None] + np.arange(win)] * window
    power = np.abs(np.fft.rfft(frames, axis=1) * (2.0 / window.sum())) ** 2
    levels = 10.0 * np.log10(power + 1e-13)
    hz = np.linspace(top_hz, 0.0, rows)
    bins = np.arange(levels.shape[1]) * (sample_rate / win)
    out = np.empty(shape)
    for i, column in enumerate(levels):
        out[:, i] = np.interp(hz, bins, column)
    return out


def before_after(
    before: NDArray[np.float32], after: NDArray[np.float32], sample_rate: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Draw two spectrograms, one above the other, on one scale of colours.

    Parameters
    ----------
    before, after
        Mono signals of the same length, shape (n,).
    sample_rate
        In Hz.

    Returns
    -------
    pixels : ndarray of uint8, shape (height, width)
        Indices into the palette.
    palette : ndarray of uint8, shape (colours, 3)
    """
    top_hz = min(sample_rate / 2, _TOP_HZ)
    panels = [
        (name, spectrogram(x, sample_rate, _PANEL, top_hz))
        for name, x in (("before", before), ("after", after))
    ]
    return draw(panels, len(before) / sample_rate, top_hz)


def draw(
    panels: Sequence[tuple[str, NDArray[np.float64]]],
    seconds: float,
    top_hz: float,
    curve: tuple[str, NDArray[np.float64]] | None = None,
    spans: Sequence[float] | None = None,
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Draw spectrograms below each other on one scale of colours.

    Parameters
    ----------
    panels
        Names and levels in dB, row 0 the highest frequency; of any size. The loudest
        of the first are the brightest.
    seconds
        Duration.
    top_hz
        Highest frequency.
    curve
        Name and values in dB to be drawn over time below, of any length.
    spans
        Share of `seconds` that each panel lasts, from its beginning; all of it if not
        given.

    Returns
    -------
    pixels, palette
        As `before_after`.
    """
    rows, columns = _PANEL
    high = _loudest(panels[0][1])
    count = len(panels)
    height = _TOP + count * rows + (count - 1) * _GAP + _BOTTOM
    height += _GAP + _CURVE if curve else 0
    canvas = np.full((height, LEFT + columns + _RIGHT), BACK, np.uint8)
    y = _TOP
    for (name, levels), span in zip(panels, spans or [1.0] * count, strict=True):
        width = max(round(columns * span), 1)
        fitted = _fit(levels, (rows, width))
        canvas[y : y + rows, LEFT : LEFT + width] = _colours(fitted, high)
        write_text(canvas, name, LEFT + 6, y - 20)
        mark_frequencies(canvas, y, rows, top_hz)
        y += rows + _GAP
    if curve:
        write_text(canvas, curve[0], LEFT + 6, y - 20)
        _curve(canvas, y, columns, curve[1])
        y += _CURVE + _GAP
    mark_seconds(canvas, y - _GAP, columns, seconds)
    return canvas, palette()


def strip(
    panels: Sequence[NDArray[np.float64]], shape: tuple[int, int] = (40, 240)
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Draw spectrograms small, below each other, without axes.

    Parameters
    ----------
    panels
        Levels in dB, as for `draw`.
    shape
        Height and width of each.

    Returns
    -------
    pixels, palette
        As `before_after`; few colours, so that the file is small.
    """
    high = _loudest(panels[0])
    step = LEVELS // 16
    drawn = [_colours(_fit(levels, shape), high) // step * step for levels in panels]
    gap = np.full((2, shape[1]), BACK, np.uint8)
    stacked = [part for image in drawn for part in (image, gap)][:-1]
    return np.concatenate(stacked), palette()


def _loudest(levels: NDArray[np.float64]) -> float:
    """Return the level that is drawn the brightest: but for single ones the highest."""
    high = float(np.percentile(levels, 99.8))
    if high > _SILENT_DB:
        return high
    # Silence is dark, also where there is hardly anything else.
    heard = levels[levels > _SILENT_DB]
    return float(heard.max()) if heard.size else 0.0


def _colours(levels: NDArray[np.float64], high: float) -> NDArray[np.uint8]:
    share = np.clip((levels - high) / _RANGE_DB + 1.0, 0.0, 1.0)
    return (share * (LEVELS - 1)).astype(np.uint8)


def _fit(levels: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.float64]:
    """Resize by means where it shrinks, by repetition where it grows."""
    for axis, size in enumerate(shape):
        have = levels.shape[axis]
        if have > size:
            edges = np.arange(size) * have // size
            widths = np.diff(np.append(edges, have))
            sums = np.add.reduceat(levels, edges, axis=axis)
            levels = sums / (widths[:, None] if axis == 0 else widths)
        elif have < size:
            levels = levels.take(np.arange(size) * have // size, axis=axis)
    return levels


def _curve(
    canvas: NDArray[np.uint8], y: int, columns: int, values: NDArray[np.float64]
) -> None:
    """Draw values in dB over time between two round limits."""
    finite = values[np.isfinite(values)]
    low, top = (finite.min(), finite.max()) if finite.size else (0.0, 0.0)
    low = 10.0 * np.floor(min(low, 0.0) / 10.0)
    top = max(10.0 * np.ceil(top / 10.0), low + 10.0)
    step = max(10.0, 10.0 * np.ceil((top - low) / 40.0))
    for level in np.arange(low, top + 1.0, step):
        at = y + round(float((_CURVE - 1) * (top - level) / (top - low)))
        canvas[at, LEFT - 7 : LEFT + columns] = GRID
        label = f"{level:g}"
        place = min(max(at - 7, y - 4), y + _CURVE - 12)
        write_text(canvas, label, LEFT - 12 - 12 * len(label), place)
    write_text(canvas, "dB", LEFT - 52, y - 20)
    fitted = _fit(np.nan_to_num(values, nan=0.0)[None, :], (1, columns))[0]
    share = np.clip((top - fitted) / (top - low), 0.0, 1.0)
    at_row = y + np.rint((_CURVE - 1) * share).astype(int)
    last = at_row[0]
    for column, row in enumerate(at_row):
        first, end = sorted((int(last), int(row)))
        canvas[first : end + 2, LEFT + column] = TEXT
        last = row
