"""One gain for all channels."""

from __future__ import annotations

import numpy as np
import pytest

from streamdenoise import Denoiser, Settings, denoise
from streamdenoise.linked import energy_mix
from tests.fakes import BrokenModel, GainModel, IdentityModel, MemoryModel

RATES = [8000, 16000, 44100, 48000]


def noise(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return (0.1 * rng.standard_normal(shape)).astype(np.float32)


def whole(denoiser: Denoiser, x: np.ndarray) -> np.ndarray:
    return np.concatenate([denoiser.process(x), denoiser.flush()])


def linked(model, rate: int = 16000, channels: int = 2, **extra) -> Denoiser:
    return Denoiser(model, rate, channels, link_channels=True, **extra)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("bulk", [False, True])
def test_perfect_reconstruction(rng, rate, bulk):
    """A model that changes nothing gives every channel back."""
    x = noise(rng, rate // 3, 3)
    denoiser = linked(IdentityModel(), rate, 3, bulk=bulk)
    y = whole(denoiser, x)[denoiser.latency_samples :]
    assert np.abs(y - x).max() <= 2e-6 * np.abs(x).max()


@pytest.mark.parametrize("rate", RATES)
def test_equal_channels_are_what_one_channel_is(rng, rate, tiny_model):
    """The mix of equal channels is the channel, and so is the result."""
    x = noise(rng, rate)
    alone = whole(Denoiser(tiny_model, rate), x)
    both = whole(linked(tiny_model, rate), np.stack([x, x], 1))
    assert np.array_equal(both[:, 0], both[:, 1])
    assert np.abs(both[:, 0] - alone).max() < 1e-5


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("gain", [0.5, 0.01, -1.0])
def test_level_difference_stays(rng, rate, gain, model):
    """What sits at one place between two channels sits there afterwards.

    The second channel is the first one times a number, the mirror image among them;
    so it is in the result, to the last bits, whatever the model does.
    """
    x = noise(rng, rate) * np.linspace(0, 1, rate, dtype=np.float32)
    y = denoise(np.stack([x, np.float32(gain) * x], 1), rate, model, link_channels=True)
    assert np.abs(y[:, 1] - gain * y[:, 0]).max() < 1e-6
    assert np.abs(y[:, 0]).max() > 1e-4


def test_image_does_not_move_with_noise_on_one_side(rng, model):
    """A tone in the middle stays there when one channel is noisy: 0 dB, not several."""
    n = 48000
    tone = 0.2 * np.sin(2 * np.pi * 500 * np.arange(n) / 16000)
    tone *= np.arange(n) // 4000 % 2
    x = np.stack([tone, tone], 1).astype(np.float32)
    mix = x.copy()
    mix[:, 1] += noise(rng, n)
    # What the gains do to the tone alone is heard by a denoiser that is linear in it.
    spectra = []
    for link in (False, True):
        y = denoise(mix, 16000, model, link_channels=link)
        on = np.flatnonzero(np.arange(n) // 4000 % 2)[8000:]
        kernel = np.exp(-2j * np.pi * 500 * np.arange(n) / 16000)
        spectra.append(np.abs(kernel[on] @ y[on]))
    apart = [abs(20 * np.log10(a / b)) for a, b in spectra]
    assert apart[1] < 0.2, apart


def test_mirror_image_is_not_taken_for_silence(rng):
    """The model hears two channels that cancel in a mean as loud as they are."""
    heard = []

    class Listens(IdentityModel):
        def enhance(self, frame, state):
            heard.append(np.square(frame).sum())
            return frame

    x = noise(rng, 4000)
    linked(Listens()).process(np.stack([x, x], 1))
    same, heard = heard, []
    linked(Listens()).process(np.stack([x, -x], 1))
    assert np.allclose(heard, same, rtol=1e-4) and max(same) > 0


def test_mix_keeps_the_energy(rng):
    """The power of the mix is the mean power of the channels, bin by bin."""
    spectra = [
        (rng.standard_normal((7, 257)) + 1j * rng.standard_normal((7, 257))).astype(
            np.complex64
        )
        for _ in range(4)
    ]
    spectra[2][:, :50] = -spectra[0][:, :50]
    spectra[3][:, :50] = -spectra[1][:, :50]
    spectra[1][3] = spectra[0][3] = spectra[2][3] = spectra[3][3] = 0
    mix = energy_mix(spectra, np.empty_like(spectra[0]))
    power = np.mean([np.abs(s) ** 2 for s in spectra], axis=0)
    # Four channels may cancel in pairs even so; no more than a few bins do.
    off = np.abs(np.abs(mix) ** 2 - power) > 1e-3 * power + 1e-12
    assert off.sum() == 0


@pytest.mark.parametrize("rate", [16000, 48000])
def test_block_sizes_do_not_matter(rng, rate):
    """Random block sizes, 0 and 1 among them, give the same bits."""
    x = noise(rng, rate // 2, 2)
    expected = whole(linked(MemoryModel(), rate), x)
    for _ in range(3):
        d, out, at = linked(MemoryModel(), rate), [], 0
        sizes = [0, 1, *rng.integers(0, 1500, 200).tolist()]
        for size in sizes:
            out.append(d.process(x[at : at + size]))
            at = min(at + size, len(x))
        out.append(d.process(x[at:]))
        np.testing.assert_array_equal(np.concatenate([*out, d.flush()]), expected)


def test_bulk_equals_step_by_step(rng, tiny_model):
    """Many frames per call give the same sound but for the last bits."""
    x = noise(rng, 48000, 2)
    one = whole(linked(tiny_model, 48000), x)
    many = whole(linked(tiny_model, 48000, bulk=True), x)
    assert np.abs(one - many).max() < 1e-5


@pytest.mark.parametrize("block", [128, 100])
def test_promised_block_only_shifts(rng, block):
    """A promised block size changes the shift and not one bit of the sound."""
    x = noise(rng, 100 * block, 2)
    free, bound = linked(MemoryModel()), linked(MemoryModel(), block=block)
    expected = whole(free, x)[free.latency_samples :]
    got = whole(bound, x)[bound.latency_samples :]
    np.testing.assert_array_equal(got, expected)


def test_snapshot_reset_and_foreign_states(rng, tiny_model):
    """A stream goes on from a snapshot bit by bit; that of another kind is refused."""
    x = noise(rng, 9000, 2)
    d = linked(tiny_model, 48000)
    expected = whole(d, x)
    first = d.process(x[:4001])
    state = d.snapshot()
    rest = d.process(x[4001:])
    d.reset()
    d.restore(state)
    np.testing.assert_array_equal(d.process(x[4001:]), rest)
    np.testing.assert_array_equal(np.concatenate([first, rest]), expected[: len(x)])
    with pytest.raises(ValueError, match="another stream layout"):
        Denoiser(tiny_model, 48000, 2).restore(state)
    with pytest.raises(ValueError, match="another stream layout"):
        linked(tiny_model, 48000).restore(Denoiser(tiny_model, 48000, 2).snapshot())


def test_settings_mean_the_same(rng):
    """Strength, mix, removed and bypass act on linked channels as on others."""
    x = noise(rng, 20000, 2)
    for settings in (
        Settings(strength_db=6.0),
        Settings(mix=0.3),
        Settings(removed=True),
        Settings(bypass=True),
    ):
        apart = denoise(x, 16000, GainModel(0.25), settings)
        together = denoise(x, 16000, GainModel(0.25), settings, link_channels=True)
        assert np.abs(apart - together).max() < 1e-6


@pytest.mark.parametrize("bulk", [False, True])
def test_bad_samples_and_bad_frames(rng, bulk):
    """NaN in one channel is silence there; a model that gives NaN recovers."""
    x = noise(rng, 16000, 2)
    x[5000, 1] = np.nan
    d = linked(BrokenModel((40,)), bulk=bulk)
    y = whole(d, x)
    assert np.isfinite(y).all() and d.bad_samples == 1 and d.bad_frames == 1
    assert np.abs(y[14000:15000]).max() > 0.01


def test_silence_stays_silence(tiny_model):
    """Silence in all channels comes out as silence."""
    assert not np.any(whole(linked(tiny_model), np.zeros((16000, 2), np.float32)))


def test_one_channel_has_nothing_to_link(rng, tiny_model):
    """With one channel the option changes no bit."""
    x = noise(rng, 5000)
    np.testing.assert_array_equal(
        whole(linked(tiny_model, channels=1), x), whole(Denoiser(tiny_model), x)
    )


def test_the_model_runs_once_for_all_channels(rng):
    """The work of the model does not grow with the number of channels."""
    model = BrokenModel(())
    linked(model, channels=8).process(noise(rng, 128 * 10, 8))
    assert model.calls == 10


def test_shipped_model_and_whole_file_models_agree(rng, tiny_model):
    """Linked channels of a whole-file model lie on those of the engine."""
    from streamdenoise.offline import WholeModel, denoise_whole

    class Whole(WholeModel):
        def __init__(self):
            self.card = GainModel(0.5).card

        def enhance(self, grid):
            return np.float32(0.5) * grid

    x = noise(rng, 48000, 2)
    for rate in (16000, 48000):
        y = denoise_whole(x, rate, Whole(), link_channels=True)
        assert np.abs(y - 0.5 * x).max() < 1e-4
