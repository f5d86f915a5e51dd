"""Models in plain numpy with the interface of `StepModel`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamdenoise.card import ModelCard

State = dict[str, NDArray[np.float32]]


class IdentityModel:
    """Changes nothing; counts its steps in its state.

    Parameters are fields of the card, such as ``synthesis_hops`` or ``causal``.
    """

    group = 4
    head = None

    def __init__(self, **card: Any) -> None:
        self.card = replace(ModelCard("fake", "fake.tflite", steps=self.group), **card)

    def initial_state(self) -> State:
        return {"count": np.zeros((1, 1), np.float32)}

    def step(self, frame: NDArray[np.float32], state: State) -> NDArray[np.float32]:
        assert frame.shape == (1, 257, 2) and frame.flags.c_contiguous
        state["count"] = state["count"] + 1
        return self.enhance(frame, state)

    def steps(self, frames: NDArray[np.float32], state: State) -> NDArray[np.float32]:
        assert frames.shape == (1, self.group, 257, 2)
        out = [self.step(frames[:, i], state) for i in range(self.group)]
        return np.stack(out, axis=1)

    def enhance(self, frame: NDArray[np.float32], state: State) -> NDArray[np.float32]:
        return frame


class GainModel(IdentityModel):
    """Multiplies every bin by a gain: a number, or one for each of the 257 bins."""

    def __init__(self, gain: Any, **card: Any) -> None:
        super().__init__(**card)
        self.gain = np.broadcast_to(np.asarray(gain, np.float32), (257,))[:, None]

    def enhance(self, frame: NDArray[np.float32], state: State) -> NDArray[np.float32]:
        return frame * self.gain


class MemoryModel(IdentityModel):
    """A gain that follows the level with a long memory, so that the past is heard."""

    def initial_state(self) -> State:
        return {"level": np.zeros((1, 257), np.float32), **super().initial_state()}

    def enhance(self, frame: NDArray[np.float32], state: State) -> NDArray[np.float32]:
        power = np.sum(np.square(frame), axis=-1)
        state["level"] = np.float32(0.95) * state["level"] + np.float32(0.05) * power
        gain = power / (power + state["level"] + np.float32(1e-6))
        return frame * gain[..., None]


class BrokenModel(IdentityModel):
    """Answers NaN in the given steps, and poisons its state with it."""

    def __init__(self, bad_steps: tuple[int, ...], **card: Any) -> None:
        super().__init__(**card)
        self.bad_steps = bad_steps
        self.calls = 0

    def enhance(self, frame: NDArray[np.float32], state: State) -> NDArray[np.float32]:
        self.calls += 1
        if self.calls in self.bad_steps:
            state["count"] = np.full((1, 1), np.nan, np.float32)
        return frame + 0 * state["count"].reshape(1, 1, 1)
