"""What stands beside a spectrogram: letters of dots, and the marks of its axes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

from .colours import GRID, TEXT

__all__ = ["LEFT", "mark_frequencies", "mark_seconds", "write_text"]

LEFT: Final = 68
"""Columns to the left of a spectrogram, for letters."""

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


def mark_frequencies(
    canvas: NDArray[np.uint8], y: int, rows: int, top_hz: float
) -> None:
    """Mark every 2 kHz beside a spectrogram of `rows` that begins in row `y`."""
    for khz in range(0, int(top_hz / 1000) + 1, 2):
        at = y + round((rows - 1) * (1.0 - 1000 * khz / top_hz))
        canvas[at, LEFT - 7 : LEFT - 1] = GRID
        label = str(khz)
        place = min(max(at - 7, y - 4), y + rows - 12)
        write_text(canvas, label, LEFT - 12 - 12 * len(label), place)
    write_text(canvas, "kHz", LEFT - 52, y - 20)


def mark_seconds(
    canvas: NDArray[np.uint8], y: int, columns: int, seconds: float
) -> None:
    """Mark the time below a spectrogram that ends above row `y`, at most ten times."""
    steps = (0.01, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200)
    step = next(
        (s for s in steps if seconds / s <= 10), 3600 * int(seconds / 36000 + 1)
    )
    for i in range(int(seconds / step + 1e-6) + 1):
        at = LEFT + round((columns - 1) * i * step / seconds) if seconds else LEFT
        canvas[y + 1 : y + 7, at] = GRID
        label = f"{i * step:.12g}"  # never with an exponent
        write_text(canvas, label, at - 6 * len(label) + 1, y + 12)
    write_text(canvas, "s", LEFT + columns + 4, y + 12)


def write_text(
    canvas: NDArray[np.uint8], text: str, x: int, y: int, scale: int = 2
) -> None:
    """Write a line whose upper left corner is at column `x` and row `y`."""
    for char in text:
        rows = np.frombuffer(bytes.fromhex(_GLYPHS[char]), np.uint8)
        dots = np.unpackbits(rows[:, None], axis=1)[:, 3:].astype(bool)
        dots = dots.repeat(scale, axis=0).repeat(scale, axis=1)
        place = canvas[y : y + dots.shape[0], x : x + dots.shape[1]]
        place[dots[: place.shape[0], : place.shape[1]]] = TEXT
        x += 6 * scale
