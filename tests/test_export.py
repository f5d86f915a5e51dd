"""Export: the file is the net, in both precisions, or it is not written."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="TensorFlow is not installed (extra 'train')")

from streamdenoise import denoise, load_model
from streamdenoise.errors import AudioFormatError, ModelError
from streamdenoise.train import export, nets
from streamdenoise.train.modelcard import Story, data_table
from streamdenoise.train.parity import (
    FLOAT_BOUND,
    PARITY_FRAMES,
    Parity,
    gate,
    measure_parity,
    parity_frames,
    speech_like,
)
from streamdenoise.train.publish import publish, story_of, update_manifest
from streamdenoise.train.whole import net_enhancer

KINDS = {
    "gru": nets.NetConfig(units=48),
    "lstm": nets.NetConfig(cell="lstm", units=24, layers=1),
    "simple_rnn": nets.NetConfig(cell="simple_rnn", units=24, layers=1),
    "tutorial": nets.NetConfig(kind="tutorial", cell="lstm", units=16),
    "filter": nets.NetConfig(kind="filter", units=16, layers=1, filter_bins=48),
    "whole": nets.NetConfig(units=16, layers=1, bidirectional=True),
}
STORY = Story(
    "A net that nobody trained.", "MIT", seed=1, failures=["It does nothing."]
)


@pytest.fixture(scope="module")
def net() -> nets.SpectralNet:
    """Return a small gain net with fixed initial weights."""
    import keras

    keras.utils.set_random_seed(3)
    return nets.build(KINDS["gru"])


@pytest.mark.parametrize("kind", KINDS)
def test_float_file_equals_keras_over_a_thousand_carried_frames(
    kind: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Every kind of net converts, to 1e-5, in silence, `steps` like `step`."""
    net = nets.build(KINDS[kind])
    capfd.readouterr()
    content = export.convert(net, steps=4)
    assert not capfd.readouterr().out
    parity = measure_parity(net, content)
    assert PARITY_FRAMES >= 1000
    assert parity.worst <= FLOAT_BOUND and parity.steps_worst <= FLOAT_BOUND
    gate(parity, quantised=False)


def test_quantised_file_is_small_and_near(net: nets.SpectralNet) -> None:
    """Int8 weights keep the bound, do not drift, and old runtimes can load them."""
    content = export.convert(net, quantised=True, steps=4)
    parity = measure_parity(net, content)
    gate(parity, quantised=True)
    assert 1e-7 < parity.worst < 0.05
    assert parity.late_error_db < parity.error_db + 6
    assert len(content) < 0.6 * len(export.convert(net, steps=4))


def test_one_large_weight_does_not_make_the_others_coarse() -> None:
    """Each output has its own step size, in files that old runtimes can load too."""
    net = nets.build(nets.NetConfig(kind="filter", units=32, layers=1, filter_bins=48))
    weights = net.get_weights()
    for weight in weights:
        if weight.ndim == 2 and min(weight.shape) > 2:
            weight[:, 3] *= 40.0
    net.set_weights(weights)
    errors = [
        measure_parity(
            net, export.convert(net, quantised=True, steps=0, levelled=levelled)
        ).error_db
        for levelled in (True, False)
    ]
    assert errors[0] < errors[1] - 6.0
    np.testing.assert_array_equal(net.get_weights()[1], weights[1])


def test_states_carry_the_names_of_the_net(
    net: nets.SpectralNet, tmp_path: Path
) -> None:
    """Whoever runs the file finds each state under its name, with batch one."""
    path = tmp_path / "net.tflite"
    path.write_bytes(export.convert(net, steps=4))
    model = load_model(path)
    state = model.initial_state()
    assert {n: a.shape for n, a in state.items()} == {
        n: (1, *s) for n, s in net.state_spec.items()
    }
    assert model.group == 4


def test_gate_refuses_another_net(net: nets.SpectralNet) -> None:
    """A file with other weights, or with NaN in it, never passes."""
    content = export.convert(net, steps=0)
    other = nets.build(KINDS["gru"])
    other.set_weights([3.0 * w for w in net.get_weights()])
    with pytest.raises(ModelError, match="does not hold this net"):
        gate(measure_parity(other, content), quantised=False)
    with pytest.raises(ModelError, match="int8"):
        gate(measure_parity(other, content), quantised=True)
    good = Parity(1e-7, -120.0, -120.0, 0.0)
    for change in ({"worst": float("inf")}, {"steps_worst": 1e-3}):
        with pytest.raises(ModelError):
            gate(dataclasses.replace(good, **change), quantised=False)
    for name in ("error_db", "late_error_db"):
        with pytest.raises(ModelError):
            gate(dataclasses.replace(good, **{name: float("nan")}), quantised=True)


@pytest.mark.parametrize(
    ("size", "quantised", "what"),
    [(6_000, False, "missing"), (9_000_000, False, "twice"), (4_000_000, True, "not")],
)
def test_size_tells_lost_and_doubled_weights(size, quantised, what) -> None:
    """A conversion that went wrong in the known ways is caught by its size."""
    with pytest.raises(ModelError, match=what):
        export.check_size(size, 1_000_000, quantised=quantised)
    export.check_size(
        1_050_000 if quantised else 4_100_000, 1_000_000, quantised=quantised
    )


def test_failing_conversion_says_why(net, capfd: pytest.CaptureFixture[str]) -> None:
    """What goes wrong inside TensorFlow comes out as one error, and output is back."""
    with pytest.raises(ModelError, match="cannot convert"), export.quiet():
        print("last words")
        raise RuntimeError("no such op")
    print("heard again")
    assert capfd.readouterr().out == "heard again\n"


def test_parity_signal_is_busy_and_always_the_same() -> None:
    """The gate's signal has pauses, highs and lows, and is the same in every run."""
    x = speech_like(8.0)
    assert np.array_equal(x, speech_like(8.0)) and not np.array_equal(
        x, speech_like(8.0, 1)
    )
    levels = np.sqrt(np.mean(x[: 16000 * 7].reshape(-1, 1600) ** 2, axis=1))
    assert levels.max() / levels.min() > 5
    assert parity_frames(64).shape == (1, 64, 257, 2)


def report(name: str) -> dict:
    """What `scripts/evaluate --json` writes for one model."""
    row = {
        m: {"mean": v, "low": v - 0.1, "high": v + 0.1}
        for m, v in (("pesq_wb", 2.5), ("stoi", 0.92), ("si_sdr", 16.0))
    }
    systems = {"noisy": row, name: row, f"{name}-float32": row}
    figures = {name: {"clean_si_sdr": 30.0}}
    return {"set": "dev", "pairs": 46, "systems": systems, "behaviour": figures}


def test_publishing_writes_files_that_load_by_name(net, tmp_path: Path) -> None:
    """Both files, manifest and card agree; a second model leaves the first alone."""
    publish(net, "small", tmp_path, STORY, [report("small")], steps=4)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["default"] == "small"
    assert manifest["models"]["small"]["scores"] == {
        "dev": {"pesq_wb": 2.5, "stoi": 0.92, "si_sdr": 16.0}
    }
    for name, kind in (("small", "dynamic"), ("small-float32", "float32")):
        model = load_model(name, tmp_path)
        assert model.card.quantisation == kind and model.group == model.card.steps == 4
        assert model.card.parameters == net.count_params()
    text = (tmp_path / "small.md").read_text()
    for part in (
        "16 ms algorithmic",
        "2.500",
        "clean_si_sdr",
        "It does nothing",
        "MIT",
    ):
        assert part in text
    publish(nets.build(KINDS["whole"]), "both-ways", tmp_path, STORY)
    again = json.loads((tmp_path / "manifest.json").read_text())
    assert again["default"] == "small" and len(again["models"]) == 4
    assert again["models"]["small"] == manifest["models"]["small"]
    assert "needs the whole file" in (tmp_path / "both-ways.md").read_text()


def test_a_net_sounds_the_same_before_it_is_exported(tmp_path: Path) -> None:
    """`net_enhancer` gives what the engine gives with the float32 file, any length."""
    net = nets.build(KINDS["filter"])
    nets.save_compact(net, tmp_path / "net.npz")
    rounded = nets.with_floor(nets.load(tmp_path / "net.npz"), 0.03)
    publish(rounded, "small", tmp_path, STORY, steps=4)
    model = load_model("small-float32", tmp_path)
    before = net_enhancer([f"{tmp_path / 'net.npz'}:2"], 0.03)
    rng = np.random.default_rng(0)
    for size in (1000, 70001):
        x = 0.1 * rng.standard_normal(size).astype(np.float32)
        np.testing.assert_allclose(before(x), denoise(x, 16000, model), atol=1e-5)


def test_nothing_is_written_if_the_gate_refuses(net, tmp_path, monkeypatch) -> None:
    """A failed export leaves the folder as it was."""
    monkeypatch.setattr("streamdenoise.train.parity.FLOAT_BOUND", 0.0)
    with pytest.raises(ModelError):
        publish(net, "small", tmp_path, STORY, steps=4)
    with pytest.raises(ModelError, match="small letters"):
        publish(net, "Small.Net", tmp_path, STORY)
    assert not list(tmp_path.iterdir())


def test_scores_belong_to_a_file(tmp_path: Path) -> None:
    """An unchanged file keeps its scores, a new one does not inherit them."""
    entry = {"file": "a.tflite", "sha256": "1", "scores": {"dev": {"stoi": 0.9}}}
    for sha, kept in (("1", entry["scores"]), ("2", {})):
        update_manifest(tmp_path, {"a": entry})
        update_manifest(tmp_path, {"a": {**entry, "sha256": sha, "scores": {}}})
        manifest = json.loads((tmp_path / "manifest.json").read_text())
        assert manifest["models"]["a"]["scores"] == kept


def test_a_run_folder_tells_its_story(net, tmp_path: Path) -> None:
    """Seed, hours and updates come from the run, unless they are given."""
    nets.save(net, tmp_path)
    (tmp_path / "fit.json").write_text('{"seed": 5}')
    (tmp_path / "progress.json").write_text(
        '{"update": 100, "minutes": 2.5, "seconds": 7200}'
    )
    story = story_of(tmp_path, description="d", licence="MIT", recipe="base", seed=None)
    assert (story.seed, story.hours, story.updates) == (5, 2.0, 100)
    assert story.recipe == "base" and story.net["units"] == 48


def test_data_is_summed_by_source_and_licence(tmp_path: Path) -> None:
    """Attribution is summed from the indexes; what is not trained on is left out."""
    with pytest.raises(AudioFormatError, match="index"):
        data_table(tmp_path)
    tables = {
        "speech": 'length,source,licence\n57600000,"x","CC0"\n57600000,"x","CC0"\n',
        "noise": "length,source,licence,split\n"
        '16000,"n","CC BY (A)",train\n16000,"n","CC BY (B)",train\n9,"v","?",valid\n',
        "rir": 'source,licence\n"r: file","MIT"\n',
    }
    for part, text in tables.items():
        (tmp_path / part).mkdir()
        (tmp_path / part / "index.csv").write_text(text)
    rows = data_table(tmp_path)[2:]
    assert "| speech | x | CC0 | 2 | 2.000 |" in rows
    assert any(row.startswith("| noise | n | CC BY | 2 |") for row in rows)
    assert "| rir | r | MIT | 1 |  |" in rows and len(rows) == 3
