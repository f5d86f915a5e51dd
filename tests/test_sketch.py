"""Spectrograms of streams."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from streamdenoise.show.sketch import Sketch, Sketches
from tests.clitools import noise


def tone(hz: float, n: int, rate: int) -> np.ndarray:
    return np.sin(2 * np.pi * hz * np.arange(n) / rate).astype(np.float32)[:, None]


@pytest.mark.parametrize("rate", [8000, 44100, 192000])
def test_tone_is_where_it_is(rate):
    """A full-scale tone is at 0 dB in its row."""
    sketch = Sketch(rate)
    sketch.push(tone(2000, rate, rate))
    levels = sketch.levels()
    row = levels[:, 5:-5].mean(axis=1).argmax()
    assert (1 - row / (len(levels) - 1)) * sketch.top_hz == pytest.approx(2000, abs=40)
    assert levels[row, 20] == pytest.approx(0.0, abs=1.5)


@pytest.mark.parametrize("sizes", [[1], [1000], [7, 70_001, 3], [65536]])
def test_block_sizes_do_not_matter(sizes):
    """However a stream is cut, its picture is the same."""
    x = noise(300_000, 2)
    whole, parts = Sketch(16000, 50), Sketch(16000, 50)
    whole.push(x)
    at = turn = 0
    x_parts = x if sizes != [1] else x[:3000]
    if sizes == [1]:
        whole = Sketch(16000, 50)
        whole.push(x_parts)
    while at < len(x_parts):
        size = sizes[turn % len(sizes)]
        parts.push(x_parts[at : at + size])
        at, turn = at + size, turn + 1
    assert np.allclose(whole.powers(), parts.powers(), rtol=1e-4, atol=1e-9)


def test_merging_keeps_time_and_power():
    """A burst in the third quarter stays there after many merges."""
    x = np.zeros((400_000, 1), np.float32)
    x[200_000:300_000] = noise(100_000)
    sketch = Sketch(16000, 40)
    for at in range(0, len(x), 5000):
        sketch.push(x[at : at + 5000])
    power = sketch.powers().sum(axis=1)
    assert 40 <= len(power) <= 81
    quarter = len(power) / 4
    loud = np.flatnonzero(power > power.max() / 4)
    assert abs(loud[0] - 2 * quarter) <= 1 and abs(loud[-1] - 3 * quarter) <= 2
    once = Sketch(16000, 4000)
    once.push(x)
    assert power.mean() == pytest.approx(once.powers().sum(axis=1).mean(), rel=0.05)


def test_memory_is_constant():
    """Ten times the sound, the same memory."""
    peaks = []
    block = noise(65536)
    for count in (10, 100):
        tracemalloc.start()
        sketch = Sketch(16000, 100)
        for _ in range(count):
            sketch.push(block)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0]


@pytest.mark.parametrize("n", [1, 100, 511, 512, 20_000])
def test_any_length_can_be_drawn(n):
    """Even one sample gives a picture and a thumbnail."""
    pair = Sketches()
    pair.before(noise(n, 2), 16000)
    pair.after(0 * noise(n, 2), 16000)
    big, small = pair.picture(), pair.thumbnail()
    assert big[:8] == small[:8] == b"\x89PNG\r\n\x1a\n"
    assert len(small) < 12_000
