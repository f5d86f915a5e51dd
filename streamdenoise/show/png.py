"""PNG files, with zlib alone."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["png", "write_png"]


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
