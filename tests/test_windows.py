"""Tests of the window pair."""

from __future__ import annotations

import numpy as np
import pytest

from streamdenoise.windows import windows

PAIRS = [
    (512, 256, 128),
    (512, 128, 64),
    (512, 128, 128),
    (512, 192, 128),
    (256, 256, 128),
    (1408, 704, 352),
    (1536, 768, 384),
    (396, 198, 99),
]


@pytest.mark.parametrize(("win", "synthesis_win", "hop"), PAIRS)
def test_products_add_up_to_one(win: int, synthesis_win: int, hop: int) -> None:
    """Analysis times synthesis, shifted by the hop, adds up to one everywhere."""
    analysis, synthesis = windows(win, synthesis_win, hop)
    product = analysis[-synthesis_win:].astype(np.float64) * synthesis
    total = np.zeros(hop)
    for start in range(0, synthesis_win, hop):
        part = product[start : start + hop]
        total[: part.size] += part
    np.testing.assert_allclose(total, 1.0, atol=2e-7)


@pytest.mark.parametrize(("win", "synthesis_win", "hop"), PAIRS)
def test_windows_neither_amplify_nor_vanish(
    win: int, synthesis_win: int, hop: int
) -> None:
    """No sample is lost by a zero, and none is made much louder on the way back."""
    analysis, synthesis = windows(win, synthesis_win, hop)
    assert analysis.dtype == synthesis.dtype == np.float32
    assert analysis.shape == (win,) and synthesis.shape == (synthesis_win,)
    assert analysis.min() > 0 and analysis.max() <= 1
    if win >= 2 * synthesis_win:
        assert synthesis.min() > 0 and synthesis.max() < 1.1


def test_short_synthesis_keeps_the_frequency_resolution() -> None:
    """The 3 dB bandwidth of the long window is that of a symmetric 32 ms sine."""

    def bandwidth(window: np.ndarray) -> float:
        power = np.abs(np.fft.rfft(window, 1 << 18)) ** 2
        return 2 * float(np.argmax(power < power[0] / 2)) * 16000 / (1 << 18)

    symmetric = np.sin(np.pi * (np.arange(512) + 0.5) / 512)
    assert bandwidth(windows(512, 256, 128)[0]) < 1.1 * bandwidth(symmetric)


@pytest.mark.parametrize(
    ("win", "synthesis_win", "hop"),
    [(512, 100, 128), (512, 300, 128), (512, 0, 0), (128, 256, 128)],
)
def test_impossible_lengths_are_refused(win: int, synthesis_win: int, hop: int) -> None:
    """Lengths without perfect reconstruction are refused with a sentence."""
    with pytest.raises(ValueError, match="no window pair"):
        windows(win, synthesis_win, hop)
