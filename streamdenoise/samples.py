"""What an array of sound may hold, and results in the numbers of the input."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .audio.pcm import quantise
from .errors import AudioFormatError

__all__ = [
    "INT16_SCALE",
    "check_numbers",
    "is_int16",
    "like",
    "looks_bad",
    "silence_bad_samples",
]

INT16_SCALE: Final = np.float32(1.0 / 32768.0)
"""What makes int16 samples floating point with full scale 1."""

_MAX_SAMPLE: Final = 1e9


def is_int16(array: NDArray[Any]) -> bool:
    """Tell whether an array has 16-bit samples, in whatever order of bytes."""
    return array.dtype.kind == "i" and array.dtype.itemsize == 2


def check_numbers(array: NDArray[Any], what: str) -> None:
    """Refuse an array whose numbers have no full scale that we know.

    Parameters
    ----------
    array
        Floating point or int16.
    what
        How to call it in the message, such as ``"a block"``.

    Raises
    ------
    AudioFormatError
        If it is neither.
    """
    if not is_int16(array) and array.dtype.kind != "f":
        raise AudioFormatError(
            f"{what} of {array.dtype} numbers cannot be taken as sound: give floating "
            "point with full scale 1, or int16"
        )


def like(given: NDArray[Any], y: NDArray[np.float32]) -> NDArray[Any]:
    """Return samples in the numbers of the array that they were made from.

    Parameters
    ----------
    given
        The input, as `check_numbers` takes it.
    y
        Full scale 1; saturates where int16 was given.

    Returns
    -------
    array of the type of `given`, and the shape of `y`
    """
    if is_int16(given):
        return quantise(y, 16).astype(given.dtype)
    return y.astype(given.dtype, copy=False)


def silence_bad_samples(samples: NDArray[np.float32]) -> int:
    """Replace what is no sound by zeros, in place, and return how many there were.

    NaN, the infinities, and values so large (beyond 1e9 of full scale) that a
    spectrum of them would overflow.
    """
    bad = ~(np.abs(samples) <= _MAX_SAMPLE)
    samples[bad] = 0.0
    return int(np.count_nonzero(bad))


def looks_bad(power: float) -> bool:
    """Tell from its summed squares whether a hop can hold a bad sample."""
    return not power <= _MAX_SAMPLE**2
