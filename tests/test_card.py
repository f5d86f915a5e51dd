"""Tests of model cards and the manifest."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from streamdenoise.card import Manifest, ModelCard
from streamdenoise.errors import ModelError

ENTRY = {"file": "a.tflite", "sha256": "00", "steps": 32, "scores": {"pesq": 2.2}}


def test_defaults_and_unknown_keys() -> None:
    """A short entry is filled up with the standard grid; later keys do no harm."""
    card = ModelCard.from_dict("a", {**ENTRY, "from_the_future": 1})
    assert card.name == "a" and card.steps == 32 and card.causal
    assert card.latency == pytest.approx(0.016)
    assert card.stft(48000).win == 1536


def test_window_pair_is_a_value() -> None:
    """A card may ask for an 8 ms model; the engine needs no new code for it."""
    entry = {**ENTRY, "hop_seconds": 0.004, "win_hops": 8}
    card = ModelCard.from_dict("fast", entry)
    assert card.latency == pytest.approx(0.008)
    assert card.stft(16000).synthesis_win == 128


@pytest.mark.parametrize(
    "change",
    [
        {"file": None},
        {"bins": 161},
        {"win_hops": 3},
        {"hop_seconds": "fast"},
        {"synthesis_hops": 3},
        {"sha256": 12},
    ],
)
def test_impossible_values_are_refused(change: dict) -> None:
    """A card that cannot be meant is refused by name, with what is wrong with it."""
    with pytest.raises(ModelError, match="card of model 'odd'"):
        ModelCard.from_dict("odd", {**ENTRY, **change})


def test_card_without_file_is_refused() -> None:
    """An entry without a file is no card."""
    with pytest.raises(ModelError, match="file"):
        ModelCard.from_dict("odd", {})


def write(folder: Path, data: object) -> Path:
    (folder / "manifest.json").write_text(json.dumps(data))
    return folder


def test_manifest(tmp_path: Path) -> None:
    """A manifest gives its models by name."""
    data = {"format": 1, "default": "a", "models": {"a": ENTRY, "b": ENTRY}}
    manifest = Manifest.read(write(tmp_path, data))
    assert manifest.default == "a" and list(manifest.models) == ["a", "b"]


@pytest.mark.parametrize(
    "data", [[], {"format": 2}, {"format": 1}, {"format": 1, "models": {"a": 3}}]
)
def test_broken_manifest(tmp_path: Path, data: object) -> None:
    """A manifest of another format or shape is refused with a sentence."""
    with pytest.raises(ModelError):
        Manifest.read(write(tmp_path, data))


def test_unreadable_manifest(tmp_path: Path) -> None:
    """A missing manifest and one that is no JSON are refused with a sentence."""
    with pytest.raises(ModelError, match="cannot read"):
        Manifest.read(tmp_path)
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(ModelError, match="cannot read"):
        Manifest.read(tmp_path)
