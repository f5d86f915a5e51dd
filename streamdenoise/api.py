"""What programs use besides `Denoiser`: whole signals and streams, arrays or tensors.

PyTorch is never imported here: what has the methods of a tensor is taken as one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .constants import MAX_CHANNELS
from .engine import Denoiser
from .errors import AudioFormatError
from .samples import like

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .settings import Settings
    from .stepper import Model

__all__ = ["adenoise", "denoise", "stream"]

_PIECE_SECONDS = 0.05


def denoise(
    x: Any,
    sample_rate: int,
    model: Model | str | Path | None = None,
    settings: Settings | None = None,
    *,
    link_channels: bool = False,
) -> Any:
    """Denoise a whole signal: same length, no lag, same kind of array and numbers.

    Parameters
    ----------
    x
        Shape (n,) or (n, channels); floating point with full scale 1, or int16. A
        NumPy array, anything that can be made one, or a PyTorch tensor on any device
        (torchaudio has channels first: give ``x.T``).
    sample_rate
        In Hz, 8000 to 192000.
    model, settings, link_channels
        As for `Denoiser`.

    Returns
    -------
    array or tensor of the shape, type and device of `x`

    Raises
    ------
    AudioFormatError, ModelError
        As for `Denoiser`.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.zeros(16000, np.float32)
    >>> denoise(x, 16000).shape
    (16000,)
    """
    array, back = _as_array(x)
    if array.ndim not in (1, 2):
        raise AudioFormatError(
            f"an array of shape {array.shape} is no sound: give shape (n,) or (n, "
            "channels)"
        )
    channels = 1 if array.ndim == 1 else array.shape[1]
    if channels > MAX_CHANNELS >= array.shape[0] > 0:
        raise AudioFormatError(
            f"an array of shape {array.shape} has its channels first: turn it over "
            "(x.T), so that its shape is (n, channels)"
        )
    denoiser = Denoiser(
        model, sample_rate, channels, settings, bulk=True, link_channels=link_channels
    )
    lag, length = denoiser.latency_samples, array.shape[0]
    out = np.empty((length + lag, *array.shape[1:]), np.float32)
    denoiser.process(array, out[:length])
    out[length:] = denoiser.flush().reshape(out[length:].shape)
    return back(like(array, out[lag:]))


def stream(
    chunks: Iterable[Any],
    sample_rate: int,
    channels: int = 1,
    model: Model | str | Path | None = None,
    settings: Settings | None = None,
    *,
    link_channels: bool = False,
) -> Iterator[Any]:
    """Denoise chunks of any sizes as they come.

    Parameters
    ----------
    chunks
        Arrays or tensors of shape (n,) or (n, channels); see `denoise`.
    sample_rate, channels, model, settings, link_channels
        As for `Denoiser`.

    Yields
    ------
    float32 array, or tensor like the last chunk
        Joined, they lie on the joined input sample for sample: the first ones are
        shorter by the latency (16 ms), and the end of the input brings the rest.

    Examples
    --------
    >>> import numpy as np
    >>> chunks = [np.zeros(n, np.float32) for n in (1000, 0, 7)]
    >>> sum(len(clean) for clean in stream(chunks, 16000))
    1007
    """
    worker = _Stream(sample_rate, channels, model, settings, link_channels)
    for chunk in chunks:
        yield from worker.push(chunk)
    yield from worker.end()


async def adenoise(
    chunks: AsyncIterable[Any] | Iterable[Any],
    sample_rate: int,
    channels: int = 1,
    model: Model | str | Path | None = None,
    settings: Settings | None = None,
    *,
    link_channels: bool = False,
) -> AsyncIterator[Any]:
    """Denoise chunks from an asynchronous source; otherwise as `stream`.

    It works in the thread of the event loop, 50 ms of sound at a time (about a
    millisecond), and lets other tasks run in between; so many streams can share one
    loaded model.

    Examples
    --------
    >>> import asyncio, numpy as np
    >>> async def microphone():
    ...     for _ in range(3):
    ...         yield np.zeros(480, np.float32)
    >>> async def count():
    ...     return sum([len(x) async for x in adenoise(microphone(), 48000)])
    >>> asyncio.run(count())
    1440
    """
    worker = _Stream(sample_rate, channels, model, settings, link_channels)
    if isinstance(chunks, AsyncIterable):
        async for chunk in chunks:
            for clean in worker.push(chunk):
                yield clean
                await asyncio.sleep(0)
    else:
        for chunk in chunks:
            for clean in worker.push(chunk):
                yield clean
                await asyncio.sleep(0)
    for clean in worker.end():
        yield clean


class _Stream:
    """A `Denoiser` whose lag is cut off at the start and made up for at the end."""

    def __init__(
        self,
        sample_rate: int,
        channels: int,
        model: Model | str | Path | None,
        settings: Settings | None,
        link_channels: bool,
    ) -> None:
        self._engine = Denoiser(
            model, sample_rate, channels, settings, link_channels=link_channels
        )
        self._lag = self._engine.latency_samples
        self._piece = max(1, round(sample_rate * _PIECE_SECONDS))
        self._back: Callable[[Any], Any] = _same
        self._two = channels > 1

    def push(self, chunk: Any) -> Iterator[Any]:
        array, self._back = _as_array(chunk)
        if not array.ndim:
            raise AudioFormatError(
                f"a chunk of the type {type(chunk).__name__} is no array of samples; "
                "make one of bytes with numpy.frombuffer, of a file with soundfile"
            )
        self._two = array.ndim == 2
        for start in range(0, len(array), self._piece):
            clean = self._engine.process(array[start : start + self._piece])
            late = min(self._lag, len(clean))
            self._lag -= late
            if late < len(clean):
                yield self._back(clean[late:])

    def end(self) -> Iterator[Any]:
        rest = self._engine.flush()[self._lag :]
        if len(rest):
            yield self._back(rest[:, None] if self._two and rest.ndim == 1 else rest)


def _same(y: Any) -> Any:
    return y


def _as_array(x: Any) -> tuple[NDArray[Any], Callable[[Any], Any]]:
    """Return `x` as an array, and what turns a result into its kind again."""
    if not all(hasattr(x, name) for name in ("detach", "cpu", "numpy", "new_tensor")):
        return np.asarray(x), _same
    held = x.detach().cpu()
    # NumPy has no bfloat16, and int16 is the one whole number that stands for sound.
    if str(held.dtype) in ("torch.bfloat16", "torch.float16"):
        held = held.float()
    array = np.asarray(held.numpy())

    def back(y: NDArray[Any]) -> Any:
        if array.dtype == np.int16 and y.dtype != np.int16:
            # Streams give float32, on the device of the input.
            return x[:0].float().new_tensor(y)
        return x.new_tensor(y)

    return array, back
