"""In digital silence the model rests, and nothing of the silence stays with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from streamdenoise import Denoiser, denoise, load_model
from streamdenoise.stepper import REST_AFTER, Stepper
from tests.fakes import IdentityModel, MemoryModel

HOP = 128
"""At 16 kHz."""


class Counted(IdentityModel):
    """Counts the frames that it was asked for."""

    frames = 0

    def enhance(self, frame: np.ndarray, state: dict[str, np.ndarray]) -> np.ndarray:
        self.frames += 1
        return frame


def sound(rng: np.random.Generator, hops: int) -> np.ndarray:
    return (0.1 * rng.standard_normal(hops * HOP)).astype(np.float32)


def silence(hops: int) -> np.ndarray:
    return np.zeros(hops * HOP, np.float32)


@pytest.mark.parametrize("name", ["best", "pi"])
@pytest.mark.parametrize("bulk", [False, True])
def test_silence_before_changes_nothing(
    rng: np.random.Generator, model_path: Path, name: str, bulk: bool
) -> None:
    """A voice comes out the same at the start of a stream and after an hour muted.

    The hour is cut to half a minute: the state does not move in either.
    """
    model = load_model(model_path.with_name(f"{name}.tflite"))
    x = sound(rng, 200)
    fresh = denoise(x, 16_000, model)
    muted = Denoiser(model, 16_000, bulk=bulk)
    y = muted.process(np.concatenate([silence(4000), x, silence(2)]))
    y = y[4000 * HOP + muted.latency_samples :][: len(x)]
    assert np.abs(y - fresh).max() < 1e-4
    assert fresh.std() > 1e-4


def test_silence_within_counts_as_a_fifth_of_a_second(
    rng: np.random.Generator, model_path: Path
) -> None:
    """However long a microphone is muted, what follows comes out the same."""
    model = load_model(model_path)
    before, after = sound(rng, 100), sound(rng, 100)
    ends = []
    for hops in (REST_AFTER + 10, 1000, 3333):
        whole = np.concatenate([before, silence(hops), after])
        ends.append(denoise(whole, 16_000, model)[-len(after) :])
    assert np.abs(ends[1] - ends[0]).max() < 1e-4
    assert np.abs(ends[2] - ends[0]).max() < 1e-4


@pytest.mark.parametrize("bulk", [False, True])
@pytest.mark.parametrize("quiet", [1, 30, 200])
def test_model_is_asked_while_something_sounds(
    rng: np.random.Generator, quiet: int, bulk: bool
) -> None:
    """The frames that reach back to sound, a fifth of a second, and none after it."""
    model = Counted()
    x = np.concatenate([sound(rng, 41), silence(quiet), sound(rng, 40)])
    d = Denoiser(model, 16_000, bulk=bulk)
    y = np.concatenate([d.process(x), d.flush()])[d.latency_samples :]
    # Three frames still hear the last hop.
    rest = max(0, quiet - 3 - REST_AFTER)
    done = len(x) // HOP + d.latency_samples // HOP
    assert model.frames == done - rest
    assert np.abs(y - x).max() < 1e-6


def test_steps_rest_as_single_steps_do(rng: np.random.Generator) -> None:
    """Whether frames come singly or in groups, the same of them are left out."""
    frames = rng.standard_normal((1, 240, 257, 2)).astype(np.float32)
    for begin, end in ((3, 9), (41, 90), (101, 133), (150, 230)):
        frames[:, begin:end] = 0.0
    one, many = Stepper(MemoryModel()), Stepper(MemoryModel())
    singly = np.stack([one.step(frames[:, i].copy()) for i in range(240)], axis=1)
    groups = [many.steps(frames[:, i : i + 4].copy()) for i in range(0, 240, 4)]
    assert np.array_equal(singly, np.concatenate(groups, axis=1))
    for name, tensor in one.snapshot().tensors.items():
        assert np.array_equal(tensor, many.snapshot().tensors[name])


def test_snapshot_knows_the_silence(rng: np.random.Generator) -> None:
    """Going back into a silence goes on with the rest of it."""
    d = Denoiser(MemoryModel(), 16_000)
    d.process(np.concatenate([sound(rng, 20), silence(REST_AFTER - 5)]))
    saved = d.snapshot()
    x = np.concatenate([silence(20), sound(rng, 20)])
    first = d.process(x).copy()
    d.restore(saved)
    assert np.array_equal(d.process(x), first)


def test_the_least_sound_is_heard(rng: np.random.Generator) -> None:
    """One step of 24 bits now and then is no digital silence."""
    model = Counted()
    x = silence(200)
    x[::HOP] = 2.0**-23
    Denoiser(model, 16_000).process(x)
    assert model.frames == 200
