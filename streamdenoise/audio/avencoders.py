"""FFmpeg's writers and encoders: which one for what, how it is set up, its delay."""

from __future__ import annotations

import io
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

import numpy as np

from .avframes import to_frame
from .avmodule import av_module

__all__ = [
    "MUXERS",
    "VORBIS",
    "EncoderChoice",
    "choose_encoder",
    "encoder_delay",
    "make_encoder",
]

VORBIS: Final = "libvorbis"
"""Stands for Vorbis by libsndfile; FFmpeg's own encoder is an experiment."""

MUXERS: Final = {
    "mp4": "mp4",
    "m4v": "mp4",
    "mov": "mov",
    "qt": "mov",
    "m4a": "ipod",
    "m4b": "ipod",
    "3gp": "3gp",
    "mkv": "matroska",
    "mka": "matroska",
    "webm": "webm",
    "aac": "adts",
    "wma": "asf",
    "wmv": "asf",
    "asf": "asf",
    "ac3": "ac3",
    "eac3": "eac3",
    "avi": "avi",
    "flv": "flv",
    "ts": "mpegts",
    "mts": "mpegts",
    "m2ts": "mpegts",
    "amr": "amr",
}
"""FFmpeg's writer for each extension that is not libsndfile's."""

_ENCODERS: Final = {
    "mp3": "libmp3lame",
    "mp3float": "libmp3lame",
    "opus": "libopus",
    "vorbis": VORBIS,
    "wmapro": "wmav2",
    "wmavoice": "wmav2",
    "wmalossless": "wmav2",
    "amrnb": "libopencore_amrnb",
    "amr_nb": "libopencore_amrnb",
    "truehd": "flac",
    "mlp": "flac",
    "dca": "ac3",
    "dts": "ac3",
    "ape": "flac",
    "aac_latm": "aac",
}
"""Encoders of another name than the coding, and stand-ins for what has none."""

_FALLBACKS: Final = {
    "matroska": ("flac", "aac"),
    "webm": ("libopus", VORBIS),
    "asf": ("wmav2",),
    "avi": ("libmp3lame", "pcm_s16le"),
    "amr": ("libopencore_amrnb",),
    "ac3": ("ac3",),
    "eac3": ("eac3",),
    "mov": ("aac", "pcm_s16le"),
}

_LEAST_BIT_RATE: Final = {
    "aac": 64_000,
    "ac3": 96_000,
    "eac3": 96_000,
    "libmp3lame": 64_000,
    "libopus": 48_000,
    "mp2": 64_000,
    "wmav1": 64_000,
    "wmav2": 64_000,
}
"""Bits per second and channel below which a second generation would be heard."""


@dataclass(frozen=True)
class EncoderChoice:
    """An encoder, and what is to be said if it is not that of the input.

    Attributes
    ----------
    name
        In FFmpeg's words, or `VORBIS`.
    codec
        The coding that comes out, such as ``aac``.
    note
        A sentence, or empty.
    """

    name: str
    codec: str
    note: str = ""


def choose_encoder(codec: str, muxer: str, sample_rate: int) -> EncoderChoice | None:
    """Choose how to encode a track: as it was, where that can be.

    Parameters
    ----------
    codec
        Coding of the input in FFmpeg's words; anything else takes what is usual in
        that container.
    muxer
        The container's writer, see `MUXERS`.
    sample_rate
        In Hz; an encoder that would need another one is not taken.

    Returns
    -------
    EncoderChoice or None
        None if nothing fits.
    """
    av = av_module()
    candidates = (_ENCODERS.get(codec, codec), *_FALLBACKS.get(muxer, ("aac",)))
    for name in candidates:
        real = "vorbis" if name == VORBIS else name
        try:
            encoder = av.Codec(real, "w")
            rates = encoder.audio_rates
            if encoder.type != "audio" or (rates and sample_rate not in rates):
                continue
            with av.open(io.BytesIO(), "w", format=muxer) as container:
                container.add_stream(real, rate=sample_rate)
        except (ValueError, av.error.FFmpegError):
            continue
        coding = encoder.canonical_name
        note = ""
        if coding != codec and av_knows(codec):
            note = f"{codec} cannot be written here; {coding} was written instead"
        return EncoderChoice(name, coding, note)
    return None


def av_knows(codec: str) -> bool:
    """Whether this is the name of a coding that FFmpeg reads."""
    return codec in av_module().codecs_available


def make_encoder(
    context: Any, sample_rate: int, layout: str, bit_rate: int, bits: int
) -> None:
    """Set up and open an encoder's context.

    Parameters
    ----------
    context
        An audio ``CodecContext`` for writing, not yet open.
    sample_rate, layout
        Of the track; a layout by FFmpeg's name.
    bit_rate
        Of the input in bit/s; 0 if nobody knows. It is raised to what keeps a second
        generation good.
    bits
        Per sample of the input, for lossless codings; 0 for a lossy input.

    Raises
    ------
    av.FFmpegError or ValueError
        If the encoder does not take that.
    """
    av = av_module()
    name = context.codec.name
    context.sample_rate = sample_rate
    context.time_base = Fraction(1, sample_rate)
    channels = av.AudioLayout(layout).nb_channels
    least = _LEAST_BIT_RATE.get(name)
    if least is not None:
        wanted = bit_rate or least * channels * 3 // 2
        context.bit_rate = max(wanted, least * channels)
    elif name == "libopencore_amrnb":
        context.bit_rate = 12_200
    formats = [form.name for form in context.codec.audio_formats or ()]
    context.format = _best_format(formats, bits)
    context.layout = layout
    if name == "aac":
        # The other search takes twice the time, for what is hard to hear.
        context.options = {"aac_coder": "fast"}
    context.open(strict=False)


def _best_format(formats: list[str], bits: int) -> str:
    if not formats:
        return "flt"
    order: tuple[str, ...] = (
        "fltp",
        "flt",
        "dblp",
        "dbl",
        "s32p",
        "s32",
        "s16p",
        "s16",
        "u8",
        "u8p",
    )
    if bits and bits <= 16:
        order = ("s16p", "s16", *order)
    return next((form for form in order if form in formats), formats[0])


def encoder_delay(
    name: str, sample_rate: int, layout: str, bit_rate: int, bits: int
) -> tuple[int, int]:
    """Return the samples that an encoder puts before the first one, and its frame.

    Found by asking it: silence goes into an encoder like the one that will be used,
    and the time stamp of its first packet tells.
    """
    av = av_module()
    context = av.CodecContext.create(name, "w")
    make_encoder(context, sample_rate, layout, bit_rate, bits)
    size = context.frame_size or 1024
    silence = np.zeros((size, av.AudioLayout(layout).nb_channels), np.float32)
    packets: list[Any] = []
    for i in range(64):
        packets = context.encode(to_frame(silence, context, i * size))
        if packets:
            break
    else:
        packets = context.encode(None)
    first = packets[0].pts if packets else 0
    return max(0, -(first or 0)), size
