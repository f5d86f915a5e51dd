"""Analysis and synthesis of one channel: samples to frames and back.

Nothing here knows of a model, of settings or of input and output.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from .constants import GRID_WIN, HOP_SECONDS, MAX_RATE, MIN_RATE
from .errors import AudioFormatError
from .fft import RealFft
from .windows import windows

_HOP_TOLERANCE = 0.003


def fft_friendly(n: int) -> bool:
    """Tell whether `n` has no prime factor above 11, which makes its FFT fast."""
    for p in (2, 3, 5, 7, 11):
        while n % p == 0:
            n //= p
    return n == 1


def hop_for_rate(sample_rate: int, hop_seconds: float = HOP_SECONDS) -> int:
    """Return the hop in samples that lies nearest to `hop_seconds`.

    An FFT-friendly hop is taken if one lies within 0.3 % of the exact value (352
    rather than 353 at 44.1 kHz), the nearest integer if not.
    """
    exact = sample_rate * hop_seconds
    reach = exact * _HOP_TOLERANCE
    near = range(int(np.ceil(exact - reach)), int(np.floor(exact + reach)) + 1)
    friendly = [hop for hop in near if fft_friendly(hop)]
    return min(friendly, key=lambda hop: abs(hop - exact), default=round(exact))


@dataclass(frozen=True)
class StftParams:
    """The grid at one sample rate.

    Attributes
    ----------
    sample_rate
        In Hz.
    hop
        Samples between two frames.
    win
        Samples of the analysis window, which is also the FFT size.
    synthesis_win
        Samples of the synthesis window, `hop` to ``2 * hop``.
    """

    sample_rate: int
    hop: int
    win: int
    synthesis_win: int

    @classmethod
    def for_rate(
        cls,
        sample_rate: int,
        win_hops: int = 4,
        synthesis_hops: float = 2,
        hop_seconds: float = HOP_SECONDS,
    ) -> StftParams:
        """Return the grid at `sample_rate` for a window pair given in hops.

        Raises
        ------
        AudioFormatError
            If the rate is not a whole number of Hz from 8000 to 192000.
        """
        if (
            isinstance(sample_rate, bool)
            or sample_rate != int(sample_rate)
            or not MIN_RATE <= sample_rate <= MAX_RATE
        ):
            raise AudioFormatError(
                f"cannot work at a sample rate of {sample_rate} Hz: "
                f"give a whole number from {MIN_RATE} to {MAX_RATE} Hz"
            )
        hop = hop_for_rate(int(sample_rate), hop_seconds)
        return cls(int(sample_rate), hop, win_hops * hop, round(synthesis_hops * hop))

    @property
    def bins(self) -> int:
        """Bins of one native frame."""
        return self.win // 2 + 1

    @property
    def scale(self) -> float:
        """Factor from a native spectrum to the grid's.

        A tone then has the same magnitude at every rate.
        """
        return GRID_WIN / self.win

    @property
    def hop_seconds(self) -> float:
        """Time between two frames as it really is at this rate."""
        return self.hop / self.sample_rate


class Analysis:
    """Ring of samples, and the spectra of its windows, for one channel.

    Samples are written straight into `room`. The ring is a straight piece of memory
    that is wound back when its end is reached, so that a window is always one slice.

    Parameters
    ----------
    params
        The grid.
    group
        Most frames that `spectra` is ever asked for.

    Attributes
    ----------
    spectra_buffer
        Where `spectrum` and `spectra` write, complex64 of shape (group, bins), so that
        the model can read from there.
    """

    def __init__(self, params: StftParams, group: int = 1) -> None:
        self._params = params
        self._fft = RealFft(params.win)
        window, _ = windows(params.win, params.synthesis_win, params.hop)
        self._window = window * np.float32(params.scale)
        self._ring = np.zeros(2 * params.win + max(group, 8) * params.hop, np.float32)
        self._frames = np.zeros((group, params.win), np.float32)
        self.spectra_buffer = np.zeros((group, params.bins), np.complex64)
        self._frame: NDArray[np.float32] = self._frames[0]
        self._spectrum: NDArray[np.complex64] = self.spectra_buffer[0]
        self._start = 0
        self._strided = sliding_window_view(self._ring, params.win)
        self.reset()

    def reset(self) -> None:
        """Forget all samples: the past is silence again."""
        self._ring.fill(0.0)
        self._start = 0

    def room(self, filled: int, n: int) -> NDArray[np.float32]:
        """Return the place for `n` new samples after `filled` that wait for a frame.

        The caller keeps count of `filled`, and asks for no more than `group` hops of
        waiting samples.
        """
        params, ring = self._params, self._ring
        past = params.win - params.hop
        at = self._start + past + filled
        if at + n > ring.shape[0]:
            keep = past + filled
            ring[:keep] = ring[self._start : self._start + keep]
            self._start = 0
            at = keep
        return ring[at : at + n]

    def newest(self, hops: int) -> NDArray[np.float32]:
        """Return the samples that the next `hops` frames add, to look at or repair."""
        start = self._start + self._params.win - self._params.hop
        return self._ring[start : start + hops * self._params.hop]

    def spectrum(self) -> NDArray[np.complex64]:
        """Return the spectrum of the next frame, in grid scale, and step one hop on.

        Returns
        -------
        complex64 array of shape (bins,)
            Overwritten by the next call.
        """
        params, frame, spectrum = self._params, self._frame, self._spectrum
        start = self._start
        np.multiply(self._ring[start : start + params.win], self._window, out=frame)
        self._fft.forward(frame, spectrum)
        self._start = start + params.hop
        return spectrum

    def spectra(self, count: int) -> NDArray[np.complex64]:
        """Return the spectra of the next `count` frames, and step as many hops on.

        Returns
        -------
        complex64 array of shape (count, bins)
            Overwritten by the next call.
        """
        params, start = self._params, self._start
        end = start + count * params.hop
        frames, spectra = self._frames[:count], self.spectra_buffer[:count]
        np.multiply(self._strided[start : end : params.hop], self._window, out=frames)
        self._fft.forward(frames, spectra)
        self._start = end
        return spectra

    def snapshot(self, filled: int) -> NDArray[np.float32]:
        """Return a copy of what later frames need, `filled` new samples too."""
        past = self._params.win - self._params.hop
        kept: NDArray[np.float32] = self._ring[self._start :][: past + filled].copy()
        return kept

    def restore(self, samples: NDArray[np.float32]) -> None:
        """Go back to a snapshot."""
        self._start = 0
        self._ring[: samples.shape[0]] = samples


class Synthesis:
    """Overlap-add of one channel: spectra in grid scale to hops of samples.

    Parameters
    ----------
    params
        The grid.
    group
        Most frames that `hops` is ever given.
    """

    def __init__(self, params: StftParams, group: int = 1) -> None:
        self._params = params
        self._fft = RealFft(params.win)
        _, window = windows(params.win, params.synthesis_win, params.hop)
        self._window = window / np.float32(params.scale)
        self._time = np.zeros((group, params.win), np.float32)
        self._parts = np.zeros((group, params.synthesis_win), np.float32)
        self._time_one, self._part = self._time[0], self._parts[0]
        self._time_end = self._time[0, params.win - params.synthesis_win :]
        overlap = params.synthesis_win - params.hop
        self._head, self._rest = self._part[:overlap], self._part[params.hop :]
        self._hop: NDArray[np.float32] = self._part[: params.hop]
        self._tail = np.zeros(overlap, np.float32)

    def reset(self) -> None:
        """Forget the tail of the last frame."""
        self._tail.fill(0.0)

    def hop(self, spectrum: NDArray[np.complex64]) -> NDArray[np.float32]:
        """Return the hop of samples that this frame completes.

        Returns
        -------
        float32 array of shape (hop,)
            Overwritten by the next call. Its first sample came `synthesis_win`
            samples before the newest one of the frame.
        """
        self._fft.inverse(spectrum, self._time_one)
        np.multiply(self._time_end, self._window, out=self._part)
        np.add(self._head, self._tail, out=self._head)
        self._tail[:] = self._rest
        return self._hop

    def hops(self, spectra: NDArray[np.complex64]) -> NDArray[np.float32]:
        """Return the hops that these frames complete, shape (count, hop)."""
        params, count = self._params, spectra.shape[0]
        time, parts = self._time[:count], self._parts[:count]
        self._fft.inverse(spectra, time)
        np.multiply(time[:, -params.synthesis_win :], self._window, out=parts)
        overlap = self._tail.shape[0]
        parts[0, :overlap] += self._tail
        parts[1:, :overlap] += parts[:-1, params.hop :]
        self._tail[:] = parts[-1, params.hop :]
        done: NDArray[np.float32] = parts[:, : params.hop]
        return done

    def snapshot(self) -> NDArray[np.float32]:
        """Return a copy of the tail."""
        tail: NDArray[np.float32] = self._tail.copy()
        return tail

    def restore(self, tail: NDArray[np.float32]) -> None:
        """Go back to a snapshot."""
        self._tail[:] = tail
