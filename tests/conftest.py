"""Models and signals that many tests share."""

from __future__ import annotations

import contextlib
import io
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamdenoise import StepModel, StreamDenoiseError, load_model
from streamdenoise.model import find_model

TINY_STEPS = 8

TINY_MODEL = "STREAMDENOISE_TEST_MODEL"
"""Names a file that `build_tiny_model` has written, for where TensorFlow is not."""

_NAMES = """
bridge cli_live completion control ctlsocket defaults delays desk desktop_check devices
doctor drift events incoming incoming_pipewire keys live live_pulse live_terminal
loopback named named_pipewire outlet pi_notify places recorder resample ring seek
service session soak stopping supervise view virtual_levels virtualmic
virtualmic_browser virtualmic_pipewire
"""
IN_TURN = frozenset(_NAMES.split())
"""Files of tests with real devices, sessions, or an eye on the time: one by one, in one
process, where the others are shared out."""


def pytest_configure() -> None:
    """Let children hear Ctrl-C, though ``nohup`` or ``&`` had us ignore it."""
    heard = {
        "SIGINT": signal.default_int_handler,
        "SIGQUIT": signal.SIG_DFL,
        "SIGHUP": signal.SIG_DFL,
    }
    for name, handler in heard.items():
        number = getattr(signal, name, None)  # two are unknown to Windows
        if number is not None and signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keep together what must not run side by side; see ``scripts/test``.

    Not by ``xdist_group``: with pytest 9.2 pytest-xdist 3.8 passes over the mark.
    """
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            stem = Path(nodeid.partition("::")[0]).stem.removeprefix("test_")
            return "in turn" if stem in IN_TURN else nodeid

    return Scheduling(config, log)


def build_tiny_model(path: Path, *, signature: str = "step") -> Path:
    """Write a small untrained GRU masker that keeps the step contract.

    The states are named so that neither the order of their names nor their shapes
    agree with the order in the graph.
    """
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(7)
    features = keras.layers.Dense(24, activation="tanh")
    cells = [keras.layers.GRUCell(20), keras.layers.GRUCell(16)]
    head = keras.layers.Dense(257, activation="sigmoid", bias_initializer="ones")
    names = ("zeta", "alpha")

    frame = keras.Input((257, 2), batch_size=1, name="frame")
    states = [
        keras.Input((cell.units,), batch_size=1, name=name)
        for name, cell in zip(names, cells, strict=True)
    ]
    power = keras.layers.Lambda(lambda x: keras.ops.log(1e-3 + keras.ops.sum(x**2, -1)))
    y = features(0.1 * power(frame))
    new = {}
    for name, cell, state in zip(names, cells, states, strict=True):
        y, carried = cell(y, [state])
        new[name + "_out"] = carried[0] if isinstance(carried, list) else carried
    mask = keras.layers.Reshape((257, 1))(head(y))
    net = keras.Model(
        [frame, *states], {"enhanced": keras.layers.Multiply()([frame, mask]), **new}
    )

    def step(inputs: dict) -> dict:
        return net([inputs["frame"], *(inputs[name] for name in names)])

    def steps(inputs: dict) -> dict:
        carried, enhanced = dict(inputs), []
        for t in range(TINY_STEPS):
            out = step({**carried, "frame": inputs["frame"][:, t]})
            enhanced.append(out["enhanced"])
            carried.update({name: out[name + "_out"] for name in names})
        return {
            "enhanced": tf.stack(enhanced, axis=1),
            **{name + "_out": carried[name] for name in names},
        }

    def spec(shape: tuple[int, ...], name: str) -> tf.TensorSpec:
        return tf.TensorSpec(shape, tf.float32, name=name)

    state_specs = {
        name: spec((1, cell.units), name)
        for name, cell in zip(names, cells, strict=True)
    }
    archive = keras.export.ExportArchive()
    archive.track(net)
    archive.add_endpoint(
        signature, step, [{"frame": spec((1, 257, 2), "frame"), **state_specs}]
    )
    if signature == "step":
        many = spec((1, TINY_STEPS, 257, 2), "frame")
        archive.add_endpoint("steps", steps, [{"frame": many, **state_specs}])
    folder = path.parent / (path.stem + "_saved")
    with contextlib.redirect_stdout(io.StringIO()):
        archive.write_out(str(folder), verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(str(folder))
        path.write_bytes(converter.convert())
    return path


@pytest.fixture(scope="session")
def tiny_model_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Path of a small model that nobody trained; needs TensorFlow to be made."""
    if os.environ.get(TINY_MODEL):
        return Path(os.environ[TINY_MODEL])
    pytest.importorskip("tensorflow", reason="TensorFlow makes the tiny test model")
    return build_tiny_model(tmp_path_factory.mktemp("tiny") / "tiny.tflite")


@pytest.fixture(scope="session")
def tiny_model(tiny_model_path: Path) -> StepModel:
    """Load the small model; all state is with the callers, so tests may share it."""
    return load_model(tiny_model_path)


@pytest.fixture(scope="session")
def model() -> StepModel:
    """Load the default model that ships with the package."""
    try:
        return load_model()
    except StreamDenoiseError as error:
        pytest.skip(f"no shipped model here: {error}")


@pytest.fixture(scope="session")
def model_path(request: pytest.FixtureRequest) -> Path:
    """Path of the shipped model, or of a small one where there is none yet."""
    try:
        path, _ = find_model()
        load_model(path)
    except StreamDenoiseError:
        path = request.getfixturevalue("tiny_model_path")
    return path


@pytest.fixture
def rng() -> np.random.Generator:
    """Random numbers that are the same in every run."""
    return np.random.default_rng(20240611)


@pytest.fixture(autouse=True)
def _no_user_config(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the config file of whoever runs the tests out of them."""
    monkeypatch.setenv("STREAMDENOISE_CONFIG", "")
