"""Keras to TFLite: one file with all signatures, checked before it is written.

A conversion that "succeeds" can still be wrong: weights missing, weights stored twice,
states mixed up. So nothing leaves this module before the size of the file has been
compared with the number of weights, and the file has been run against Keras over more
than a thousand carried frames.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from streamdenoise.card import ModelCard
from streamdenoise.constants import GRID_BINS, GRID_RATE
from streamdenoise.errors import ModelError, RuntimeMissingError
from streamdenoise.model import STEP, STEPS, WHOLE, StepModel
from streamdenoise.offline import WholeModel, analyse
from streamdenoise.stft import StftParams

if TYPE_CHECKING:
    from streamdenoise.train.nets import SpectralNet

STEPS_FRAMES = 32
"""Frames of one call of the signature ``steps``."""

PARITY_FRAMES = 1024
"""Frames that the parity gate carries the state over; a multiple of `STEPS_FRAMES`."""

FLOAT_BOUND = 1e-5
"""Most that float32 may differ from Keras, as a share of the loudest value."""

DYNAMIC_BOUND_DB = -20.0
"""Most error that int8 weights may make, as power relative to the output."""

_GRAPH_BYTES = 256 * 1024


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


def convert(
    net: SpectralNet,
    *,
    quantised: bool = False,
    steps: int = STEPS_FRAMES,
    per_channel: bool = False,
) -> bytes:
    """Convert a net to the bytes of a ``.tflite`` file.

    Parameters
    ----------
    net
        A built net. A causal one gets the signatures ``step`` and ``steps``, another
        one ``whole`` with any number of frames.
    quantised
        Store the weights of products as int8 (dynamic range) rather than float32.
    steps
        Frames per call of ``steps``; 0 leaves that signature out.
    per_channel
        One scale for each output of a dense layer instead of one for each matrix. A
        little more exact, but tflite-runtime 2.14, the last one for 32-bit ARM, cannot
        load it.

    Raises
    ------
    ModelError
        If Keras does not run on TensorFlow, the converter fails, or the size of the
        result does not fit the number of weights.
    RuntimeMissingError
        If TensorFlow is not installed.
    """
    keras, tf = _backend()
    archive = keras.export.ExportArchive()
    archive.track(net)
    keys = _add_endpoints(archive, net, steps, tf)
    with _quiet(), tempfile.TemporaryDirectory() as folder:
        archive.write_out(folder, verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(
            folder, signature_keys=keys
        )
        if quantised:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            flag = "_experimental_disable_per_channel_quantization_for_dense_layers"
            setattr(converter, flag, not per_channel)
        content = bytes(converter.convert())
    check_size(len(content), net.count_params(), quantised=quantised)
    return content


def _backend() -> tuple[Any, Any]:
    try:
        import keras
        import tensorflow as tf
    except ImportError as error:
        raise RuntimeMissingError(
            "export needs Keras and TensorFlow: pip install 'streamdenoise[train]'"
        ) from error
    if keras.backend.backend() != "tensorflow":
        raise ModelError(
            f"Keras runs on {keras.backend.backend()}, and only its TensorFlow backend "
            "can export: set KERAS_BACKEND=tensorflow for this command"
        )
    return keras, tf


def _add_endpoints(archive: Any, net: SpectralNet, steps: int, tf: Any) -> list[str]:
    """Add the signatures of a net to an archive and return their names."""

    def spec(name: str, shape: tuple[int | None, ...]) -> Any:
        return tf.TensorSpec((1, *shape), tf.float32, name=name)

    # Not a lambda: the names of a dict are what becomes the names in the file.
    if not net.causal:

        def whole(inputs: dict[str, Any]) -> dict[str, Any]:
            return {"enhanced": net(inputs["frame"])}

        frame = spec("frame", (None, GRID_BINS, 2))
        archive.add_endpoint(WHOLE, whole, [{"frame": frame}])
        return [WHOLE]

    states = {name: spec(name, shape) for name, shape in net.state_spec.items()}

    def carried(run: Callable[..., Any]) -> Callable[[dict[str, Any]], dict[str, Any]]:
        def endpoint(inputs: dict[str, Any]) -> dict[str, Any]:
            old = {name: inputs[name] for name in states}
            enhanced, new = run(inputs["frame"], old)
            return {"enhanced": enhanced, **{f"{n}_out": new[n] for n in states}}

        return endpoint

    frame = spec("frame", (GRID_BINS, 2))
    archive.add_endpoint(STEP, carried(net.step), [{"frame": frame, **states}])
    if not steps:
        return [STEP]
    frame = spec("frame", (steps, GRID_BINS, 2))
    archive.add_endpoint(STEPS, carried(net.run), [{"frame": frame, **states}])
    return [STEP, STEPS]


def check_size(size: int, parameters: int, *, quantised: bool) -> None:
    """Compare the size of a file with the number of weights in it.

    Raises
    ------
    ModelError
        If weights are missing, are stored twice, or were not quantised.
    """
    each = 1 if quantised else 4
    low, high = each * parameters, each * 1.2 * parameters + _GRAPH_BYTES
    if not low <= size <= high:
        what = "missing" if size < low else "stored twice or not quantised"
        raise ModelError(
            f"the converted file has {size} bytes for {parameters} weights, "
            f"{low:.0f} to {high:.0f} were expected: weights are {what}"
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the converter's chatter, from Python and C++, off stdout and stderr.

    If the block fails, the end of it goes into the error.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    with tempfile.TemporaryFile() as sink:
        saved = os.dup(1), os.dup(2)
        os.dup2(sink.fileno(), 1)
        os.dup2(sink.fileno(), 2)
        failure: Exception | None = None
        try:
            yield
        except Exception as error:
            failure = error
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for number, copy in zip((1, 2), saved, strict=True):
                os.dup2(copy, number)
                os.close(copy)
        if failure is not None:
            sink.seek(0)
            said = sink.read().decode(errors="replace").strip()[-600:]
            raise ModelError(
                f"TensorFlow cannot convert this net: {failure} ({said})"
            ) from failure


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
    return (mixture * (0.05 / np.std(mixture))).astype(np.float32)


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
    wanted = np.asarray(net(spectra))[0]
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
    if parity.steps_worst > FLOAT_BOUND:
        raise ModelError(
            f"'steps' and 'step' differ by {parity.steps_worst:.1e} of full scale "
            f"({FLOAT_BOUND:.0e} is allowed): they do not run the same net"
        )
    if quantised:
        if not max(parity.error_db, parity.late_error_db) <= DYNAMIC_BOUND_DB:
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


def save_bytes(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_bytes(content)
    os.replace(part, path)
