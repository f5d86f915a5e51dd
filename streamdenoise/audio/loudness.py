"""Loudness as in broadcasting: measured while sound goes by, and brought to a number.

The measure is that of ITU-R BS.1770-4: K-weighted power in blocks of 0.4 s, every 0.1
s, those of them averaged that are not far quieter than the rest. The filters are
pyloudnorm's (Steinmetz and Reiss, 2021), whose own meter wants a whole signal at once;
here the sums are kept instead, a few bytes for 0.1 s. Peaks are looked for between the
samples too (BS.1770-4, annex 2).

pyloudnorm is optional: ``pip install "streamdenoise[loudness]"``.
"""

from __future__ import annotations

import math
from array import array
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ..errors import RuntimeMissingError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["LoudnessMeter", "channel_weights", "gain_for"]

CEILING_DB: Final = -1.0
"""Highest true peak in dBFS of a result: lossy codings overshoot what they get."""
_SAME_DB: Final = 0.1

_PART: Final = 1 << 13
_ABSOLUTE_GATE: Final = -70.0
_RELATIVE_GATE: Final = -10.0
_OFFSET: Final = -0.691
_SURROUND: Final = 0x10 | 0x20 | 0x200 | 0x400
_LFE: Final = 0x8


def channel_weights(channels: int, mask: int = 0) -> NDArray[np.float64]:
    """Return how much each channel counts (BS.1770-4, table 3).

    Parameters
    ----------
    channels
        How many there are.
    mask
        Their loudspeakers as in WAV; 0 takes the usual order of as many channels.
    """
    usual = {4: 0x33, 5: 0x37, 6: 0x3F, 7: 0x13F, 8: 0x63F}
    mask = mask or usual.get(channels, 0)
    places = [1 << i for i in range(32) if mask >> i & 1]
    weights = np.ones(channels)
    for i, place in enumerate(places[:channels]):
        if place == _LFE:
            weights[i] = 0.0
        elif place & _SURROUND and channels >= 4:
            weights[i] = 1.41
    return weights


class LoudnessMeter:
    """Integrated loudness and true peak of sound that goes by.

    Parameters
    ----------
    sample_rate
        In Hz.
    channels
        Number of channels.
    mask
        Their loudspeakers, see `channel_weights`.

    Raises
    ------
    RuntimeMissingError
        If pyloudnorm is not installed.
    """

    def __init__(self, sample_rate: int, channels: int, mask: int = 0) -> None:
        try:
            pyloudnorm: Any = import_module("pyloudnorm")
            from scipy import signal
        except ImportError as error:
            raise RuntimeMissingError(
                f"loudness needs pyloudnorm ({error}); install it with: "
                'pip install "streamdenoise[loudness]"'
            ) from error
        self._signal: Any = signal
        self._rate = sample_rate
        self._weights = channel_weights(channels, mask)
        filters = pyloudnorm.Meter(sample_rate)._filters.values()
        self._filters = [
            (np.asarray(f.b) * getattr(f, "passband_gain", 1.0), np.asarray(f.a))
            for f in filters
        ]
        order = 2
        self._states = [np.zeros((order, channels)) for _ in self._filters]
        self._powers = array("d")
        self._power, self._position = 0.0, 0
        self._peak = 0.0
        self._up = max(1, min(4, math.ceil(192_000 / sample_rate)))
        self._taps = (
            signal.firwin(24 * self._up + 1, 1.0 / self._up, window=("kaiser", 6.0))
            * self._up
            if self._up > 1
            else np.ones(1)
        )
        self._tail = np.zeros((24, channels))

    def push(self, block: NDArray[np.float32]) -> None:
        """Listen to a block of shape (n, channels)."""
        # In small parts: between the samples there is eight times as much to hold.
        for at in range(0, len(block), _PART):
            self._push(block[at : at + _PART])

    def _push(self, block: NDArray[np.float32]) -> None:
        x = block.astype(np.float64)
        self._look_for_peaks(x)
        for i, (b, a) in enumerate(self._filters):
            x, self._states[i] = self._signal.lfilter(
                b, a, x, axis=0, zi=self._states[i]
            )
        power = np.square(x) @ self._weights
        start = 0
        while True:
            # The same bounds as pyloudnorm's: 0.1 s, cut down to whole samples.
            end = int(0.4 * (0.25 * (len(self._powers) + 1)) * self._rate)
            stop = min(end - self._position, len(power))
            self._power += float(power[start:stop].sum())
            if stop + self._position < end:
                break
            self._powers.append(self._power)
            self._power, start = 0.0, stop
            if start == len(power):
                break
        self._position += len(power)

    def _look_for_peaks(self, x: NDArray[np.float64]) -> None:
        joined = np.concatenate([self._tail, x])
        self._tail = joined[-24:]
        fine = self._signal.upfirdn(self._taps, joined, up=self._up, axis=0)
        # Both ends lack a part of what they are made of; the next block has it.
        inner = fine[24 * self._up : -24 * self._up or None]
        for part in (x, inner):
            if part.size:
                self._peak = max(self._peak, float(part.max()), -float(part.min()))

    @property
    def loudness(self) -> float:
        """Integrated loudness in LUFS; -inf for silence and what is below 0.4 s."""
        powers = np.frombuffer(self._powers, np.float64)
        if len(powers) < 4:
            return -math.inf
        sums = np.convolve(powers, np.ones(4), "valid") / (0.4 * self._rate)
        with np.errstate(divide="ignore"):
            levels = _OFFSET + 10.0 * np.log10(sums)
        heard = sums[levels >= _ABSOLUTE_GATE]
        if not len(heard):
            return -math.inf
        gate = _OFFSET + 10.0 * math.log10(heard.mean()) + _RELATIVE_GATE
        heard = sums[(levels > gate) & (levels > _ABSOLUTE_GATE)]
        if not len(heard):
            return -math.inf
        return _OFFSET + 10.0 * math.log10(heard.mean())

    @property
    def true_peak(self) -> float:
        """Highest peak in dBFS, between samples too; -inf for silence."""
        return 20.0 * math.log10(self._peak) if self._peak > 0.0 else -math.inf


def gain_for(meter: LoudnessMeter, wanted: float) -> tuple[float, str]:
    """Return the gain that brings sound to a loudness without clipping.

    Parameters
    ----------
    meter
        Has heard it.
    wanted
        In LUFS.

    Returns
    -------
    gain : float
        As an amplitude ratio.
    note : str
        A sentence if the loudness cannot be reached, else empty.
    """
    loudness = meter.loudness
    if not math.isfinite(loudness) or not math.isfinite(wanted):
        return 1.0, "it is too quiet or too short to have a loudness; it was left so"
    gain_db = wanted - loudness
    most = CEILING_DB - meter.true_peak
    if gain_db > most:
        gain = 10.0 ** (most / 20.0)
        if gain_db - most < _SAME_DB:
            return gain, ""
        return gain, (
            f"its loudness is {loudness + most:.1f} LUFS instead of {wanted:.1f}: with "
            f"more its peaks would pass {CEILING_DB:.0f} dBFS"
        )
    return 10.0 ** (gain_db / 20.0), ""
