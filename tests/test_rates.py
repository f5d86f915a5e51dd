"""One recording at several rates: the same model, the same low band."""

from __future__ import annotations

from importlib.resources import files

import numpy as np
import pytest
import soundfile

from streamdenoise import ModelError, denoise, load_model

signal = pytest.importorskip("scipy.signal", reason="SciPy is not installed")


def si_sdr(target: np.ndarray, estimate: np.ndarray) -> float:
    wanted = target * (np.dot(target, estimate) / np.dot(target, target))
    error = estimate - wanted
    return float(10 * np.log10(np.dot(wanted, wanted) / np.dot(error, error)))


@pytest.fixture(scope="module")
def model():
    try:
        return load_model()
    except ModelError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize(
    ("rate", "up", "down", "least"), [(48000, 3, 1, 25.0), (44100, 441, 160, 18.0)]
)
def test_the_low_band_is_the_same_at_every_rate(model, rate, up, down, least) -> None:
    """A resampled recording, cleaned and resampled back, is the cleaned recording."""
    path = files("streamdenoise") / "assets" / "demo-noisy.flac"
    noisy, native = soundfile.read(str(path), dtype="float64")
    if native != 16000:
        noisy = signal.resample_poly(noisy, 16000, native)
    expected = denoise(noisy, 16000, model)
    other = denoise(signal.resample_poly(noisy, up, down), rate, model)
    back = signal.resample_poly(other, down, up)[: expected.size]
    assert si_sdr(expected, back) >= least
