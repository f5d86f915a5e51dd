"""Tests of the interpreter behind its seam."""

from __future__ import annotations

import gc
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from streamdenoise import runtime
from streamdenoise.errors import ModelError, RuntimeMissingError
from streamdenoise.runtime import Function, Graph


def test_missing_runtime_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any interpreter the message is the command that gets one."""
    monkeypatch.setattr(runtime, "INTERPRETERS", ("no_such_a", "no_such_b"))
    with pytest.raises(RuntimeMissingError, match="type pip install") as info:
        Graph(b"")
    assert info.value.exit_code == 3


@pytest.mark.parametrize("content", [b"", b"RIFF....WAVE", b"\0\0\0\0TFL3"])
def test_what_is_no_model_is_refused(content: bytes) -> None:
    """Bytes that are no model are refused with a sentence that names the file."""
    with pytest.raises(ModelError, match="odd"):
        Graph(content, "odd")


@pytest.mark.parametrize("share", [0.01, 0.3, 0.7, 0.99, 0.99999])
def test_cut_short(tiny_model_path: Path, share: float) -> None:
    """A model file that ends early is refused, wherever it ends."""
    content = tiny_model_path.read_bytes()
    with pytest.raises(ModelError, match="cut short"):
        Graph(content[: int(share * len(content))], "odd")


def some(function: Function, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Draw what a signature may be called with."""
    return {
        name: rng.standard_normal(shape).astype(np.float32)
        for name, shape in function.inputs.items()
    }


def call(function: Function, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return all that a signature makes of some inputs, which stay as they are."""
    states = dict(inputs)
    frame = states.pop("frame")
    carrying = function.carrying("frame", "enhanced", {s: f"{s}_out" for s in states})
    return {"enhanced": carrying(frame, states), **states}


class WithoutDoors:
    """An interpreter that has nothing but its public functions."""

    def __init__(self, interpreter: object) -> None:
        self.get_signature_runner = interpreter.get_signature_runner  # type: ignore


@pytest.mark.parametrize("signature", ["step", "steps"])
def test_direct_call_equals_the_public_runner(
    tiny_model_path: Path, rng: np.random.Generator, signature: str
) -> None:
    """Setting tensors by index gives what the interpreter's own runner gives.

    Both signatures number their tensors from zero, so that this would fail if one
    were taken for the other.
    """
    graph = Graph(tiny_model_path.read_bytes())
    direct = graph.function(signature)
    public = Function(WithoutDoors(graph._interpreter), signature)
    assert direct._wrapper is not None and public._wrapper is None
    assert direct.inputs == public.inputs and direct.outputs == public.outputs
    inputs = some(direct, rng)
    expected = call(public, inputs)
    for name, tensor in call(direct, inputs).items():
        np.testing.assert_array_equal(tensor, expected[name])


def test_two_signatures_take_turns(
    tiny_model_path: Path, rng: np.random.Generator
) -> None:
    """Running one signature leaves nothing behind in the other."""
    graph = Graph(tiny_model_path.read_bytes())
    step, steps = graph.function("step"), graph.function("steps")

    a, b = some(step, rng), some(steps, rng)
    before = call(step, a)["enhanced"]
    call(steps, b)
    np.testing.assert_array_equal(call(step, a)["enhanced"], before)


def test_what_is_called_outlives_what_it_came_from(
    tiny_model_path: Path, rng: np.random.Generator
) -> None:
    """A call keeps the model's bytes, which the interpreter does not copy."""
    graph = Graph(tiny_model_path.read_bytes())
    inputs = some(graph.function("step"), rng)
    expected = call(graph.function("step"), inputs)
    states = {name: x for name, x in inputs.items() if name != "frame"}
    alone = Graph(tiny_model_path.read_bytes()).function("step")
    alone = alone.carrying("frame", "enhanced", {s: f"{s}_out" for s in states})
    gc.collect()
    over = [np.full(tiny_model_path.stat().st_size, 0xA5, np.uint8) for _ in range(9)]
    np.testing.assert_array_equal(alone(inputs["frame"], states), expected["enhanced"])
    assert len(over) == 9


def test_loading_says_nothing(tiny_model_path: Path) -> None:
    """The interpreter's own notices stay off both output streams."""
    code = (
        "import sys, streamdenoise;"
        "streamdenoise.load_model(sys.argv[1]);"
        "print('done', file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tiny_model_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "" and done.stderr.strip() == "done"


def test_import_is_light() -> None:
    """Importing the package and naming its classes loads no interpreter."""
    code = (
        "import sys, streamdenoise;"
        "early = 'numpy' in sys.modules;"
        "streamdenoise.Denoiser, streamdenoise.load_model;"
        "heavy = {'ai_edge_litert', 'tflite_runtime', 'tensorflow', 'scipy'};"
        "sys.exit(str(early or heavy & set(sys.modules) or ''))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.stderr.strip() == ""
