"""Raw PCM samples to and from float, with one rounding rule for the whole package.

A sample of `bits` bits is ``value / 2**(bits - 1)``, so that what is read and
written unchanged comes back with the same bits. Rounding is to nearest, and what
lies outside the range saturates: it never wraps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["SAMPLE_FORMATS", "SampleFormat", "quantise"]


def quantise(x: NDArray[Any], bits: int) -> NDArray[np.int32]:
    """Round float samples to integers of `bits` bits.

    Parameters
    ----------
    x
        Samples, full scale is 1.0; any shape. NaN becomes 0.
    bits
        Width of the result, 8 to 32.

    Returns
    -------
    ndarray of int32
        Saturated to ``[-2**(bits - 1), 2**(bits - 1) - 1]``, same shape.
    """
    full = 2.0 ** (bits - 1)
    # float32 cannot hold 2**31 - 1, so wide samples are clipped in float64.
    scaled = np.multiply(x, full, dtype=np.float64 if bits > 16 else np.float32)
    np.rint(scaled, out=scaled)
    np.nan_to_num(scaled, copy=False, nan=0.0, posinf=full, neginf=-full)
    np.clip(scaled, -full, full - 1.0, out=scaled)
    ints: NDArray[np.int32] = scaled.astype(np.int32)
    return ints


@dataclass(frozen=True)
class SampleFormat:
    """How one sample is stored in a stream of bytes, little endian.

    Attributes
    ----------
    name
        As ALSA and FFmpeg call it, in lower case: ``s16le``.
    size
        Bytes of one sample.
    is_float
        IEEE float instead of an integer.
    """

    name: str
    size: int
    is_float: bool = False

    def decode(self, data: bytes) -> NDArray[np.float32]:
        """Turn bytes, a whole number of samples, into float32 in [-1, 1)."""
        x: NDArray[np.float32]
        if self.is_float:
            kind = "<f4" if self.size == 4 else "<f8"
            # A double may lie beyond float32; it becomes inf, which callers handle.
            with np.errstate(over="ignore", invalid="ignore"):
                return np.frombuffer(data, kind).astype(np.float32)
        if self.size == 1:
            x = np.frombuffer(data, np.uint8).astype(np.float32) - np.float32(128.0)
            x *= np.float32(2.0**-7)
            return x
        if self.size == 3:
            wide = np.zeros((len(data) // 3, 4), np.uint8)
            wide[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
            x = wide.view("<i4")[:, 0].astype(np.float32)
            x *= np.float32(2.0**-31)
            return x
        x = np.frombuffer(data, f"<i{self.size}").astype(np.float32)
        x *= np.float32(2.0 ** (1 - 8 * self.size))
        return x

    def encode(self, x: NDArray[np.float32]) -> bytes:
        """Turn float samples of any shape, C order, into bytes."""
        if self.is_float:
            return x.astype("<f4" if self.size == 4 else "<f8").tobytes()
        ints = quantise(x, 8 * self.size)
        if self.size == 1:
            return (ints + 128).astype(np.uint8).tobytes()
        if self.size == 3:
            as_bytes = np.ascontiguousarray(ints, "<i4").view(np.uint8)
            return as_bytes.reshape(-1, 4)[:, :3].tobytes()
        return ints.astype(f"<i{self.size}").tobytes()


SAMPLE_FORMATS: Final = {
    f.name: f
    for f in (
        SampleFormat("u8", 1),
        SampleFormat("s16le", 2),
        SampleFormat("s24le", 3),
        SampleFormat("s32le", 4),
        SampleFormat("f32le", 4, is_float=True),
        SampleFormat("f64le", 8, is_float=True),
    )
}
"""Sample formats of `pipe` by name; a WAV header may name any of them."""
