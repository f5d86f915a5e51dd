"""Validation of nets on fixed mixtures, so that rows of all runs can be compared."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from streamdenoise.audio.levels import si_sdr
from streamdenoise.train.data import Pack
from streamdenoise.train.losses import LossConfig, istft, spectral_loss, stft
from streamdenoise.train.mix import Mixer
from streamdenoise.train.mixconfig import MixConfig
from streamdenoise.train.nets import SpectralNet

__all__ = ["VALID_COLUMNS", "Validation"]

VALID_COLUMNS = (
    "valid_loss",
    "valid_quality",
    "valid_silence",
    "valid_si_sdr",
    "valid_si_sdr_gain",
)
"""What is measured, by name."""

_SPECTRA = LossConfig(snr=0.0)
_QUALITY = LossConfig(magnitude=0.0, complex=0.0, snr=0.0, quality=1.0)
_SILENCE = LossConfig(magnitude=0.0, complex=0.0, snr=0.0, silence=1.0)
"""What validation measures, whatever a run's own loss is: rows can be compared."""


class Validation:
    """Measures nets on the same mixtures each time.

    Parameters
    ----------
    pack
        Folder of the decoded corpus.
    """

    def __init__(self, pack: Path) -> None:
        self._pack = pack

    @cached_property
    def _mixtures(self) -> list[tuple[Any, Any]]:
        """Validation batches; fixed, so they are mixed once."""
        mix = MixConfig(snr_mean=7.5, snr_deviation=5.0, noise_only=0.0, clean_only=0.0)
        mixer = Mixer(Pack.open(self._pack), mix, valid=True, seed=7)
        return [mixer.batch(number, 16) for number in range(4)]

    def measure(self, net: SpectralNet) -> tuple[float, ...]:
        """Return what `VALID_COLUMNS` name, from zero states.

        The error of spectra, what PESQ would say, how much quieter pauses get (bels,
        over the whole time), SI-SDR, and its gain over the input.
        """
        rows = []
        for noisy, clean in self._mixtures:
            enhanced = net(stft(noisy))
            loss, quality, left = (
                np.asarray(spectral_loss(part, noisy, clean, enhanced))
                for part in (_SPECTRA, _QUALITY, _SILENCE)
            )
            wave = np.asarray(istft(enhanced))
            size = wave.shape[1]
            after = _si_sdr(clean[:, :size], wave)
            before = _si_sdr(clean[:, :size], noisy[:, :size])
            rows.append((loss, -quality, -left, after, after - before))
        return tuple(float(np.mean(column)) for column in zip(*rows, strict=True))


def _si_sdr(target: Any, estimate: Any) -> Any:
    """Scale-invariant signal-to-distortion ratio in dB of each row."""
    rows = [si_sdr(e, t) for t, e in zip(target, estimate, strict=True)]
    return np.clip(rows, -100.0, 100.0)
