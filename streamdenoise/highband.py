"""Gains of the band above the model's 8 kHz, for rates above 16 kHz."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from .carried import ModelState, copied
from .constants import BIN_HZ, GRID_BINS, HOP_SECONDS
from .head import HIGH_BANDS, HIGH_EDGES, LOW_BANDS, LOW_EDGES, POWERS
from .stft import StftParams

Spectra = NDArray[np.complex64]
Gains = NDArray[np.float32]

_NOTHING: Final = 1e-9


class HighBand(Protocol):
    """What the engine asks of anything that rules the high band of a stream."""

    def process(
        self, before: Spectra, after: Spectra, high: Sequence[Spectra]
    ) -> Gains:
        """Return what to multiply the bins above the grid by.

        Parameters
        ----------
        before, after
            Frames of the grid before and after the model, (frames, 257).
        high
            The bins above the grid, (frames, bins), of each channel that the gains
            are for.

        Returns
        -------
        float32 array of shape (frames, bins) or (frames, 1)
            From 0 to 1.
        """

    def reset(self) -> None:
        """Forget the past."""

    def snapshot(self) -> Any:
        """Return the state, as a copy."""

    def restore(self, state: Any) -> None:
        """Go back to a snapshot."""


class Head(Protocol):
    """What `HighBandNet` asks of a head; `head.HighHead` is one."""

    def initial_state(self) -> ModelState:
        """Return the state at the start of a stream."""

    def gains(self, powers: Gains, state: ModelState) -> Gains:
        """Return gains (frames, bands) for powers of bands, and move `state` on."""


def high_band(head: Head | None, params: StftParams) -> HighBand | None:
    """Return what rules the band above the grid; None at rates that have none.

    Parameters
    ----------
    head
        That of the model; without one, `HighBandRule` does it.
    params
        The grid at the stream's rate.
    """
    if params.bins <= GRID_BINS:
        return None
    if head is None:
        return HighBandRule(hop_seconds=params.hop_seconds)
    return HighBandNet(head, params)


class BandPowers:
    """What a head hears: see `head.POWERS`.

    Parameters
    ----------
    params
        The grid at the stream's rate.

    Attributes
    ----------
    hz
        Frequency of each bin above the grid.
    bands
        Bands above the grid that there are at this rate.
    """

    def __init__(self, params: StftParams) -> None:
        bin_hz = params.sample_rate / params.win
        self.hz = np.arange(GRID_BINS, params.bins, dtype=np.float64) * bin_hz
        edges = np.searchsorted(self.hz, HIGH_EDGES)
        self.bands = int(np.count_nonzero(np.diff(edges)))
        self._high = _means(edges, self.hz.size)
        low = np.ceil(np.array(LOW_EDGES) / BIN_HZ).astype(int)
        self._low = _means(low, GRID_BINS)

    def __call__(
        self, before: Spectra, after: Spectra, high: Sequence[Spectra]
    ) -> Gains:
        """Return float32 (frames, `POWERS`); for the arguments see `HighBand`."""
        powers = np.empty((len(before), POWERS), np.float32)
        above = powers[:, :HIGH_BANDS]
        np.matmul(_squares(high[0]), self._high, out=above)
        for spectra in high[1:]:
            above += _squares(spectra) @ self._high
        if len(high) > 1:
            above /= np.float32(len(high))
        for first, frames in ((HIGH_BANDS, before), (HIGH_BANDS + LOW_BANDS, after)):
            below = powers[:, first : first + LOW_BANDS]
            np.matmul(_squares(frames), self._low, out=below)
        return powers


class HighBandNet:
    """Gains from a learned head that hears the high band itself.

    A rule that carries the gain from below 8 kHz up lets all hiss through that comes
    with a voice, and cannot tell it from an "s". The head hears the power of eight
    bands up to 24 kHz; its gains are drawn out over the bins between their middles.

    In frames with nothing above the grid the head rests: there is nothing to rule.

    Parameters
    ----------
    head
        Shared with other streams.
    params
        The grid at the stream's rate.
    """

    def __init__(self, head: Head, params: StftParams) -> None:
        self._head = head
        self._powers = BandPowers(params)
        self._spread = _spread(self._powers.hz, self._powers.bands)
        self._state = head.initial_state()

    def process(
        self, before: Spectra, after: Spectra, high: Sequence[Spectra]
    ) -> Gains:
        """Return the gain of each bin above the grid; see `HighBand`."""
        powers = self._powers(before, after, high)
        heard = powers[:, :HIGH_BANDS].any(axis=1)
        if heard.all():
            return self._gains(powers) @ self._spread
        gains = np.zeros((len(powers), HIGH_BANDS), np.float32)
        for i in np.flatnonzero(heard):
            gains[i] = self._gains(powers[i : i + 1])[0]
        return gains @ self._spread

    def _gains(self, powers: Gains) -> Gains:
        gains = self._head.gains(powers, self._state)
        # Written so that NaN does not pass.
        if not float(gains.max()) <= 1.0:
            # A state that has gone astray would never come back by itself.
            self._state = self._head.initial_state()
            gains = np.where(gains <= 1.0, gains, np.float32(0.0))
        return gains

    def reset(self) -> None:
        """Forget the past."""
        self._state = self._head.initial_state()

    def snapshot(self) -> ModelState:
        """Return the states of the head."""
        return copied(self._state)

    def restore(self, state: ModelState) -> None:
        """Go back to a snapshot."""
        self._state = copied(state)


def _squares(spectra: Spectra) -> Gains:
    """Return squares of real and imaginary parts side by side, (frames, 2 bins)."""
    reals = spectra.view(np.float32)
    squares: Gains = reals * reals
    return squares


def _means(edges: NDArray[np.intp], bins: int) -> Gains:
    """Return what makes mean powers of bands out of `_squares`, (2 bins, bands).

    A product with a matrix takes half the time of sums over slices.
    """
    means = np.zeros((2 * bins, len(edges) - 1), np.float32)
    for band, (start, stop) in enumerate(pairwise(edges)):
        if stop > start:
            means[2 * start : 2 * stop, band] = 1.0 / (stop - start)
    return means


def _spread(hz: NDArray[np.float64], bands: int) -> Gains:
    """Return the share of each band in the gain of each bin, (bands, bins).

    Straight lines between the middles of the bands that there are, level beyond the
    first and last.
    """
    edges = np.array(HIGH_EDGES)
    middles = ((edges[:-1] + edges[1:]) / 2.0)[:bands]
    shares = [np.interp(hz, middles, one[:bands]) for one in np.eye(HIGH_BANDS)]
    return np.array(shares, np.float32)


class HighBandRule:
    """Carry the model's gain just below 8 kHz on to everything above.

    For models without a head. Sibilants and hiss both reach across 8 kHz, so what the
    model does to the upper part of its own range says what to do beyond it. The gain is
    the power-weighted gain of that part: ``sqrt(sum |out|² / sum |in|²)``. It rises at
    once, so that the start of an "s" is whole, and falls slowly enough not to flutter.

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
        self, before: Spectra, after: Spectra, high: Sequence[Spectra] = ()
    ) -> Gains:
        """Return one gain for all bins above the grid, (frames, 1); see `HighBand`."""
        gains = np.empty((len(before), 1), np.float32)
        for i in range(len(before)):
            gains[i] = self._next(before[i, self._band], after[i, self._band])
        return gains

    def _next(self, band_in: Spectra, band_out: Spectra) -> float:
        reals_in, reals_out = band_in.view(np.float32), band_out.view(np.float32)
        power_in = float(reals_in.dot(reals_in))
        if power_in > _NOTHING:
            power_out = float(reals_out.dot(reals_out))
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
