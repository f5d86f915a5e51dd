"""Spectrograms before and after as one PNG, with numpy and zlib alone."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "before_after",
    "draw",
    "png",
    "spectrogram",
    "strip",
    "write_png",
]

_PANEL: Final = (224, 960)
_LEFT, _RIGHT, _TOP, _GAP, _BOTTOM = 68, 20, 30, 34, 46
_RANGE_DB: Final = 72.0
_SILENT_DB: Final = -129.0
_TOP_HZ: Final = 12_000
_CURVE: Final = 96
_WINDOW_SECONDS: Final = 0.032

# Palette: the colours of levels, then what axes and text are drawn with.
_LEVELS: Final = 240
_BACK, _GRID, _TEXT = 240, 241, 242
_STOPS: Final = (
    (0.00, (7, 10, 26)),
    (0.25, (27, 36, 94)),
    (0.45, (66, 60, 150)),
    (0.62, (168, 66, 138)),
    (0.78, (238, 106, 84)),
    (0.90, (252, 186, 88)),
    (1.00, (255, 250, 214)),
)

# 5 x 7 dots, a byte for each row; only what axes need.
_GLYPHS: Final = {
    "0": "0e11131519110e",
    "1": "040c040404040e",
    "2": "0e11010608101f",
    "3": "0e11010601110e",
    "4": "02060a121f0202",
    "5": "1f101e0101110e",
    "6": "0608101e11110e",
    "7": "1f010204080808",
    "8": "0e11110e11110e",
    "9": "0e11110f01020c",
    ".": "00000000000c0c",
    "H": "1111111f111111",
    "a": "00000e010f110f",
    "b": "10101e1111111e",
    "e": "00000e111f100e",
    "f": "0609081c080808",
    "k": "10101214181412",
    "o": "00000e1111110e",
    "r": "00001619101010",
    "s": "00000f100e011e",
    "t": "08081c08080906",
    "z": "00001f0204081f",
    "-": "0000000e000000",
    " ": "00000000000000",
    "A": "0e11111f111111",
    "B": "1e11111e11111e",
    "c": "00000e1010110e",
    "d": "01010f1111110f",
    "i": "0400040404040e",
    "l": "0c04040404040e",
    "m": "00001a15151515",
    "n": "00001619111111",
    "u": "0000111111130d",
    "v": "00001111110a04",
}


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
    canvas = np.full((height, _LEFT + columns + _RIGHT), _BACK, np.uint8)
    y = _TOP
    for (name, levels), span in zip(panels, spans or [1.0] * count, strict=True):
        width = max(round(columns * span), 1)
        fitted = _fit(levels, (rows, width))
        canvas[y : y + rows, _LEFT : _LEFT + width] = _colours(fitted, high)
        _text(canvas, name, _LEFT + 6, y - 20)
        _frequencies(canvas, y, rows, top_hz)
        y += rows + _GAP
    if curve:
        _text(canvas, curve[0], _LEFT + 6, y - 20)
        _curve(canvas, y, columns, curve[1])
        y += _CURVE + _GAP
    _seconds(canvas, y - _GAP, columns, seconds)
    return canvas, _palette()


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
    step = _LEVELS // 16
    drawn = [_colours(_fit(levels, shape), high) // step * step for levels in panels]
    gap = np.full((2, shape[1]), _BACK, np.uint8)
    stacked = [part for image in drawn for part in (image, gap)][:-1]
    return np.concatenate(stacked), _palette()


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
    return (share * (_LEVELS - 1)).astype(np.uint8)


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
        canvas[at, _LEFT - 7 : _LEFT + columns] = _GRID
        label = f"{level:g}"
        place = min(max(at - 7, y - 4), y + _CURVE - 12)
        _text(canvas, label, _LEFT - 12 - 12 * len(label), place)
    _text(canvas, "dB", _LEFT - 52, y - 20)
    fitted = _fit(np.nan_to_num(values, nan=0.0)[None, :], (1, columns))[0]
    share = np.clip((top - fitted) / (top - low), 0.0, 1.0)
    at_row = y + np.rint((_CURVE - 1) * share).astype(int)
    last = at_row[0]
    for column, row in enumerate(at_row):
        first, end = sorted((int(last), int(row)))
        canvas[first : end + 2, _LEFT + column] = _TEXT
        last = row


def _frequencies(canvas: NDArray[np.uint8], y: int, rows: int, top_hz: float) -> None:
    for khz in range(0, int(top_hz / 1000) + 1, 2):
        at = y + round((rows - 1) * (1.0 - 1000 * khz / top_hz))
        canvas[at, _LEFT - 7 : _LEFT - 1] = _GRID
        label = str(khz)
        place = min(max(at - 7, y - 4), y + rows - 12)
        _text(canvas, label, _LEFT - 12 - 12 * len(label), place)
    _text(canvas, "kHz", _LEFT - 52, y - 20)


def _seconds(canvas: NDArray[np.uint8], y: int, columns: int, seconds: float) -> None:
    steps = (0.01, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200)
    step = next(
        (s for s in steps if seconds / s <= 10), 3600 * int(seconds / 36000 + 1)
    )
    for i in range(int(seconds / step + 1e-6) + 1):
        at = _LEFT + round((columns - 1) * i * step / seconds) if seconds else _LEFT
        canvas[y + 1 : y + 7, at] = _GRID
        label = f"{i * step:.12g}"  # never with an exponent
        _text(canvas, label, at - 6 * len(label) + 1, y + 12)
    _text(canvas, "s", _LEFT + columns + 4, y + 12)


def _text(canvas: NDArray[np.uint8], text: str, x: int, y: int, scale: int = 2) -> None:
    for char in text:
        rows = np.frombuffer(bytes.fromhex(_GLYPHS[char]), np.uint8)
        dots = np.unpackbits(rows[:, None], axis=1)[:, 3:].astype(bool)
        dots = dots.repeat(scale, axis=0).repeat(scale, axis=1)
        place = canvas[y : y + dots.shape[0], x : x + dots.shape[1]]
        place[dots[: place.shape[0], : place.shape[1]]] = _TEXT
        x += 6 * scale


def _palette() -> NDArray[np.uint8]:
    at = np.linspace(0.0, 1.0, _LEVELS)
    stops = [position for position, _ in _STOPS]
    colours = np.array([colour for _, colour in _STOPS], float)
    levels = np.stack([np.interp(at, stops, channel) for channel in colours.T], axis=1)
    drawn = np.array([(255, 255, 255), (120, 124, 140), (40, 44, 60)], float)
    palette: NDArray[np.uint8] = np.rint(np.concatenate([levels, drawn])).astype("u1")
    return palette


def write_png(
    path: Path, pixels: NDArray[np.uint8], palette: NDArray[np.uint8]
) -> None:
    """Write an image of palette indices as PNG.

    Parameters
    ----------
    path
        File to write.
    pixels
        Shape (height, width).
    palette
        Shape (colours, 3), at most 256 colours.

    Notes
    -----
    Chunks and filter bytes as in the PNG specification (W3C, third edition),
    sections 5 and 7: colour type 3, no filter.
    """
    path.write_bytes(png(pixels, palette))


def png(pixels: NDArray[np.uint8], palette: NDArray[np.uint8]) -> bytes:
    """Return the content of a PNG file; see `write_png`."""
    height, width = pixels.shape
    lines = np.zeros((height, width + 1), np.uint8)
    lines[:, 1:] = pixels
    head = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", head)
        + _chunk(b"PLTE", palette.tobytes())
        + _chunk(b"IDAT", zlib.compress(lines.tobytes(), 9))
        + _chunk(b"IEND", b"")
    )


def _chunk(name: bytes, body: bytes) -> bytes:
    check = zlib.crc32(name + body)
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", check)
