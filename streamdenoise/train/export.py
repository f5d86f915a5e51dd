"""Keras to TFLite: one file with all signatures, checked before it is written.

A conversion that "succeeds" can still be wrong: weights missing, weights stored twice,
states mixed up. So nothing leaves this module before the size of the file has been
compared with the number of weights, and the file has been run against Keras (`parity`).
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from typing import TYPE_CHECKING, Any

from streamdenoise.constants import GRID_BINS
from streamdenoise.errors import ModelError, RuntimeMissingError
from streamdenoise.head import HIGH, HIGHS, POWERS
from streamdenoise.model import ENHANCED, FRAME, STEP, STEPS, WHOLE

if TYPE_CHECKING:
    from streamdenoise.train.highnet import HighNet
    from streamdenoise.train.nets import SpectralNet

STEPS_FRAMES = 32
"""Frames of one call of the signature ``steps``."""

_GRAPH_BYTES = 256 * 1024


def convert(
    net: SpectralNet,
    *,
    quantised: bool = False,
    steps: int = STEPS_FRAMES,
    levelled: bool = True,
    high: HighNet | None = None,
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
    levelled
        Give each output of a matrix a step size of its own when quantised, and round
        so that errors cancel (`rounding`). Not by the converter's own way:
        tflite-runtime 2.14, the last one for 32-bit ARM, cannot load that.
    high
        Net of a head for the band above 8 kHz, which goes into the same file; a net
        that is not causal has no place for one.

    Raises
    ------
    ModelError
        If Keras does not run on TensorFlow, the converter fails, or the size of the
        result does not fit the number of weights.
    RuntimeMissingError
        If TensorFlow is not installed.
    """
    keras, tf = backend()
    if quantised and levelled:
        from streamdenoise.train.rounding import rounded

        net = rounded(net)
    archive = keras.export.ExportArchive()
    archive.track(net)
    keys = _add_endpoints(archive, net, steps, tf)
    parameters = net.count_params()
    if high is not None and net.causal:
        archive.track(high)
        pair, shape = (HIGH, HIGHS), (POWERS,)
        keys += _add_carried(archive, high, pair, "powers", "gains", shape, steps, tf)
        parameters += high.count_params()
    with quiet(), tempfile.TemporaryDirectory() as folder:
        archive.write_out(folder, verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(
            folder, signature_keys=keys
        )
        if quantised:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            flag = "_experimental_disable_per_channel_quantization_for_dense_layers"
            setattr(converter, flag, True)
        content = bytes(converter.convert())
    check_size(len(content), parameters, quantised=quantised)
    return content


def backend() -> tuple[Any, Any]:
    """Import Keras and TensorFlow, without their greetings, and return both.

    Raises
    ------
    RuntimeMissingError
        If one of them is not installed.
    ModelError
        If Keras runs on something else.
    """
    try:
        with quiet():
            import keras
            import tensorflow as tf
    except ModelError as error:
        if not isinstance(error.__cause__, ImportError):
            raise
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
    if net.causal:
        names, shape = (STEP, STEPS), (GRID_BINS, 2)
        return _add_carried(archive, net, names, FRAME, ENHANCED, shape, steps, tf)

    def whole(inputs: dict[str, Any]) -> dict[str, Any]:
        return {ENHANCED: net(inputs[FRAME])}

    frame = tf.TensorSpec((1, None, GRID_BINS, 2), tf.float32, name=FRAME)
    archive.add_endpoint(WHOLE, whole, [{FRAME: frame}])
    return [WHOLE]


def _add_carried(
    archive: Any,
    net: SpectralNet | HighNet,
    names: tuple[str, str],
    heard: str,
    told: str,
    shape: tuple[int, ...],
    steps: int,
    tf: Any,
) -> list[str]:
    """Add signatures for one frame and for many, and return their names.

    Inputs and outputs are dicts: their keys become the names in the file, whereas the
    order of tensors is the converter's own.
    """

    def spec(name: str, shape: tuple[int, ...]) -> Any:
        return tf.TensorSpec((1, *shape), tf.float32, name=name)

    states = {name: spec(name, size) for name, size in net.state_spec.items()}

    def carried(run: Callable[..., Any]) -> Callable[[dict[str, Any]], dict[str, Any]]:
        def endpoint(inputs: dict[str, Any]) -> dict[str, Any]:
            old = {name: inputs[name] for name in states}
            out, new = run(inputs[heard], old)
            return {told: out, **{f"{n}_out": new[n] for n in states}}

        return endpoint

    one = {heard: spec(heard, shape), **states}
    archive.add_endpoint(names[0], carried(net.step), [one])
    if not steps:
        return [names[0]]
    many = {heard: spec(heard, (steps, *shape)), **states}
    archive.add_endpoint(names[1], carried(net.run), [many])
    return list(names)


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
def quiet() -> Iterator[None]:
    """Keep the converter's chatter, from Python and C++, off stdout and stderr.

    If the block fails, the end of it goes into the error.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    with tempfile.TemporaryFile() as sink, ExitStack() as stack:
        saved = os.dup(1), os.dup(2)
        os.dup2(sink.fileno(), 1)
        os.dup2(sink.fileno(), 2)
        failure: Exception | None = None
        try:
            # Whoever has replaced sys.stdout gets none of it either.
            text = stack.enter_context(os.fdopen(os.dup(1), "w", 1))
            with redirect_stdout(text), redirect_stderr(text):
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
