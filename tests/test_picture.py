"""Spectrograms as PNG."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest

from streamdenoise.show.picture import before_after, draw, spectrogram, strip
from streamdenoise.show.png import png, write_png


def test_tone_is_drawn_where_it_is():
    """A tone of 2 kHz is brightest in the row of 2 kHz, at 0 dB for full scale."""
    tone = np.sin(2 * np.pi * 2000 * np.arange(16000) / 16000).astype(np.float32)
    levels = spectrogram(tone, 16000, (81, 30), 8000)
    assert (levels[:, 5:25].argmax(axis=0) == 60).all()
    assert levels[60, 15] == pytest.approx(0.0, abs=0.1)


@pytest.mark.parametrize("n", [1, 100, 48000 * 3])
@pytest.mark.parametrize("rate", [8000, 48000, 192000])
def test_any_rate_and_length_can_be_drawn(tmp_path, n, rate):
    """The picture has one size, and is a PNG that any viewer opens."""
    x = np.random.default_rng(0).standard_normal(n).astype(np.float32)
    pixels, palette = before_after(x, 0 * x, rate)
    assert pixels.max() < len(palette) <= 256
    path = tmp_path / "a.png"
    write_png(path, pixels, palette)
    raw, chunks, at = path.read_bytes(), {}, 8
    while at < len(raw):
        size, name = struct.unpack(">I4s", raw[at : at + 8])
        body = raw[at + 8 : at + 8 + size]
        check = struct.unpack(">I", raw[at + 8 + size : at + 12 + size])[0]
        assert zlib.crc32(name + body) == check
        chunks[name], at = body, at + 12 + size
    assert [*chunks] == [b"IHDR", b"PLTE", b"IDAT", b"IEND"]
    width, height = struct.unpack(">II", chunks[b"IHDR"][:8])
    lines = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8)
    assert np.array_equal(lines.reshape(height, width + 1)[:, 1:], pixels)


@pytest.mark.parametrize("shape", [(1, 1), (257, 3), (40, 5000)])
@pytest.mark.parametrize("values", [[0.0], [-70.0, 90.0], [np.nan, np.inf, 3.0]])
def test_levels_of_any_size_can_be_drawn(shape, values):
    """Spectrograms of any resolution, and a curve with any values below them."""
    levels = np.random.default_rng(0).uniform(-90, 0, shape)
    pixels, palette = draw([("A", levels)], 36_000.0, 8000, ("level", np.array(values)))
    small, same = strip([levels, levels])
    assert pixels.max() < len(palette) and np.array_equal(palette, same)
    assert pixels.shape[0] > 300 and small.shape == (82, 240)
    assert png(small, same)[:4] == b"\x89PNG"


def test_silence_is_dark():
    """It is not drawn as the loudest there is, nor what surrounds a single word."""
    silent = np.full((100, 500), -130.0)
    click = silent.copy()
    click[40, 250] = -10.0
    for levels in (silent, click):
        pixels, _ = draw([("before", levels)], 1.0, 8000.0)
        assert np.median(pixels[60:200, 100:900]) == 0
        assert np.median(strip([levels])[0]) == 0
    assert pixels[30:254, 68:1028].max() == 239


def test_curve_is_at_its_value():
    """A constant of 20 dB is drawn on the line of 20 dB, whatever else is there."""
    levels = np.zeros((10, 10))
    values = np.full(960, 20.0)
    values[480:] = 0.0
    pixels, _ = draw([("A", levels)], 10.0, 8000, ("level", values))
    dark = [np.flatnonzero(pixels[286:, 68 + x] == 242)[0] for x in (100, 800)]
    assert dark[1] - dark[0] == pytest.approx(95, abs=1)


@pytest.mark.parametrize("days", [11.6, 30, 365, 3650])
def test_a_month_can_be_drawn(days):
    """However long a recording is, its seconds are written out."""
    levels = np.zeros((10, 10))
    pixels, palette = draw([("A", levels)], days * 86_400.0, 8000)
    assert pixels.max() < len(palette)
