"""``streamdenoise models``."""

from __future__ import annotations

import json

import pytest

import streamdenoise.model as model_module
from tests.clitools import run


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return a folder with two models, which is the package's for one test."""
    entry = {"sha256": "", "licence": "CC-BY-4.0", "parameters": 1234, "steps": 32}
    models = {
        "big": {**entry, "file": "big.tflite", "quantisation": "float32"},
        "base": {**entry, "file": "base.tflite", "quantisation": "dynamic"},
        "both": {**entry, "file": "both.tflite", "causal": False},
    }
    models["base"]["description"] = "for\x1b[31m every day"
    manifest = {"format": 1, "default": "base", "models": models}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    (tmp_path / "base.tflite").write_bytes(bytes(2048))
    monkeypatch.setattr(model_module, "models_folder", lambda: tmp_path)
    return tmp_path


def test_table(folder):
    """The default comes first, and a description cannot drive the terminal."""
    result = run("models")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].split()[:2] == ["NAME", "WEIGHTS"]
    assert lines[1].startswith("*") and "base" in lines[1] and "2 KB" in lines[1]
    assert "\x1b" not in result.stdout
    assert "missing" in lines[2] and "16 ms" in lines[2]
    assert lines[3].split()[-1] == "file"


def test_json(folder):
    """Everything that a program wants to know of a model."""
    told = json.loads(run("models", "--json").stdout)
    assert told["default"] == "base"
    base, big, both = told["models"]
    assert (base["name"], base["bytes"], base["default"]) == ("base", 2048, True)
    assert base["latency_seconds"] == pytest.approx(0.016)
    assert big["bytes"] is None and both["latency_seconds"] is None


def test_no_models(monkeypatch, tmp_path):
    """A broken installation is said in one sentence."""
    monkeypatch.setattr(model_module, "__file__", str(tmp_path / "a" / "model.py"))
    result = run("models")
    assert result.exit_code == 1 and result.stderr.count("\n") == 1
