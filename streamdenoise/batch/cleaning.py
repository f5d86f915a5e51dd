"""Blocks of noisy sound in, as many clean samples out, without lag: in one pass or two.

One pass is the engine as it runs live. The second pass of ``--two-pass`` hears the same
sound backwards: its past is what is yet to come. The mean of the two is better than
either, see ``docs/scale.md``.
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

    from ..engine import Denoiser
    from ..model import StepModel
    from ..offline import WholeModel

    Blocks = Iterable[NDArray[np.float32]]

__all__ = ["BACK_RUN_IN", "Cleaner", "fade_in", "regroup", "unit_of"]

BACK_RUN_IN: Final = 8.0
"""Seconds that the pass backwards hears before what it says counts."""

_BLOCK: Final = 1 << 16
_STEPS: Final = 32
_CHUNK: Final = 60.0
_LEAST_CHUNK: Final = 20.0
_CHUNK_VALUES: Final = 1 << 23
_FADE: Final = 1.0


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
        unit = unit_of(self.model.card.stft(info.sample_rate).hop, self.model.group)
        if self.two_pass:
            return _two_passes(blocks, self._engine(info), self._engine(info), unit)
        return _one_pass(blocks, self._engine(info), unit)

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


def fade_in(count: int) -> NDArray[np.float32]:
    """Return weights from 0 to 1, shape (count, 1)."""
    # Both sides of a seam are the same sound: their weights add up, not their squares.
    ramp = (np.arange(count, dtype=np.float32) + np.float32(0.5)) / np.float32(count)
    weights: NDArray[np.float32] = ramp[:, None]
    return weights


def _one_pass(
    blocks: Blocks, engine: Denoiser, unit: int
) -> Iterator[NDArray[np.float32]]:
    lag = engine.latency_samples
    # Whole units: what is over at the end of a block is done hop by hop, and slowly.
    for block in regroup(blocks, max(round(_BLOCK / unit), 1) * unit):
        clean = engine.process(block)
        late = min(lag, len(clean))
        lag -= late
        yield clean.reshape(len(block), -1)[late:]
    # An input shorter than the lag has nothing out yet; the flush holds it all.
    yield engine.flush().reshape(-1, engine.channels)[lag:]


def _two_passes(
    blocks: Blocks, forward: Denoiser, backward: Denoiser, unit: int
) -> Iterator[NDArray[np.float32]]:
    """Yield the mean of a pass forwards and one backwards.

    The pass backwards is done in chunks, each with some sound after it that is heard
    and thrown away, so that memory does not grow with the recording.
    """
    rate, channels = forward.sample_rate, forward.channels
    most = max(_CHUNK_VALUES // channels, round(_LEAST_CHUNK * rate))
    chunk = max(min(round(_CHUNK * rate), most) // unit, 1) * unit
    ahead, fade = round(BACK_RUN_IN * rate), round(_FADE * rate)
    empty = np.zeros((0, channels), np.float32)
    lag, said, heard, tail = forward.latency_samples, empty, empty, empty
    for part, after in _with_next(regroup(blocks, chunk)):
        said = np.concatenate([said, forward.process(part).reshape(part.shape)])
        if after is None:
            said = np.concatenate([said, forward.flush().reshape(-1, channels)])
        late = min(lag, len(said))
        said, lag = said[late:], lag - late
        joint = np.concatenate([heard, part, empty if after is None else after[:ahead]])
        back = _backwards(joint, backward)[: len(heard) + len(part)]
        if len(tail):
            rise = fade_in(len(tail))
            back[: len(tail)] = (1 - rise) * tail + rise * back[: len(tail)]
        # The end waits for the next chunk, to be faded into it.
        give = len(back) if after is None else len(back) - fade
        yield np.float32(0.5) * (said[:give] + back[:give])
        said, tail, heard = said[give:], back[give:], joint[: len(back)][give:]


def _backwards(x: NDArray[np.float32], engine: Denoiser) -> NDArray[np.float32]:
    """Denoise a stretch of sound from its end to its beginning."""
    said = engine.process(np.ascontiguousarray(x[::-1])).reshape(x.shape)
    rest = engine.flush().reshape(-1, x.shape[1])
    joint = np.concatenate([said, rest])
    back: NDArray[np.float32] = joint[engine.latency_samples :][::-1].copy()
    return back


def _with_next(
    blocks: Blocks,
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32] | None]]:
    """Yield copies of all blocks, each with the one after it."""
    last: NDArray[np.float32] | None = None
    for block in blocks:
        new = block.copy()
        if last is not None:
            yield last, new
        last = new
    if last is not None:
        yield last, None


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
