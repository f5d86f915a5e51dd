"""The nets: all map noisy spectra to enhanced spectra and carry explicit state.

Every net is one function, `SpectralNet.run`: frames and states in, enhanced frames
and new states out. Training runs whole sequences from zero states, the exported
``step`` runs one frame, ``steps`` a few: the same code, so they cannot disagree.
Layers, and everything in between, use `keras.ops` only.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from streamdenoise.constants import GRID_BINS
from streamdenoise.errors import ModelError
from streamdenoise.train.layers import Recurrent

States = dict[str, Any]

COMPRESSION = 0.3
_TINY = 1e-10


@dataclass(frozen=True)
class NetConfig:
    """What a net is made of; enough to build it again.

    Attributes
    ----------
    kind
        ``"gain"`` (one Dense, recurrent layers, one gain per bin), ``"band"``
        (recurrent layers shared over bands, complex mask) or ``"tutorial"``
        (magnitude to magnitude).
    cell
        ``"gru"``, ``"lstm"`` or ``"simple_rnn"``.
    units
        Units of each recurrent layer; of the full-band layer for ``"band"``.
    layers
        Recurrent layers, or blocks for ``"band"``.
    channels
        Features of each band (``"band"`` only).
    dropout
        Share of units dropped while training.
    bidirectional
        Also run backwards in time: an upper bound for files, never live.
    """

    kind: str = "gain"
    cell: str = "gru"
    units: int = 256
    layers: int = 2
    channels: int = 32
    dropout: float = 0.0
    bidirectional: bool = False


class SpectralNet(keras.Model):  # type: ignore[misc]
    """Base of all nets.

    Subclasses create layers in ``__init__`` and define `core`, which works on
    time-major spectra ``[T, B, bins, 2]``.
    """

    def __init__(self, config: NetConfig, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.config = config
        self.recurrents: dict[str, Recurrent] = {}
        self.rows: dict[str, int] = {}

    @property
    def causal(self) -> bool:
        """Whether the net can run frame by frame."""
        return not self.config.bidirectional

    @property
    def state_spec(self) -> dict[str, tuple[int, ...]]:
        """Name and shape (without batch) of each state tensor."""
        spec: dict[str, tuple[int, ...]] = {}
        for name, layer in self.recurrents.items():
            rows = self.rows[name]
            shape = (layer.units,) if rows == 1 else (rows, layer.units)
            for part in layer.state_names:
                spec[f"{name}_{part}"] = shape
        return spec

    def zero_states(self, batch: int) -> States:
        """Return initial states for `batch` independent streams."""
        return {k: ops.zeros((batch, *s)) for k, s in self.state_spec.items()}

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

    def step(self, frame: Any, states: States) -> tuple[Any, States]:
        """Enhance one frame ``[B, bins, 2]`` from given states."""
        y, states = self.run(frame[:, None], states)
        return y[:, 0], states

    def core(self, x: Any, states: States, training: bool) -> Any:
        """Map time-major spectra; reads and replaces entries of `states`."""
        raise NotImplementedError

    def recur(self, name: str, x: Any, states: States) -> Any:
        """Run the recurrent layer `name` on ``[T, B, (rows,) features]``."""
        layer, rows = self.recurrents[name], self.rows[name]
        keys = [f"{name}_{part}" for part in layer.state_names]
        shape = ops.shape(x)
        flat = ops.reshape(x, (shape[0], -1, shape[-1])) if rows > 1 else x
        state = [ops.reshape(states[k], (-1, layer.units)) for k in keys]
        y, state = layer(flat, state)
        for key, value in zip(keys, state, strict=True):
            states[key] = ops.reshape(value, ops.shape(states[key]))
        return ops.reshape(y, (*shape[:-1], layer.units)) if rows > 1 else y

    def add_recurrent(
        self, name: str, units: int, *, rows: int = 1, reverse: bool = False
    ) -> None:
        """Register a recurrent layer with `rows` independent rows per stream."""
        layer = Recurrent(self.config.cell, units, reverse=reverse, name=name)
        setattr(self, name, layer)  # Keras tracks layers that are attributes.
        self.recurrents[name] = layer
        self.rows[name] = rows

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
            forward = self.recur(f"rnn_{i}", y, states)
            if self.config.bidirectional:
                forward = (forward + self.recur(f"back_{i}", y, states)) * 0.5
            y = self.drop(forward, training=training)
        return y


def magnitude(x: Any) -> Any:
    """Return ``|x|`` of ``[..., 2]``, with a gradient at zero."""
    return ops.sqrt(x[..., 0] * x[..., 0] + x[..., 1] * x[..., 1] + _TINY)


class GainNet(SpectralNet):
    """One Dense, a stack of recurrent layers, and one gain in [0, 1] per bin."""

    def __init__(self, config: NetConfig, **kwargs: Any) -> None:
        super().__init__(config, **kwargs)
        self.dense_in = keras.layers.Dense(config.units, "relu", name="dense_in")
        self.add_stack()
        self.head = keras.layers.TimeDistributed(
            keras.layers.Dense(GRID_BINS, "sigmoid", name="gain"), name="head"
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
            keras.layers.Dense(GRID_BINS, "sigmoid", name="magnitude"), name="head"
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


BAND_SPLIT = ((64, 4), (64, 8), (128, 16))
"""Bins 1 to 256 in three regions: (bins, bins of one band). 32 bands in all."""


class BandNet(SpectralNet):
    """Recurrent layers shared over bands, mixed across bands, and a complex mask.

    Bins 1 to 256 are cut into bands that widen with frequency. Each band is coded
    into a few features together with its neighbours' bins; blocks then alternate a
    recurrent layer over time, whose weights all bands share, with a dense layer
    across bands. One full-band recurrent layer gives every band the same long
    memory of the scene. The mask is a gain in [0, 1] and a turn of at most a right
    angle, so the output is never louder than the input in any bin.

    The idea of one small recurrence shared by all bands, interleaved with mixing
    across frequency, is that of dual-path and sub-band nets (Luo, Chen and
    Yoshioka 2020; Rong et al., GTCRN, 2024); the layout is our own.
    """

    def __init__(self, config: NetConfig, **kwargs: Any) -> None:
        super().__init__(config, **kwargs)
        c = config.channels
        self.counts = [bins // width for bins, width in BAND_SPLIT]
        self.bands = sum(self.counts)
        self.encoders = [
            keras.layers.Dense(c, "relu", name=f"encoder_{i}")
            for i in range(len(BAND_SPLIT))
        ]
        self.position = self.add_weight(
            shape=(self.bands, c), initializer="zeros", name="position"
        )
        self.outs, self.mixes, self.merges = [], [], []
        for i in range(config.layers):
            self.add_recurrent(f"band_{i}", c, rows=self.bands)
            self.outs.append(keras.layers.Dense(c, name=f"out_{i}"))
            self.mixes.append(
                keras.layers.Dense(self.bands, "relu", name=f"mix_{i}")
            )
            self.merges.append(keras.layers.Dense(c, name=f"merge_{i}"))
        if config.units:
            self.squeeze = keras.layers.Dense(4, "relu", name="squeeze")
            self.add_recurrent("full", config.units)
            self.spread = keras.layers.Dense(self.bands * c, name="spread")
        self.decoders = [
            keras.layers.Dense(2 * width, name=f"decoder_{i}")
            for i, (_, width) in enumerate(BAND_SPLIT)
        ]

    def core(self, x: Any, states: States, training: bool) -> Any:
        """Multiply by a complex mask; bin 0 takes the mask of bin 1."""
        coded = self._encode(x)
        y = coded + self.position
        for i in range(self.config.layers):
            y = y + self.outs[i](self.recur(f"band_{i}", y, states))
            across = self.mixes[i](ops.swapaxes(y, -1, -2))
            y = y + self.merges[i](ops.swapaxes(across, -1, -2))
            if i == 0 and self.config.units:
                y = y + self._scene(y, states)
        return self._mask(x, self._decode(ops.concatenate([y, coded], axis=-1)))

    def _encode(self, x: Any) -> Any:
        """Code compressed bins into ``[T, B, bands, channels]``."""
        level = magnitude(x)
        gain = ops.power(level, COMPRESSION - 1.0)[..., None]
        features = ops.concatenate(
            [x * gain, ops.power(level, COMPRESSION)[..., None]], axis=-1
        )[..., 1:, :]
        coded, at = [], 0
        for layer, count, (bins, width) in zip(
            self.encoders, self.counts, BAND_SPLIT, strict=True
        ):
            coded.append(layer(_patches(features, at, count, width)))
            at += bins
        return ops.concatenate(coded, axis=-2)

    def _scene(self, y: Any, states: States) -> Any:
        """Return what the full-band layer adds to every band."""
        shape = ops.shape(y)
        squeezed = ops.reshape(self.squeeze(y), (*shape[:2], self.bands * 4))
        return ops.reshape(self.spread(self.recur("full", squeezed, states)), shape)

    def _decode(self, y: Any) -> Any:
        """Turn band features into two numbers per bin, ``[T, B, 257, 2]``."""
        edge = ops.zeros_like(y[..., :1, :])
        y = ops.concatenate(
            [
                ops.concatenate([edge, y[..., :-1, :]], axis=-2),
                y,
                ops.concatenate([y[..., 1:, :], edge], axis=-2),
            ],
            axis=-1,
        )
        parts, at = [], 0
        for layer, count, (bins, _) in zip(
            self.decoders, self.counts, BAND_SPLIT, strict=True
        ):
            part = layer(y[..., at : at + count, :])
            parts.append(ops.reshape(part, (*ops.shape(part)[:2], bins, 2)))
            at += count
        mask = ops.concatenate(parts, axis=-2)
        return ops.concatenate([mask[..., :1, :], mask], axis=-2)

    @staticmethod
    def _mask(x: Any, raw: Any) -> Any:
        """Apply gain and turn."""
        turn = raw[..., 1]
        gain = ops.sigmoid(raw[..., 0] + 1.0) * ops.rsqrt(1.0 + turn * turn)
        real, imag = x[..., 0], x[..., 1]
        return ops.stack(
            [gain * (real - turn * imag), gain * (imag + turn * real)], axis=-1
        )


def _patches(features: Any, start: int, count: int, width: int) -> Any:
    """Cut `count` bands of `width` bins, each with half a band on either side."""
    half = width // 2
    low, high = start - half, start + count * width + half
    pad = [[0, 0]] * (len(features.shape) - 2) + [
        [max(0, -low), max(0, high - features.shape[-2])],
        [0, 0],
    ]
    wide = ops.pad(features, pad)[..., max(low, 0) : max(low, 0) + high - low, :]
    shape = ops.shape(wide)
    # Half-bands: band k is half-bands 2k, 2k+1, 2k+2 and 2k+3 around its middle.
    halves = ops.reshape(wide, (*shape[:2], 2 * count + 2, half * shape[-1]))
    return ops.concatenate(
        [halves[..., i : i + 2 * count : 2, :] for i in range(4)], axis=-1
    )


KINDS = {"gain": GainNet, "band": BandNet, "tutorial": TutorialNet}


def build(config: NetConfig) -> SpectralNet:
    """Build a net with initial weights.

    Raises
    ------
    ModelError
        If the kind is unknown, or the kind has no bidirectional form.
    """
    if config.kind not in KINDS:
        raise ModelError(f"no net is called {config.kind!r}; choose from {list(KINDS)}")
    if config.bidirectional and config.kind == "band":
        raise ModelError("a band net has no bidirectional form; use kind 'gain'")
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
    weights = {f"{i:03}": np.float16(w) for i, w in enumerate(net.get_weights())}
    with Path(path).open("wb") as file:
        np.savez_compressed(file, config=json.dumps(asdict(net.config)), **weights)


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
        with np.load(folder) as saved:
            net = build(NetConfig(**json.loads(str(saved["config"]))))
            keys = sorted(k for k in saved.files if k != "config")
            net.set_weights([saved[k].astype(np.float32) for k in keys])
        return net
    if not (folder / "config.json").is_file():
        raise ModelError(f"{folder} holds no trained net (no config.json)")
    net = build(NetConfig(**json.loads((folder / "config.json").read_text())))
    if name is None:
        name = "ema" if (folder / "ema.weights.h5").is_file() else "last"
    net.load_weights(folder / f"{name}.weights.h5")
    return net
