"""What training mixtures are made of, and how often."""

from __future__ import annotations

from dataclasses import dataclass

from streamdenoise.constants import GRID_HOP, GRID_RATE


@dataclass(frozen=True)
class MixConfig:
    """What is drawn, and how often. Probabilities are per sequence.

    Attributes
    ----------
    seconds
        Length of a sequence.
    snr_mean, snr_deviation
        Of the normal distribution of signal-to-noise ratios in dB, over active
        speech; cut to [-8, 40].
    level_low, level_high
        Range of the active speech level in dBFS, uniform.
    noise_only, clean_only
        Sequences without speech, and without noise.
    voice, equalise, lowpass, room, clip
        Augmentations: other voice by resampling, random curve, band limit,
        reverberation, clipped input.
    synthetic, babble, distant, second
        Kinds of noise: made from nothing, other speakers, one to three speakers far
        from the microphone while somebody speaks into it, a second recording.
    rumble
        Rumble under a noise; and, as often, a quiet one of its own in a recording
        without other noise, which then is part of the target.
    calm
        Share of runs of mixtures that begin without a voice: see `train.calm`.
    """

    seconds: float = 3.0
    snr_mean: float = 8.0
    snr_deviation: float = 7.0
    level_low: float = -70.0
    level_high: float = -8.0
    noise_only: float = 0.05
    clean_only: float = 0.1
    voice: float = 0.5
    equalise: float = 0.6
    lowpass: float = 0.1
    room: float = 0.25
    clip: float = 0.03
    synthetic: float = 0.3
    babble: float = 0.2
    distant: float = 0.06
    second: float = 0.25
    rumble: float = 0.35
    calm: float = 0.0

    @property
    def samples(self) -> int:
        """Length of a sequence in samples: whole hops."""
        return round(self.seconds * GRID_RATE) // GRID_HOP * GRID_HOP
