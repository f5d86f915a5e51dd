"""Tests of what rules the band above the model: the rule, and the learned head."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from streamdenoise.constants import GRID_BINS
from streamdenoise.head import HIGH_BANDS, HIGH_EDGES, LOW_BANDS, POWERS
from streamdenoise.highband import (
    BandPowers,
    HighBandNet,
    HighBandRule,
    high_band,
)
from streamdenoise.stft import StftParams

RATES = (22_050, 24_000, 32_000, 44_100, 48_000, 96_000, 192_000)


def frames(rng: np.random.Generator, count: int = 1, bins: int = 257) -> np.ndarray:
    z = rng.standard_normal((count, bins)) + 1j * rng.standard_normal((count, bins))
    return z.astype(np.complex64)


class Echo:
    """A head whose gains follow the power of each band slowly."""

    def __init__(self) -> None:
        self.calls: list[int] = []

    def initial_state(self) -> dict[str, Any]:
        return {"last": np.zeros((1, HIGH_BANDS), np.float32)}

    def gains(self, powers: Any, state: dict[str, Any]) -> Any:
        assert powers.dtype == np.float32 and powers.shape[1] == POWERS
        self.calls.append(len(powers))
        out = np.empty((len(powers), HIGH_BANDS), np.float32)
        for i, power in enumerate(powers):
            now = power[:HIGH_BANDS] / (1 + power[:HIGH_BANDS])
            state["last"] = np.float32(0.5) * (state["last"] + now)
            out[i] = state["last"]
        return out


class Constant(Echo):
    """A head that always says the same."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def gains(self, powers: Any, state: dict[str, Any]) -> Any:
        state["last"] = state["last"] + 1
        return np.full((len(powers), HIGH_BANDS), self.value, np.float32)


def test_gain_follows_the_models_upper_bins(rng: np.random.Generator) -> None:
    """The rule's gain settles on what the model does just below 8 kHz."""
    rule, x = HighBandRule(), frames(rng)
    y = x.copy()
    y[:, :150] = 0
    y[:, 176:] *= 0.25
    for _ in range(100):
        gain = rule.process(x, y)
    assert gain.shape == (1, 1)
    assert gain[0, 0] == pytest.approx(0.25, rel=1e-3)


def test_rises_at_once_and_falls_slowly(rng: np.random.Generator) -> None:
    """The start of a sibilant is whole; its end does not flutter."""
    rule, x = HighBandRule(), frames(rng)
    assert rule.process(x, 0 * x) == 0.0
    assert rule.process(x, x) == 1.0
    many = np.repeat(x, 60, axis=0)
    falling = rule.process(many, 0 * many)[:, 0]
    assert falling[0] > 0.7
    assert falling[4] == pytest.approx(np.exp(-1), abs=0.01)
    assert falling[-1] < 1e-4


def test_never_amplifies(rng: np.random.Generator) -> None:
    """A model that makes its upper bins louder does not make the high band louder."""
    x = frames(rng)
    assert HighBandRule().process(x, 3 * x) == 1.0


def test_silence_keeps_the_gain(rng: np.random.Generator) -> None:
    """Digital silence says nothing about the gain and divides nothing by zero."""
    rule, x = HighBandRule(), frames(rng)
    rule.process(x, x)
    assert rule.process(0 * x, 0 * x) == 1.0
    rule.reset()
    assert rule.process(0 * x, 0 * x) == 0.0


@pytest.mark.parametrize("rate", RATES)
def test_powers_mean_the_same_at_every_rate(rate: int) -> None:
    """A head hears the same of the same spectrum; bands that a rate lacks are zero."""
    params = StftParams.for_rate(rate)
    powers = BandPowers(params)
    high = np.full((2, params.bins - GRID_BINS), 2j, np.complex64)
    low = np.full((2, GRID_BINS), 1 + 1j, np.complex64)
    heard = powers(low, 3 * low, (high, 0 * high))
    there = np.array(HIGH_EDGES[:-1]) < rate / 2 - 50
    assert powers.bands == np.count_nonzero(there)
    wanted = np.concatenate(
        [np.where(there, 2.0, 0.0), np.full(LOW_BANDS, 2.0), np.full(LOW_BANDS, 18.0)]
    )
    np.testing.assert_allclose(heard, [wanted, wanted], rtol=1e-5)


def test_a_band_hears_its_own_bins_alone() -> None:
    """A tone is heard in the band that it lies in, and nowhere else."""
    params = StftParams.for_rate(48_000)
    low = np.zeros((1, GRID_BINS), np.complex64)
    for hz, band in ((8_500, 0), (11_000, 2), (16_000, 5), (23_900, 7)):
        high = np.zeros((1, params.bins - GRID_BINS), np.complex64)
        high[0, round(hz / 31.25) - GRID_BINS] = 1.0
        heard = BandPowers(params)(low, low, (high,))[0]
        assert np.flatnonzero(heard).tolist() == [band]


@pytest.mark.parametrize("rate", RATES)
def test_many_frames_at_once_are_the_same_as_one_by_one(
    rate: int, rng: np.random.Generator
) -> None:
    """Files, done in groups, come out as live sound does, rests and all."""
    params = StftParams.for_rate(rate)
    low, high = frames(rng, 24), frames(rng, 24, params.bins - GRID_BINS)
    high[5:9] = 0
    whole = HighBandNet(Echo(), params).process(low, low, (high,))
    one_by_one = HighBandNet(Echo(), params)
    for i in range(24):
        part = slice(i, i + 1)
        gain = one_by_one.process(low[part], low[part], (high[part],))
        np.testing.assert_allclose(gain[0], whole[i], rtol=1e-6)
    assert whole.min() >= 0.0 and whole.max() <= 1.0


def test_the_head_rests_where_there_is_nothing_above(rng: np.random.Generator) -> None:
    """Sound of a lower rate costs nothing, and leaves the head as it was."""
    params = StftParams.for_rate(48_000)
    head = Echo()
    net = HighBandNet(head, params)
    low, high = frames(rng), frames(rng, 1, params.bins - GRID_BINS)
    net.process(low, low, (high,))
    before = net.snapshot()
    assert not net.process(low, low, (0 * high,)).any()
    assert head.calls == [1]
    np.testing.assert_array_equal(before["last"], net.snapshot()["last"])


def test_what_is_no_gain_is_silence_and_begins_anew(rng: np.random.Generator) -> None:
    """A head that fails costs a frame of the high band, not the stream."""
    params = StftParams.for_rate(48_000)
    low, high = frames(rng), frames(rng, 1, params.bins - GRID_BINS)
    for bad in (np.nan, np.inf, 1.5):
        net = HighBandNet(Constant(bad), params)
        assert not net.process(low, low, (high,)).any()
        assert not net.snapshot()["last"].any()


def test_channels_together_get_the_gain_of_their_mean(rng: np.random.Generator) -> None:
    """Linked channels are one sound; each channel counts the same."""
    params = StftParams.for_rate(48_000)
    low, high = frames(rng), frames(rng, 1, params.bins - GRID_BINS)
    one = HighBandNet(Echo(), params).process(low, low, (high,))
    two = HighBandNet(Echo(), params).process(low, low, (high, high))
    np.testing.assert_allclose(one, two, rtol=1e-6)


def test_reset_and_snapshot(rng: np.random.Generator) -> None:
    """A snapshot is a copy, and reset leaves nothing behind."""
    params = StftParams.for_rate(44_100)
    low, high = frames(rng, 8), frames(rng, 8, params.bins - GRID_BINS)
    net = HighBandNet(Echo(), params)
    first = net.process(low, low, (high,))
    kept = net.snapshot()
    second = net.process(low, low, (high,))
    net.restore(kept)
    np.testing.assert_array_equal(net.process(low, low, (high,)), second)
    net.reset()
    np.testing.assert_array_equal(net.process(low, low, (high,)), first)


def test_bins_between_the_middles_of_bands_lie_between_their_gains() -> None:
    """Gains have no steps between bands, and the same gain everywhere stays that."""
    params = StftParams.for_rate(48_000)
    low = np.ones((1, GRID_BINS), np.complex64)
    high = np.ones((1, params.bins - GRID_BINS), np.complex64)
    flat = HighBandNet(Constant(0.25), params).process(low, low, (high,))
    np.testing.assert_allclose(flat, 0.25, rtol=1e-6)
    high[0, 400:] = 0.01
    sloped = HighBandNet(Echo(), params).process(low, low, (high,))[0]
    assert np.abs(np.diff(sloped)).max() < 0.02


@pytest.mark.parametrize("rate", RATES)
def test_bands_that_a_rate_lacks_rule_nothing(rate: int) -> None:
    """What a head says of bands above half the rate is heard nowhere."""
    params = StftParams.for_rate(rate)
    there = BandPowers(params).bands

    class Loud(Constant):
        def gains(self, powers: Any, state: dict[str, Any]) -> Any:
            gains = super().gains(powers, state)
            gains[:, there:] = 1.0
            return gains

    low = np.ones((1, GRID_BINS), np.complex64)
    high = np.ones((1, params.bins - GRID_BINS), np.complex64)
    gains = HighBandNet(Loud(0.25), params).process(low, low, (high,))
    np.testing.assert_allclose(gains, 0.25, rtol=1e-6)


@pytest.mark.parametrize(("rate", "kind"), [(16_000, None), (48_000, HighBandRule)])
def test_without_a_head_the_rule_does_it(rate: int, kind: type | None) -> None:
    """Models that bring no head work at every rate."""
    made = high_band(None, StftParams.for_rate(rate))
    assert made is None if kind is None else isinstance(made, kind)
    if kind is not None:
        assert isinstance(high_band(Echo(), StftParams.for_rate(rate)), HighBandNet)
