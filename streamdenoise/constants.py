"""The time-frequency grid that every model lives on.

A model knows no sample rate. It knows frames that come every 8 ms and bins
that lie 31.25 Hz apart, and at 16 kHz these are hop 128, window 512, 257 bins.
At another rate the engine picks the hop and window of the same duration, so the
lowest 257 bins mean the same thing everywhere.
"""

from __future__ import annotations

from typing import Final

GRID_RATE: Final = 16_000
"""Sample rate in Hz at which the grid is defined."""

HOP_SECONDS: Final = 0.008
"""Time between two frames, in seconds."""

GRID_HOP: Final = 128
"""Samples between two frames at `GRID_RATE`."""

GRID_WIN: Final = 512
"""Samples of the analysis window at `GRID_RATE`."""

GRID_BINS: Final = GRID_WIN // 2 + 1
"""Bins of one frame that a model sees: 0 to 8 kHz."""

BIN_HZ: Final = GRID_RATE / GRID_WIN
"""Distance between two bins in Hz."""

MAX_CHANNELS: Final = 64
"""Most channels of one stream or file; each has its own state."""

MIN_RATE: Final = 8_000
"""Lowest sample rate in Hz that the engine runs at."""

MAX_RATE: Final = 192_000
"""Highest sample rate in Hz that the engine runs at."""
