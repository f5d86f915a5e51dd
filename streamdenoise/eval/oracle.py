"""Oracle masks at our own window: what a perfect model could reach at the most.

A model that multiplies each bin by a real gain from 0 to 1 cannot do better than the
gain computed from the clean signal itself. The report card shows both kinds beside
the models, so that one sees how much of the way is left.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from streamdenoise.constants import GRID_RATE
from streamdenoise.errors import AudioFormatError
from streamdenoise.offline import analyse, synthesise
from streamdenoise.stft import StftParams

OracleKind = Literal["magnitude", "phase"]
ORACLES: tuple[OracleKind, ...] = get_args(OracleKind)
"""The kinds of oracle: magnitude ratio, and phase-sensitive."""

_TINY = 1e-9


def oracle_gains(
    clean: npt.NDArray[np.complex64],
    noisy: npt.NDArray[np.complex64],
    kind: OracleKind = "magnitude",
) -> npt.NDArray[np.float32]:
    """Return the ideal gain of every bin, clipped to [0, 1].

    Parameters
    ----------
    clean, noisy
        Spectra of the same frames, complex64 of shape (frames, bins).
    kind
        ``"magnitude"``: |S| / |X|. ``"phase"``: Re(S / X), the phase-sensitive mask of
        Erdogan et al., ICASSP 2015, which is the least-squares one.

    Returns
    -------
    float32 array of shape (frames, bins)
    """
    power = np.maximum(np.abs(noisy) ** 2, _TINY**2)
    if kind == "magnitude":
        gains = np.abs(clean) * np.abs(noisy) / power
    elif kind == "phase":
        gains = (clean * np.conj(noisy)).real / power
    else:
        raise ValueError(f"there is no oracle {kind!r}: choose of {', '.join(ORACLES)}")
    clipped: npt.NDArray[np.float32] = np.clip(gains, 0.0, 1.0).astype(np.float32)
    return clipped


def oracle(
    clean: npt.NDArray[np.float32],
    noisy: npt.NDArray[np.float32],
    kind: OracleKind = "magnitude",
    params: StftParams | None = None,
) -> npt.NDArray[np.float32]:
    """Denoise with the ideal gains.

    Parameters
    ----------
    clean, noisy
        Mono, equally long and aligned.
    kind
        As for `oracle_gains`.
    params
        The grid and its windows; by default 16 kHz with the window pair of 16 ms
        latency.

    Returns
    -------
    float32 array as long as the input
    """
    if clean.ndim != 1 or clean.shape != noisy.shape:
        raise AudioFormatError(
            f"an oracle needs two mono signals of equal length, not shapes "
            f"{clean.shape} and {noisy.shape}"
        )
    params = params or StftParams.for_rate(GRID_RATE)
    mixture = analyse(noisy.astype(np.float32), params)
    gains = oracle_gains(analyse(clean.astype(np.float32), params), mixture, kind)
    return synthesise(mixture * gains, params, noisy.shape[0])
