"""Nets between waveforms and their loss: what `train_on_batch` sees."""

from __future__ import annotations

from functools import partial
from typing import Any

import keras
import numpy as np
from keras import ops

from streamdenoise.constants import GRID_HOP, GRID_WIN
from streamdenoise.errors import StreamDenoiseError
from streamdenoise.train import nets
from streamdenoise.train.fitconfig import FitConfig
from streamdenoise.train.losses import LossConfig, spectral_loss, stft
from streamdenoise.train.optimizers import NormedAdam, NormedMuon

LEAD = GRID_WIN // GRID_HOP - 1
"""Hops that the first window of a later part reaches back."""


class WaveModel(keras.Model):  # type: ignore[misc]
    """A net between waveforms and its loss: what `train_on_batch` sees."""

    def __init__(self, net: nets.SpectralNet, loss: LossConfig) -> None:
        super().__init__()
        self.net = net
        self.loss_config = loss

    def call(self, waves: Any, training: bool = False) -> Any:
        """Enhance ``[B, samples]`` into frames ``[B, T, 257, 2]``."""
        return self.net(stft(waves), training=training)

    def compute_loss(self, x: Any, y: Any, y_pred: Any, *_: Any, **__: Any) -> Any:
        """Return the mean loss of a batch of noisy `x` and clean `y`."""
        return ops.mean(spectral_loss(self.loss_config, x, y, y_pred))


class CarriedModel(WaveModel):
    """A net whose states go on from batch to batch.

    Waveforms have `LEAD` hops of what came before in front.
    """

    def __init__(self, net: nets.SpectralNet, loss: LossConfig, batch: int) -> None:
        super().__init__(net, loss)
        self.carried = {
            key: self.add_weight(
                shape=(batch, *shape), initializer="zeros", trainable=False, name=key
            )
            for key, shape in net.state_spec.items()
        }

    def call(self, waves: Any, training: bool = False) -> Any:
        """Enhance from the carried states, and keep the states that follow."""
        states = {k: ops.convert_to_tensor(v) for k, v in self.carried.items()}
        y, states = self.net.run(stft(waves)[:, LEAD:], states, training=training)
        for key, variable in self.carried.items():
            variable.assign(ops.stop_gradient(states[key]))
        return y

    def compute_loss(self, x: Any, y: Any, y_pred: Any, *_: Any, **__: Any) -> Any:
        """Return the mean loss of a batch."""
        return ops.mean(spectral_loss(self.loss_config, x, y, y_pred, LEAD))

    def forget(self, kept: Any = None) -> None:
        """Go back to the initial states, but for rows where `kept` ``[B]`` is true."""
        for variable in self.carried.values():
            state = np.zeros(variable.shape, np.float32)
            # States are fetched from a device only where there is a row to keep.
            if kept is not None and kept.any():
                state[kept] = np.asarray(variable)[kept]
            variable.assign(state)


class TutorialModel(WaveModel):
    """The ancestor's objective: mean squared error of magnitudes in [0, 1]."""

    def call(self, waves: Any, training: bool = False) -> Any:
        """Estimate scaled magnitudes ``[T, B, bins]``."""
        x = ops.transpose(stft(waves), (1, 0, 2, 3))
        states = self.net.zero_states(ops.shape(waves)[0])
        return self.net.estimate(x, states, training)

    def compute_loss(self, x: Any, y: Any, y_pred: Any, *_: Any, **__: Any) -> Any:
        """Return the squared error against the clean magnitude."""
        clean = nets.magnitude(ops.transpose(stft(y), (1, 0, 2, 3)))
        return ops.mean(ops.square(ops.minimum(clean / self.net.peak, 1.0) - y_pred))


def make_model(net: nets.SpectralNet, config: FitConfig) -> WaveModel:
    """Wrap a net for training and compile it."""
    nets.set_half(net, config.half)
    if config.parts > 1:
        if not net.causal or net.config.kind == "tutorial":
            raise StreamDenoiseError(
                "states are carried only by our own causal nets; leave --parts out"
            )
        model: WaveModel = CarriedModel(net, config.loss, config.batch)
    elif net.config.kind == "tutorial":
        model = TutorialModel(net, config.loss)
    else:
        model = WaveModel(net, config.loss)
    make: dict[str, Any] = {
        "adam": NormedAdam,
        "muon": partial(NormedMuon, half=config.half),
    }
    optimizer = make[config.optimizer](
        config.learning_rate,
        weight_decay=config.weight_decay,
        clipnorm=config.clipnorm,
        clipvalue=config.clipvalue,
        global_clipnorm=config.global_clipnorm,
        gradient_accumulation_steps=(
            config.accumulate if config.accumulate > 1 else None
        ),
    )
    model.compile(optimizer=optimizer)
    return model
