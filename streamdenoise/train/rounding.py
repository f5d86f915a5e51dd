"""Int8 weights whose rounding errors cancel.

Rounded to the nearest, each weight has an error of its own, and an output is wrong by
the sum of them. But what a layer hears is far from random: so each weight takes over
what those before it have done wrong, as far as their inputs go together. After Frantar
et al., "GPTQ: accurate post-training quantization for generative pre-trained
transformers" (2023), section 3, without its blocks. What a layer hears is measured on
sounds made from nothing, so that an export needs no recordings.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamdenoise.constants import GRID_HOP, GRID_RATE
from streamdenoise.train import nets
from streamdenoise.train.losses import stft
from streamdenoise.train.parity import speech_like

LEVELS = 127
"""Steps of an int8 weight on each side of zero, as the converter makes them."""

SMALL = 1024
"""Values of a matrix below which the converter leaves it in float32."""

DAMPING = 0.01
"""Share of the mean power of all inputs that is added to each one's."""

_ROWS, _SECONDS = 48, 4.0
"""Sounds that layers are listened to with, and their length."""

Matrix = NDArray[np.float64]


def rounded(net: nets.SpectralNet) -> nets.SpectralNet:
    """Return a net as `nets.levelled` does, with its large matrices ready for int8.

    Their columns lie on the steps that the converter will round to.

    Parameters
    ----------
    net
        A built net, which stays as it is.
    """
    moments = moments_of(net, _sounds())
    other = nets.levelled(net)
    for layer in nets.matrix_layers(other):
        for kernel, moment in zip(layer.kernels, moments[layer.name], strict=True):
            if np.size(kernel) >= SMALL:
                kernel.assign(rounded_matrix(np.asarray(kernel), moment))
    return other


def moments_of(net: nets.SpectralNet, sounds: Any) -> dict[str, list[Matrix]]:
    """Return the mean outer product of what each matrix of each layer is multiplied by.

    Parameters
    ----------
    net
        A built net.
    sounds
        Waveforms ``[B, samples]`` at 16 kHz of whole hops.

    Returns
    -------
    dict
        By the layer's name, one ``[K, K]`` for each of its `kernels`.
    """
    sums: dict[str, list[Matrix]] = {}
    counts: dict[str, int] = {}

    def listener(layer: Any, inputs: list[Any]) -> None:
        flat = [np.asarray(x).reshape(-1, x.shape[-1]) for x in inputs]
        new = [(x.T @ x).astype(np.float64) for x in flat]
        old = sums.setdefault(layer.name, [np.zeros_like(m) for m in new])
        sums[layer.name] = [a + b for a, b in zip(old, new, strict=True)]
        counts[layer.name] = counts.get(layer.name, 0) + len(flat[0])

    layers = nets.matrix_layers(net)
    for layer in layers:
        layer.listener = listener
    try:
        net(stft(sounds))
    finally:
        for layer in layers:
            layer.listener = None
    return {name: [m / counts[name] for m in each] for name, each in sums.items()}


def rounded_matrix(
    weights: NDArray[np.floating[Any]], moment: Matrix
) -> NDArray[np.float32]:
    """Round a matrix so that its products change as little as they can.

    Parameters
    ----------
    weights
        ``[K, M]``, none of them larger than 1.
    moment
        Mean outer product of what is multiplied by it, ``[K, K]``.

    Returns
    -------
    ndarray
        Of whole multiples of 1 / `LEVELS`.
    """
    damped = moment + np.eye(len(moment)) * (DAMPING * np.mean(np.diag(moment)) + 1e-12)
    # The strongest inputs first: most are left then to make up for them.
    order = np.argsort(-np.diag(damped), kind="stable")
    left = weights[order].astype(np.float64) * LEVELS
    # Row i of this factor is what the rows after i do about an error in row i, once
    # those before i are settled.
    factor = np.linalg.cholesky(np.linalg.inv(damped[np.ix_(order, order)])).T
    for i, row in enumerate(factor):
        steps = np.clip(np.round(left[i]), -LEVELS, LEVELS)
        error = (left[i] - steps) / row[i]
        left[i] = steps
        left[i + 1 :] -= np.outer(row[i + 1 :], error)
    out = np.empty(weights.shape, np.float32)
    out[order] = left / LEVELS
    return out


def _sounds() -> NDArray[np.float32]:
    """Return what nets are to hear: speech-like sounds in more and less noise."""
    rng = np.random.default_rng(20)
    size = round(_SECONDS * GRID_RATE) // GRID_HOP * GRID_HOP
    rows = [
        speech_like(_SECONDS, seed, float(rng.uniform(-5.0, 40.0)))[:size]
        * np.float32(10.0 ** (rng.uniform(-20.0, 20.0) / 20.0))
        for seed in range(1, _ROWS + 1)
    ]
    return np.stack(rows)
