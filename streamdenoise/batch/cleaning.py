"""Blocks of noisy sound in, as many clean samples out, without lag: in one pass or two.

One pass is the engine as it runs live; `twopass` has the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ..audio.file import AudioInfo
from ..errors import ModelError
from ..settings import Settings

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..engine import Denoiser, State
    from ..model import StepModel
    from ..offline import WholeModel
    from .twopass import TwoPasses

    Blocks = Iterable[NDArray[np.float32]]

__all__ = ["Cleaner", "OnePass", "regroup", "unit_of"]

_BLOCK: Final = 1 << 16
_STEPS: Final = 32


@dataclass(frozen=True)
class Cleaner:
    """Makes a recording clean; call it with blocks and what they are.

    Parameters
    ----------
    model
        A loaded model.
    settings
        Strength and the like.
    link_channels
        One gain for all channels.
    two_pass
        Hear it backwards too, and take the mean.
    """

    model: StepModel | WholeModel
    settings: Settings
    link_channels: bool = False
    two_pass: bool = False

    def __call__(self, blocks: Blocks, info: AudioInfo) -> Iterator[NDArray[Any]]:
        """Yield the denoised signal in blocks of shape (n, channels), without lag.

        Raises
        ------
        ModelError
            If two passes are wanted of a model that hears the whole recording anyway.
        """
        from ..offline import WholeModel

        if isinstance(self.model, WholeModel):
            if self.two_pass:
                raise ModelError(
                    f"model '{self.model.card.name}' hears each recording from both "
                    "ends already; leave out --two-pass"
                )
            return _whole(blocks, self.model, info, self)
        return self.passes(info).run(blocks)

    def passes(self, info: AudioInfo) -> OnePass | TwoPasses:
        """Return what does it, at its beginning; not for a `WholeModel`."""
        model: StepModel = self.model  # type: ignore[assignment]
        unit = unit_of(model.card.stft(info.sample_rate).hop, model.group)
        # Whole units: what is over at the end of a block is done hop by hop, slowly.
        size = max(round(_BLOCK / unit), 1) * unit
        if self.two_pass:
            from .twopass import TwoPasses

            both = self._engine(info), self._engine(info)
            return TwoPasses(*both, unit, size)
        return OnePass(self._engine(info), unit, size)

    def _engine(self, info: AudioInfo) -> Denoiser:
        from ..engine import Denoiser

        return Denoiser(
            self.model,  # type: ignore[arg-type]
            info.sample_rate,
            info.channels,
            self.settings,
            bulk=True,
            link_channels=self.link_channels,
        )


def unit_of(hop: int, steps: int) -> int:
    """Return the samples that a model takes at once in files: its `steps` hops."""
    return hop * max(steps or _STEPS, 1)


def regroup(blocks: Blocks, size: int) -> Iterator[NDArray[np.float32]]:
    """Yield the same samples in blocks of `size`, the last one perhaps shorter.

    Parameters
    ----------
    blocks
        Arrays of shape (n, channels), which may be used again once taken.
    size
        Samples per channel.

    Yields
    ------
    float32 array
        A block as it came where it fits, else an array that is used again.
    """
    held = np.zeros((0, 0), np.float32)
    filled = 0
    for block in blocks:
        at = 0
        if not filled:
            while len(block) - at >= size:
                yield block[at : at + size]
                at += size
        while at < len(block):
            if held.shape != (size, block.shape[1]):
                held = np.empty((size, block.shape[1]), np.float32)
            take = min(len(block) - at, size - filled)
            held[filled : filled + take] = block[at : at + take]
            at, filled = at + take, filled + take
            if filled == size:
                yield held
                filled = 0
    if filled:
        yield held[:filled]


class OnePass:
    """One pass over a recording, as a whole or in parts that follow each other.

    Parameters
    ----------
    engine
        At its beginning.
    unit
        See `unit_of`.
    size
        Samples that it is given at once: some units.

    Attributes
    ----------
    unit
        Parts have whole ones, but for the last.
    again
        Samples before its part that it hears once more.
    """

    def __init__(self, engine: Denoiser, unit: int, size: int) -> None:
        self._engine, self._size = engine, size
        self.unit, self.again = unit, 0
        self._lag = engine.latency_samples

    def run(
        self, blocks: Blocks, count: int | None = None
    ) -> Iterator[NDArray[np.float32]]:
        """Yield what becomes of blocks of shape (n, channels), without lag.

        Parameters
        ----------
        blocks
            The recording, or the part of it that comes next.
        count
            Samples of this part, whole units; None if it is the last one. What a part
            holds back comes out of the next.
        """
        for block in regroup(blocks, self._size):
            clean = self._engine.process(block)
            late = min(self._lag, len(clean))
            self._lag -= late
            yield clean.reshape(len(block), -1)[late:]
        if count is None:
            # An input shorter than the lag has nothing out yet; the flush holds it all.
            yield self._engine.flush().reshape(-1, self._engine.channels)[self._lag :]

    def snapshot(self) -> tuple[State, dict[str, NDArray[np.float32]]]:
        """Return all that is remembered between two parts."""
        return self._engine.snapshot(), {}

    def restore(self, state: State, more: dict[str, NDArray[np.float32]]) -> None:
        """Go on where a snapshot was taken.

        Raises
        ------
        ValueError
            If it does not fit.
        """
        self._engine.restore(state)
        self._lag = 0


def _whole(
    blocks: Blocks, model: WholeModel, info: AudioInfo, how: Cleaner
) -> Iterator[NDArray[Any]]:
    from ..offline import denoise_whole

    # It hears the end before it does the beginning, so here memory does grow.
    parts = [block.copy() for block in blocks]
    if not parts:  # a track without sound
        return
    yield denoise_whole(
        np.concatenate(parts),
        info.sample_rate,
        model,
        how.settings,
        link_channels=how.link_channels,
    )
