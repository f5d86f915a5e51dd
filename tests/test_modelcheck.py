"""`models check`: every promise that a step model can break is found broken."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray

from streamdenoise import StepModel
from streamdenoise.cli import cli
from streamdenoise.modelcheck import CheckResult, check_model

from . import fakes
from .fakes import IdentityModel, State


def failed(model: Any, steps: int = 1000) -> dict[str, CheckResult]:
    return {r.name: r for r in check_model(model, steps) if not r.ok}


class GainModel(fakes.GainModel):
    """Without the count of the fakes, which grows: float32 would lose it in a day."""

    def initial_state(self) -> State:
        return {}

    def step(self, frame: NDArray[np.float32], state: State) -> NDArray[np.float32]:
        return self.enhance(frame, state)


class Echo(IdentityModel):
    """Adds a sum of everything heard so far, so that it grows without end."""

    def initial_state(self) -> State:
        return {"sum": np.zeros((1, 257, 2), np.float32), **super().initial_state()}

    def enhance(self, frame: NDArray[np.float32], state: State) -> NDArray[np.float32]:
        state["sum"] = state["sum"] + np.abs(frame)
        return frame * 0.5 + 1e-4 * state["sum"]


class Sharing(IdentityModel):
    """Keeps its memory in itself instead of in the state."""

    memory = 0.0

    def enhance(self, frame: NDArray[np.float32], state: State) -> NDArray[np.float32]:
        self.memory = 0.9 * self.memory + 0.1 * float(np.mean(np.abs(frame)))
        return frame * np.float32(1.0 / (1.0 + self.memory))


class Bursting(IdentityModel):
    """Divides by the level without a floor."""

    def enhance(self, frame: NDArray[np.float32], state: State) -> NDArray[np.float32]:
        with np.errstate(all="ignore"):
            return frame / np.float32(np.sum(np.square(frame)))


class OtherSteps(GainModel):
    """Treats groups of frames differently from single ones."""

    def steps(self, frames: NDArray[np.float32], state: State) -> NDArray[np.float32]:
        return super().steps(frames, state) * np.float32(0.9)


def test_an_honest_model_passes() -> None:
    """A plain gain keeps every promise."""
    assert not failed(GainModel(0.3))


def test_the_shipped_model_passes(model: StepModel) -> None:
    """What we ship passes its own check, over a thousand steps here.

    All but the time: how busy the machine of a test is says nothing of the model.
    """
    assert set(failed(model)) <= {"a step is in time"}


@pytest.mark.parametrize(
    ("broken", "check"),
    [
        (Echo(), "no growth over 1,000 steps of noise"),
        (Sharing(), "all state is in the states"),
        (Bursting(), "extreme input gives finite output"),
        (GainModel(1.2), "noise is not made louder"),
        (OtherSteps(0.5), "steps (4 frames) is step"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_broken_promise_is_found(broken: IdentityModel, check: str) -> None:
    """Each way to break the contract fails the check that names it."""
    assert check in failed(broken)


def test_the_command_lists_and_judges(model: StepModel, tmp_path: Path) -> None:
    """JSON on stdout, exit code 0; a file that is no model ends in one sentence."""
    check = ["check", "pi", "--steps", "100"]
    for args in (["models", *check, "--json"], ["models", "--json", *check]):
        run = CliRunner().invoke(cli, args)
        assert run.exit_code == 0, run.output
        answer = json.loads(run.stdout)
        assert answer["ok"] and len(answer["checks"]) >= 8
    (tmp_path / "no.tflite").write_bytes(b"not a model")
    run = CliRunner().invoke(cli, ["models", "check", str(tmp_path / "no.tflite")])
    assert run.exit_code == 1
