"""The only module that imports a TFLite interpreter.

``ai_edge_litert`` is taken where it is installed, ``tflite_runtime`` (2.14, the last
one, for 32-bit ARM) where not. Both run on one thread: the models are so small that
a second thread costs more than it gives.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import ModelError, RuntimeMissingError
from .flatbuf import is_complete_model

INTERPRETERS = ("ai_edge_litert", "tflite_runtime")
"""Packages that bring an interpreter, in the order in which they are tried."""

_INNER_DOORS = (
    "GetSubgraphIndexFromSignature",
    "AllocateTensors",
    "SetTensor",
    "Invoke",
    "GetTensor",
)

Tensors = dict[str, NDArray[np.float32]]

Call = Callable[[NDArray[np.float32], Tensors], NDArray[np.float32]]
"""From what is heard and the states to what is told; the states are replaced."""


def find_interpreter() -> tuple[str, Any]:
    """Return the name of the installed runtime and its interpreter class.

    Raises
    ------
    RuntimeMissingError
        If neither runtime can be imported, or the one that can does not fit NumPy.
    """
    reasons = []
    for package in INTERPRETERS:
        try:
            module = import_module(f"{package}.interpreter")
        except ImportError as error:
            reasons.append(f"{package}: {error}")
            continue
        # It imports beside NumPy 2, and fails when it opens the first model.
        if package == "tflite_runtime" and int(np.__version__.split(".")[0]) > 1:
            reasons.append(f"{package}: made for NumPy 1, and this is {np.__version__}")
            continue
        return package, module.Interpreter
    raise RuntimeMissingError(
        "no TFLite interpreter works here, and without one no model can run: "
        f"{_advice()}. Tried {'; '.join(reasons)}"
    )


def _advice() -> str:
    """Return what to type; for 32 bits only an old runtime was made."""
    if sys.maxsize > 2**32:
        return "type pip install ai-edge-litert"
    if sys.version_info < (3, 12):
        return 'type pip install "tflite-runtime==2.14.0" "numpy<2"'
    return (
        "none is made for 32-bit systems with this Python; use the 64-bit system, or "
        "a 32-bit one with Python 3.11, as that of Debian 12 (bookworm)"
    )


class Graph:
    """One model file in one interpreter.

    Not for use from two threads at once: the tensors are the interpreter's own.

    Parameters
    ----------
    content
        The bytes of a ``.tflite`` file.
    what
        How to call the file in messages.

    Attributes
    ----------
    runtime
        Name of the package that runs it.
    signatures
        For each signature the names of its inputs and outputs.

    Raises
    ------
    ModelError
        If the bytes are no model, or not all of one.
    RuntimeMissingError
        If no interpreter is installed.
    """

    def __init__(self, content: bytes, what: str = "the model") -> None:
        self.runtime, interpreter_class = find_interpreter()
        self._what = what
        if content[4:8] != b"TFL3":
            raise ModelError(
                f"{what} is not a TFLite model (no TFL3 mark in its head): give a "
                ".tflite file, or the name of a model that 'streamdenoise models' lists"
            )
        if not is_complete_model(content):
            raise ModelError(
                f"{what} ends too early, so the file was cut short: copy or download "
                "it again"
            )
        try:
            with _without_notices():
                self._interpreter = interpreter_class(
                    model_content=content, num_threads=1
                )
            listed = self._interpreter.get_signature_list()
        except (ValueError, RuntimeError) as error:
            raise ModelError(
                f"{what} cannot be opened, so the file is damaged: "
                f"copy or download it again ({_first_line(error)})"
            ) from error
        self.signatures: dict[str, tuple[list[str], list[str]]] = {
            key: (list(names["inputs"]), list(names["outputs"]))
            for key, names in listed.items()
        }

    def function(self, signature: str) -> Function:
        """Return a signature as something to call, with the shapes it was made with."""
        try:
            with _without_notices():
                return Function(self._interpreter, signature)
        except (ValueError, RuntimeError) as error:
            raise ModelError(
                f"{self._what} cannot be prepared to run its signature '{signature}': "
                f"export it again ({_first_line(error)})"
            ) from error

    def runner(self, signature: str) -> Any:
        """Return the interpreter's own runner, which also takes dynamic shapes."""
        return self._interpreter.get_signature_runner(signature)


class Function:
    """A signature with fixed shapes.

    The interpreter's own signature runner resizes and allocates in every call, which
    takes as long as a small model itself. Here that is done once, and the tensors are
    then set and read by the index that the signature gives for their name, within the
    signature's own subgraph (index spaces of two signatures overlap). An interpreter
    without these inner doors is called through its runner.

    Attributes
    ----------
    inputs, outputs
        Shape of each tensor by name.
    """

    def __init__(self, interpreter: Any, signature: str) -> None:
        self._runner = interpreter.get_signature_runner(signature)
        details_in = self._runner.get_input_details()
        details_out = self._runner.get_output_details()
        self.inputs = {name: _shape(d) for name, d in details_in.items()}
        self.outputs = {name: _shape(d) for name, d in details_out.items()}
        wrapper = getattr(interpreter, "_interpreter", None)
        has_doors = all(hasattr(wrapper, door) for door in _INNER_DOORS)
        self._wrapper = wrapper if has_doors else None
        if self._wrapper is None:
            return
        self._subgraph = self._wrapper.GetSubgraphIndexFromSignature(signature)
        self._wrapper.AllocateTensors(self._subgraph)
        self._set, self._get = self._wrapper.SetTensor, self._wrapper.GetTensor
        self._invoke = self._wrapper.Invoke
        self._in_index = {name: d["index"] for name, d in details_in.items()}
        self._out_index = {name: d["index"] for name, d in details_out.items()}

    def carrying(self, heard: str, told: str, kept: Mapping[str, str]) -> Call:
        """Return a function of what is heard and of states, which it replaces.

        Parameters
        ----------
        heard, told
            The input and the output that are no state.
        kept
            All other inputs, the states, and for each the output that follows it.

        Returns
        -------
        callable
            Takes C-contiguous float32 arrays of the right shapes, and gives new ones.
        """
        if self._wrapper is None:
            runner = self._runner

            def run_publicly(x: NDArray[Any], states: Tensors) -> NDArray[Any]:
                out = runner(**{heard: x}, **states)
                for name, after in kept.items():
                    states[name] = out[after]
                return np.asarray(out[told])

            return run_publicly
        subgraph, put, get = self._subgraph, self._set, self._get
        first, last = self._in_index[heard], self._out_index[told]
        # Lists made here, as each look-up would be a hundredth of a small step.
        before = [(name, self._in_index[name]) for name in kept]
        after = [(name, self._out_index[kept[name]]) for name in kept]

        def run(x: NDArray[Any], states: Tensors) -> NDArray[Any]:
            put(first, x, subgraph)
            for name, index in before:
                put(index, states[name], subgraph)
            # By way of `self`, which keeps the model's bytes from being freed.
            self._invoke(subgraph)
            for name, index in after:
                states[name] = get(index, subgraph)
            return get(last, subgraph)  # type: ignore[no-any-return]

        return run


@contextlib.contextmanager
def _without_notices() -> Iterator[None]:
    """Keep the interpreter's INFO lines off stderr, which Python cannot tell it to.

    Whatever else is written there meanwhile comes out afterwards.
    """
    with contextlib.ExitStack() as stack:
        try:
            kept = os.dup(2)
            stack.callback(os.close, kept)
            held = stack.enter_context(tempfile.TemporaryFile())
            os.dup2(held.fileno(), 2)
        except OSError:
            yield
            return
        try:
            yield
        finally:
            os.dup2(kept, 2)
            held.seek(0)
            lines = held.read().splitlines(keepends=True)
            rest = b"".join(line for line in lines if not line.startswith(b"INFO:"))
            if rest:
                os.write(2, rest)


def _shape(details: Mapping[str, Any]) -> tuple[int, ...]:
    signature = details.get("shape_signature", details["shape"])
    return tuple(int(n) for n in signature)


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0]
