"""Configuration and weights of a net in one small file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray


def write(
    path: Path, config: dict[str, Any], weights: list[Any], dtype: DTypeLike
) -> None:
    """Write a configuration, and weights in the given precision, as ``.npz``."""
    arrays: dict[str, Any] = {
        f"{i:03}": np.asarray(w, dtype) for i, w in enumerate(weights)
    }
    with path.open("wb") as file:
        np.savez_compressed(file, config=json.dumps(config), **arrays)


def read(path: Path) -> tuple[dict[str, Any], list[NDArray[np.float32]]]:
    """Return the configuration and the weights that `write` wrote.

    Raises
    ------
    OSError, ValueError, KeyError
        If the file is not one of them.
    """
    with np.load(path) as saved:
        keys = sorted(k for k in saved.files if k != "config")
        config = json.loads(str(saved["config"]))
        return config, [saved[k].astype(np.float32) for k in keys]
