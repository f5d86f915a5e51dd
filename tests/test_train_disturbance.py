"""The differentiable disturbance of PESQ."""

from __future__ import annotations

import numpy as np
import pytest

from streamdenoise.train import losses, models, nets
from streamdenoise.train.disturbance import _tables, disturbance
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
    value = disturbance(losses.planes(clean), losses.planes(estimate), LEVEL)
    return float(np.asarray(value)[0])


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
    assert 0.1 < costs[0] < costs[-1] < 4.5


def test_added_sound_costs_more_than_missing_sound() -> None:
    """Hiss that was added is counted twice; hiss that was taken away once."""
    clean, noise = sounds()
    high = np.fft.rfftfreq(noise.shape[1], 1 / 16000) > 5000
    hiss = 0.1 * np.fft.irfft(np.fft.rfft(noise) * high).astype(np.float32)
    assert heard(clean, clean + hiss) > 1.5 * heard(clean + hiss, clean)


def test_the_ear_forgives_a_change_of_level() -> None:
    """Half the volume is nothing beside noise that is as far away."""
    clean, noise = sounds()
    assert heard(clean, 0.7 * clean) < 0.3 * heard(clean, clean + 0.3 * noise)


def test_bands_keep_the_power() -> None:
    """Every bin goes into bands with its whole power."""
    bands, threshold, power = _tables()
    assert np.all(bands >= 0.0)
    np.testing.assert_allclose(bands.sum(axis=1), 1.0, atol=1e-6)
    assert np.all(bands.sum(axis=0) > 1.0), "no band is empty"
    assert threshold.min() > 0.0 and np.all(power >= 0.22)


@pytest.mark.parametrize("kind", ["silence", "noise alone", "speech alone", "both"])
def test_gradient_is_finite(kind) -> None:
    """Digital silence, pauses and perfection do not make an update infinite."""
    clean, noise = sounds(samples=128 * 40)
    clean = clean * (kind in ("speech alone", "both"))
    noisy = clean + noise * (kind in ("noise alone", "both"))
    net = nets.build(nets.NetConfig("gain", "gru", 8, 1))
    loss = losses.LossConfig(magnitude=0.0, complex=0.0, snr=0.0, disturbance=4.0)
    model = models.make_model(net, FitConfig(loss=loss, warmup=1))
    value = float(model.train_on_batch(noisy, clean))
    norm = float(model.optimizer.gradient_norm)
    assert np.isfinite([value, norm]).all()
    assert all(np.isfinite(w).all() for w in net.get_weights())
    # Nothing can be better than silence that stays silent.
    assert (norm > 1e-6) == (kind != "silence")
