"""Tests of the denoiser as a stream."""

from __future__ import annotations

import math
import sys
import tracemalloc
import warnings
from dataclasses import replace

import numpy as np
import pytest

from streamdenoise import (
    AudioFormatError,
    Denoiser,
    ModelError,
    Settings,
    StepModel,
    denoise,
)
from tests.fakes import BrokenModel, GainModel, IdentityModel, MemoryModel

RATES = [8000, 11025, 16000, 22050, 44100, 48000, 96000, 192000]
ODD_RATES = [8001, 9999, 12345, 15999, 37800, 47999]


def noise(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return (0.1 * rng.standard_normal(shape)).astype(np.float32)


def whole(denoiser: Denoiser, x: np.ndarray) -> np.ndarray:
    """Return all that comes out for `x`, the lag at the start included."""
    return np.concatenate([denoiser.process(x), denoiser.flush()])


def in_pieces(denoiser: Denoiser, x: np.ndarray, sizes: list[int]) -> np.ndarray:
    out, at, i = [], 0, 0
    while at < len(x):
        out.append(denoiser.process(x[at : at + sizes[i % len(sizes)]]))
        at, i = at + sizes[i % len(sizes)], i + 1
    return np.concatenate([*out, denoiser.flush()])


# Reconstruction and latency


@pytest.mark.parametrize("rate", RATES + ODD_RATES)
@pytest.mark.parametrize("bulk", [False, True])
def test_perfect_reconstruction(
    rng: np.random.Generator, rate: int, bulk: bool
) -> None:
    """A model that changes nothing gives back the input, shifted by the latency."""
    x = noise(rng, rate // 3)
    denoiser = Denoiser(IdentityModel(), rate, bulk=bulk)
    y = whole(denoiser, x)
    lag = denoiser.latency_samples
    assert len(y) == len(x) + lag
    assert not y[:lag].any() or np.abs(y[:lag]).max() < 1e-7
    assert np.abs(y[lag:] - x).max() <= 1e-6 * np.abs(x).max()


@pytest.mark.parametrize(
    "card",
    [
        {"hop_seconds": 0.004, "win_hops": 8},
        {"synthesis_hops": 1},
        {"synthesis_hops": 1.5},
    ],
)
def test_perfect_reconstruction_with_other_window_pairs(
    rng: np.random.Generator, card: dict
) -> None:
    """The window pair of the card rules, and needs no other code."""
    x = noise(rng, 48000)
    for rate in (16000, 44100):
        denoiser = Denoiser(IdentityModel(**card), rate)
        y = whole(denoiser, x)[denoiser.latency_samples :]
        assert np.abs(y - x).max() <= 1e-6 * np.abs(x).max()


@pytest.mark.parametrize("block", [None, 1, 64, 100, 128, 160, 256, 480, 1000])
def test_latency_formula(rng: np.random.Generator, block: int | None) -> None:
    """The latency is two hops less the greatest common divisor of block and hop."""
    denoiser = Denoiser(IdentityModel(), 16000, block=block)
    assert denoiser.latency_samples == 256 - math.gcd(block or 1, 128)
    assert denoiser.latency == denoiser.latency_samples / 16000
    x = noise(rng, 10 * (block or 37))
    y = whole(denoiser, x)[denoiser.latency_samples :]
    assert np.abs(y - x).max() <= 1e-6 * np.abs(x).max()


@pytest.mark.parametrize("block", [None, 128])
@pytest.mark.parametrize("at", [0, 1, 500, 999])
def test_impulse_lands_after_the_latency(block: int | None, at: int) -> None:
    """Under bypass an impulse comes out whole, exactly `latency_samples` later."""
    x = np.zeros(1024, np.float32)
    x[at] = 1.0
    denoiser = Denoiser(GainModel(0.0), settings=Settings(bypass=True), block=block)
    y = whole(denoiser, x)
    assert np.argmax(y) == at + denoiser.latency_samples
    assert y.max() == pytest.approx(1.0, abs=1e-6)
    assert np.abs(np.delete(y, np.argmax(y))).max() < 1e-6


def test_eight_millisecond_model() -> None:
    """A card with a short hop halves the latency."""
    card = {"hop_seconds": 0.004, "win_hops": 8}
    assert Denoiser(IdentityModel(**card)).latency_samples == 127


@pytest.mark.parametrize("lead", [128, 1])
def test_output_cannot_wait_longer_than_it_must(lead: int) -> None:
    """With blocks of a hop, the sample before the last hop has just come out."""
    denoiser = Denoiser(IdentityModel(), block=lead)
    for i in range(1024 // lead):
        x = np.zeros(lead, np.float32)
        x[0] = i == 256 // lead
        if denoiser.process(x).max() > 0.5:
            assert i * lead - 256 == denoiser.latency_samples // lead * lead
            return
    pytest.fail("the impulse never came out")


# Blocks


@pytest.mark.parametrize("rate", [8000, 16000, 44100, 48000])
def test_block_sizes_do_not_matter(rng: np.random.Generator, rate: int) -> None:
    """Random block sizes, 0 and 1 among them, give the same bits."""
    x = noise(rng, rate // 2)
    expected = whole(Denoiser(MemoryModel(), rate), x)
    for _ in range(5):
        sizes = [0, 1, *rng.integers(0, 1500, 20).tolist()]
        rng.shuffle(sizes)
        got = in_pieces(Denoiser(MemoryModel(), rate), x, sizes)
        np.testing.assert_array_equal(got, expected)


def test_one_sample_at_a_time(tiny_model: StepModel, rng: np.random.Generator) -> None:
    """Single samples through a real interpreter give the same bits as one block."""
    x = noise(rng, 3000)
    expected = whole(Denoiser(tiny_model), x)
    np.testing.assert_array_equal(in_pieces(Denoiser(tiny_model), x, [1]), expected)


@pytest.mark.parametrize("block", [1, 100, 128, 384])
def test_promised_block_only_shifts(rng: np.random.Generator, block: int) -> None:
    """A promised block size changes the shift and not one bit of the sound."""
    x = noise(rng, 30 * 384 * 25)[: 25 * block * 30]
    free, bound = Denoiser(MemoryModel()), Denoiser(MemoryModel(), block=block)
    expected = whole(free, x)[free.latency_samples :]
    got = in_pieces(bound, x, [block, 2 * block, 0])[bound.latency_samples :]
    np.testing.assert_array_equal(got, expected)


def test_broken_promise_is_refused() -> None:
    """A block that breaks the promise is refused before it can do harm."""
    denoiser = Denoiser(IdentityModel(), block=128)
    with pytest.raises(ValueError, match="promise of block=128"):
        denoiser.process(np.zeros(100))
    assert denoiser.process(np.zeros(256)).shape == (256,)


@pytest.mark.parametrize("block", [0, -1, 1.5, True])
def test_impossible_promise_is_refused(block: int) -> None:
    """A promise that is no number of samples is refused with a sentence."""
    with pytest.raises(ValueError, match="block is"):
        Denoiser(IdentityModel(), block=block)


def test_writes_where_it_is_told(rng: np.random.Generator) -> None:
    """`out` is filled and returned, and may be the block itself."""
    x = noise(rng, 1000, 2)
    expected = Denoiser(IdentityModel(), channels=2).process(x)
    out = np.empty((2, 1000), np.float32).T
    assert Denoiser(IdentityModel(), channels=2).process(x, out) is out
    np.testing.assert_array_equal(out, expected)
    Denoiser(IdentityModel(), channels=2).process(x, x)
    np.testing.assert_array_equal(x, expected)


@pytest.mark.parametrize("block", [32, 64, 96, 128, 256, 384])
@pytest.mark.parametrize("hops", [1, 1.25, 1.5, 2])
@pytest.mark.parametrize("channels", [1, 2])
def test_the_end_is_whole_whatever_block_was_promised(
    rng: np.random.Generator, block: int, hops: float, channels: int
) -> None:
    """`flush` gives the last samples although they are no multiple of the block."""
    x = noise(rng, 768 * 4, channels)
    model = IdentityModel(synthesis_hops=hops)
    denoiser = Denoiser(model, 16000, channels, block=block)
    lag = denoiser.latency_samples
    out = [denoiser.process(x[i : i + block]) for i in range(0, len(x), block)]
    end = denoiser.flush().reshape(-1, channels)
    y = np.concatenate([*out, end])
    assert len(end) == lag
    np.testing.assert_allclose(y[lag:], x, atol=1e-6)


# State


def test_reset_leaves_nothing(tiny_model: StepModel, rng: np.random.Generator) -> None:
    """After `reset` and after `flush` a stream is as new."""
    x, other = noise(rng, 48000), noise(rng, 12345)
    denoiser = Denoiser(tiny_model, 48000)
    expected = whole(denoiser, x)
    np.testing.assert_array_equal(whole(denoiser, x), expected)
    denoiser.process(other)
    denoiser.reset()
    np.testing.assert_array_equal(whole(denoiser, x), expected)


def test_streams_do_not_mix(tiny_model: StepModel, rng: np.random.Generator) -> None:
    """Two streams that share a model, at two rates, do not hear each other."""
    x, other = noise(rng, 16000), noise(rng, 48000)
    expected = whole(Denoiser(tiny_model), x)
    first, second = Denoiser(tiny_model), Denoiser(tiny_model, 48000)
    out = []
    for i in range(100):
        out.append(first.process(x[160 * i : 160 * i + 160]))
        second.process(other[480 * i : 480 * i + 480])
    out.append(first.flush())
    np.testing.assert_array_equal(np.concatenate(out), expected)


@pytest.mark.parametrize("at", [0, 1, 100, 128, 300, 5000, 5001])
@pytest.mark.parametrize("rate", [16000, 48000])
def test_snapshot_and_restore(
    tiny_model: StepModel, rng: np.random.Generator, at: int, rate: int
) -> None:
    """A stream goes on from a snapshot, in another denoiser too, bit for bit."""
    x = noise(rng, 12000, 2)
    denoiser = Denoiser(tiny_model, rate, channels=2)
    denoiser.process(x[:at])
    state = denoiser.snapshot()
    expected = whole(denoiser, x[at:])
    for again in (denoiser, Denoiser(tiny_model, rate, channels=2)):
        again.process(noise(rng, 777, 2))
        again.restore(state)
        np.testing.assert_array_equal(whole(again, x[at:]), expected)


def test_foreign_snapshot_is_refused(tiny_model: StepModel) -> None:
    """A snapshot of another layout is refused with a sentence."""
    state = Denoiser(tiny_model).snapshot()
    for other in (
        Denoiser(tiny_model, 48000),
        Denoiser(tiny_model, channels=2),
        Denoiser(tiny_model, block=128),
        Denoiser(IdentityModel()),
    ):
        with pytest.raises(ValueError, match="another stream layout"):
            other.restore(state)


def test_channels_are_independent(
    tiny_model: StepModel, rng: np.random.Generator
) -> None:
    """Each channel gives the bits that it gives alone."""
    x = noise(rng, 20000, 3)
    together = whole(Denoiser(tiny_model, 48000, channels=3), x)
    for i in range(3):
        alone = whole(Denoiser(tiny_model, 48000), x[:, i])
        np.testing.assert_array_equal(together[:, i], alone)


# Settings


def settled(x: np.ndarray, settings: Settings, gain: float = 0.1) -> np.ndarray:
    return denoise(x, 16000, GainModel(gain), settings)


def test_strength_limits_the_attenuation(rng: np.random.Generator) -> None:
    """A gain of 0 under a limit of 12 dB attenuates by 12 dB and no more."""
    x = noise(rng, 8000)
    quiet = settled(x, Settings(strength_db=12), gain=0.0)
    np.testing.assert_allclose(quiet, x * 10 ** (-12 / 20), atol=1e-6)
    np.testing.assert_allclose(settled(x, Settings(strength_db=0), 0.0), x, atol=1e-6)
    assert not settled(x, Settings(strength_db=math.inf), 0.0).any()


def test_mix_is_linear(rng: np.random.Generator) -> None:
    """Half the mix is the mean of dry and enhanced, aligned."""
    x = noise(rng, 8000)
    np.testing.assert_allclose(settled(x, Settings(mix=0.5)), 0.55 * x, atol=1e-6)
    np.testing.assert_allclose(settled(x, Settings(mix=0.0)), x, atol=1e-6)


@pytest.mark.parametrize(
    "settings",
    [
        Settings(),
        Settings(strength_db=6),
        Settings(mix=0.7),
        Settings(mix=0.5, strength_db=20),
    ],
)
@pytest.mark.parametrize("rate", [16000, 44100])
def test_kept_and_removed_make_the_input(
    tiny_model: StepModel, rng: np.random.Generator, settings: Settings, rate: int
) -> None:
    """What is heard and what is taken away add up to the input."""
    x = noise(rng, 20000)
    kept = denoise(x, rate, tiny_model, settings)
    removed = denoise(x, rate, tiny_model, replace(settings, removed=True))
    np.testing.assert_allclose(kept + removed, x, atol=1e-6)


def test_bypass_is_the_input(tiny_model: StepModel, rng: np.random.Generator) -> None:
    """Bypass passes everything, whatever the other settings say."""
    x = noise(rng, 20000)
    settings = Settings(bypass=True, removed=True, mix=0.3)
    np.testing.assert_allclose(denoise(x, 48000, tiny_model, settings), x, atol=1e-6)


def test_model_hears_everything_under_bypass(rng: np.random.Generator) -> None:
    """Switching bypass off goes on as if it had never been on."""
    x = noise(rng, 20000)
    expected = Denoiser(MemoryModel()).process(x)
    denoiser = Denoiser(MemoryModel(), settings=Settings(bypass=True))
    denoiser.process(x[:10000])
    denoiser.settings = Settings()
    np.testing.assert_array_equal(denoiser.process(x[10000:])[512:], expected[10512:])


@pytest.mark.parametrize("bulk", [False, True])
def test_switching_makes_no_click(bulk: bool) -> None:
    """A switch fades over one hop: no step larger than the fade and the tone make."""
    rate, hop = 16000, 128
    tone = np.sin(2 * np.pi * 200 * np.arange(rate) / rate).astype(np.float32)
    denoiser = Denoiser(GainModel(0.0), bulk=bulk)
    out = []
    for i, start in enumerate(range(0, rate, 1000)):
        denoiser.settings = Settings(bypass=bool(i % 2))
        out.append(denoiser.process(tone[start : start + 1000]))
    y = np.concatenate(out)
    assert y.max() > 0.9
    tone_step, fade_step = 2 * np.pi * 200 / rate, np.pi / 2 / hop
    assert np.abs(np.diff(y)).max() < tone_step + fade_step + 0.01


# Whole signals


@pytest.mark.parametrize("rate", [8000, 16000, 44100, 48000])
@pytest.mark.parametrize("size", [0, 1, 100, 1024, 5000, 20001])
def test_bulk_equals_step_by_step(
    tiny_model: StepModel, rng: np.random.Generator, rate: int, size: int
) -> None:
    """Many frames in one call give what one by one gives, to 1e-5."""
    x = noise(rng, size, 2)
    expected = whole(Denoiser(tiny_model, rate, channels=2), x)
    bulk = Denoiser(tiny_model, rate, channels=2, bulk=True)
    np.testing.assert_allclose(whole(bulk, x), expected, rtol=0, atol=1e-5)
    pieces = in_pieces(bulk, x, [3000, 1, 700, 0, 5000])
    np.testing.assert_allclose(pieces, expected, rtol=0, atol=1e-5)


def test_bulk_and_block_promise(
    tiny_model: StepModel, rng: np.random.Generator
) -> None:
    """Bulk work keeps the latency of the promised block."""
    x = noise(rng, 160 * 100)
    expected = whole(Denoiser(tiny_model, block=160), x)
    got = whole(Denoiser(tiny_model, block=160, bulk=True), x)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("shape", [(0,), (1,), (999,), (999, 1), (999, 2), (0, 2)])
def test_denoise_keeps_length_and_time(
    rng: np.random.Generator, shape: tuple[int, ...]
) -> None:
    """`denoise` gives the same shape and type with no lag."""
    x = noise(rng, *shape)
    y = denoise(x, 44100, IdentityModel())
    assert y.shape == shape and y.dtype == np.float32
    np.testing.assert_allclose(y, x, atol=1e-6)
    assert denoise(x.astype(np.float64), 44100, IdentityModel()).dtype == np.float64
    ints = (x * 32768).astype(np.int16)
    np.testing.assert_array_equal(denoise(ints, 44100, IdentityModel()), ints)


@pytest.mark.parametrize("bulk", [False, True])
def test_int16_equals_float(
    tiny_model: StepModel, rng: np.random.Generator, bulk: bool
) -> None:
    """Whole numbers and the same sound in floating point give the same bits."""
    ints = rng.integers(-32768, 32768, 20000).astype(np.int16)
    expected = whole(Denoiser(tiny_model, bulk=bulk), ints / np.float32(32768))
    np.testing.assert_array_equal(
        whole(Denoiser(tiny_model, bulk=bulk), ints), expected
    )


def test_int16_of_any_byte_order_is_sound(rng: np.random.Generator) -> None:
    """Samples as AIFF and network streams have them give what others give."""
    ints = rng.integers(-30000, 30000, 9000).astype(np.int16)
    clean = denoise(ints.astype(">i2"), 16000, IdentityModel())
    assert clean.dtype == np.dtype(">i2")
    np.testing.assert_array_equal(clean, denoise(ints, 16000, IdentityModel()))


def test_full_scale_int16_does_not_wrap() -> None:
    """A result beyond full scale is clipped, never wrapped around."""
    x = np.full(4000, 32767, np.int16)
    x[::2] = -32768
    np.testing.assert_array_equal(denoise(x, 16000, GainModel(4.0)), x)


# Bad input


@pytest.mark.parametrize("bulk", [False, True])
def test_bad_samples_become_silence(
    tiny_model: StepModel, rng: np.random.Generator, bulk: bool
) -> None:
    """NaN and infinities are taken as silence and counted; nothing lasts of them."""
    x = noise(rng, 20000)
    dirty, clean = x.copy(), x.copy()
    places = [0, 5, 4000, 4001, 19999]
    dirty[places] = [np.nan, np.inf, -np.inf, 1e30, np.nan]
    clean[places] = 0
    denoiser = Denoiser(tiny_model, 48000, bulk=bulk)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        got = whole(denoiser, dirty)
    assert denoiser.bad_samples == len(places)
    expected = whole(Denoiser(tiny_model, 48000, bulk=bulk), clean)
    np.testing.assert_array_equal(got, expected)


def test_doubles_beyond_float_range_become_silence() -> None:
    """A double that float32 cannot hold is no sound either, and warns nobody."""
    x = np.zeros(1000)
    x[500] = 1e300
    denoiser = Denoiser(IdentityModel())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not whole(denoiser, x).any()
    assert denoiser.bad_samples == 1


def test_loud_but_possible_samples_pass(rng: np.random.Generator) -> None:
    """Sound far beyond full scale is not touched."""
    x = 1e6 * noise(rng, 4000)
    y = denoise(x, 16000, IdentityModel())
    np.testing.assert_allclose(y, x, atol=1e-6 * np.abs(x).max())


@pytest.mark.parametrize("bulk", [False, True])
def test_model_that_gives_nan_recovers(rng: np.random.Generator, bulk: bool) -> None:
    """A frame that is not finite is silence, and the state starts anew after it."""
    x = noise(rng, 128 * 100)
    denoiser = Denoiser(BrokenModel((50,)), bulk=bulk)
    y = whole(denoiser, x)
    assert np.isfinite(y).all()
    assert 1 <= denoiser.bad_frames <= IdentityModel.group
    lag = denoiser.latency_samples
    np.testing.assert_allclose(y[-5000:], x[-5000:], atol=1e-6)
    np.testing.assert_allclose(y[lag : lag + 5000], x[:5000], atol=1e-6)


@pytest.mark.parametrize("rate", [8000, 16000, 48000])
def test_silence_stays_silence(tiny_model: StepModel, rate: int) -> None:
    """Digital silence in is digital silence out, also after sound has passed."""
    denoiser = Denoiser(tiny_model, rate)
    assert not denoiser.process(np.zeros(rate)).any()
    denoiser.process(np.random.default_rng(0).standard_normal(rate))
    denoiser.process(np.zeros(rate // 10))
    assert not denoiser.process(np.zeros(rate // 10)).any()


@pytest.mark.parametrize(
    ("channels", "block"),
    [
        (1, np.zeros((10, 2))),
        (2, np.zeros(10)),
        (2, np.zeros((2, 10))),
        (1, np.zeros(())),
        (1, np.zeros((1, 1, 1))),
        (1, np.zeros(10, np.int32)),
        (1, np.zeros(10, np.uint8)),
        (1, np.zeros(10, complex)),
        (1, np.zeros(10, bool)),
        (1, np.array(["a"])),
    ],
)
def test_wrong_blocks_are_refused(channels: int, block: np.ndarray) -> None:
    """A block of the wrong shape or type is refused with a sentence."""
    with pytest.raises(AudioFormatError, match="give"):
        Denoiser(IdentityModel(), channels=channels).process(block)


@pytest.mark.parametrize(
    "out", [np.zeros(9, np.float32), np.zeros(10), np.zeros((10, 1), np.float32)]
)
def test_wrong_out_is_refused(out: np.ndarray) -> None:
    """An `out` that does not fit is refused before anything has been done."""
    with pytest.raises(ValueError, match="float32"):
        Denoiser(IdentityModel()).process(np.zeros(10), out)


@pytest.mark.parametrize("rate", [0, 7999, 192001, 1_000_000, 16000.5])
def test_wrong_rates_are_refused(rate: int) -> None:
    """A rate outside the range is refused with a sentence."""
    with pytest.raises(AudioFormatError, match="sample rate"):
        Denoiser(IdentityModel(), rate)


@pytest.mark.parametrize("channels", [0, -1, 65, 1.5, True])
def test_wrong_channels_are_refused(channels: int) -> None:
    """A number of channels that cannot be is refused with a sentence."""
    with pytest.raises(AudioFormatError, match="1 to 64"):
        Denoiser(IdentityModel(), channels=channels)


def test_sound_of_wrong_shape_is_refused() -> None:
    """`denoise` refuses what is no sound, and more channels than there are."""
    for shape in [(), (2, 2, 2), (10, 0), (10, 65)]:
        with pytest.raises(AudioFormatError):
            denoise(np.zeros(shape), 16000, IdentityModel())


def test_whole_file_models_are_refused() -> None:
    """A model that is not causal cannot run on a stream, and the message says so."""
    with pytest.raises(ModelError, match=r"whole recording.*streamdenoise file"):
        Denoiser(IdentityModel(causal=False))


# Rates


def tone(frequency: float, rate: int) -> np.ndarray:
    return np.sin(2 * np.pi * frequency * np.arange(rate) / rate).astype(np.float32)


def level(x: np.ndarray) -> float:
    middle = x[len(x) // 4 : -len(x) // 4]
    return float(np.sqrt(np.mean(np.square(middle))))


def sibilant(rng: np.random.Generator, rate: int, low: float, high: float):
    spectrum = np.fft.rfft(0.1 * rng.standard_normal(rate))
    frequency = np.fft.rfftfreq(rate, 1 / rate)
    spectrum[(frequency < low) | (frequency > high)] = 0
    return np.fft.irfft(spectrum).astype(np.float32)


@pytest.mark.parametrize("rate", [44100, 48000, 96000])
def test_high_band_follows_the_model(rng: np.random.Generator, rate: int) -> None:
    """What lies above 8 kHz passes with the model's upper bins, and goes with them."""
    x = sibilant(rng, rate, 5000, 15000)
    high = sibilant(rng, rate, 9000, 15000)
    x += high
    np.testing.assert_allclose(denoise(x, rate, IdentityModel()), x, atol=1e-5)
    assert level(denoise(x, rate, GainModel(0.0))) == 0.0
    upper_removed = np.ones(257)
    upper_removed[170:] = 0.01
    kept = denoise(x + tone(1000, rate), rate, GainModel(upper_removed))
    assert level(kept) == pytest.approx(level(tone(1000, rate)), rel=0.01)


@pytest.mark.parametrize("frequency", [300, 1000, 3000, 5000, 7000])
@pytest.mark.parametrize("rate", [44100, 48000, 96000])
def test_low_band_is_that_of_16_khz(frequency: float, rate: int) -> None:
    """A gain per bin has the same effect on a tone at every rate.

    At 48 kHz the grid is the same to the last bit of rounding; at 44.1 kHz it is off
    by 0.23 %, which on a steep gain shows.
    """
    gain = np.linspace(1, 0.1, 257)
    reference = denoise(tone(frequency, 16000), 16000, GainModel(gain))
    there = denoise(tone(frequency, rate), rate, GainModel(gain))
    tolerance = 1e-4 if rate % 16000 == 0 else 0.01
    assert level(there) == pytest.approx(level(reference), rel=tolerance)


def test_48_khz_equals_16_khz_sample_for_sample(rng: np.random.Generator) -> None:
    """A recording at 48 kHz, taken at every third sample, is that at 16 kHz."""
    spectrum = np.zeros(24001, complex)
    spectrum[50:7000] = rng.standard_normal(6950) + 1j * rng.standard_normal(6950)
    wide = np.fft.irfft(spectrum, 48000).astype(np.float32)
    wide /= np.abs(wide).max()
    gain = 0.55 + 0.45 * np.cos(np.arange(257) / 12)
    low = denoise(wide[::3], 16000, GainModel(gain))
    high = denoise(wide, 48000, GainModel(gain))[::3]
    error = np.sum((high - low)[512:-512] ** 2) / np.sum(low[512:-512] ** 2)
    assert 10 * np.log10(error) < -25


@pytest.mark.parametrize("frequency", [500, 3500])
def test_8_khz(frequency: float) -> None:
    """At 8 kHz the model's lower half works as ever, and gets zeros above."""

    class Spy(GainModel):
        def enhance(self, frame, state):
            assert not frame[0, 129:].any()
            return super().enhance(frame, state)

    x = tone(frequency, 8000)
    assert level(denoise(x, 8000, Spy(0.5))) == pytest.approx(level(x) / 2, rel=1e-4)


# Long runs


def test_an_hour_neither_grows_nor_drifts(rng: np.random.Generator) -> None:
    """Memory and sound are after an hour what they were after some seconds."""
    resource = pytest.importorskip("resource", reason="needs getrusage to see memory")

    class Passing(IdentityModel):
        group = 25

        def steps(self, frames, state):
            return frames

    second = noise(rng, 16000)
    out = np.empty_like(second)
    denoiser = Denoiser(Passing(), bulk=True)
    for _ in range(10):
        denoiser.process(second, out)
    first, before = out.copy(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(3600):
        denoiser.process(second, out)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    np.testing.assert_array_equal(out, first)
    lag = denoiser.latency_samples
    np.testing.assert_allclose(out[lag:], second[:-lag], atol=1e-6)
    assert grown < 2000 * (1024 if sys.platform == "darwin" else 1)


@pytest.mark.parametrize("size", [128, 100, 1])
def test_nothing_is_kept_by_a_hop(
    tiny_model: StepModel, rng: np.random.Generator, size: int
) -> None:
    """The hot path leaves no memory behind, whatever the blocks."""
    x, out = noise(rng, size), np.empty(size, np.float32)
    denoiser = Denoiser(tiny_model, block=size)

    def run(blocks: int) -> None:
        for _ in range(blocks):
            denoiser.process(x, out)

    run(2000)
    tracemalloc.start()
    try:
        run(1000)
        before = tracemalloc.get_traced_memory()[0]
        run(4000)
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown < 2000


def test_shipped_model_cleans(model: StepModel, rng: np.random.Generator) -> None:
    """The model that ships takes white noise away."""
    x = noise(rng, 48000)
    assert level(denoise(x, 16000, model)) < 0.5 * level(x)
