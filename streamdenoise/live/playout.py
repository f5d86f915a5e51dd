"""Frames on their way out of a ring: resampled, cut without a click, faded.

What is to be done is for `bridge` to decide; here it is done.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from .resample import HALF, Resampler
from .ring import FloatArray, Ring

__all__ = ["Playout"]

FADE_SECONDS: Final = 0.004
"""Length of every fade."""

QUIET: Final = 0.1
"""A place with this share of the usual power is quiet."""

_PLACES: Final = 6
_LEVEL_SMOOTHING: Final = 0.02
_SILENCE: Final = 1e-9


class Playout:
    """Takes frames out of a ring; output side only.

    Parameters
    ----------
    ring
        Where they wait.
    rate
        Frames per second.
    most
        Frames that are read at once.

    Attributes
    ----------
    resampler : Resampler
        Its ratio says how many frames are read for those that are given.
    cut
        Frames that the last `read` dropped; None if there were not as many.
    """

    def __init__(self, ring: Ring, rate: int, most: int) -> None:
        channels = ring.channels
        self._ring = ring
        self.resampler = Resampler(channels, most)
        self.cut: int | None = 0
        self._level = 0.0
        self._fade = max(1, round(FADE_SECONDS * rate))
        self._rise: FloatArray = _rising(self._fade)
        # The last frames that were read, and what lies behind a cut.
        self._past: FloatArray = np.zeros((max(HALF, self._fade), channels), "f4")
        self._behind: FloatArray = np.zeros(
            (self.resampler.room + HALF, channels), "f4"
        )

    def read(self, out: FloatArray, piece: int = 0, anywhere: bool = False) -> int:
        """Fill `out`, shape (n, channels), and drop a piece if this is a place for it.

        Parameters
        ----------
        out
            Where to; no more than `most` frames.
        piece
            Frames to drop.
        anywhere
            Whether it need not be quiet.

        Returns
        -------
        int
            For how many frames there was something; the others are undefined.
        """
        self.cut = 0
        got = self._read(out, piece, anywhere)
        self._level += _LEVEL_SMOOTHING * (_power(out[:got]) - self._level)
        return got

    def _read(self, out: FloatArray, piece: int, anywhere: bool) -> int:
        ring, resampler = self._ring, self.resampler
        if not piece and resampler.idle:
            got = ring.read(out)
            self._remember(out[:got])
            return got
        wanted, past = len(out), len(self._past)
        need = resampler.needed(wanted)
        source = resampler.source[: need + 2 * HALF]
        source[:HALF] = self._past[past - HALF :]
        front = source[HALF:]
        there = ring.peek(front)
        front[there:] = 0.0
        if piece and there >= need:
            self.cut = self._splice(front, need, piece, anywhere)
        resampler.process(out)
        self._remember(front[: min(need, there)])
        ring.skip(need + (self.cut or 0))
        return wanted if there >= need else min(wanted, max(0, there - 1))

    def fade_in(self, out: FloatArray) -> None:
        """Let `out` begin with silence."""
        count = min(self._fade, len(out))
        out[:count] *= self._rise[:count]

    def fade_out(self, out: FloatArray, got: int) -> None:
        """Let `out` end in silence, whose first `got` frames were read."""
        out[got:] = 0.0
        fade = self._fade
        if got:
            count = min(fade, got)
            out[got - count : got] *= self._rise[:count][::-1]
        else:
            # The last frames once more, backwards: there is no step, and no click.
            count = min(fade, len(out))
            out[:count] = self._past[::-1][:count]
            out[:count] *= self._rise[fade - count :][::-1]

    def _splice(
        self, front: FloatArray, need: int, piece: int, anywhere: bool
    ) -> int | None:
        """Drop frames out of `front` if this is a good place; return how many.

        What follows the place is cross-faded with what follows the frames dropped.
        """
        behind = self._behind[: len(front)]
        if self._ring.peek(behind, piece) < len(behind):
            return None
        fade = min(self._fade, need)
        place, power = _quietest(front, behind, need, fade)
        if not anywhere and power > max(QUIET * self._level, _SILENCE):
            return 0
        rise = self._rise if fade == self._fade else _rising(fade)
        end = place + fade
        front[place:end] += rise * (behind[place:end] - front[place:end])
        front[end:] = behind[end:]
        return piece

    def _remember(self, frames: FloatArray) -> None:
        count, past = len(frames), self._past
        if count >= len(past):
            past[:] = frames[count - len(past) :]
        elif count:
            past[:-count] = past[count:]
            past[-count:] = frames


def _rising(count: int) -> FloatArray:
    """Weights of a raised cosine, shape (count, 1); with their mirror they sum to 1."""
    turn = np.pi * (np.arange(count) + 0.5) / count
    return (0.5 - 0.5 * np.cos(turn)).astype(np.float32)[:, None]


def _power(block: FloatArray) -> float:
    flat = block.reshape(-1)
    return float(flat.dot(flat)) / max(1, flat.size)


def _quietest(
    front: FloatArray, behind: FloatArray, need: int, fade: int
) -> tuple[int, float]:
    """Return the best place of a cut, and the mean power of both sides there."""
    best, least = 0, float("inf")
    for at in range(_PLACES):
        place = (need - fade) * at // (_PLACES - 1)
        power = _power(front[place : place + fade])
        power = max(power, _power(behind[place : place + fade]))
        if power < least:
            best, least = place, power
    return best, least
