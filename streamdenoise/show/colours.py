"""The colours of a picture: those of levels, then what axes and text are drawn with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["BACK", "GRID", "LEVELS", "TEXT", "palette"]

LEVELS: Final = 240
"""How many colours stand for levels, the quietest first."""

BACK, GRID, TEXT = 240, 241, 242
"""Colours of the background, of axes, and of letters and curves."""

_STOPS: Final = (
    (0.00, (7, 10, 26)),
    (0.25, (27, 36, 94)),
    (0.45, (66, 60, 150)),
    (0.62, (168, 66, 138)),
    (0.78, (238, 106, 84)),
    (0.90, (252, 186, 88)),
    (1.00, (255, 250, 214)),
)


def palette() -> NDArray[np.uint8]:
    """Return the colours, shape (colours, 3)."""
    at = np.linspace(0.0, 1.0, LEVELS)
    stops = [position for position, _ in _STOPS]
    colours = np.array([colour for _, colour in _STOPS], float)
    levels = np.stack([np.interp(at, stops, channel) for channel in colours.T], axis=1)
    drawn = np.array([(255, 255, 255), (120, 124, 140), (40, 44, 60)], float)
    every: NDArray[np.uint8] = np.rint(np.concatenate([levels, drawn])).astype("u1")
    return every
