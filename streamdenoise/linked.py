"""One gain for all channels, so that what is where in the picture stays there.

Channels that are denoised one by one get gains of their own, and a voice in the middle
then wanders when noise sits on one side. Here the model hears one mix of all channels,
and what it does to a bin of the mix is done to that bin of every channel alike: level
and phase differences between channels are what they were.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np

from .channel import Spectrum
from .constants import GRID_BINS
from .highband import high_band
from .stepper import Model, Stepper, StepperState
from .stft import StftParams

__all__ = ["LinkState", "LinkedGain", "energy_mix", "gain_between"]

_CANCELLED = np.float32(0.5)
"""A frame whose sum keeps less than this share of the energy holds mirror images."""

_LEAN = np.float32(1.001)
_MOST = np.float32(2.0)
_TINY = np.float32(1e-30)


@dataclass(frozen=True)
class LinkState:
    """What linked channels remember together, as copies: model and high band."""

    stepper: StepperState
    high_band: Any


def energy_mix(spectra: Sequence[Spectrum], out: Spectrum) -> Spectrum:
    """Mix spectra so that no energy is lost, however their phases lie.

    The mean of a voice and its mirror image (a microphone wired the wrong way round)
    is silence, and a model would hear none. So a bin of the mix has the root of the
    mean power as its magnitude. Its phase is that of the sum or, where that cancels, of
    a sum in which each channel weighs less than the one before.

    Parameters
    ----------
    spectra
        One for each channel, complex64 of one shape (hops, bins).
    out
        Where to write; of that shape.

    Returns
    -------
    out
        Equal channels give that channel.
    """
    first = spectra[0].view(np.float32)
    mixed = out.view(np.float32)
    # A little more of the first channel, lest a bin of mirror images has no phase.
    np.multiply(first, _LEAN, out=mixed)
    squares = first * first
    square = np.empty_like(squares)
    for spectrum in spectra[1:]:
        reals = spectrum.view(np.float32)
        np.add(mixed, reals, out=mixed)
        np.multiply(reals, reals, out=square)
        np.add(squares, square, out=squares)
    np.multiply(mixed, mixed, out=square)
    cancelled = np.add.reduce(square, -1) < _CANCELLED * np.add.reduce(squares, -1)
    if cancelled.any():
        leaning = first[cancelled]
        for i, spectrum in enumerate(spectra[1:]):
            part = spectrum.view(np.float32)[cancelled]
            leaning += np.float32(1.0 / (i + 2.0)) * part
        mixed[cancelled] = leaning
        square[cancelled] = leaning * leaning
    power = squares[:, 0::2] + squares[:, 1::2]
    summed = square[:, 0::2] + square[:, 1::2]
    np.maximum(summed, _TINY, out=summed)
    np.divide(power, summed, out=power)
    power *= np.float32(1.0 / len(spectra))
    np.sqrt(power, out=power)
    return np.multiply(out, power, out=out)


def gain_between(mix: Spectrum, enhanced: Spectrum, out: Spectrum) -> Spectrum:
    """Return what a model multiplied each bin of a mix by, at most by 2.

    Parameters
    ----------
    mix, enhanced
        Before and after the model, complex64 of one shape (hops, bins).
    out
        Where to write; of that shape.

    Returns
    -------
    out
    """
    np.conjugate(mix, out=out)
    reals = out.view(np.float32)
    squares = reals * reals
    power = squares[:, 0::2] + squares[:, 1::2]
    np.maximum(power, _TINY, out=power)
    np.multiply(out, enhanced, out=out)
    np.divide(out, power, out=out)
    np.multiply(reals, reals, out=squares)
    np.add(squares[:, 0::2], squares[:, 1::2], out=power)
    if float(power.max()) > _MOST * _MOST:
        np.maximum(power, _MOST * _MOST, out=power)
        out *= _MOST / np.sqrt(power)
    return out


class LinkedGain:
    """The model and the high band of all channels of a stream together.

    Parameters
    ----------
    model
        Shared with other streams.
    params
        The grid at the stream's rate.
    group
        Most hops at once.

    Attributes
    ----------
    seconds
        Time that the model took in the last call.
    """

    def __init__(self, model: Model, params: StftParams, group: int = 1) -> None:
        self._stepper = Stepper(model)
        self._shared = min(GRID_BINS, params.bins)
        self._high_band = high_band(model.head, params)
        self._mix = np.zeros((group, GRID_BINS), np.complex64)
        self._frames = self._mix.view(np.float32).reshape(1, group, GRID_BINS, 2)
        self._gains = np.zeros((group, params.bins), np.complex64)
        self.seconds = 0.0

    @property
    def bad_frames(self) -> int:
        """Counted since the start: see `Meter`."""
        return self._stepper.bad_frames

    def reset(self) -> None:
        """Forget everything but the counters."""
        self._stepper.reset()
        if self._high_band is not None:
            self._high_band.reset()

    def gains(self, spectra: Sequence[Spectrum], dry: float, wet: float) -> Spectrum:
        """Return what to multiply the spectrum of every channel by.

        Parameters
        ----------
        spectra
            One for each channel, complex64 of shape (hops, bins), with one hop or as
            many as `group`.
        dry, wet
            Weights of the input and of the enhanced spectrum in the output.

        Returns
        -------
        complex64 array of shape (hops, bins)
            Overwritten by the next call.
        """
        hops, shared = spectra[0].shape[0], self._shared
        mix, gains = self._mix[:hops], self._gains[:hops]
        energy_mix([s[:, :shared] for s in spectra], mix[:, :shared])
        start = perf_counter()
        if hops == 1:
            enhanced = self._stepper.step(self._frames[:, 0])
        else:
            enhanced = self._stepper.steps(self._frames)
        self.seconds = perf_counter() - start
        frames = enhanced.view(np.complex64).reshape(hops, GRID_BINS)
        gain_between(mix[:, :shared], frames[:, :shared], gains[:, :shared])
        if self._high_band is not None:
            high = [s[:, shared:] for s in spectra]
            gains[:, shared:] = self._high_band.process(mix, frames, high)
        if wet != 1.0 or dry != 0.0:
            gains *= np.float32(wet)
            gains += np.float32(dry)
        return gains

    def snapshot(self) -> LinkState:
        """Return copies of everything remembered."""
        return LinkState(
            self._stepper.snapshot(),
            None if self._high_band is None else self._high_band.snapshot(),
        )

    def restore(self, state: LinkState) -> None:
        """Go back to a snapshot."""
        self._stepper.restore(state.stepper)
        if self._high_band is not None:
            self._high_band.restore(state.high_band)
