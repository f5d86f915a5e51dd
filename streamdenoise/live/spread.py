"""The channels of devices and those of the engine."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .ring import FloatArray


def gather(indata: NDArray[Any], dirty: FloatArray) -> None:
    """Write the channels of a device that are wanted to those of `dirty`.

    Of two that become one it is the mean, which never is louder than both. Mono goes to
    all, and what the device lacks is silent.
    """
    have, wanted = indata.shape[1], dirty.shape[1]
    if (have, wanted) == (2, 1):
        np.mean(indata, axis=1, keepdims=True, out=dirty)
    elif have == 1 or have >= wanted:
        dirty[:] = indata[:, :wanted]
    else:
        dirty[:, :have] = indata
        dirty[:, have:] = 0.0


def spread(clean: FloatArray, outdata: NDArray[Any]) -> None:
    """Write the channels of `clean` to those of a device.

    Mono goes to all of them. Otherwise channel goes to channel, what the device has
    more stays silent, and a mono device gets the mean.
    """
    have, wanted = clean.shape[1], outdata.shape[1]
    if have in (1, wanted):
        outdata[:] = clean
    elif wanted == 1:
        np.mean(clean, axis=1, keepdims=True, out=outdata)
    else:
        both = min(have, wanted)
        outdata[:, :both] = clean[:, :both]
        outdata[:, both:] = 0.0
