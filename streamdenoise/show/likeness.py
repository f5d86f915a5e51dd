"""How well one recording is another: how late it is, and their SI-SDR."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ..audio.file import open_reader

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["find_lag", "si_sdr", "start_of"]

_LAG_SECONDS: Final = 1.0
_HEARD_SECONDS: Final = 30.0
_BLOCK: Final = 1 << 16


def find_lag(
    a: NDArray[np.float32], b: NDArray[np.float32], sample_rate: int
) -> int | None:
    """Return how many samples `b` is behind `a`, by their correlation.

    Parameters
    ----------
    a, b
        Mono signals, shape (n,).
    sample_rate
        In Hz; a second at most is looked for.

    Returns
    -------
    int or None
        None if one of them is silent.
    """
    size = 1 << (len(a) + len(b) - 1).bit_length()
    cross = np.conj(np.fft.rfft(a, size)) * np.fft.rfft(b, size)
    scores = np.abs(np.fft.irfft(cross, size))
    most = min(round(_LAG_SECONDS * sample_rate), len(a) - 1)
    lags = np.concatenate([np.arange(most + 1), np.arange(-most, 0)])
    found = scores[lags]
    if not found.max() > 0.0:
        return None
    return int(lags[found.argmax()])


def start_of(path: Path, sample_rate: int) -> NDArray[np.float32]:
    """Return the first half minute of a file, its channels averaged."""
    wanted, parts, have = round(_HEARD_SECONDS * sample_rate), [], 0
    for block in _mono(path):
        parts.append(block)
        have += len(block)
        if have >= wanted:
            break
    return np.concatenate(parts)[:wanted]


def _mono(path: Path) -> Iterator[NDArray[np.float32]]:
    with open_reader(path, "first") as reader:
        for block in reader:
            yield block.mean(axis=1, dtype=np.float32)


def _even(blocks: Iterator[NDArray[np.float32]], skip: int) -> Iterator[NDArray[Any]]:
    """Yield blocks of one size, the last one shorter, after `skip` samples."""
    rest = np.zeros(0, np.float32)
    for block in blocks:
        rest = np.concatenate([rest, block[min(skip, len(block)) :]])
        skip -= min(skip, len(block))
        while len(rest) >= _BLOCK:
            yield rest[:_BLOCK]
            rest = rest[_BLOCK:]
    yield rest


def si_sdr(a: Path, b: Path, lag: int) -> float:
    """As `levels.si_sdr`, from sums over blocks."""
    sums = np.zeros(6)
    pairs = zip(
        _even(_mono(a), max(-lag, 0)), _even(_mono(b), max(lag, 0)), strict=False
    )
    for x, y in pairs:
        size = min(len(x), len(y))
        x64, y64 = x[:size].astype(np.float64), y[:size].astype(np.float64)
        sums += [size, x64.sum(), y64.sum(), x64 @ x64, y64 @ y64, x64 @ y64]
    count, sx, sy, xx, yy, xy = sums
    if count == 0:
        return -math.inf
    xx, yy, xy = xx - sx * sx / count, yy - sy * sy / count, xy - sx * sy / count
    if xx <= 0.0 or yy <= 0.0:
        return -math.inf
    signal = xy * xy / xx
    # Below this, the difference is rounding of the sums.
    rest = yy - signal
    if rest <= 1e-14 * yy:
        return math.inf
    return 10.0 * math.log10(signal / rest) if signal > 0.0 else -math.inf
