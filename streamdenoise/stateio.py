"""The state of a stream as bytes, to go on elsewhere: another process, another machine.

The bytes are arrays with a description in JSON (NumPy's ``.npz``, nothing pickled), so
that reading them runs no code. They name the model by the hash of its file: states of
another one would fit by chance and make noise.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .channel import ChannelState
from .engine import State
from .errors import ModelError
from .linked import LinkState
from .stepper import StepperState
from .stft import StftParams

__all__ = ["pack", "unpack"]

_FORMAT: Final = 1
_ABOUT: Final = "about"

_UNREADABLE: Final = (OSError, EOFError, zipfile.BadZipFile, ValueError)

Arrays = dict[str, NDArray[np.float32]]


def pack(
    state: State,
    model: str,
    more: Mapping[str, NDArray[np.float32]] | None = None,
    note: str = "",
) -> bytes:
    """Return a snapshot as bytes.

    Parameters
    ----------
    state
        From `Denoiser.snapshot`.
    model
        The sha256 of the model's file.
    more
        Arrays that go with it, by name.
    note
        A text that goes with it.
    """
    tree: dict[str, Any] = {
        "format": _FORMAT,
        "model": model,
        "note": note,
        "params": asdict(state.params),
        "latency": state.latency_samples,
        "waiting": state.waiting,
        "channels": [_of_channel(one) for one in state.channels],
        "link": None if state.link is None else _of_link(state.link),
        "more": dict(more or {}),
    }
    arrays: Arrays = {}
    about = json.dumps(_without_arrays(tree, arrays)).encode("ascii")
    buffer = io.BytesIO()
    np.savez(buffer, **{_ABOUT: np.frombuffer(about, np.uint8)}, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def unpack(data: bytes, model: str) -> tuple[State, Arrays, str]:
    """Return what `pack` was given.

    Parameters
    ----------
    data
        From `pack`.
    model
        The sha256 of the model that is to go on.

    Returns
    -------
    state : State
    more : dict of arrays
    note : str

    Raises
    ------
    ModelError
        If another model made the state.
    ValueError
        If the bytes are no state.
    """
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        about = json.loads(arrays.pop(_ABOUT).tobytes())
        if about["format"] != _FORMAT:
            raise TypeError(f"its format is {about['format']}, not {_FORMAT}")
        if about["model"] != model:
            raise ModelError(
                f"this state comes from another model ({about['model'][:12]}, and this "
                f"is {model[:12]}): put the same model file on all computers"
            )
        tree = _with_arrays(about, arrays)
        state = State(
            StftParams(**tree["params"]),
            tree["latency"],
            tree["waiting"],
            tuple(_to_channel(one) for one in tree["channels"]),
            None if tree["link"] is None else _to_link(tree["link"]),
        )
        return state, tree["more"], tree["note"]
    except (*_UNREADABLE, LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"these bytes are no state of a stream: {error}") from error


def _of_stepper(state: StepperState) -> dict[str, Any]:
    return {"tensors": state.tensors, "silent": state.silent}


def _to_stepper(tree: Mapping[str, Any]) -> StepperState:
    return StepperState(tree["tensors"], tree["silent"])


def _of_link(state: LinkState) -> dict[str, Any]:
    return {"stepper": _of_stepper(state.stepper), "high": state.high_band}


def _to_link(tree: Mapping[str, Any]) -> LinkState:
    return LinkState(_to_stepper(tree["stepper"]), tree["high"])


def _of_channel(state: ChannelState) -> dict[str, Any]:
    return {
        "samples": state.samples,
        "tail": state.tail,
        "ready": state.ready,
        "stepper": _of_stepper(state.stepper),
        "high": state.high_band,
    }


def _to_channel(tree: Mapping[str, Any]) -> ChannelState:
    return ChannelState(
        tree["samples"],
        tree["tail"],
        tree["ready"],
        _to_stepper(tree["stepper"]),
        tree["high"],
    )


def _without_arrays(tree: Any, arrays: Arrays) -> Any:
    """Return plain values, with arrays moved out: what is left of one is its name."""
    if isinstance(tree, np.ndarray):
        name = f"a{len(arrays)}"
        arrays[name] = tree
        return {"$": name}
    if isinstance(tree, dict):
        return {key: _without_arrays(value, arrays) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_without_arrays(value, arrays) for value in tree]
    return tree


def _with_arrays(tree: Any, arrays: Arrays) -> Any:
    if isinstance(tree, dict):
        if tree.keys() == {"$"}:
            return arrays[tree["$"]]
        return {key: _with_arrays(value, arrays) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_with_arrays(value, arrays) for value in tree]
    return tree
