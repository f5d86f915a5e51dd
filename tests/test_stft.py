"""Tests of the grid at any rate, and of analysis and synthesis."""

from __future__ import annotations

import numpy as np
import pytest

from streamdenoise.errors import AudioFormatError
from streamdenoise.fft import RealFft
from streamdenoise.samples import looks_bad, silence_bad_samples
from streamdenoise.stft import Analysis, StftParams, Synthesis


@pytest.mark.parametrize(
    ("rate", "hop"),
    [
        (8000, 64),
        (11025, 88),
        (16000, 128),
        (22050, 176),
        (32000, 256),
        (44100, 352),
        (48000, 384),
        (88200, 704),
        (96000, 768),
        (192000, 1536),
    ],
)
def test_hop_at_common_rates(rate: int, hop: int) -> None:
    """Common rates get an FFT-friendly hop that puts the grid off by under 0.3 %."""
    params = StftParams.for_rate(rate)
    assert params == StftParams(rate, hop, 4 * hop, 2 * hop)
    assert params.bins == 2 * hop + 1
    assert params.hop_seconds == pytest.approx(0.008, rel=0.003)
    assert params.scale == pytest.approx(128 / hop)


@pytest.mark.parametrize("rate", [8001, 9999, 12345, 37800, 47999, 191999])
def test_odd_rates_get_the_nearest_hop(rate: int) -> None:
    """Rates that nobody uses still get a hop as near as whole samples allow."""
    params = StftParams.for_rate(rate)
    assert abs(params.hop - rate * 0.008) <= max(0.5, 0.003 * rate * 0.008)


@pytest.mark.parametrize("rate", [0, -1, 7999, 192001, 1_000_000, 16000.5, True])
def test_impossible_rates_are_refused(rate: int) -> None:
    """A rate outside 8 to 192 kHz is refused with a sentence that says the range."""
    with pytest.raises(AudioFormatError, match="8000 to 192000"):
        StftParams.for_rate(rate)


def test_other_window_pairs() -> None:
    """Window pair and hop are values: 8 ms of latency in either of two ways."""
    assert StftParams.for_rate(16000, 8, 2, 0.004) == StftParams(16000, 64, 512, 128)
    assert StftParams.for_rate(16000, 4, 1) == StftParams(16000, 128, 512, 128)


@pytest.mark.parametrize("rate", [8000, 16000, 44100, 48000, 192000])
def test_tone_has_the_same_magnitude_at_every_rate(rate: int) -> None:
    """A model sees a 1 kHz tone as equally loud, in the same bin, at every rate."""
    params = StftParams.for_rate(rate)
    analysis = Analysis(params)
    tone = np.sin(2 * np.pi * 1000 * np.arange(8 * params.hop) / rate)
    for i in range(8):
        start = i * params.hop
        analysis.room(0, params.hop)[:] = tone[start : start + params.hop]
        spectrum = np.abs(analysis.spectrum())
    assert np.argmax(spectrum) == 32
    assert spectrum[32] == pytest.approx(162.9, rel=0.01)


def test_many_frames_equal_one_by_one() -> None:
    """Analysis and synthesis of a group give what single frames give."""
    params = StftParams.for_rate(16000)
    rng = np.random.default_rng(1)
    one, many = Analysis(params), Analysis(params, 4)
    back_one, back_many = Synthesis(params), Synthesis(params, 4)
    for _ in range(30):
        x = rng.standard_normal(4 * params.hop).astype(np.float32)
        singles, samples = [], []
        for i in range(4):
            one.room(0, params.hop)[:] = x[i * params.hop : (i + 1) * params.hop]
            singles.append(one.spectrum().copy())
            samples.append(back_one.hop(singles[-1]).copy())
        many.room(0, 4 * params.hop)[:] = x
        group = many.spectra(4)
        np.testing.assert_allclose(group, singles, atol=1e-4)
        np.testing.assert_allclose(back_many.hops(group), samples, atol=1e-6)


@pytest.mark.parametrize("size", [512, 1536, 396, 7])
def test_fft_doors_equal_numpy(size: int) -> None:
    """The direct way to the FFT gives what `numpy.fft` gives."""
    x = np.random.default_rng(2).standard_normal(size).astype(np.float32)
    fft = RealFft(size)
    spectrum, back = np.empty(size // 2 + 1, np.complex64), np.empty(size, np.float32)
    fft.forward(x, spectrum)
    fft.inverse(spectrum, back)
    np.testing.assert_allclose(spectrum, np.fft.rfft(x), atol=1e-4)
    np.testing.assert_allclose(back, x, atol=1e-6)


def test_fft_without_doors(monkeypatch: pytest.MonkeyPatch) -> None:
    """A NumPy without the inner functions gives the same, by its public ones."""
    monkeypatch.setattr("streamdenoise.fft._inner_doors", lambda size: None)
    test_fft_doors_equal_numpy(512)
    monkeypatch.setattr("streamdenoise.fft._HAS_OUT", False)
    test_fft_doors_equal_numpy(512)


def test_bad_samples_become_silence() -> None:
    """NaN, infinities and absurd values are zeroed and counted, others kept."""
    x = np.array([0.5, np.nan, np.inf, -np.inf, 1e30, -1e10, 1e8], np.float32)
    assert looks_bad(float("nan")) and looks_bad(float("inf")) and not looks_bad(1.0)
    assert silence_bad_samples(x) == 5
    np.testing.assert_array_equal(x, np.array([0.5, 0, 0, 0, 0, 0, 1e8], np.float32))
