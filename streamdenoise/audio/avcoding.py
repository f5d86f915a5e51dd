"""How a sound track of a container was coded."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["TrackCoding", "as_subtype", "bits_of", "is_lossless"]


@dataclass(frozen=True)
class TrackCoding:
    """How a track was coded, for who writes it again.

    Attributes
    ----------
    index
        Number of the stream in the container.
    codec
        In FFmpeg's words.
    layout
        Channel layout by FFmpeg's name.
    bit_rate
        In bit/s; 0 if unknown.
    bits
        Per sample, where nothing was lost in coding; else 0.
    """

    index: int
    codec: str
    layout: str
    bit_rate: int
    bits: int


def is_lossless(codec: str) -> bool:
    """Whether a coding keeps every bit."""
    return codec.startswith("pcm_") or codec in ("flac", "alac", "wavpack", "tta")


def bits_of(codec: str, sample_format: str) -> int:
    """Return the bits of a sample; 0 if the coding loses some."""
    if not is_lossless(codec):
        return 0
    if "f32" in codec or "f64" in codec or sample_format.startswith(("flt", "dbl")):
        return 32
    for bits in (8, 16, 24, 32):
        if codec.startswith("pcm_") and str(bits) in codec:
            return bits
    return 16 if sample_format.startswith("s16") else 24


def as_subtype(codec: str, bits: int) -> str:
    """Return libsndfile's word for samples like those of a coding."""
    if codec.startswith(("pcm_f32", "pcm_f64")):
        return "FLOAT"
    if bits:
        return {8: "PCM_U8", 16: "PCM_16", 24: "PCM_24", 32: "PCM_32"}.get(
            bits, "PCM_24"
        )
    return codec.upper()
