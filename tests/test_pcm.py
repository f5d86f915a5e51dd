"""Raw samples to and from float."""

from __future__ import annotations

import numpy as np
import pytest

from streamdenoise.audio.pcm import SAMPLE_FORMATS, quantise


@pytest.mark.parametrize("name", [n for n in SAMPLE_FORMATS if n != "s32le"])
def test_bytes_survive_the_way_there_and_back(name, rng):
    """What is decoded and encoded unchanged has the same bits (up to 24 of them)."""
    kind = SAMPLE_FORMATS[name]
    if kind.is_float:
        data = rng.standard_normal(999).astype(np.float32).astype(f"<f{kind.size}")
        raw = data.tobytes()
    else:
        raw = rng.integers(0, 256, 999 * kind.size, dtype=np.uint8).tobytes()
    assert kind.encode(kind.decode(raw)) == raw


def test_32_bit_samples_keep_24_of_them(rng):
    """The engine's float32 has 24 bits; nothing more is lost."""
    kind = SAMPLE_FORMATS["s32le"]
    ints = rng.integers(-(2**31), 2**31, 999, dtype=np.int64)
    back = np.frombuffer(kind.encode(kind.decode(ints.astype("<i4").tobytes())), "<i4")
    assert np.abs(back - ints).max() <= 2**7


@pytest.mark.parametrize("bits", [8, 16, 24, 32])
def test_what_is_too_loud_saturates(bits):
    """Full scale is a wall: nothing wraps to the other sign."""
    x = np.array([2.0, 1.0, -1.0, -7.5, np.inf, -np.inf, np.nan], np.float32)
    top, low = 2 ** (bits - 1) - 1, -(2 ** (bits - 1))
    assert quantise(x, bits).tolist() == [top, top, low, low, top, low, 0]


def test_rounding_is_to_nearest():
    """Errors have no bias: 0.6 of a step goes up, 0.4 goes down, on both sides."""
    x = np.array([0.6, 0.4, -0.4, -0.6], np.float32) / 32768
    assert quantise(x, 16).tolist() == [1, 0, 0, -1]


def test_8_bit_samples_are_unsigned():
    """In WAV, silence of 8 bits is the byte 128."""
    kind = SAMPLE_FORMATS["u8"]
    assert kind.encode(np.array([0.0, -1.0, 0.999], np.float32)) == bytes([128, 0, 255])
