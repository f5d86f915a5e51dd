"""The window pair: long analysis, short synthesis, perfect reconstruction.

A long analysis window gives the model fine frequency resolution. The delay of an
overlap-add system, though, is the length of its *synthesis* window, which may be
much shorter: Mauler and Martin, "A low delay, variable resolution, perfect
reconstruction spectral analysis-synthesis system for speech enhancement",
EUSIPCO 2007, section 3. Training and the engine take their windows from here.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def windows(
    win: int, synthesis_win: int, hop: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the analysis and the synthesis window.

    Both windows end at the newest sample. With an overlap of
    ``o = synthesis_win - hop`` samples, the analysis window is a sine that rises
    over ``win - o`` samples and falls over the last ``o``. The product of the two
    windows rises as sin² over ``o`` samples, is flat, and falls as cos² over ``o``,
    so that shifted by `hop` it adds up to one; the synthesis window is that product
    divided by the analysis window. ``synthesis_win == 2 * hop`` makes the product a
    Hann window.

    Parameters
    ----------
    win
        Length of the analysis window in samples.
    synthesis_win
        Length of the synthesis window in samples, from `hop` to ``2 * hop``.
    hop
        Samples between two frames.

    Returns
    -------
    analysis : float32 array of shape (win,)
    synthesis : float32 array of shape (synthesis_win,)
        To be multiplied with the last `synthesis_win` samples of the inverse FFT.

    Raises
    ------
    ValueError
        If the lengths allow no perfect reconstruction.
    """
    overlap = synthesis_win - hop
    if hop < 1 or not 0 <= overlap <= hop or win < synthesis_win:
        raise ValueError(
            f"no window pair for win={win}, synthesis_win={synthesis_win}, hop={hop}: "
            "the synthesis window must be one to two hops long, and the analysis "
            "window no shorter"
        )
    rise, fall = win - overlap, overlap
    analysis = np.empty(win, np.float64)
    analysis[:rise] = np.sin(np.pi / 2 * (np.arange(rise) + 0.5) / rise)
    taper = np.sin(np.pi / 2 * (np.arange(fall) + 0.5) / max(fall, 1))
    analysis[rise:] = taper[::-1]

    product = np.ones(synthesis_win, np.float64)
    product[:fall] = taper**2
    product[synthesis_win - fall :] = taper[::-1] ** 2
    synthesis = product / analysis[win - synthesis_win :]
    return analysis.astype(np.float32), synthesis.astype(np.float32)
