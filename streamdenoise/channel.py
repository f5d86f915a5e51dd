"""The work of one hop on one channel; `Denoiser` owns one of these per channel."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .constants import GRID_BINS
from .highband import high_band
from .samples import looks_bad, silence_bad_samples
from .stepper import Model, Samples, Stepper, StepperState
from .stft import Analysis, StftParams, Synthesis

Spectrum = NDArray[np.complex64]


@dataclass(frozen=True)
class ChannelState:
    """What one channel remembers, as copies.

    Attributes
    ----------
    samples
        The past that later windows reach back to, and samples that wait for a hop.
    tail
        Overlap of the last frame.
    ready
        Samples that are done and not yet handed out.
    stepper
        States of the model.
    high_band
        What rules the high band remembers; None where there is no high band.
    """

    samples: Samples
    tail: Samples
    ready: Samples
    stepper: StepperState
    high_band: Any


class Channel:
    """Samples, model state, high band and overlap-add of one channel.

    Parameters
    ----------
    model
        Shared with other channels and streams.
    params
        The grid at the stream's rate.
    group
        Hops that `hops` does at once; 1 if it is never called.

    Attributes
    ----------
    seconds
        Time of the last call: analysis, model, synthesis, all.
    power_in, power_out
        Mean square of the samples that the last call took and gave.
    bad_samples
        Counted since the start: see `Meter`.
    """

    def __init__(self, model: Model, params: StftParams, group: int = 1) -> None:
        self._params, self._group = params, group
        self.analysis = Analysis(params, group)
        self._synthesis = Synthesis(params, group)
        self._high_band = high_band(model.head, params)
        self._stepper = Stepper(model)
        self.ready = np.zeros((group + 1) * params.hop, np.float32)
        self.bad_samples = 0
        self.power_in = self.power_out = 0.0
        self.seconds = (0.0, 0.0, 0.0, 0.0)

        # At 16 kHz the native spectrum is the model's frame, and nothing is copied.
        self._is_grid = params.bins == GRID_BINS
        self._shared = min(GRID_BINS, params.bins)
        self._grid = (
            self.analysis.spectra_buffer
            if self._is_grid
            else np.zeros((group, GRID_BINS), np.complex64)
        )
        as_reals = self._grid.view(np.float32).reshape(1, group, GRID_BINS, 2)
        self._frame, self._frames = as_reals[:, 0], as_reals
        self._enhanced = np.zeros((group, params.bins), np.complex64)
        self._mixed = np.zeros((group, params.bins), np.complex64)
        self._part = np.zeros((group, params.bins), np.complex64)

    @property
    def bad_frames(self) -> int:
        """Counted since the start: see `Meter`."""
        return self._stepper.bad_frames

    def reset(self) -> None:
        """Forget everything but the counters."""
        self.analysis.reset()
        self._synthesis.reset()
        self._stepper.reset()
        self.ready.fill(0.0)
        if self._high_band is not None:
            self._high_band.reset()

    def hop(self, dry: float, wet: float) -> Samples:
        """Do one hop.

        Parameters
        ----------
        dry, wet
            Weights of the input and of the enhanced spectrum in the output.

        Returns
        -------
        float32 array of shape (hop,)
            The samples completed; overwritten by the next call.
        """
        start = perf_counter()
        self._clean(1)
        spectrum = self.analysis.spectrum()
        if not self._is_grid:
            self._grid[0, : self._shared] = spectrum[: self._shared]
        analysed = perf_counter()
        frame = self._stepper.step(self._frame)
        stepped = perf_counter()
        enhanced = frame.view(np.complex64)[0, :, 0]
        if not self._is_grid:
            enhanced = self._native(enhanced[None], spectrum[None])[0]
        if wet != 1.0 or dry != 0.0:
            enhanced = _mix(spectrum, enhanced, dry, wet, self._mixed[0], self._part[0])
        combined = perf_counter()
        samples = self._synthesis.hop(enhanced)
        self.power_out = float(samples.dot(samples)) / self._params.hop
        end = perf_counter()
        self.seconds = (
            analysed - start,
            stepped - analysed,
            end - combined,
            end - start,
        )
        return samples

    def hops(self, dry: float, wet: float) -> Samples:
        """Do `group` hops at once and return their samples, shape (group, hop)."""
        start = perf_counter()
        group = self._group
        self._clean(group)
        spectra = self.analysis.spectra(group)
        if not self._is_grid:
            self._grid[:, : self._shared] = spectra[:, : self._shared]
        analysed = perf_counter()
        frames = self._stepper.steps(self._frames)
        stepped = perf_counter()
        enhanced = frames.view(np.complex64)[0, :, :, 0]
        if not self._is_grid:
            enhanced = self._native(enhanced, spectra)
        if wet != 1.0 or dry != 0.0:
            enhanced = _mix(spectra, enhanced, dry, wet, self._mixed, self._part)
        combined = perf_counter()
        samples = self._synthesis.hops(enhanced)
        self.power_out = float(np.mean(np.square(samples)))
        end = perf_counter()
        self.seconds = (
            analysed - start,
            stepped - analysed,
            end - combined,
            end - start,
        )
        return samples

    def analyse(self, hops: int) -> Spectrum:
        """Return the spectra of the next hops, one or `group`; for linked channels.

        Returns
        -------
        complex64 array of shape (hops, bins)
            In grid scale; overwritten by the next call.
        """
        start = perf_counter()
        self._clean(hops)
        if hops == 1:
            spectra = self.analysis.spectrum()[None]
        else:
            spectra = self.analysis.spectra(hops)
        seconds = perf_counter() - start
        self.seconds = (seconds, 0.0, 0.0, seconds)
        return spectra

    def scale(self, spectra: Spectrum, gains: Spectrum) -> Samples:
        """Do the rest of the hops that `analyse` began, with gains from outside.

        Parameters
        ----------
        spectra
            From `analyse`.
        gains
            complex64 of the same shape.

        Returns
        -------
        float32 array of shape (hops, hop)
            The samples completed; overwritten by the next call.
        """
        start = perf_counter()
        hops = len(spectra)
        enhanced = np.multiply(spectra, gains, out=self._enhanced[:hops])
        if hops == 1:
            samples = self._synthesis.hop(enhanced[0])[None]
            self.power_out = float(samples[0].dot(samples[0])) / self._params.hop
        else:
            samples = self._synthesis.hops(enhanced)
            self.power_out = float(np.mean(np.square(samples)))
        end = perf_counter() - start
        analysis = self.seconds[0]
        self.seconds = (analysis, 0.0, end, analysis + end)
        return samples

    def _clean(self, hops: int) -> None:
        """Measure the hops to be done, and silence what is no sound in them."""
        new = self.analysis.newest(hops)
        power = float(new.dot(new))
        if looks_bad(power):
            self.bad_samples += silence_bad_samples(new)
            power = float(new.dot(new))
        self.power_in = power / new.size

    def _native(self, frames: Spectrum, spectra: Spectrum) -> Spectrum:
        """Extend (or cut) frames of the grid to the bins of this sample rate."""
        enhanced, shared = self._enhanced[: len(frames)], self._shared
        enhanced[:, :shared] = frames[:, :shared]
        if self._high_band is not None:
            high = spectra[:, shared:]
            gains = self._high_band.process(spectra[:, :shared], frames, (high,))
            np.multiply(high, gains, out=enhanced[:, shared:])
        return enhanced

    def snapshot(self, waiting: int, first: int, last: int) -> ChannelState:
        """Return copies of everything remembered.

        Parameters
        ----------
        waiting
            Samples in the ring that wait for a hop.
        first, last
            Where in `ready` the samples lie that are done.
        """
        return ChannelState(
            self.analysis.snapshot(waiting),
            self._synthesis.snapshot(),
            self.ready[first:last].copy(),
            self._stepper.snapshot(),
            None if self._high_band is None else self._high_band.snapshot(),
        )

    def restore(self, state: ChannelState) -> None:
        """Go back to a snapshot; its `ready` samples then lie at the start."""
        self.analysis.restore(state.samples)
        self._synthesis.restore(state.tail)
        self.ready[: state.ready.size] = state.ready
        self._stepper.restore(state.stepper)
        if self._high_band is not None:
            self._high_band.restore(state.high_band)

    def fits(self, state: ChannelState) -> bool:
        """Tell whether a snapshot comes from a model with the same states."""
        return self._stepper.fits(state.stepper)


def _mix(
    spectrum: Spectrum,
    enhanced: Spectrum,
    dry: float,
    wet: float,
    out: Spectrum,
    scratch: Spectrum,
) -> Spectrum:
    """Return ``dry * spectrum + wet * enhanced``, written to `out` if need be."""
    if wet == 0.0 and dry == 1.0:
        return spectrum
    np.multiply(enhanced, wet, out=scratch)
    np.multiply(spectrum, dry, out=out)
    return np.add(out, scratch, out=out)
