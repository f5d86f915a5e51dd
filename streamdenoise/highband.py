"""Gain of the band above the model's 8 kHz, for rates above 16 kHz."""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .constants import BIN_HZ, HOP_SECONDS

_NOTHING = 1e-9


class HighBand(Protocol):
    """What the engine asks of anything that rules the high band of one channel."""

    def process(
        self, frame_in: NDArray[np.complex64], frame_out: NDArray[np.complex64]
    ) -> float:
        """Return the gain for all bins above the grid, from one frame of the grid."""

    def reset(self) -> None:
        """Forget the past."""

    def snapshot(self) -> float:
        """Return the state."""

    def restore(self, state: float) -> None:
        """Go back to a snapshot."""


class HighBandRule:
    """Carry the model's gain just below 8 kHz on to everything above.

    Sibilants and hiss both reach across 8 kHz, so what the model does to the upper
    part of its own range says what to do beyond it. The gain is the power-weighted
    gain of that part: ``sqrt(sum |out|² / sum |in|²)``. It rises at once, so that the
    start of an "s" is whole, and falls slowly enough not to flutter.

    Parameters
    ----------
    low_hz, high_hz
        The part of the grid that is looked at. It ends short of 8 kHz, where 16 kHz
        training material has an anti-aliasing filter.
    release
        Time in seconds in which the gain falls by 63 %.
    hop_seconds
        Time between two frames.
    """

    def __init__(
        self,
        low_hz: float = 5500.0,
        high_hz: float = 7750.0,
        release: float = 0.04,
        hop_seconds: float = HOP_SECONDS,
    ) -> None:
        self._band = slice(round(low_hz / BIN_HZ), round(high_hz / BIN_HZ) + 1)
        self._keep = math.exp(-hop_seconds / release)
        self._gain = 0.0

    def process(
        self, frame_in: NDArray[np.complex64], frame_out: NDArray[np.complex64]
    ) -> float:
        """Return the gain, 0 to 1, for all bins above the grid.

        Parameters
        ----------
        frame_in, frame_out
            Spectrum before and after the model, complex64 of shape (257,).
        """
        band_in = frame_in[self._band].view(np.float32)
        band_out = frame_out[self._band].view(np.float32)
        power_in = float(band_in.dot(band_in))
        if power_in > _NOTHING:
            power_out = float(band_out.dot(band_out))
            gain = min(1.0, math.sqrt(power_out / power_in))
            if gain < self._gain:
                gain += self._keep * (self._gain - gain)
            self._gain = gain
        return self._gain

    def reset(self) -> None:
        """Forget the past: the high band is shut until the model passes something."""
        self._gain = 0.0

    def snapshot(self) -> float:
        """Return the state."""
        return self._gain

    def restore(self, state: float) -> None:
        """Go back to a snapshot."""
        self._gain = state
