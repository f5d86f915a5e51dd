"""Without an interpreter that works, the sentence says what to type here."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from streamdenoise.errors import RuntimeMissingError
from streamdenoise.runtime import find_interpreter


@pytest.fixture
def old_runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have tflite_runtime alone; it imports beside any NumPy, as the real one does."""
    folder = tmp_path / "tflite_runtime"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "interpreter.py").write_text("class Interpreter: pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in [n for n in sys.modules if n.startswith("tflite_runtime")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)


@pytest.fixture
def no_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have neither."""
    for name in ("ai_edge_litert", "tflite_runtime"):
        monkeypatch.setitem(sys.modules, f"{name}.interpreter", None)


@pytest.mark.parametrize(
    ("bits", "python", "says"),
    [
        (64, (3, 13), "type pip install ai-edge-litert"),
        (32, (3, 11), 'type pip install "tflite-runtime==2.14.0" "numpy<2"'),
        (32, (3, 13), "use the 64-bit system, or a 32-bit one with Python 3.11"),
    ],
)
def test_the_advice_fits_the_system(
    bits: int,
    python: tuple[int, int],
    says: str,
    no_runtime: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A package that has no wheel here is not asked for."""
    monkeypatch.setattr(sys, "maxsize", 2 ** (bits - 1) - 1)
    monkeypatch.setattr(sys, "version_info", python)
    with pytest.raises(RuntimeMissingError) as caught:
        find_interpreter()
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("version", ["1.26.4", "2.0.0", "2.4.6"])
def test_the_old_runtime_needs_the_old_numpy(
    version: str, old_runtime: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside NumPy 2 it would end with an error of C when it opens a model."""
    monkeypatch.setattr(np, "__version__", version)
    if version.startswith("1."):
        assert find_interpreter()[0] == "tflite_runtime"
        return
    with pytest.raises(RuntimeMissingError) as caught:
        find_interpreter()
    assert f"made for NumPy 1, and this is {version}" in str(caught.value)
