"""Tests of finding, checking and stepping models."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from streamdenoise import Denoiser, ModelError, StepModel, list_models, load_model
from streamdenoise.card import ModelCard, sha256_of
from streamdenoise.model import find_model, models_folder


@pytest.fixture
def folder(tmp_path: Path, tiny_model_path: Path) -> Path:
    """Make a folder with a manifest of two good models and a damaged one."""
    content = tiny_model_path.read_bytes()
    (tmp_path / "a.tflite").write_bytes(content)
    (tmp_path / "cut.tflite").write_bytes(content[:-1000])
    good = {"file": "a.tflite", "sha256": sha256_of(content), "steps": 8}
    models = {"b": good, "a": good, "cut": {**good, "file": "cut.tflite"}}
    models["gone"] = {**good, "file": "gone.tflite"}
    data = {"format": 1, "default": "a", "models": models}
    (tmp_path / "manifest.json").write_text(json.dumps(data))
    return tmp_path


def test_by_name(folder: Path) -> None:
    """A model is found by its name, and the default without one."""
    assert load_model(folder=folder).name == "a"
    assert load_model("b", folder).name == "b"
    assert [card.name for card in list_models(folder)] == ["a", "b", "cut", "gone"]


def test_default_of_small_cores(folder: Path) -> None:
    """A smaller one where there is one; whoever names a model gets that."""
    path = folder / "manifest.json"
    data = json.loads(path.read_text())
    assert find_model(None, folder, small_core=True)[1].name == "a"
    for small, found in (("b", "b"), ("none", "a")):
        path.write_text(json.dumps({**data, "small": small}))
        assert find_model(None, folder, small_core=True)[1].name == found
        assert list_models(folder, small_core=True)[0].name == found
        assert find_model(None, folder, small_core=False)[1].name == "a"
        assert find_model("a", folder, small_core=True)[1].name == "a"


def test_the_models_that_ship_have_a_default_for_small_cores() -> None:
    """It is smaller, and runs on a stream."""
    try:
        models_folder()
    except ModelError as error:
        pytest.skip(f"no shipped models here: {error}")
    small, usual = (find_model(small_core=core)[1] for core in (True, False))
    assert small.parameters < usual.parameters / 4 and small.causal


def test_unknown_name_lists_the_known(folder: Path) -> None:
    """A name that does not exist is answered with those that do."""
    with pytest.raises(ModelError, match=r"no model 'c'.*b, a, cut"):
        load_model("c", folder)


def test_wrong_sha256_is_refused(folder: Path) -> None:
    """A file that is not the one of its card is never loaded."""
    with pytest.raises(ModelError, match="SHA-256"):
        load_model("cut", folder)


def test_missing_files_are_refused(folder: Path) -> None:
    """A file that is not there, or is a folder, is answered with a sentence."""
    with pytest.raises(ModelError, match="cannot read the model file"):
        load_model("gone", folder)
    with pytest.raises(ModelError, match="no such file"):
        load_model(folder / "none.tflite")
    with pytest.raises(ModelError, match="a folder"):
        load_model(folder)


def test_by_path_with_a_card_beside_it(tmp_path: Path, tiny_model_path: Path) -> None:
    """A card beside a model file is believed, its sha256 is checked."""
    path = tmp_path / "mine.tflite"
    shutil.copy(tiny_model_path, path)
    assert load_model(str(path)).name == "mine"
    card = path.with_suffix(".json")
    card.write_text(json.dumps({"description": "Mine.", "sha256": "00"}))
    assert find_model(path)[1].description == "Mine."
    with pytest.raises(ModelError, match="SHA-256"):
        load_model(path)
    card.write_text("not a card")
    with pytest.raises(ModelError, match="cannot read"):
        load_model(path)


def test_no_step_signature(tiny_model_path: Path) -> None:
    """A model that cannot run frame by frame is refused with what it has."""
    content = tiny_model_path.read_bytes()
    content = content.replace(b"\x04\0\0\0step\0", b"\x04\0\0\0jump\0")
    with pytest.raises(ModelError, match=r"no signature 'step'.*jump"):
        StepModel(content, ModelCard("odd", "odd.tflite"))


def test_bidirectional_models_are_refused(tiny_model_path: Path) -> None:
    """A model that needs the whole file is refused with what runs it instead."""
    content = tiny_model_path.read_bytes()
    content = content.replace(b"\x04\0\0\0step\0", b"\x04\0\0\0jump\0")
    content = content.replace(b"\x05\0\0\0steps\0", b"\x05\0\0\0whole\0")
    with pytest.raises(ModelError, match=r"bidirectional.*streamdenoise file"):
        StepModel(content, ModelCard("both", "both.tflite"))


def test_broken_contract_is_refused(tiny_model_path: Path) -> None:
    """A state without its successor is refused with what was expected."""
    content = tiny_model_path.read_bytes()
    content = content.replace(b"zeta_out\0", b"zeta_oat\0")
    with pytest.raises(ModelError, match=r"step contract.*zeta_oat"):
        StepModel(content, ModelCard("odd", "odd.tflite"))


def test_states_are_read_by_name(tiny_model: StepModel) -> None:
    """Names and shapes of the states come from the signature, and start as zeros."""
    state = tiny_model.initial_state()
    assert {n: t.shape for n, t in state.items()} == {"zeta": (1, 20), "alpha": (1, 16)}
    assert not any(t.any() for t in state.values())
    assert tiny_model.card.steps == tiny_model.group == 8


def random_frames(rng: np.random.Generator, count: int) -> np.ndarray:
    return 10 * rng.standard_normal((1, count, 257, 2)).astype(np.float32)


def test_steps_equals_step(tiny_model: StepModel, rng: np.random.Generator) -> None:
    """Both signatures agree to 1e-5 over a thousand carried frames."""
    single, group = tiny_model.initial_state(), tiny_model.initial_state()
    for _ in range(125):
        x = random_frames(rng, 8)
        y = [tiny_model.step(x[:, i].copy(), single) for i in range(8)]
        np.testing.assert_allclose(
            tiny_model.steps(x, group), np.stack(y, axis=1), rtol=0, atol=1e-4
        )
        for name in single:
            np.testing.assert_allclose(single[name], group[name], rtol=0, atol=1e-5)
    assert set(single) == {"zeta", "alpha"}


def test_state_is_the_callers(tiny_model: StepModel, rng: np.random.Generator) -> None:
    """Streams that take turns on one model get what each gets alone."""
    x = random_frames(rng, 40)[0]
    alone, state = [], tiny_model.initial_state()
    for frame in x:
        alone.append(tiny_model.step(frame[None], state))
    first, second = tiny_model.initial_state(), tiny_model.initial_state()
    for frame, expected in zip(x, alone, strict=True):
        np.testing.assert_array_equal(tiny_model.step(frame[None], first), expected)
        tiny_model.step(-3 * frame[None], second)


def test_step_does_not_write_into_old_states(tiny_model: StepModel) -> None:
    """A state that somebody kept stays as it was, so that snapshots are cheap."""
    state = tiny_model.initial_state()
    kept = dict(state)
    tiny_model.step(np.ones((1, 257, 2), np.float32), state)
    assert not any(tensor.any() for tensor in kept.values())
    assert all(tensor.any() for tensor in state.values())


def test_shipped_models_keep_their_cards() -> None:
    """Every model that ships loads, or is whole-file and says so."""
    try:
        models_folder()
    except ModelError as error:
        pytest.skip(f"no shipped models here: {error}")
    for card in list_models():
        if card.causal:
            loaded = load_model(card.name)
            assert loaded.group == card.steps
            assert loaded.head is not None and loaded.head.group == card.steps
            assert Denoiser(loaded).process(np.zeros(1000)).shape == (1000,)
        else:
            with pytest.raises(ModelError, match="bidirectional"):
                load_model(card.name)
