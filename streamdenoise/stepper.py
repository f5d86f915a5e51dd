"""One stream's way through a model: its states, and when the model may rest.

Digital silence (a muted microphone, nobody in the call) says nothing, so after a while
of it the model is not asked: what comes out is silent, and the states stay as they
are. However long the silence, what follows is heard as if it had followed at once, and
it costs next to no work.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from .card import ModelCard
from .carried import ModelState, copied
from .constants import GRID_BINS
from .highband import Head

Samples = NDArray[np.float32]

REST_AFTER: Final = 25
"""Frames of digital silence, 0.2 s, that a model still hears: more than the frames
that a filter reaches back."""

_MAX_FRAME_POWER = 1e30


class Model(Protocol):
    """What the engine asks of a model; `StepModel` is one."""

    @property
    def card(self) -> ModelCard:
        """The grid that the model lives on."""

    @property
    def group(self) -> int:
        """Frames per call of `steps`; 0 without it."""

    @property
    def head(self) -> Head | None:
        """What rules the band above the grid; None leaves it to a rule."""

    def initial_state(self) -> ModelState:
        """Return the state at the start of a stream."""

    def step(self, frame: Samples, state: ModelState) -> Samples:
        """Enhance one frame (1, 257, 2) and move `state` on."""

    def steps(self, frames: Samples, state: ModelState) -> Samples:
        """Enhance `group` frames (1, group, 257, 2) and move `state` on."""


@dataclass(frozen=True)
class StepperState:
    """What is remembered of a stream's way through a model, as copies.

    Attributes
    ----------
    tensors
        States of the model by name.
    silent
        Frames of digital silence so far, at most `REST_AFTER`.
    """

    tensors: ModelState
    silent: int


class Stepper:
    """A model, and the states of one stream.

    Parameters
    ----------
    model
        Shared with other streams.

    Attributes
    ----------
    bad_frames
        Frames for which the model gave nothing finite, counted since the start.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self.bad_frames = 0
        self._nothing = np.zeros((1, max(model.group, 1), GRID_BINS, 2), np.float32)
        self._nothing.flags.writeable = False
        self.reset()

    def reset(self) -> None:
        """Forget everything but the counter."""
        self._state = self._model.initial_state()
        # The model need not be heard warming up in the silence before a stream.
        self._silent = REST_AFTER

    def step(self, frame: Samples) -> Samples:
        """Enhance one frame, shape (1, 257, 2)."""
        reals = frame.reshape(-1)
        if float(reals.dot(reals)):
            self._silent = 0
        elif self._silent == REST_AFTER:
            return self._nothing[:, 0]
        else:
            self._silent += 1
        return self._finite(self._model.step(frame, self._state))

    def steps(self, frames: Samples) -> Samples:
        """Enhance the model's `group` frames, shape (1, group, 257, 2)."""
        heard = frames[0].any(axis=(1, 2))
        if heard.all():
            self._silent = 0
        elif not heard.any() and self._silent == REST_AFTER:
            return self._nothing
        else:
            # The model may rest in some of them.
            each = [self.step(frames[:, i]) for i in range(frames.shape[1])]
            return np.stack(each, axis=1)
        return self._finite(self._model.steps(frames, self._state))

    def _finite(self, frames: Samples) -> Samples:
        """Return what the model gave, silent where it is not finite."""
        frames, bad = finite_frames(frames)
        if bad:
            # A state that has gone astray would never come back by itself.
            self._state = self._model.initial_state()
            self.bad_frames += bad
        return frames

    def snapshot(self) -> StepperState:
        """Return copies of everything remembered."""
        return StepperState(copied(self._state), self._silent)

    def restore(self, state: StepperState) -> None:
        """Go back to a snapshot."""
        self._state = copied(state.tensors)
        self._silent = state.silent

    def fits(self, state: StepperState) -> bool:
        """Tell whether a snapshot has states of the same names and shapes."""
        theirs = {name: tensor.shape for name, tensor in state.tensors.items()}
        return theirs == {name: tensor.shape for name, tensor in self._state.items()}


def finite_frames(frames: Samples) -> tuple[Samples, int]:
    """Silence what is not finite in what a model gave.

    Parameters
    ----------
    frames
        float32 of shape (..., 257, 2).

    Returns
    -------
    frames
        The same array if all is well, else a copy with bad frames silent.
    bad : int
        How many frames were bad.
    """
    reals = frames.reshape(-1)
    if float(reals.dot(reals)) < _MAX_FRAME_POWER:
        return frames, 0
    power = np.square(reals.reshape(-1, 2 * GRID_BINS), dtype=np.float64).sum(1)
    good = power < _MAX_FRAME_POWER
    shape = (*frames.shape[:-2], 1, 1)
    silent = np.where(good.reshape(shape), frames, np.float32(0.0))
    return silent, int(np.count_nonzero(~good))
