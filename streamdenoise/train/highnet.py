"""The net of the head above 8 kHz: powers of bands in, gains of bands out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from keras import ops

from streamdenoise.errors import ModelError
from streamdenoise.head import HIGH_BANDS, LOW_BANDS, POWERS
from streamdenoise.train import compact
from streamdenoise.train.layers import Dense, Recurrent
from streamdenoise.train.running import running_mean
from streamdenoise.train.steppable import States, Steppable

QUIET = 1e-9
"""Power that is added to every band: far below the dither of 16 bits."""

USUAL_LEVEL = -3.5
"""Logarithm of the power at the start of a stream, mean over the bands below 8 kHz."""

_LN10 = 2.302585092994046


class HighNet(Steppable):
    """Dense, GRU, and a gain in [0, 1] for each band above 8 kHz.

    *Features*, all logarithms to base ten: the power of each band, over the running
    mean of that below 8 kHz, so that the level of the stream does not matter; and what
    the model has made of each band below 8 kHz.

    Parameters
    ----------
    units
        Of the dense and of the recurrent layer.
    """

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.dense_in = Dense(units, "relu", name="high_in")
        self.recurrent = Recurrent("gru", units, name="high_rnn")
        self.recurrent.apart = True
        self.gain = Dense(HIGH_BANDS, "sigmoid", name="high_gain")

    @property
    def state_spec(self) -> dict[str, tuple[int, ...]]:
        """Name and shape (without batch) of each state tensor."""
        return {"h": (self.units,), "level": (1,), "heard": (1,)}

    def call(self, powers: Any) -> Any:
        """Return gains ``[B, T, bands]`` for ``[B, T, POWERS]`` from zero states."""
        return self.run(powers, self.zero_states(ops.shape(powers)[0]))[0]

    def run(self, powers: Any, states: States) -> tuple[Any, States]:
        """Return gains ``[B, T, bands]`` and the states after them."""
        out = dict(states)
        x = self._features(ops.transpose(powers, (1, 0, 2)), out)
        y, (out["h"],) = self.recurrent(self.dense_in(x), [out["h"]])
        return ops.transpose(self.gain(y), (1, 0, 2)), out

    @staticmethod
    def _features(powers: Any, states: States) -> Any:
        """Return features ``[T, B, POWERS]`` of powers in time-major order."""
        ends = [HIGH_BANDS, HIGH_BANDS + LOW_BANDS]
        power = ops.maximum(powers, 0.0) + QUIET
        high, before, after = ops.split(ops.log(power) / _LN10, ends, axis=-1)
        heard = ops.mean(ops.split(power, ends, axis=-1)[1], axis=-1, keepdims=True)
        level = running_mean(ops.log(heard) / _LN10, states, USUAL_LEVEL)
        kept = ops.maximum(after - before, -3.0)
        return ops.concatenate([high - level, before - level, kept], axis=-1)


def build(units: int) -> HighNet:
    """Build a net with initial weights."""
    net = HighNet(units)
    net(np.zeros((1, 2, POWERS), np.float32))
    return net


def save(net: HighNet, path: Path) -> None:
    """Write units and weights into one ``.npz`` file."""
    compact.write(path, {"units": net.units}, net.get_weights(), np.float32)


def load(path: Path) -> HighNet:
    """Load what `save` wrote.

    Raises
    ------
    ModelError
        If there is no such net.
    """
    try:
        config, weights = compact.read(path)
        net = build(**config)
        net.set_weights(weights)
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise ModelError(f"{path} holds no head for the high band: {error}") from error
    return net
