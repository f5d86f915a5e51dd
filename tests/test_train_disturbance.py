"""PESQ with a gradient."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from streamdenoise.train import losses, models, nets
from streamdenoise.train.disturbance import HOP, _tables, disturbance, quality
from streamdenoise.train.fitconfig import FitConfig
from tests import training  # noqa: F401  (skips where Keras is missing)

LEVEL = 0.05


def sounds(seed: int = 0, samples: int = 128 * 100) -> tuple[np.ndarray, np.ndarray]:
    """Return something with the pauses of speech at `LEVEL`, and noise as loud."""
    rng = np.random.default_rng(seed)
    t = np.arange(samples) / 16000.0
    on = np.maximum(np.sin(2 * np.pi * 3.0 * t), 0.0)
    tone = sum(np.sin(2 * np.pi * 140.0 * k * t) / k for k in range(1, 30)) * on
    noise = rng.standard_normal(samples)
    return tuple(
        (LEVEL * x / np.sqrt(np.mean(x**2)))[None].astype(np.float32)
        for x in (tone, noise)
    )


def heard(clean: np.ndarray, estimate: np.ndarray) -> float:
    return float(np.asarray(disturbance(clean, estimate))[0])


def test_nothing_is_heard_of_no_difference() -> None:
    """A perfect estimate costs nothing, and one below hearing next to nothing."""
    clean, noise = sounds()
    assert heard(clean, clean) < 0.01
    assert heard(clean, clean + 10 ** (-90 / 20) * noise) < 0.05


def test_more_noise_is_heard_more() -> None:
    """From 40 to 0 dB every step costs more, by points of the size of PESQ's."""
    clean, noise = sounds()
    costs = [heard(clean, clean + 10 ** (-d / 20) * noise) for d in (40, 30, 20, 10, 0)]
    assert costs == sorted(costs)
    assert 0.1 < costs[0] < costs[-1] < 6.0


def test_added_sound_costs_more_than_missing_sound() -> None:
    """Hiss that was added is counted twice; hiss that was taken away once."""
    clean, noise = sounds()
    high = np.fft.rfftfreq(noise.shape[1], 1 / 16000) > 5000
    hiss = 0.1 * np.fft.irfft(np.fft.rfft(noise) * high).astype(np.float32)
    assert heard(clean, clean + hiss) > 1.5 * heard(clean + hiss, clean)


def test_the_ear_forgives_another_volume_and_another_colour() -> None:
    """Both are next to nothing beside noise that is as far away."""
    clean, noise = sounds()
    far = heard(clean, clean + 0.3 * noise)
    assert heard(clean, 0.7 * clean) < 0.01
    tilted = clean.copy()
    tilted[:, 1:] -= 0.3 * clean[:, :-1]
    assert heard(clean, tilted) < 0.2 * far


def test_every_recording_of_a_batch_is_judged_by_itself() -> None:
    """A row's disturbance is what it is alone, whatever level its neighbours have."""
    clean, noise = sounds()
    rows = [0.2 * clean, clean], [0.2 * clean + 0.01 * noise, clean + 0.3 * noise]
    both = np.asarray(disturbance(*(np.concatenate(part) for part in rows)))
    alone = [heard(*pair) for pair in zip(*rows, strict=True)]
    np.testing.assert_allclose(both, alone, rtol=1e-4)


def test_it_follows_pesq() -> None:
    """Over kinds and amounts of damage it ranks as PESQ-WB does, and on its scale."""
    pesq = pytest.importorskip("pesq").pesq
    clean, noise = sounds(samples=HOP * 130)
    damages = [clean + 10 ** (-d / 20) * noise for d in (45, 35, 25, 15, 5)]
    # What denoisers do: pauses cut off, and what is soft with them.
    size = np.convolve(np.abs(clean[0]), np.ones(400) / 400, "same")
    damages += [
        damages[i] * (size > share * size.max())
        for i in (1, 3)
        for share in (0.05, 0.3)
    ]
    theirs = [pesq(16000, clean[0], d[0].astype(np.float32), "wb") for d in damages]
    ours = [float(np.asarray(quality(clean, d.astype(np.float32)))[0]) for d in damages]
    assert np.corrcoef(theirs, ours)[0, 1] > 0.95
    assert np.mean(np.abs(np.subtract(theirs, ours))) < 0.4


def test_bands_keep_the_power() -> None:
    """Every bin above the rumble goes into bands with its whole power."""
    tables = _tables()
    bands = tables["bands"]
    assert np.all(bands >= 0.0)
    whole = bands.sum(axis=1)
    np.testing.assert_allclose(whole[20:], whole[-1], rtol=1e-3)
    assert whole[0] == 0.0 and np.all(bands.sum(axis=0) > 0.0)
    assert tables["threshold"].min() > 0.0


@pytest.mark.parametrize("kind", ["silence", "noise alone", "speech alone", "both"])
def test_gradient_is_finite(kind) -> None:
    """Digital silence, pauses and perfection do not make an update infinite."""
    clean, noise = sounds(samples=128 * 80)
    clean = clean * (kind in ("speech alone", "both"))
    noisy = clean + noise * (kind in ("noise alone", "both"))
    keras.utils.set_random_seed(7)  # some nets begin where a voice has no slope
    net = nets.build(nets.NetConfig("gain", "gru", 8, 1))
    loss = losses.LossConfig(magnitude=0.0, complex=0.0, snr=0.0, quality=4.0)
    model = models.make_model(net, FitConfig(loss=loss, warmup=1))
    value = float(model.train_on_batch(noisy, clean))
    norm = float(model.optimizer.gradient_norm)
    assert np.isfinite([value, norm]).all()
    assert all(np.isfinite(w).all() for w in net.get_weights())
    # Nothing can be better than silence that stays silent.
    assert (norm > 1e-6) == (kind != "silence")
