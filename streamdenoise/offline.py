"""Whole files at once: frames of a signal, and models that look ahead.

A bidirectional model needs the end of a file before it can do the beginning, so it
cannot run in the engine. It has one signature ``whole`` that takes all frames of a
recording. Windows, grid, high band and settings are those of the engine.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .card import ModelCard
from .constants import GRID_BINS, GRID_RATE
from .errors import AudioFormatError, ModelError
from .highband import HighBandRule
from .linked import energy_mix, gain_between
from .model import ENHANCED, FRAME, WHOLE, find_model, read_model
from .runtime import Graph
from .samples import INT16_SCALE, check_numbers, is_int16, like, silence_bad_samples
from .settings import Settings
from .stft import Analysis, StftParams, Synthesis

_GROUP = 256
_CHUNK = 500
_CONTEXT = 125


def analyse(x: NDArray[np.float32], params: StftParams) -> NDArray[np.complex64]:
    """Return all frames of a mono signal, in grid scale, the last one too.

    Returns
    -------
    complex64 array of shape (frames, bins)
        As many frames as `synthesise` needs to give every sample back.
    """
    overlap = params.synthesis_win - params.hop
    count = -(-(x.shape[0] + overlap) // params.hop)
    padded = np.zeros(count * params.hop, np.float32)
    padded[: x.shape[0]] = x
    spectra = np.empty((count, params.bins), np.complex64)
    analysis = Analysis(params, _GROUP)
    for part in _parts(count, _GROUP):
        frames = part.stop - part.start
        room = analysis.room(0, frames * params.hop)
        room[:] = padded[part.start * params.hop : part.stop * params.hop]
        spectra[part] = analysis.spectra(frames)
    return spectra


def synthesise(
    spectra: NDArray[np.complex64], params: StftParams, size: int
) -> NDArray[np.float32]:
    """Return the signal of `size` samples that these frames belong to; zero lag."""
    out = np.empty((spectra.shape[0], params.hop), np.float32)
    synthesis = Synthesis(params, _GROUP)
    for part in _parts(spectra.shape[0], _GROUP):
        out[part] = synthesis.hops(spectra[part])
    overlap = params.synthesis_win - params.hop
    return out.reshape(-1)[overlap : overlap + size]


def to_grid(spectra: NDArray[np.complex64]) -> NDArray[np.complex64]:
    """Return the 257 bins that a model knows: cut above 8 kHz, or zeros up to it."""
    grid = np.zeros((spectra.shape[0], GRID_BINS), np.complex64)
    bins = min(GRID_BINS, spectra.shape[1])
    grid[:, :bins] = spectra[:, :bins]
    return grid


def _parts(total: int, size: int) -> Iterator[slice]:
    """Yield slices of `size`, the last one perhaps shorter, that cover `total`."""
    for start in range(0, total, size):
        yield slice(start, min(start + size, total))


class WholeModel:
    """A loaded model that hears a recording from both ends.

    Long recordings go through it in pieces of 4 s, each with 1 s of sound before and
    after it that is heard and thrown away: memory stays bounded, and the loops inside
    TFLite copy what they have done so far in every turn, so that their cost grows with
    the square of the length.

    Parameters
    ----------
    content
        The bytes of a ``.tflite`` file with a signature ``whole``: input ``frame``
        (1, T, 257, 2) for any T, output ``enhanced`` of the same shape.
    card
        What is known of it.

    Raises
    ------
    ModelError
        If the file has no such signature.
    """

    def __init__(self, content: bytes, card: ModelCard) -> None:
        graph = Graph(content, f"model '{card.name}'")
        if WHOLE not in graph.signatures:
            raise ModelError(
                f"model '{card.name}' has no signature '{WHOLE}': it is made for "
                "streams, so run it with denoise() instead of denoise_whole()"
            )
        inputs, outputs = graph.signatures[WHOLE]
        if inputs != [FRAME] or outputs != [ENHANCED]:
            raise ModelError(
                f"the signature '{WHOLE}' of model '{card.name}' takes {inputs} and "
                f"gives {outputs}; '{FRAME}' and '{ENHANCED}' were expected: export it "
                "again with scripts/export"
            )
        self.card = card
        self._run = graph.runner(WHOLE)

    def enhance(self, grid: NDArray[np.complex64]) -> NDArray[np.complex64]:
        """Enhance all frames of a recording, complex64 (frames, 257)."""
        out = np.empty_like(grid)
        for part in _parts(grid.shape[0], _CHUNK):
            start = max(part.start - _CONTEXT, 0)
            frames = grid[start : part.stop + _CONTEXT]
            spectra = frames.view(np.float32).reshape(1, -1, GRID_BINS, 2)
            done: Any = self._run(**{FRAME: spectra})[ENHANCED]
            complex_done = np.ascontiguousarray(done[0]).view(np.complex64)[..., 0]
            out[part] = complex_done[part.start - start :][: part.stop - part.start]
        return out


def load_whole(
    name_or_path: str | Path | None = None, folder: Path | None = None
) -> WholeModel:
    """Load a model that needs whole files; arguments as for `load_model`."""
    path, card = find_model(name_or_path, folder)
    return WholeModel(read_model(path, card), card)


def denoise_whole(
    x: NDArray[Any],
    sample_rate: int,
    model: WholeModel | str | Path | None = None,
    settings: Settings | None = None,
    *,
    link_channels: bool = False,
) -> NDArray[Any]:
    """Denoise a whole recording with a model that looks ahead.

    Parameters
    ----------
    x
        Float samples in [-1, 1], or int16; shape (n,) or (n, channels).
    sample_rate
        In Hz, 8000 to 192000.
    model
        A loaded model, or the name or path of one.
    settings, link_channels
        As for `Denoiser`.

    Returns
    -------
    array of the shape and type of `x`
        With zero lag.

    Raises
    ------
    ModelError
        If the model cannot be found or has no signature ``whole``.
    AudioFormatError
        If the shape or the type of `x`, or the rate, cannot be worked with.
    """
    whole = model if isinstance(model, WholeModel) else load_whole(model)
    given = np.asarray(x)
    if given.ndim not in (1, 2):
        raise AudioFormatError(
            f"cannot denoise an array of shape {given.shape}: give (n,) or "
            "(n, channels)"
        )
    check_numbers(given, "an array")
    samples = given.astype(np.float32)
    if is_int16(given):
        samples *= INT16_SCALE
    silence_bad_samples(samples)
    params = whole.card.stft(sample_rate)
    settings = settings or Settings()
    out = np.empty_like(samples)
    columns = (samples, out) if samples.ndim == 2 else (samples[:, None], out[:, None])
    if link_channels and samples.ndim == 2 and samples.shape[1] > 1:
        _denoise_linked(samples, out, params, whole, settings)
    else:
        for x_one, y_one in zip(columns[0].T, columns[1].T, strict=True):
            y_one[:] = _denoise_channel(x_one, params, whole, settings)
    return like(given, out)


def _denoise_channel(
    x: NDArray[np.float32], params: StftParams, model: WholeModel, settings: Settings
) -> NDArray[np.float32]:
    """Do what one channel of the engine does, but all frames at once."""
    spectra = analyse(x, params)
    grid = to_grid(spectra)
    enhanced_grid = model.enhance(grid)
    bins = min(GRID_BINS, params.bins)
    enhanced = spectra.copy()
    enhanced[:, :bins] = enhanced_grid[:, :bins]
    if params.sample_rate > GRID_RATE:
        enhanced[:, bins:] *= _high_band_gains(grid, enhanced_grid, params)
    dry, wet = (np.float32(weight) for weight in settings.weights)
    mixed: NDArray[np.complex64] = dry * spectra + wet * enhanced
    return synthesise(mixed, params, x.shape[0])


def _high_band_gains(
    grid: NDArray[np.complex64], enhanced: NDArray[np.complex64], params: StftParams
) -> NDArray[np.float32]:
    """Return the gain above the grid, shape (frames, 1)."""
    return HighBandRule(hop_seconds=params.hop_seconds).process(grid, enhanced)


def _denoise_linked(
    x: NDArray[np.float32],
    out: NDArray[np.float32],
    params: StftParams,
    model: WholeModel,
    settings: Settings,
) -> None:
    """Do the same with one gain for all channels, see `linked`."""
    spectra = [analyse(np.ascontiguousarray(one), params) for one in x.T]
    grids = [to_grid(one) for one in spectra]
    mix = energy_mix(grids, np.empty_like(grids[0]))
    enhanced = model.enhance(mix)
    gains = np.empty_like(spectra[0])
    bins = min(GRID_BINS, params.bins)
    gains[:, :bins] = gain_between(mix, enhanced, np.empty_like(mix))[:, :bins]
    if params.sample_rate > GRID_RATE:
        gains[:, bins:] = _high_band_gains(mix, enhanced, params)
    dry, wet = (np.float32(weight) for weight in settings.weights)
    gains *= wet
    gains += dry
    for one, y in zip(spectra, out.T, strict=True):
        one *= gains
        y[:] = synthesise(one, params, len(x))
