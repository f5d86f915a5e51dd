"""Whole files: frames and back, and a model that looks ahead."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from streamdenoise import Settings, denoise
from streamdenoise.card import ModelCard
from streamdenoise.errors import AudioFormatError, ModelError
from streamdenoise.offline import (
    WholeModel,
    analyse,
    denoise_whole,
    load_whole,
    synthesise,
    to_grid,
)
from streamdenoise.stft import StftParams

RATES = (8000, 16000, 22050, 44100, 48000)


@pytest.fixture(scope="module")
def whole_model() -> WholeModel:
    """Export a small bidirectional net that nobody trained."""
    pytest.importorskip("tensorflow", reason="TensorFlow makes the model of this test")
    from streamdenoise.train import nets
    from streamdenoise.train.export import convert

    net = nets.build(nets.NetConfig(units=8, layers=1, bidirectional=True))
    card = ModelCard("both-ways", "both-ways.tflite", causal=False)
    return WholeModel(convert(net), card)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("size", [0, 1, 127, 4001])
def test_frames_give_the_signal_back(rate: int, size: int, rng) -> None:
    """Analysis and synthesis are exact at every rate and length, the ends too."""
    x = rng.standard_normal(size).astype(np.float32)
    params = StftParams.for_rate(rate)
    assert np.allclose(synthesise(analyse(x, params), params, size), x, atol=3e-6)


def test_long_signals_have_no_seams(rng) -> None:
    """Frames are the same whether few or many are computed at once."""
    x = rng.standard_normal(128 * 700).astype(np.float32)
    params = StftParams.for_rate(16000)
    both = analyse(x, params)
    assert np.allclose(
        both[300:310], analyse(x[: 128 * 320], params)[300:310], atol=1e-5
    )


def test_the_grid_has_257_bins_at_every_rate(rng) -> None:
    """Missing bins are zero at 8 kHz, and what lies above 8 kHz is cut."""
    for rate in RATES:
        spectra = analyse(
            rng.standard_normal(2000).astype("f4"), StftParams.for_rate(rate)
        )
        grid = to_grid(spectra)
        assert grid.shape[1] == 257
        assert np.array_equal(grid[:, :129], spectra[:, :129])
        assert np.any(grid[:, 129:]) == (rate > 8000)


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
@pytest.mark.parametrize("shape", [(0,), (1,), (3000,), (3000, 2)])
def test_shapes_and_rates_stay(whole_model: WholeModel, rate, shape, rng) -> None:
    """Output has the input's shape, and each channel is denoised by itself."""
    x = 0.1 * rng.standard_normal(shape).astype(np.float32)
    y = denoise_whole(x, rate, whole_model)
    assert y.shape == x.shape and y.dtype == np.float32 and np.isfinite(y).all()
    if x.ndim == 2:
        assert np.array_equal(y[:, 1], denoise_whole(x[:, 1], rate, whole_model))


def test_settings_mean_what_they_mean_in_the_engine(whole_model, rng) -> None:
    """Bypass is the input without lag; kept and removed add up to it."""
    x = 0.1 * rng.standard_normal(5000).astype(np.float32)
    kept = denoise_whole(x, 48000, whole_model)
    removed = denoise_whole(x, 48000, whole_model, Settings(removed=True))
    dry = denoise_whole(x, 48000, whole_model, Settings(bypass=True))
    assert np.allclose(dry, x, atol=1e-6)
    assert np.allclose(kept + removed, x, atol=1e-6)
    assert not np.allclose(kept, x, atol=1e-2)


def test_bad_samples_become_silence_and_int16_stays(whole_model, rng) -> None:
    """NaN in the input is no NaN in the output; integers come back as integers."""
    x = 0.1 * rng.standard_normal(2000).astype(np.float32)
    x[50] = np.nan
    assert np.isfinite(denoise_whole(x, 16000, whole_model)).all()
    pcm = np.round(1000 * rng.standard_normal(2000)).astype(np.int16)
    same = denoise_whole(pcm, 16000, whole_model, Settings(bypass=True))
    assert same.dtype == np.int16 and np.array_equal(same, pcm)
    loud = np.full(2000, 32767, np.dtype(">i2"))
    same = denoise_whole(loud, 16000, whole_model, Settings(bypass=True))
    assert same.dtype == loud.dtype and same.min() > 32000  # saturated, not wrapped
    double = denoise_whole(x.astype(np.float64), 16000, whole_model)
    assert double.dtype == np.float64


@pytest.mark.parametrize("kind", ["int32", "uint8", "bool", "complex64"])
def test_numbers_without_a_full_scale_are_refused(whole_model, kind) -> None:
    """As by the engine: taken for floats they would be far too loud."""
    with pytest.raises(AudioFormatError, match=kind):
        denoise_whole(np.ones(2000, kind), 16000, whole_model)


def test_pieces_of_long_recordings_join(whole_model, rng, monkeypatch) -> None:
    """Cutting a recording into pieces with context changes next to nothing."""
    grid = to_grid(
        analyse(
            0.1 * rng.standard_normal(128 * 600).astype("f4"),
            StftParams.for_rate(16000),
        )
    )
    once = whole_model.enhance(grid)
    monkeypatch.setattr("streamdenoise.offline._CHUNK", 200)
    monkeypatch.setattr("streamdenoise.offline._CONTEXT", 100)
    assert np.allclose(whole_model.enhance(grid), once, atol=1e-3 * np.abs(once).max())


def test_each_kind_of_model_refuses_the_other_way(
    tiny_model_path: Path, whole_model: WholeModel, tmp_path: Path
) -> None:
    """A stream cannot run a whole-file model, nor the other way round."""
    with pytest.raises(ModelError, match="whole"):
        load_whole(tiny_model_path)
    with pytest.raises(AudioFormatError):
        denoise_whole(np.zeros((2, 2, 2), np.float32), 16000, whole_model)
    from streamdenoise.train import nets
    from streamdenoise.train.export import convert

    path = tmp_path / "both.tflite"
    path.write_bytes(convert(nets.build(nets.NetConfig(units=8, bidirectional=True))))
    assert load_whole(path).card.name == "both"
    with pytest.raises(ModelError, match="whole recording"):
        denoise(np.zeros(100, np.float32), 16000, path)
