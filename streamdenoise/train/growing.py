"""Growing a trained net into a larger one that does the same."""

from __future__ import annotations

from typing import Any

import numpy as np

from streamdenoise.errors import ModelError
from streamdenoise.train.layers import GATES
from streamdenoise.train.nets import build
from streamdenoise.train.spectral import (
    NetConfig,
    SpectralNet,
)

__all__ = ["grow"]


def grow(small: SpectralNet, config: NetConfig) -> SpectralNet:
    """Build a larger net that does what a small one does, to train on from there.

    Weights of the same name are carried over. Where a layer is wider, what is new
    hears everything, and nobody listens to it yet: outputs stay the same while the
    gradient already reaches it. Layers that only the large net has must begin by
    doing nothing; those of `FilterNet` do.

    Parameters
    ----------
    small
        A trained net of the same cell, with no more units or layers.
    config
        Of the large net.

    Raises
    ------
    ModelError
        If a layer would have to shrink.
    """
    net = build(config)
    known = {_name_of(v): np.asarray(v) for v in small.weights}
    for variable in net.weights:
        name = _name_of(variable)
        if name not in known:
            continue
        old, new = known[name], np.asarray(variable)
        parts: tuple[tuple[int, ...], tuple[int, ...]] = (1,), (1,)
        if name.startswith(("rnn_", "back_")):
            parts = (GATES[config.cell],), (GATES[config.cell],)
        elif name.startswith("filter/"):
            # Taps, then real and imaginary parts, then bins.
            parts = (small.config.taps, 2), (config.taps, 2)
        old, new = (
            w.reshape(*w.shape[:-1], *part, -1)
            for w, part in zip((old, new), parts, strict=True)
        )
        variable.assign(_widened(old, new, name).reshape(variable.shape))
    return net


def _name_of(variable: Any) -> str:
    """Return the layer and the weight: Keras numbers the nets and cells."""
    parts = str(variable.path).split("/")
    return "/".join(dict.fromkeys((parts[1], parts[-1])))


def _widened(old: Any, new: Any, name: str) -> Any:
    """Put a small weight into the leading corner of a large one.

    What leads to outputs that were there before and comes from elsewhere is zero.
    """
    if any(a > b for a, b in zip(old.shape, new.shape, strict=True)):
        raise ModelError(f"{name} would have to shrink: choose a larger net")
    out = new.copy()
    out[..., : old.shape[-1]] = 0.0
    out[tuple(slice(0, size) for size in old.shape)] = old
    return out
