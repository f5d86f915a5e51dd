"""Real FFT of one fixed size into arrays that are already there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

_HAS_OUT = int(np.__version__.split(".")[0]) >= 2


class RealFft:
    """Forward and inverse real FFT along the last axis.

    `numpy.fft` spends more time on its arguments than on 512 samples. NumPy 2 does the
    work in ufuncs that can be called as they are; they are internal, so they are used
    only if they are there and agree with `numpy.fft`. NumPy 1 computes in double
    precision and takes no `out`; that is slower, and as right.

    Parameters
    ----------
    size
        Samples of one transform.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        # Arrays, as to make them of numbers takes a quarter of a small transform.
        self._one = np.array(1.0, np.float32)
        self._scale = np.array(1.0 / size, np.float32)
        doors = _inner_doors(size)
        self._forward = None if doors is None else doors[0]
        self._inverse = None if doors is None else doors[1]

    def forward(self, samples: NDArray[np.float32], out: NDArray[np.complex64]) -> None:
        """Write the spectra (..., size // 2 + 1) of `samples` (..., size) to `out`."""
        if self._forward is not None:
            self._forward(samples, self._one, out)
        elif _HAS_OUT:
            np.fft.rfft(samples, out=out)  # type: ignore[arg-type]
        else:
            out[...] = np.fft.rfft(samples)

    def inverse(self, spectra: NDArray[np.complex64], out: NDArray[np.float32]) -> None:
        """Write the samples (..., size) of `spectra` (..., size // 2 + 1) to `out`."""
        if self._inverse is not None:
            self._inverse(spectra, self._scale, out)
        elif _HAS_OUT:
            np.fft.irfft(spectra, self._size, out=out)  # type: ignore[arg-type]
        else:
            out[...] = np.fft.irfft(spectra, self._size)


def _inner_doors(size: int) -> tuple[Callable[..., Any], Callable[..., Any]] | None:
    """Return NumPy's own forward and inverse ufunc if they do what they should."""
    try:
        from numpy.fft import _pocketfft_umath as inner  # type: ignore[attr-defined]

        forward = inner.rfft_n_odd if size % 2 else inner.rfft_n_even
        inverse = inner.irfft
        wave = np.sin(np.arange(2 * size, dtype=np.float32) ** 2).reshape(2, size)
        spectra = np.empty((2, size // 2 + 1), np.complex64)
        back = np.empty_like(wave)
        forward(wave, 1.0, out=spectra)
        inverse(spectra, 1.0 / size, out=back)
    except (ImportError, AttributeError, TypeError, ValueError):
        return None
    same = np.allclose(spectra, np.fft.rfft(wave), rtol=0, atol=1e-3)
    return (forward, inverse) if same and np.allclose(back, wave, atol=1e-5) else None
