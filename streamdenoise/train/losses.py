"""The transforms of the engine and the loss, in `keras.ops`.

The transforms are the engine's own windows, so that what is trained is what runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

from streamdenoise.constants import GRID_HOP, GRID_WIN
from streamdenoise.train.disturbance import quality
from streamdenoise.windows import windows

_EPSILON = 1e-9
_SCALED = 0.05
"""Root mean square that the loss brings speech to."""

_HEARD = 0.05
"""Share of that power from which on a target counts as a voice."""

_PAUSE_HOPS = 25
"""Length of the parts in which a pause is looked for: 0.2 s."""

_PAUSE = 1e-3
"""Share of a part's noisy power from which on a target is no pause any more."""

_SILENT = 1e-4
"""Share of the noisy power that need not get any quieter: -40 dB."""

SYNTHESIS_HOPS = 2
"""Length of the synthesis window of all nets: 16 ms."""


def planes(x: Any) -> tuple[Any, Any]:
    """Turn waveforms ``[B, samples]`` into real and imaginary frames ``[B, T, 257]``.

    `samples` is a multiple of the hop; frame ``t`` ends with sample
    ``(t + 1) * hop``, and what lies before the first sample is silence.
    """
    analysis, _ = windows(GRID_WIN, SYNTHESIS_HOPS * GRID_HOP, GRID_HOP)
    parts = GRID_WIN // GRID_HOP
    hops = ops.reshape(x, (ops.shape(x)[0], -1, GRID_HOP))
    padded = ops.pad(hops, [[0, 0], [parts - 1, 0], [0, 0]])
    count = hops.shape[1]
    frames = ops.concatenate([padded[:, i : i + count] for i in range(parts)], axis=-1)
    real, imag = ops.rfft(frames * analysis)
    return real, imag


def stft(x: Any) -> Any:
    """Like `planes`, in one tensor ``[B, T, 257, 2]``: what nets see."""
    return ops.stack(planes(x), axis=-1)


def istft(spectra: Any) -> Any:
    """Turn frames ``[B, T, 257, 2]`` into waveforms ``[B, (T - 1) * hop]``.

    The last hop is not complete without the next frame, and is left out.
    """
    return waveform(spectra[..., 0], spectra[..., 1])


def waveform(real: Any, imag: Any) -> Any:
    """Turn real and imaginary frames ``[B, T, 257]`` into waveforms, as `istft`."""
    _, synthesis = windows(GRID_WIN, SYNTHESIS_HOPS * GRID_HOP, GRID_HOP)
    frames = ops.irfft((real, imag), fft_length=GRID_WIN)
    tail = frames[..., -SYNTHESIS_HOPS * GRID_HOP :] * synthesis
    whole = tail[:, :-1, GRID_HOP:] + tail[:, 1:, :GRID_HOP]
    return ops.reshape(whole, (ops.shape(whole)[0], -1))


@dataclass(frozen=True)
class LossConfig:
    """Weights of the parts of the loss.

    Attributes
    ----------
    exponent
        Power-law compression of magnitudes.
    magnitude, complex
        Weights of the squared error of compressed magnitudes, and of compressed
        spectra with their phase.
    eaten
        Extra weight where the estimate is quieter than the target: lost speech
        annoys more than left-over noise.
    snr
        Weight of the signal-to-noise ratio in the time domain, in bels.
    silence
        Weight of the noise that is left where nobody speaks, in bels.
    quality
        Weight of a point of what PESQ-WB would say (`disturbance.quality`).
    floor
        Share of the noisy sound that stays under the estimate where PESQ is asked, as
        exported models leave some: it fills the pauses, so there is nothing to learn
        in them.
    """

    exponent: float = 0.3
    magnitude: float = 70.0
    complex: float = 30.0
    eaten: float = 0.5
    snr: float = 1.0
    silence: float = 0.0
    quality: float = 0.0
    floor: float = 0.015


def spectral_loss(
    config: LossConfig, noisy: Any, clean: Any, enhanced: Any, lead: int = 0
) -> Any:
    """Return the loss of each sequence, ``[B]``.

    Compressed magnitude and complex error as in Braun and Tashev 2020 ("Data
    augmentation and loss normalization for deep noise suppression", section 3),
    on sequences scaled to the same level, plus what the other weights ask for in the
    time domain.

    Parameters
    ----------
    config
        Weights.
    noisy, clean
        Waveforms ``[B, samples]``.
    enhanced
        Estimated frames ``[B, T, 257, 2]``.
    lead
        Hops at the front of the waveforms that only fill the first window: they have
        no frames in `enhanced`.
    """
    power = ops.mean(clean * clean, axis=-1)
    # Without speech the noise sets the scale, so that silence is learned as well.
    reference = ops.maximum(power, 0.2 * ops.mean(noisy * noisy, axis=-1))
    scale = _SCALED * ops.rsqrt(reference + _EPSILON)
    whole = planes(clean * scale[:, None])
    target = whole[0][:, lead:], whole[1][:, lead:]
    # Planes of real and imaginary parts: XLA takes three times as long over pairs.
    each = scale[:, None, None]
    estimate = enhanced[..., 0] * each, enhanced[..., 1] * each
    spectral = _compressed_error(config, target, estimate)
    if not (config.snr or config.silence or config.quality):
        return spectral
    wave = waveform(*estimate)
    part = slice(lead * GRID_HOP, lead * GRID_HOP + wave.shape[1])
    truth, heard = (x[:, part] * scale[:, None] for x in (clean, noisy))
    if config.quality:
        left = config.floor * (heard - wave)
        spectral = spectral - config.quality * quality(truth, wave + left)
    if config.silence:
        spectral = spectral + config.silence * _left_over(truth, heard, wave)
    return spectral + config.snr * _snr(truth, wave)


def _compressed_error(
    config: LossConfig, target: tuple[Any, Any], estimate: tuple[Any, Any]
) -> Any:
    a, factor_a = _compressed(*target, config.exponent)
    b, factor_b = _compressed(*estimate, config.exponent)
    error = ops.square(a - b)
    error = error * (1.0 + config.eaten * ops.cast(a > b, error.dtype))
    phase = sum(
        ops.square(t * factor_a - e * factor_b)
        for t, e in zip(target, estimate, strict=True)
    )
    return ops.mean(config.magnitude * error + config.complex * phase, axis=(1, 2))


def _compressed(real: Any, imag: Any, exponent: float) -> tuple[Any, Any]:
    """Return the compressed magnitude, and the factor that compresses a bin."""
    # 1e-6 is 80 dB under the scaled speech: below that, nothing is audible and the
    # power's slope would only pass on noise. `ops.power` is several times slower.
    log_power = ops.log(real * real + imag * imag + 1e-6)
    half = exponent / 2.0
    return ops.exp(half * log_power), ops.exp((half - 0.5) * log_power)


def _snr(target: Any, estimate: Any) -> Any:
    """Return minus the signal-to-noise ratio in bels, soft-limited at 40 dB.

    Without a voice it is nothing: a logarithm never has enough of silence, and its
    gradient there would be larger than all of speech together.
    """
    signal = ops.mean(target * target, axis=-1)
    error = ops.mean(ops.square(target - estimate), axis=-1)
    floor = 1e-4 * signal + 1e-7
    voice = signal / (signal + _HEARD * _SCALED**2)
    bels = (ops.log(error + floor) - ops.log(signal + 1e-5)) / float(np.log(10.0))
    return voice * bels


def _left_over(target: Any, noisy: Any, estimate: Any) -> Any:
    """Return the bels of noise that are left in pauses, over the whole time, ``[B]``.

    A logarithm, or nothing would ask for the last 10 dB; of parts that have no voice
    in them, so that no word pays for it; limited, so that it has enough at some time.
    """
    size = _PAUSE_HOPS * GRID_HOP
    rest = target.shape[1] % size
    voice, noise, error = (
        ops.mean(ops.square(ops.reshape(x[:, rest:], (x.shape[0], -1, size))), axis=-1)
        for x in (target, noisy, target - estimate)
    )
    tiny = 1e-9
    pause = noise / (noise + voice / _PAUSE + tiny)
    bels = ops.log(error + _SILENT * noise + tiny) - ops.log(noise + tiny)
    return ops.mean(pause * bels, axis=-1) / float(np.log(10.0))
