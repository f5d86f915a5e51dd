"""What a net needs to be run frame by frame with carried states."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

States = dict[str, Any]
"""One tensor ``[B, *shape]`` for each entry of a net's `state_spec`."""


class Steppable(keras.Model):  # type: ignore[misc]
    """A net over frames ``[B, T, ...]`` that starts from states and hands them back.

    Subclasses define `state_spec` and `run`.
    """

    @property
    def state_spec(self) -> dict[str, tuple[int, ...]]:
        """Name and shape (without batch) of each state tensor."""
        raise NotImplementedError

    def run(self, frames: Any, states: States) -> tuple[Any, States]:
        """Return what becomes of frames, and the states after them."""
        raise NotImplementedError

    def zero_states(self, batch: int) -> States:
        """Return initial states for `batch` independent streams."""
        return {k: ops.zeros((batch, *s)) for k, s in self.state_spec.items()}

    def step(self, frame: Any, states: States) -> tuple[Any, States]:
        """Do one frame ``[B, ...]`` from given states."""
        y, states = self.run(frame[:, None], states)
        return y[:, 0], states
