"""The two passes of ``--two-pass``: sound is heard in both directions.

The second pass hears the same sound backwards: its past is what is yet to come. The
mean of the two is better than either, see ``docs/scale.md``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..engine import Denoiser, State

    Blocks = Iterable[NDArray[np.float32]]

__all__ = ["BACK_RUN_IN", "Feed", "TwoPasses", "chunk_of", "fade_in"]

BACK_RUN_IN: Final = 8.0
"""Seconds that the pass backwards hears before what it says counts."""

_CHUNK: Final = 60.0
_LEAST_CHUNK: Final = 20.0
_CHUNK_VALUES: Final = 1 << 23
_FADE: Final = 1.0


def fade_in(count: int) -> NDArray[np.float32]:
    """Return weights from 0 to 1, shape (count, 1)."""
    # Both sides of a seam are the same sound: their weights add up, not their squares.
    ramp = (np.arange(count, dtype=np.float32) + np.float32(0.5)) / np.float32(count)
    weights: NDArray[np.float32] = ramp[:, None]
    return weights


def chunk_of(rate: int, channels: int, unit: int) -> int:
    """Return the samples of a chunk that the pass backwards does at once."""
    most = max(_CHUNK_VALUES // channels, round(_LEAST_CHUNK * rate))
    return max(min(round(_CHUNK * rate), most) // unit, 1) * unit


class TwoPasses:
    """The mean of a pass forwards and one backwards.

    The pass backwards is done in chunks, each with some sound after it that is heard
    and thrown away, so that memory does not grow with the recording. Two arrays of a
    chunk's length are held: the input, which it turns into what it makes of it, and
    what the pass forwards makes of it.

    Parameters
    ----------
    forward, backward
        Engines at their beginning.
    unit
        Samples that the model takes at once; chunks are cut there.
    size
        Samples that an engine is given at once: some units.

    Attributes
    ----------
    unit
        Parts have whole ones, chunks, but for the last.
    again
        Samples before its part that it hears once more, from the second part on.
    """

    def __init__(
        self, forward: Denoiser, backward: Denoiser, unit: int, size: int
    ) -> None:
        rate, channels = forward.sample_rate, forward.channels
        self._forward, self._backward, self._size = forward, backward, size
        self.unit = self._chunk = chunk_of(rate, channels, unit)
        self._ahead, self.again = round(BACK_RUN_IN * rate), round(_FADE * rate)
        self._said = _Said(forward, self.again + self._chunk)
        self._tail = np.zeros((0, channels), np.float32)

    def run(
        self, blocks: Blocks, count: int | None = None
    ) -> Iterator[NDArray[np.float32]]:
        """Yield the mean of both passes, shape (n, channels), without lag.

        Parameters
        ----------
        blocks
            Arrays of shape (n, channels), which may be used again once taken: the
            recording, or its next part with `again` samples before it and
            `BACK_RUN_IN` seconds after it, as far as there are any.
        count
            Samples of this part, whole chunks; None if it is the last one.
        """
        chunks = None if count is None else count // self._chunk
        stretches = _stretches(
            Feed(blocks), self._tail, self._chunk, self._ahead, self.again
        )
        for done, (x, counted, last) in enumerate(stretches, 1):
            yield from self._stretch(x, counted, last)
            if done == chunks:
                return

    def _stretch(
        self, x: NDArray[np.float32], count: int, last: bool
    ) -> Iterator[NDArray[np.float32]]:
        said, size, tail = self._said, self._size, self._tail
        for at in range(len(tail), count, size):
            said.hear(x[at : min(at + size, count)])
        if last:
            said.end()
        _backwards(x, count, self._backward, size)
        if len(tail):
            rise = fade_in(len(tail))
            x[: len(tail)] = (1 - rise) * tail + rise * x[: len(tail)]
        # The end waits for the next chunk, to be faded into it.
        give = count if last else count - self.again
        for at in range(0, give, size):
            stop = min(at + size, give)
            yield np.float32(0.5) * (said.room[at:stop] + x[at:stop])
        said.drop(give)
        self._tail = x[give:count].copy()

    def snapshot(self) -> tuple[State, dict[str, NDArray[np.float32]]]:
        """Return all that is remembered between two parts."""
        more = {"said": self._said.held.copy(), "tail": self._tail.copy()}
        return self._forward.snapshot(), more

    def restore(self, state: State, more: dict[str, NDArray[np.float32]]) -> None:
        """Go on where a snapshot was taken.

        Raises
        ------
        ValueError
            If it does not fit.
        """
        if more.keys() != {"said", "tail"} or more["tail"].shape != (
            self.again,
            self._forward.channels,
        ):
            raise ValueError("this state does not come from two passes")
        self._forward.restore(state)
        self._said.restore(more["said"])
        self._tail = more["tail"]


class _Said:
    """What a pass forwards makes of sound, without lag, until it is dropped.

    Parameters
    ----------
    engine
        Makes it.
    size
        Most samples that are held at once.
    """

    def __init__(self, engine: Denoiser, size: int) -> None:
        self._engine, self._lag = engine, engine.latency_samples
        self.room = np.empty((size, engine.channels), np.float32)
        self._count = 0

    def hear(self, block: NDArray[np.float32]) -> None:
        self._keep(self._engine.process(block))

    def end(self) -> None:
        self._keep(self._engine.flush())

    def _keep(self, said: NDArray[np.float32]) -> None:
        said = said.reshape(-1, self._engine.channels)
        late = min(self._lag, len(said))
        said, self._lag = said[late:], self._lag - late
        self.room[self._count : self._count + len(said)] = said
        self._count += len(said)

    @property
    def held(self) -> NDArray[np.float32]:
        return self.room[: self._count]

    def restore(self, held: NDArray[np.float32]) -> None:
        self._lag, self._count = 0, len(held)
        self.room[: self._count] = held

    def drop(self, count: int) -> None:
        left = self._count - count
        self.room[:left] = self.room[count : self._count].copy()
        self._count = left


def _stretches(
    feed: Feed, tail: NDArray[np.float32], chunk: int, ahead: int, again: int
) -> Iterator[tuple[NDArray[np.float32], int, bool]]:
    """Yield stretches of sound: an array, how many samples count, is it the last.

    They count from the last `again` samples that counted in the stretch before; after
    them there are up to `ahead` more. The array is used again, and may be written to.
    Where there is a `tail` the first of them goes on from another.
    """
    room = np.empty((again + chunk + ahead, tail.shape[1]), np.float32)
    begin = len(tail)
    filled = feed.fill(room[: begin + chunk + ahead])
    while filled > begin + chunk:
        kept = room[begin + chunk - again : filled].copy()
        yield room[:filled], begin + chunk, False
        room[: len(kept)] = kept
        begin, filled = again, len(kept) + feed.fill(room[len(kept) :])
    if filled:
        yield room[:filled], filled, True


class Feed:
    """Fills arrays with what comes in blocks.

    Parameters
    ----------
    blocks
        Arrays of shape (n, channels), which may be used again once taken.
    """

    def __init__(self, blocks: Blocks) -> None:
        self._blocks = iter(blocks)
        self._rest = np.zeros((0, 0), np.float32)

    def fill(self, room: NDArray[np.float32]) -> int:
        """Fill an array as far as there is sound; return how far."""
        filled = 0
        while filled < len(room):
            if not len(self._rest):
                block = next(self._blocks, None)
                if block is None:
                    break
                self._rest = block
            take = min(len(self._rest), len(room) - filled)
            room[filled : filled + take] = self._rest[:take]
            self._rest, filled = self._rest[take:], filled + take
        return filled

    def rest(self) -> Iterator[NDArray[np.float32]]:
        """Yield what has not been taken, in blocks as they come."""
        if len(self._rest):
            yield self._rest
        yield from self._blocks


def _backwards(x: NDArray[np.float32], count: int, engine: Denoiser, size: int) -> None:
    """Put in place of the first samples what an engine makes of all from their end."""
    # What it says is late: it belongs where all has been heard already.
    end = len(x) + engine.latency_samples
    for stop in range(len(x), 0, -size):
        part = x[max(stop - size, 0) : stop]
        said = engine.process(np.ascontiguousarray(part[::-1]))
        end = _put(said.reshape(part.shape)[::-1], x[:count], end)
    _put(engine.flush().reshape(-1, x.shape[1])[::-1], x[:count], end)


def _put(said: NDArray[np.float32], x: NDArray[np.float32], end: int) -> int:
    """Put samples so that they end at `end`, where there is room; return the begin."""
    begin = end - len(said)
    first, last = max(begin, 0), min(end, len(x))
    if first < last:
        x[first:last] = said[first - begin : last - begin]
    return begin
