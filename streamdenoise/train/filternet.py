"""Our own net: level-free features, a gated recurrent core, a filter over frames."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from streamdenoise.constants import GRID_BINS, HOP_SECONDS
from streamdenoise.train.layers import LOOP_LIMIT, Dense
from streamdenoise.train.spectral import COMPRESSION, NetConfig, SpectralNet, States

MEMORY_SECONDS = 2.5
"""Time constant of the running level."""

PRIOR_FRAMES = 30
"""Weight of the usual level at the start of a stream, as a number of frames. Without
it, the hiss before the first word would look as loud as speech."""

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
        spec = {**super().state_spec, "level": (2,)}
        if self.config.taps > 1:
            spec["past"] = (self.config.taps - 1, self.config.filter_bins, 2)
        if self.config.floor:
            spec["silent"] = (1,)
        return spec

    def core(self, x: Any, states: States, training: bool) -> Any:
        """Scale each bin, after the low ones have been filtered."""
        bins, taps = self.config.filter_bins, self.config.taps
        real, imag = x[..., 0], x[..., 1]
        lows = self._with_past(x, states)
        y = self.dense_in(self._features(real, imag, states))
        for i in range(self.config.layers):
            above = self.layer(i, y, states, training)
            y = above + self.skips[i - 1] * y if i else above
        gain = self.head(y)
        weights = self.filter(y)
        low_real, low_imag = real[..., :bins], imag[..., :bins]
        for k in range(taps):
            a, b = self._delayed(lows, k)
            at = 2 * k * bins
            u, v = weights[..., at : at + bins], weights[..., at + bins : at + 2 * bins]
            low_real = low_real + u * a - v * b
            low_imag = low_imag + u * b + v * a
        if bins < GRID_BINS:
            low_real = ops.concatenate([low_real, real[..., bins:]], axis=-1)
            low_imag = ops.concatenate([low_imag, imag[..., bins:]], axis=-1)
        y = ops.stack([gain * low_real, gain * low_imag], axis=-1)
        return self._floored(x, y, states) if self.config.floor else y

    def _with_past(self, x: Any, states: States) -> tuple[Any, Any]:
        """Return real and imaginary low bins with the past frames in front."""
        low = x[:, :, : self.config.filter_bins]
        if "past" in states:
            past = ops.transpose(states["past"], (1, 0, 2, 3))
            low = ops.concatenate([past, low], axis=0)
            # Counted from the end: the input may be shorter than the past.
            last = low[1 - self.config.taps :]
            states["past"] = ops.transpose(last, (1, 0, 2, 3))
        return low[..., 0], low[..., 1]

    def _delayed(self, lows: tuple[Any, Any], frames: int) -> tuple[Any, Any]:
        """Return the low bins as they were so many frames ago."""
        start = self.config.taps - 1 - frames
        stop = -frames or None
        return lows[0][start:stop], lows[1][start:stop]

    def _floored(self, x: Any, y: Any, states: States) -> Any:
        """Blend a little of the noisy frames ``[T, B, 257, 2]`` under the enhanced.

        The state is how far the floor has sunk, so that zero begins a stream with it.
        """
        heard, kept = ops.sum(x * x, axis=(-2, -1)), ops.sum(y * y, axis=(-2, -1))
        silent = 1.0 - ops.minimum(kept / (VOICE_SHARE * heard + _TINY), 1.0)
        keep = math.exp(-HOP_SECONDS / FLOOR_SECONDS)

        def body(old: Any, now: Any) -> tuple[Any, Any]:
            new = ops.minimum(1.0 - keep + keep * old, now)
            return new, new

        last, sunk = self._each(body, states["silent"][:, 0], silent)
        states["silent"] = last[:, None]
        return y + (self.config.floor * (1.0 - sunk))[..., None, None] * (x - y)

    @staticmethod
    def _each(body: Any, last: Any, frames: Any) -> tuple[Any, Any]:
        """Scan over frames, few of them one by one.

        Any other order rounds otherwise, and int8 activations make a visible step of
        the last bit; `steps` has to agree with `step`.
        """
        count = frames.shape[0]
        if count is None or count > LOOP_LIMIT:
            return ops.scan(body, last, frames)  # type: ignore[no-any-return]
        each = []
        for t in range(count):
            last, new = body(last, frames[t])
            each.append(new)
        return last, ops.stack(each)

    def _features(self, real: Any, imag: Any, states: States) -> Any:
        """Return compressed magnitudes over their running mean, ``[T, B, 257]``."""
        loud = ops.exp((COMPRESSION / 2) * ops.log(real * real + imag * imag + _TINY))
        mean = ops.maximum(self._level(ops.mean(loud, axis=-1), states), LEVEL_FLOOR)
        return loud * (2.0 * USUAL_LEVEL / mean)[..., None] - 1.0

    def _level(self, now: Any, states: States) -> Any:
        """Return the running mean of `now`, ``[T, B]``, up to each frame.

        A leaky sum over a leaky count, beginning at the usual level.
        """
        keep = math.exp(-HOP_SECONDS / MEMORY_SECONDS)

        def body(old: Any, pair: Any) -> tuple[Any, Any]:
            new = keep * old + pair
            return new, new

        pairs = ops.stack([now, ops.ones_like(now)], axis=-1)
        last, sums = self._each(body, states["level"], pairs)
        states["level"] = last
        total, count = sums[..., 0], sums[..., 1]
        # What is left of the prior: the count says how long the stream has run.
        prior = PRIOR_FRAMES * (1.0 - (1.0 - keep) * count)
        return (total + USUAL_LEVEL * prior) / (count + prior)
