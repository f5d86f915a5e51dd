"""Our own net: level-free features, a gated recurrent core, a filter over frames."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from streamdenoise.constants import GRID_BINS, HOP_SECONDS
from streamdenoise.train.layers import Dense
from streamdenoise.train.running import each_frame, running_mean
from streamdenoise.train.spectral import COMPRESSION, NetConfig, SpectralNet
from streamdenoise.train.steppable import States

USUAL_LEVEL = 0.6
"""Features are scaled to this mean: what full-range speech in noise has by itself."""

LEVEL_FLOOR = 0.06
"""Lowest running level: the dither of 16 bits. Quieter sound is not turned up."""

FLOOR_SECONDS = 1.5
"""Time constant by which the floor sinks once no voice is heard."""

VOICE_SHARE = 0.01
"""Share of a frame's power that, when let through, counts as a voice (-20 dB)."""

_TINY = 1e-10


class FilterNet(SpectralNet):
    """Dense, recurrent layers, a gain per bin, and a filter over time at low bins.

    *Features.* Compressed magnitudes, divided by their own running mean over bins and
    time: a second into a stream, what the net does does not depend on its level.

    *Output.* ``gain * (x[t] + sum_k w[k] x[t - k])`` with complex ``w`` over the
    last `taps` frames at the lowest bins, a gain in [0, 1] alone above them. Over
    overlapping frames, such a filter sees finer than one window can: between the
    harmonics of a voice. Multi-frame filters of this kind are from Mack and Habets,
    "Deep filtering for speech signals" (2020); to put them under the gain, so that
    the gain alone silences, is our choice.

    *Floor.* Loss functions reward silence between words, ears and PESQ do not: pauses
    of digital black sound cut off. With a `floor`, so much of the noisy frame stays
    while there is a voice and shortly after; without one it sinks away.

    All that a `GainNet` lacks begins at zero, so that one can be grown into this.
    """

    def __init__(self, config: NetConfig, **kwargs: Any) -> None:
        super().__init__(config, **kwargs)
        bins, taps = config.filter_bins, config.taps
        if not 1 <= bins <= GRID_BINS or taps < 1:
            raise ValueError(f"filter of {taps} taps over {bins} bins cannot be made")
        self.dense_in = Dense(config.units, "relu", name="dense_in")
        self.add_stack()
        self.skips = [
            self.add_weight(
                shape=(config.units,), initializer="zeros", name=f"skip_{i}"
            )
            for i in range(1, config.layers)
        ]
        self.head = keras.layers.TimeDistributed(
            Dense(GRID_BINS, "sigmoid", name="gain"), name="head"
        )
        self.filter = Dense(
            2 * bins * taps, "tanh", kernel_initializer="zeros", name="filter"
        )

    @property
    def state_spec(self) -> dict[str, tuple[int, ...]]:
        """States of the recurrent layers, the running level, and past frames."""
        spec = {**super().state_spec, "level": (1,), "heard": (1,)}
        if self.config.taps > 1:
            spec["past"] = (2, self.config.taps - 1, self.config.filter_bins)
        if self.config.floor:
            spec["silent"] = (1,)
        return spec

    def core(self, x: Any, states: States, training: bool) -> Any:
        """Scale each bin, after the low ones have been filtered.

        Works on planes of real and imaginary parts, ``[2, T, B, bins]``: to pick them
        out of pairs costs TFLite as much as a small matrix.
        """
        planes = ops.transpose(x, (3, 0, 1, 2))
        power = _power(planes)
        y = self.dense_in(self._features(power, states))
        for i in range(self.config.layers):
            above = self.layer(i, y, states, training)
            y = above + self.skips[i - 1] * y if i else above
        # The layer inside does the same for all frames at once; `TimeDistributed` goes
        # through the rows one by one, which TFLite does slowly.
        if not self.head.built:
            self.head.build(tuple(y.shape))
        gain = self.head.layer(y)
        out = gain * self._filtered(planes, self.filter(y), states)
        if self.config.floor:
            out = self._floored(planes, power, out, states)
        return ops.transpose(out, (1, 2, 3, 0))

    def _filtered(self, planes: Any, weights: Any, states: States) -> Any:
        """Filter the low bins over the last frames; the others stay."""
        bins, taps = self.config.filter_bins, self.config.taps
        low = planes[..., :bins]
        lows = self._with_past(low, states)
        real, imag = ops.split(lows, 2, axis=0)
        turned = ops.concatenate([-imag, real], axis=0)
        for k in range(taps):
            at = 2 * k * bins
            u, v = weights[..., at : at + bins], weights[..., at + bins : at + 2 * bins]
            # As they were so many frames ago.
            start, stop = taps - 1 - k, -k or None
            low = low + u * lows[:, start:stop] + v * turned[:, start:stop]
        if bins < GRID_BINS:
            low = ops.concatenate([low, planes[..., bins:]], axis=-1)
        return low

    def _with_past(self, low: Any, states: States) -> Any:
        """Return the low bins ``[2, T, B, bins]`` with the past frames in front."""
        if "past" in states:
            past = ops.transpose(states["past"], (1, 2, 0, 3))
            low = ops.concatenate([past, low], axis=1)
            # Counted from the end: the input may be shorter than the past.
            last = low[:, 1 - self.config.taps :]
            states["past"] = ops.transpose(last, (2, 0, 1, 3))
        return low

    def _floored(self, planes: Any, power: Any, out: Any, states: States) -> Any:
        """Blend a little of the noisy planes ``[2, T, B, 257]`` under the enhanced.

        The state is how far the floor has sunk, so that zero begins a stream with it.
        """
        heard = ops.sum(power, axis=-1, keepdims=True)
        kept = ops.sum(_power(out), axis=-1, keepdims=True)
        silent = 1.0 - ops.minimum(kept / (VOICE_SHARE * heard + _TINY), 1.0)
        keep = math.exp(-HOP_SECONDS / FLOOR_SECONDS)

        def body(old: Any, now: Any) -> tuple[Any, Any]:
            new = ops.minimum(1.0 - keep + keep * old, now)
            return new, new

        states["silent"], sunk = each_frame(body, states["silent"], silent)
        return out + self.config.floor * (1.0 - sunk) * (planes - out)

    def _features(self, power: Any, states: States) -> Any:
        """Return compressed magnitudes over their running mean, ``[T, B, 257]``."""
        loud = ops.exp((COMPRESSION / 2) * ops.log(power + _TINY))
        now = ops.mean(loud, axis=-1, keepdims=True)
        mean = ops.maximum(running_mean(now, states, USUAL_LEVEL), LEVEL_FLOOR)
        return loud * (2.0 * USUAL_LEVEL / mean) - 1.0


def _power(planes: Any) -> Any:
    """Return the power of planes ``[2, T, B, bins]``, without the first axis."""
    real, imag = ops.split(planes * planes, 2, axis=0)
    return ops.squeeze(real + imag, axis=0)
