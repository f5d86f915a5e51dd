"""The parity gate: a converted file must do what the net in Keras does.

Both run over the same frames with the state carried throughout, and the frames are
those of a signal that keeps a net as busy as speech in noise does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from streamdenoise.card import ModelCard
from streamdenoise.constants import GRID_BINS, GRID_RATE
from streamdenoise.errors import ModelError
from streamdenoise.head import POWERS
from streamdenoise.model import StepModel
from streamdenoise.offline import WholeModel, analyse
from streamdenoise.stft import StftParams

if TYPE_CHECKING:
    from streamdenoise.train.highnet import HighNet
    from streamdenoise.train.nets import SpectralNet

PARITY_FRAMES = 1024
"""Frames that the parity gate carries the state over."""

FLOAT_BOUND = 1e-5
"""Most that float32 may differ from Keras, as a share of the loudest value."""

DYNAMIC_BOUND_DB = -20.0
"""Most error that int8 weights may make, as power relative to the output."""

HEAD_BOUND = 1e-4
"""Most that a gain of the head may differ from Keras, with int8 weights too."""


@dataclass(frozen=True)
class Parity:
    """How far a file is from the net that it was made of.

    Attributes
    ----------
    worst
        Largest difference of any value, as a share of the largest value.
    error_db
        Power of the difference relative to that of the output, in dB.
    late_error_db
        The same over the last tenth of the frames: it would show a drift.
    steps_worst
        Largest difference between ``steps`` and ``step``, as a share of the largest
        value; 0 for a file without ``steps``.
    """

    worst: float
    error_db: float
    late_error_db: float
    steps_worst: float


def speech_like(
    seconds: float, seed: int = 0, snr_db: float = 10.0
) -> npt.NDArray[np.float32]:
    """Return a signal that keeps a net as busy as speech in noise does.

    Harmonics on a gliding pitch under two moving resonances, in syllables with pauses,
    hisses between them, and noise that falls with frequency: made from nothing but
    random numbers, so that the parity gate needs no recordings.

    Parameters
    ----------
    seconds
        Length at 16 kHz.
    seed
        Of the random numbers.
    snr_db
        Level of the speech part over the noise.
    """
    rng = np.random.default_rng(seed)
    size = round(seconds * GRID_RATE)
    voice = np.zeros(size)
    at = int(0.2 * GRID_RATE)
    while at < size:
        count = min(int(rng.uniform(0.08, 0.3) * GRID_RATE), size - at)
        envelope = np.sin(np.pi * (np.arange(count) + 0.5) / count) ** 0.5
        if rng.random() < 0.25:
            syllable = np.diff(rng.standard_normal(count + 1)) * 0.1
        else:
            syllable = _vowel(rng, count)
        voice[at : at + count] += syllable * envelope * 10 ** rng.uniform(-0.8, 0)
        pause = rng.uniform(0.3, 0.8) if rng.random() < 0.15 else rng.uniform(0, 0.08)
        at += count + int(pause * GRID_RATE)
    white = np.fft.rfft(rng.standard_normal(size))
    noise = np.fft.irfft(white / np.sqrt(1 + np.arange(white.size) / 500), size)
    noise *= np.std(voice) / np.std(noise) * 10 ** (-snr_db / 20)
    mixture = voice + noise
    scaled: npt.NDArray[np.float32] = (mixture * (0.05 / np.std(mixture))).astype("f4")
    return scaled


def _vowel(rng: np.random.Generator, count: int) -> npt.NDArray[np.float64]:
    """Return harmonics of a gliding pitch under two resonances."""
    pitch = rng.uniform(80, 260) * np.linspace(1, rng.uniform(0.8, 1.2), count)
    phase = 2 * np.pi * np.cumsum(pitch) / GRID_RATE
    formants = rng.uniform(300, 900), rng.uniform(900, 2600)
    vowel = np.zeros(count)
    for k in range(1, int(4000 / pitch.max())):
        hz = k * pitch
        gain = sum(1 / (1 + ((hz - f) / (80 + 0.06 * f)) ** 2) for f in formants)
        vowel += gain * np.sin(k * phase) / np.sqrt(k)
    return vowel


def parity_frames(frames: int = PARITY_FRAMES) -> npt.NDArray[np.float32]:
    """Return spectra of `speech_like`, float32 (1, frames, 257, 2)."""
    params = StftParams.for_rate(GRID_RATE)
    spectra = analyse(speech_like(frames * params.hop / GRID_RATE), params)[:frames]
    return spectra.view(np.float32).reshape(1, frames, GRID_BINS, 2)


def measure_parity(net: SpectralNet, content: bytes, frames: Any = None) -> Parity:
    """Run a file and its net over the same frames, the state carried throughout.

    The net runs as it does in training: whole sequence, zero states. So this also
    shows that what was trained is what runs live.

    Parameters
    ----------
    net
        The net in Keras.
    content
        Bytes of the ``.tflite`` file.
    frames
        Float32 (1, T, 257, 2); by default `parity_frames`.
    """
    spectra = parity_frames() if frames is None else np.asarray(frames, np.float32)
    import tensorflow as tf

    # As a graph: a thousand frames of eager calls take longer than the conversion.
    wanted = np.asarray(tf.function(lambda x: net(x))(spectra))[0]
    card = ModelCard("exported", "exported.tflite", causal=net.causal)
    steps_worst = 0.0
    if net.causal:
        model = StepModel(content, card)
        got = _run_steps(model.step, model, spectra, 1)
        if model.group:
            whole_groups = spectra.shape[1] // model.group * model.group
            many = _run_steps(
                model.steps, model, spectra[:, :whole_groups], model.group
            )
            steps_worst = _worst(many, got[:whole_groups])
    else:
        grid = np.ascontiguousarray(spectra[0]).view(np.complex64)[..., 0]
        enhanced = WholeModel(content, card).enhance(grid)
        got = enhanced.view(np.float32).reshape(wanted.shape)
    late = slice(-max(1, wanted.shape[0] // 10), None)
    return Parity(
        _worst(got, wanted),
        _error_db(got, wanted),
        _error_db(got[late], wanted[late]),
        steps_worst,
    )


def measure_head_parity(high: HighNet, content: bytes) -> float:
    """Return how far gains of a file's head are from those of its net, at most.

    Over powers of bands that wander through 80 dB, one frame at a time and in groups.
    """
    rng = np.random.default_rng(0)
    count = PARITY_FRAMES
    walk = np.cumsum(rng.normal(0.0, 0.3, (count, POWERS)), axis=0)
    powers = np.float32(10.0 ** (4.0 * np.sin(walk) - 3.0))
    import tensorflow as tf

    wanted = np.asarray(tf.function(lambda x: high(x))(powers[None]))[0]
    head = StepModel(content, ModelCard("exported", "exported.tflite")).head
    if head is None:
        return float("inf")
    worst = 0.0
    for group in {1, head.group or 1}:
        state = head.initial_state()
        got = [
            head.gains(powers[at : at + group], state)
            for at in range(0, count - group + 1, group)
        ]
        both = np.concatenate(got)
        worst = max(worst, float(np.max(np.abs(both - wanted[: len(both)]))))
    return worst


def _run_steps(
    call: Callable[..., npt.NDArray[np.float32]],
    model: StepModel,
    spectra: npt.NDArray[np.float32],
    group: int,
) -> npt.NDArray[np.float32]:
    """Run ``step`` (group 1) or ``steps`` over all frames, float32 (T, 257, 2)."""
    state, out = model.initial_state(), []
    for at in range(0, spectra.shape[1], group):
        frame = np.ascontiguousarray(spectra[:, at : at + group])
        done = call(frame[:, 0] if group == 1 else frame, state)
        out.append(done.reshape(group, GRID_BINS, 2))
    return np.concatenate(out)


def _worst(got: npt.NDArray[Any], wanted: npt.NDArray[Any]) -> float:
    if not np.isfinite(got).all():
        return float("inf")
    scale = max(float(np.max(np.abs(wanted))), 1e-9)
    return float(np.max(np.abs(got - wanted))) / scale


def _error_db(got: npt.NDArray[Any], wanted: npt.NDArray[Any]) -> float:
    if not np.isfinite(got).all():
        return float("inf")
    error = float(np.mean((got - wanted).astype(np.float64) ** 2))
    power = float(np.mean(wanted.astype(np.float64) ** 2))
    return float(10 * np.log10(max(error, 1e-30) / max(power, 1e-30)))


def gate(parity: Parity, *, quantised: bool) -> None:
    """Refuse a file that is not the net that it was made of.

    Raises
    ------
    ModelError
        If a bound is passed; see `FLOAT_BOUND` and `DYNAMIC_BOUND_DB`.
    """
    if not parity.steps_worst <= FLOAT_BOUND:
        raise ModelError(
            f"'steps' and 'step' differ by {parity.steps_worst:.1e} of full scale "
            f"({FLOAT_BOUND:.0e} is allowed): they do not run the same net"
        )
    if quantised:
        # Written so that NaN does not pass.
        errors = parity.error_db, parity.late_error_db
        if not all(error <= DYNAMIC_BOUND_DB for error in errors):
            raise ModelError(
                f"int8 weights make an error of {parity.error_db:.1f} dB "
                f"({parity.late_error_db:.1f} dB at the end; {DYNAMIC_BOUND_DB:.0f} dB "
                "is allowed): ship this net in float32, or train it longer"
            )
    elif not parity.worst <= FLOAT_BOUND:
        raise ModelError(
            f"the file differs from Keras by {parity.worst:.1e} of full scale "
            f"({FLOAT_BOUND:.0e} is allowed): it does not hold this net"
        )


def gate_head(worst: float) -> None:
    """Refuse a file whose head is not the net that it was made of.

    Raises
    ------
    ModelError
        If a gain differs by more than `HEAD_BOUND`.
    """
    if not worst <= HEAD_BOUND:
        raise ModelError(
            f"a gain of the head above 8 kHz differs from Keras by {worst:.1e} "
            f"({HEAD_BOUND:.0e} is allowed): the file does not hold this head, or it "
            "has more than 31 units, whose matrices the converter makes int8"
        )
