"""Tests of the check that a model file is all there."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from streamdenoise.flatbuf import is_complete_model


def test_a_whole_file_is_complete(tiny_model_path: Path) -> None:
    """A real model passes, with two signatures and many operators."""
    assert is_complete_model(tiny_model_path.read_bytes())


def test_a_part_is_not(tiny_model_path: Path, rng: np.random.Generator) -> None:
    """A file that lost its end is noticed wherever the end was, without a crash."""
    content = tiny_model_path.read_bytes()
    places = [*range(20), *rng.integers(0, len(content) - 64, 60), len(content) - 64]
    for end in places:
        assert not is_complete_model(content[:end])


def test_noise_is_not(rng: np.random.Generator) -> None:
    """Random bytes behind a right mark lead nowhere, and to no endless walk."""
    for _ in range(50):
        assert not is_complete_model(b"\x20\0\0\0TFL3" + rng.bytes(500))
