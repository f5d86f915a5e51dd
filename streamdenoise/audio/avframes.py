"""Samples as PyAV has them: frames for an encoder, and frames of a decoder."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from .avmodule import av_module
from .pcm import quantise

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["from_frame", "to_frame"]


def to_frame(block: NDArray[np.float32], context: Any, pts: int) -> Any:
    """Turn samples (n, channels) into a frame for an encoder."""
    av = av_module()
    form = context.format.name
    kind = form.removesuffix("p")
    samples: NDArray[Any]
    if kind in ("flt", "dbl"):
        samples = block.astype(np.float32 if kind == "flt" else np.float64)
        if context.codec.canonical_name not in ("pcm_f32le", "pcm_f32be", "pcm_f64le"):
            # Encoders of sound for ears do not expect what is beyond full scale.
            samples = np.clip(samples, -1.0, 1.0)
    elif kind == "u8":
        samples = (quantise(block, 8) + 128).astype(np.uint8)
    elif kind == "s16":
        samples = quantise(block, 16).astype(np.int16)
    else:
        wide = 32 if "32" in context.codec.canonical_name else 24
        samples = quantise(block, wide) << (32 - wide)
    data = samples.T if context.format.is_planar else samples.reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(
        np.ascontiguousarray(data), format=form, layout=context.layout.name
    )
    frame.sample_rate = context.sample_rate
    frame.time_base = Fraction(1, context.sample_rate)
    frame.pts = pts
    return frame


def from_frame(frame: Any) -> NDArray[np.float32]:
    """Return a decoded frame's samples, shape (n, channels), full scale 1."""
    data = frame.to_ndarray()
    channels = frame.layout.nb_channels
    samples = data.T if frame.format.is_planar else data.reshape(-1, channels)
    if data.dtype.kind == "f":
        with np.errstate(over="ignore", invalid="ignore"):
            floats: NDArray[np.float32] = samples.astype(np.float32)
    elif data.dtype == np.uint8:
        floats = (samples.astype(np.float32) - np.float32(128.0)) * np.float32(2.0**-7)
    else:
        scale = np.float32(2.0 ** (1 - 8 * data.dtype.itemsize))
        floats = samples.astype(np.float32) * scale
    return floats
