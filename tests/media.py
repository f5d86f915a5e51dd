"""Videos and other containers, made here: pictures, tones, subtitles, chapters."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

av = pytest.importorskip(
    "av", reason='videos need PyAV: pip install "streamdenoise[av]"'
)

__all__ = [
    "Track",
    "av",
    "decoded",
    "make_media",
    "packets",
    "remux",
    "sound",
    "video_hashes",
]

PICTURE_RATE = 25


class Track:
    """A sound track to be made.

    `start` is the time of its first sample, in samples.
    """

    def __init__(
        self,
        codec: str,
        rate: int = 48000,
        layout: str = "stereo",
        *,
        start: int = 0,
        bit_rate: int = 192_000,
        language: str = "",
        form: str = "",
    ) -> None:
        self.codec, self.rate, self.layout = codec, rate, layout
        self.start, self.bit_rate, self.language = start, bit_rate, language
        self.form = form


def sound(n: int, rate: int, channels: int, seed: int = 1) -> np.ndarray:
    """Return a sweep in noise, (n, channels), that lossy codings keep well."""
    rng = np.random.default_rng(seed)
    t = np.arange(n) / rate
    x = 0.2 * np.sin(2 * np.pi * (200 * t + 0.4 * rate / 16 * t**2 / t[-1]))
    x = x[:, None] * np.linspace(1.0, 0.5, channels)
    kernel = np.hanning(32) / np.hanning(32).sum()
    hiss = np.stack([np.convolve(rng.standard_normal(n), kernel, "same")] * channels, 1)
    return (x + 0.1 * hiss).astype(np.float32)


def make_media(
    path: Path,
    muxer: str,
    tracks: list[Track],
    n: int = 30_000,
    *,
    video: str = "",
    subtitle: str = "",
    chapters: bool = False,
    attachment: bytes = b"",
    tags: dict[str, str] | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """Write a container; each track is `sound` of `n` samples, seeded by its number."""
    from streamdenoise.audio.avframes import to_frame

    with av.open(str(path), "w", format=muxer, options=options or {}) as out:
        out.metadata.update(tags or {})
        picture = None
        if video:
            picture = out.add_stream(video, rate=PICTURE_RATE)
            picture.width, picture.height, picture.pix_fmt = 64, 48, "yuv420p"
            if video == "mpeg4":
                picture.codec_context.max_b_frames = 2
        streams = []
        for track in tracks:
            stream = out.add_stream(track.codec, rate=track.rate)
            stream.codec_context.layout = track.layout
            stream.codec_context.bit_rate = track.bit_rate
            stream.codec_context.time_base = Fraction(1, track.rate)
            if track.form:
                stream.codec_context.format = track.form
            if track.language:
                stream.metadata["language"] = track.language
            stream.codec_context.open(strict=False)
            streams.append(stream)
        text = None
        if subtitle:
            text = out.add_mux_stream(subtitle, time_base=Fraction(1, 1000))
        if attachment:
            out.add_attachment("font.ttf", "application/x-truetype-font", attachment)
        if chapters:
            out.set_chapters(
                [
                    {
                        "id": i,
                        "start": 500 * i,
                        "end": 500 * (i + 1),
                        "time_base": Fraction(1, 1000),
                        "metadata": {"title": f"part {i}"},
                    }
                    for i in range(2)
                ]
            )
        made: list[Any] = []
        for number, (track, stream) in enumerate(zip(tracks, streams, strict=True)):
            context = stream.codec_context
            x = sound(n, track.rate, context.layout.nb_channels, number + 1)
            size = context.frame_size or 1024
            for at in range(0, n, size):
                frame = to_frame(x[at : at + size], context, track.start + at)
                made += _of(stream, context.encode(frame))
            made += _of(stream, context.encode(None))
        if picture is not None:
            seconds = n / tracks[0].rate if tracks else 2
            for i in range(int(seconds * PICTURE_RATE)):
                image = np.full((48, 64, 3), (7 * i) % 256, np.uint8)
                image[i % 48] = 255
                frame = av.VideoFrame.from_ndarray(image, format="rgb24")
                frame.pts, frame.time_base = i, Fraction(1, PICTURE_RATE)
                made += _of(picture, picture.codec_context.encode(frame))
            made += _of(picture, picture.codec_context.encode(None))
        if text is not None:
            for i in range(2):
                packet = av.Packet(_subtitle(subtitle, f"line {i}"))
                packet.pts = packet.dts = 400 * i
                packet.duration, packet.time_base = 300, Fraction(1, 1000)
                made += _of(text, [packet])
        made.sort(key=lambda p: -1e9 if p.dts is None else float(p.dts * p.time_base))
        out.mux(made)
    return path


def remux(
    source: Path,
    target: Path,
    muxer: str,
    change: Callable[[Any, int], bool | None] = lambda packet, number: None,
) -> Path:
    """Copy a container; packets that `change` says False to are left out.

    It gets each packet, and how many of its stream came before.
    """
    with av.open(str(source)) as a, av.open(str(target), "w", format=muxer) as b:
        streams = [b.add_stream_from_template(s, opaque=True) for s in a.streams]
        counts = [0] * len(streams)
        for packet in a.demux(*a.streams):
            index = packet.stream.index
            if not packet.size:
                continue
            counts[index] += 1
            if change(packet, counts[index] - 1) is not False:
                packet.stream = streams[index]
                b.mux(packet)
    return target


def _of(stream: Any, packets: list[Any]) -> list[Any]:
    for packet in packets:
        packet.stream = stream
    return packets


def _subtitle(codec: str, line: str) -> bytes:
    raw = line.encode()
    return len(raw).to_bytes(2, "big") + raw if codec == "mov_text" else raw


def decoded(path: Path, number: int = 0) -> tuple[np.ndarray, int]:
    """Return a sound track (n, channels) by PyAV alone, and its start in samples."""
    parts, start = [], None
    with av.open(str(path)) as container:
        stream = container.streams.audio[number]
        for frame in container.decode(stream):
            data = frame.to_ndarray()
            if not frame.format.is_planar:
                data = data.reshape(-1, frame.layout.nb_channels).T
            if data.dtype.kind == "i":
                data = data / -float(np.iinfo(data.dtype).min)
            if start is None:
                start = round((frame.pts or 0) * frame.time_base * frame.sample_rate)
            parts.append(data.T)
    return np.concatenate(parts).astype(np.float64), start or 0


def packets(path: Path, kind: str) -> list[tuple[bytes, float | None, float | None]]:
    """Return data, time and decoding time of all packets of a kind of streams."""
    found = []
    with av.open(str(path)) as container:
        for stream in container.streams.get({kind: 0}) if kind != "audio" else ():
            for packet in container.demux(stream):
                if packet.size:
                    base = float(packet.time_base)
                    dts = None if packet.dts is None else round(packet.dts * base, 3)
                    pts = None if packet.pts is None else round(packet.pts * base, 3)
                    found.append((bytes(packet), pts, dts))
    return found


def video_hashes(path: Path) -> list[tuple[int, float]]:
    """Return a number for each decoded picture, and its time."""
    with av.open(str(path)) as container:
        return [
            (hash(frame.to_ndarray(format="rgb24").tobytes()), round(frame.time, 3))
            for frame in container.decode(video=0)
        ]
