"""What nets carry from frame to frame beside their recurrent layers."""

from __future__ import annotations

import math
from typing import Any

from keras import ops

from streamdenoise.constants import HOP_SECONDS
from streamdenoise.train.layers import LOOP_LIMIT

MEMORY_SECONDS = 2.5
"""Time constant of the running level."""

PRIOR_FRAMES = 30
"""Weight of the usual level at the start of a stream, as a number of frames. Without
it, the hiss before the first word would look as loud as speech."""


def each_frame(body: Any, last: Any, frames: Any) -> tuple[Any, Any]:
    """Scan over frames, few of them one by one.

    Any other order rounds otherwise, and int8 activations make a visible step of
    the last bit; `steps` has to agree with `step`.
    """
    count = frames.shape[0]
    if count is None or count > LOOP_LIMIT:
        return ops.scan(body, last, frames)  # type: ignore[no-any-return]
    each = []
    # No index and no stack: TFLite takes its time over both.
    for frame in ops.split(frames, count, axis=0) if count > 1 else [frames]:
        last, new = body(last, ops.squeeze(frame, axis=0))
        each.append(new[None])
    return last, ops.concatenate(each, axis=0)


def running_mean(now: Any, states: dict[str, Any], usual: float) -> Any:
    """Return the running mean of `now`, ``[T, B, 1]``, up to each frame.

    A leaky sum over a leaky count, beginning at the usual level.

    Parameters
    ----------
    now
        Of each frame, ``[T, B, 1]``.
    states
        ``level`` and ``heard`` are replaced; zeros begin a stream.
    usual
        The mean before anything was heard.
    """
    keep = math.exp(-HOP_SECONDS / MEMORY_SECONDS)

    def body(old: Any, new: Any) -> tuple[Any, Any]:
        new = keep * old + new
        return new, new

    states["level"], total = each_frame(body, states["level"], now)
    ones = ops.ones_like(now)
    states["heard"], count = each_frame(body, states["heard"], ones)
    # What is left of the prior: the count says how long the stream has run.
    prior = PRIOR_FRAMES * (1.0 - (1.0 - keep) * count)
    return (total + usual * prior) / (count + prior)
