"""What all nets share: frames and states in, enhanced frames and new states out.

One function, `SpectralNet.run`, is the whole net. Training runs whole sequences from
zero states, the exported ``step`` runs one frame, ``steps`` a few: the same code, so
they cannot disagree. Layers, and everything in between, use `keras.ops` only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
from keras import ops

from streamdenoise.train.layers import Recurrent
from streamdenoise.train.steppable import States, Steppable

COMPRESSION = 0.3
_TINY = 1e-10


@dataclass(frozen=True)
class NetConfig:
    """What a net is made of; enough to build it again.

    Attributes
    ----------
    kind
        ``"gain"`` (one Dense, recurrent layers, one gain per bin), ``"filter"``
        (level-free features, a gain, and a filter over frames at low bins) or
        ``"tutorial"`` (magnitude to magnitude).
    cell
        ``"gru"``, ``"lstm"`` or ``"simple_rnn"``.
    units
        Units of each recurrent layer.
    layers
        Recurrent layers.
    taps, filter_bins
        Frames that the filter spans, and the bins that have one (``"filter"`` only).
    dropout
        Share of units dropped while training.
    bidirectional
        Also run backwards in time: an upper bound for files, never live.
    floor
        Share of the noisy frame that stays under the voice (``"filter"`` only). Zero
        while training, where the net would learn to undo it; set on export.
    """

    kind: str = "gain"
    cell: str = "gru"
    units: int = 256
    layers: int = 2
    taps: int = 3
    filter_bins: int = 96
    dropout: float = 0.0
    bidirectional: bool = False
    floor: float = 0.0


class SpectralNet(Steppable):
    """Base of all nets.

    Subclasses create layers in ``__init__`` and define `core`, which works on
    time-major spectra ``[T, B, bins, 2]``.
    """

    def __init__(self, config: NetConfig, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.config = config
        self.recurrents: dict[str, Recurrent] = {}

    @property
    def causal(self) -> bool:
        """Whether the net can run frame by frame."""
        return not self.config.bidirectional

    @property
    def state_spec(self) -> dict[str, tuple[int, ...]]:
        """Name and shape (without batch) of each state tensor."""
        spec: dict[str, tuple[int, ...]] = {}
        for name, layer in self.recurrents.items():
            for part in layer.state_names:
                spec[f"{name}_{part}"] = (layer.units,)
        return spec

    def call(self, spectra: Any, training: bool = False) -> Any:
        """Enhance whole sequences ``[B, T, bins, 2]`` from zero states."""
        states = self.zero_states(ops.shape(spectra)[0])
        return self.run(spectra, states, training=training)[0]

    def run(
        self, spectra: Any, states: States, training: bool = False
    ) -> tuple[Any, States]:
        """Enhance frames from given states.

        Parameters
        ----------
        spectra
            Noisy frames ``[B, T, bins, 2]`` (real, imaginary), grid scale.
        states
            One tensor ``[B, *shape]`` per entry of `state_spec`.
        training
            Whether dropout is active.

        Returns
        -------
        tuple
            Enhanced frames of the input's shape, and the states after them.
        """
        out = dict(states)
        x = ops.transpose(spectra, (1, 0, 2, 3))
        y = self.core(x, out, training)
        return ops.transpose(y, (1, 0, 2, 3)), out

    def core(self, x: Any, states: States, training: bool) -> Any:
        """Map time-major spectra; reads and replaces entries of `states`."""
        raise NotImplementedError

    def recur(self, name: str, x: Any, states: States) -> Any:
        """Run the recurrent layer `name` on ``[T, B, features]``."""
        layer = self.recurrents[name]
        keys = [f"{name}_{part}" for part in layer.state_names]
        y, after = layer(x, [states[k] for k in keys])
        states.update(zip(keys, after, strict=True))
        return y

    def add_recurrent(self, name: str, units: int, *, reverse: bool = False) -> None:
        """Register a recurrent layer."""
        layer = Recurrent(self.config.cell, units, reverse=reverse, name=name)
        setattr(self, name, layer)  # Keras tracks layers that are attributes.
        self.recurrents[name] = layer

    def add_stack(self) -> None:
        """Register the recurrent layers that `stack` runs, with dropout."""
        c = self.config
        self.drop = keras.layers.Dropout(c.dropout)
        for i in range(c.layers):
            self.add_recurrent(f"rnn_{i}", c.units)
            if c.bidirectional:
                self.add_recurrent(f"back_{i}", c.units, reverse=True)

    def stack(self, y: Any, states: States, training: bool) -> Any:
        """Run recurrent layers one on top of the other, ``[T, B, features]``.

        Both directions of a bidirectional net are averaged, so that the layer above
        keeps its size.
        """
        for i in range(self.config.layers):
            y = self.layer(i, y, states, training)
        return y

    def layer(self, i: int, y: Any, states: States, training: bool) -> Any:
        """Run the recurrent layer `i` of the stack, in its one or two directions."""
        forward = self.recur(f"rnn_{i}", y, states)
        if self.config.bidirectional:
            forward = (forward + self.recur(f"back_{i}", y, states)) * 0.5
        return self.drop(forward, training=training)


def magnitude(x: Any) -> Any:
    """Return ``|x|`` of ``[..., 2]``, with a gradient at zero."""
    return ops.sqrt(x[..., 0] * x[..., 0] + x[..., 1] * x[..., 1] + _TINY)
