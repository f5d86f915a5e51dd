"""The nets, by name: how one is built, kept and loaded, and means of some."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from streamdenoise.constants import GRID_BINS
from streamdenoise.errors import ModelError
from streamdenoise.train import compact
from streamdenoise.train.filternet import FilterNet
from streamdenoise.train.layers import Dense, Recurrent
from streamdenoise.train.losses import LossConfig
from streamdenoise.train.spectral import (
    COMPRESSION,
    NetConfig,
    SpectralNet,
    magnitude,
)
from streamdenoise.train.steppable import States

__all__ = [
    "COMPRESSION",
    "KINDS",
    "FilterNet",
    "GainNet",
    "NetConfig",
    "SpectralNet",
    "TutorialNet",
    "build",
    "levelled",
    "load",
    "load_mean",
    "magnitude",
    "matrix_layers",
    "mean_of",
    "save",
    "save_compact",
    "set_half",
    "with_floor",
]


class GainNet(SpectralNet):
    """One Dense, a stack of recurrent layers, and one gain in [0, 1] per bin."""

    def __init__(self, config: NetConfig, **kwargs: Any) -> None:
        super().__init__(config, **kwargs)
        self.dense_in = Dense(config.units, "relu", name="dense_in")
        self.add_stack()
        self.head = keras.layers.TimeDistributed(
            Dense(GRID_BINS, "sigmoid", name="gain"), name="head"
        )

    def core(self, x: Any, states: States, training: bool) -> Any:
        """Scale each bin; the phase stays the noisy one."""
        y = self.dense_in(2.0 * ops.power(magnitude(x), COMPRESSION) - 1.0)
        y = self.stack(y, states, training)
        return x * self.head(y)[..., None]


class TutorialNet(SpectralNet):
    """The ancestor: clean magnitude from noisy magnitude.

    Two LSTM layers with dropout and a sigmoid output, on standardised input, with
    the target scaled to [0, 1]. The statistics of the data are weights, so that
    the exported file needs nothing beside it.
    """

    def __init__(self, config: NetConfig, **kwargs: Any) -> None:
        super().__init__(config, **kwargs)
        self.add_stack()
        self.head = keras.layers.TimeDistributed(
            Dense(GRID_BINS, "sigmoid", name="magnitude"), name="head"
        )
        self.mean = self._statistic("mean", 0.0)
        self.deviation = self._statistic("deviation", 1.0)
        self.peak = self._statistic("peak", 1.0)

    def _statistic(self, name: str, value: float) -> Any:
        return self.add_weight(
            shape=(GRID_BINS,),
            initializer=keras.initializers.Constant(value),
            trainable=False,
            name=name,
        )

    def estimate(self, x: Any, states: States, training: bool) -> Any:
        """Return the clean magnitude in [0, 1], ``[T, B, bins]``."""
        y = (magnitude(x) - self.mean) / self.deviation
        return self.head(self.stack(y, states, training))

    def core(self, x: Any, states: States, training: bool) -> Any:
        """Put the estimated magnitude on the noisy phase."""
        scale = self.estimate(x, states, training) * self.peak / magnitude(x)
        return x * scale[..., None]


KINDS = {"gain": GainNet, "filter": FilterNet, "tutorial": TutorialNet}


def build(config: NetConfig) -> SpectralNet:
    """Build a net with initial weights.

    Raises
    ------
    ModelError
        If the kind is unknown.
    """
    if config.kind not in KINDS:
        raise ModelError(f"no net is called {config.kind!r}; choose from {list(KINDS)}")
    net = KINDS[config.kind](config)
    net(np.zeros((1, 2, GRID_BINS, 2), np.float32))
    return net


def save(net: SpectralNet, folder: str | Path, name: str = "last") -> None:
    """Write the configuration and the weights of a net into a folder."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(asdict(net.config), indent=2))
    net.save_weights(folder / f"{name}.weights.h5")


def save_compact(net: SpectralNet, path: str | Path) -> None:
    """Write configuration and weights into one file, weights in half precision.

    Enough to go on training from, at half the size; `load` reads it.
    """
    compact.write(Path(path), asdict(net.config), net.get_weights(), np.float16)


def load(folder: str | Path, name: str | None = None) -> SpectralNet:
    """Load a net from a run folder or from a file that `save_compact` wrote.

    Parameters
    ----------
    folder
        Run folder, or one ``.npz`` file.
    name
        Which weights of a folder: ``"ema"`` or ``"last"``; by default the averaged
        ones where they are.

    Raises
    ------
    ModelError
        If there is no net.
    """
    folder = Path(folder)
    if folder.suffix == ".npz" and folder.is_file():
        try:
            config, weights = compact.read(folder)
            net = build(NetConfig(**config))
            net.set_weights(weights)
        except (OSError, KeyError, ValueError, TypeError) as error:
            raise ModelError(f"{folder} holds no trained net: {error}") from error
        return net
    if not (folder / "config.json").is_file():
        raise ModelError(f"{folder} holds no trained net (no config.json)")
    net = build(NetConfig(**json.loads((folder / "config.json").read_text())))
    if name is None:
        name = "ema" if (folder / "ema.weights.h5").is_file() else "last"
    net.load_weights(folder / f"{name}.weights.h5")
    return net


def load_mean(names: Sequence[str]) -> SpectralNet:
    """Load nets, and return their mean: see `load` and `mean_of`.

    Parameters
    ----------
    names
        Each a run folder or a compact file; ``PATH:WEIGHT`` has another weight than 1.

    Raises
    ------
    ModelError
        If one holds no net, or they have no mean.
    """
    return mean_of([(load(path), weight) for path, weight in map(_weighted, names)])


def _weighted(text: str) -> tuple[Path, float]:
    """Split PATH:WEIGHT; the weight is 1 if there is none."""
    path, colon, weight = text.rpartition(":")
    try:
        return (Path(path), float(weight)) if colon else (Path(text), 1.0)
    except ValueError:
        return Path(text), 1.0


def with_floor(net: SpectralNet, floor: float | None = None) -> SpectralNet:
    """Return a net of the same weights with another floor.

    Parameters
    ----------
    net
        Of any kind.
    floor
        None for what exported nets of its kind have, which training counts on too.

    Raises
    ------
    ModelError
        If a net of its kind has none.
    """
    if floor is None:
        floor = LossConfig().floor if net.config.kind == "filter" else 0.0
    if floor == net.config.floor:
        return net
    if net.config.kind != "filter":
        raise ModelError(f"a net of kind {net.config.kind!r} has no floor")
    return _rebuilt(net, replace(net.config, floor=floor))


def mean_of(parts: Sequence[tuple[SpectralNet, float]]) -> SpectralNet:
    """Return a net whose weights are the weighted mean of some nets'.

    It is a good one only where they have been trained from the same weights.

    Raises
    ------
    ModelError
        If they are not alike, or their weights in the mean sum to nothing.
    """
    first = replace(parts[0][0].config, floor=0.0)
    total = sum(weight for _, weight in parts)
    if any(replace(net.config, floor=0.0) != first for net, _ in parts):
        raise ModelError("nets of different layers have no mean: give ones of one kind")
    if not total > 0.0:
        raise ModelError(f"the weights in the mean sum to {total}: give some above 0")
    sums = zip(*(net.get_weights() for net, _ in parts), strict=True)
    mean = build(first)
    mean.set_weights(
        [
            sum(w / total * x for (_, w), x in zip(parts, each, strict=True))
            for each in sums
        ]
    )
    return mean


def levelled(net: SpectralNet) -> SpectralNet:
    """Return the same net with the columns of its matrices at one size.

    What int8 weights lose is then what they would lose with one step size for each
    output. On best-3 the error goes from -26.5 to -36 dB of the output.
    """
    other = _rebuilt(net, net.config)
    for layer in matrix_layers(other):
        layer.level()
    return other


def set_half(net: SpectralNet, half: bool) -> None:
    """Have a net's products in training rounded to 16 bits, or not."""
    for layer in matrix_layers(net):
        layer.half = half


def matrix_layers(net: SpectralNet) -> list[Any]:
    """Return the layers of a net that have matrices: each `Dense` and `Recurrent`."""
    return [x for x in net._flatten_layers() if isinstance(x, Dense | Recurrent)]


def _rebuilt(net: SpectralNet, config: NetConfig) -> SpectralNet:
    """Build another net with the same weights."""
    other = build(config)
    other.set_weights(net.get_weights())
    return other
