"""Real-time speech denoiser: files, pipes and live sound through one engine.

>>> import numpy as np
>>> from streamdenoise import Denoiser
>>> engine = Denoiser(sample_rate=48000)
>>> engine.process(np.zeros(480, np.float32)).shape
(480,)

Names are loaded when first used, so that ``import streamdenoise`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .api import adenoise, denoise, stream
    from .batch.file import denoise_file
    from .batch.result import FileResult
    from .engine import Denoiser, State
    from .errors import (
        AudioFormatError,
        DeviceError,
        ModelError,
        OutputError,
        RuntimeMissingError,
        StreamDenoiseError,
    )
    from .meters import Meter
    from .model import StepModel, list_models, load_model
    from .settings import Settings

__version__ = "0.1.0"

__all__ = [
    "AudioFormatError",
    "Denoiser",
    "DeviceError",
    "FileResult",
    "Meter",
    "ModelError",
    "OutputError",
    "RuntimeMissingError",
    "Settings",
    "State",
    "StepModel",
    "StreamDenoiseError",
    "__version__",
    "adenoise",
    "denoise",
    "denoise_file",
    "list_models",
    "load_model",
    "stream",
]

_HOME = {
    "Denoiser": "engine",
    "State": "engine",
    "adenoise": "api",
    "denoise": "api",
    "stream": "api",
    "FileResult": "batch.result",
    "denoise_file": "batch.file",
    "Meter": "meters",
    "StepModel": "model",
    "list_models": "model",
    "load_model": "model",
    "Settings": "settings",
    "AudioFormatError": "errors",
    "DeviceError": "errors",
    "ModelError": "errors",
    "OutputError": "errors",
    "RuntimeMissingError": "errors",
    "StreamDenoiseError": "errors",
}


def __getattr__(name: str) -> Any:
    try:
        home = _HOME[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    value = getattr(import_module(f".{home}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
