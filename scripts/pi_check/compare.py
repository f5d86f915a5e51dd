"""How far the output of one processor is from that of another."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["LIMIT", "ROUNDED_LIMIT", "compare", "difference", "explain", "read"]

LIMIT = 1e-4
"""Largest difference of two samples, of full scale, that still counts as equal."""

ROUNDED_LIMIT = 3e-3
"""The same for 8-bit weights, where what enters a layer is rounded to 8 bits, too.

A last bit that differs becomes a step of a 256th of that layer's largest value. With
other kernels on one and the same processor the outputs differ by 1e-3 for this reason.
"""

Arrays = dict[str, NDArray[np.float32]]


def read(path: Path) -> tuple[dict[str, Any], Arrays]:
    """Return what `inside` has written: about what ran, and the sound of each way."""
    with np.load(path) as content:
        about = json.loads(str(content["about"]))
        return about, {key: content[key] for key in content.files if key != "about"}


def difference(
    reference: NDArray[np.float32], other: NDArray[np.float32]
) -> tuple[float, float]:
    """Return the largest difference, and the SI-SDR of `other` in dB (inf: equal)."""
    x, y = (np.asarray(signal, np.float64) for signal in (reference, other))
    if x.shape != y.shape:
        raise ValueError(f"{len(x)} samples here, {len(y)} there")
    target = x * (y @ x) / max(float(x @ x), 1e-30)
    error = float(np.sum((y - target) ** 2))
    largest = float(np.max(np.abs(x - y), initial=0.0))
    if error == 0.0:
        return largest, float("inf")
    return largest, 10.0 * float(np.log10(max(float(target @ target), 1e-30) / error))


def compare(here: Path, there: Path) -> list[dict[str, Any]]:
    """Return a row for each model, way and kind of kernels: there against here."""
    about, ours = read(here)
    _, theirs = read(there)
    rows = []
    for key, signal in ours.items():
        model, way, kernels = key.split("/")
        largest, si_sdr = difference(signal, theirs[key])
        exact = about["quantisation"][model] == "float32"
        limit = LIMIT if exact else ROUNDED_LIMIT
        rows.append(
            {
                "model": model,
                "weights": about["quantisation"][model],
                "way": way,
                "kernels": kernels,
                "max_abs_difference": largest,
                "si_sdr_db": si_sdr if np.isfinite(si_sdr) else None,
                "limit": limit,
                "ok": bool(largest <= limit),
            }
        )
    return rows


def explain(here: Path, there: Path) -> list[dict[str, Any]]:
    """Return what other kernels change on one and the same processor.

    A difference between processors that is no larger than this one comes from the
    order of sums and from rounding, not from a fault.
    """
    rows = []
    for where, path in (("here", here), ("there", there)):
        _, signals = read(path)
        for key, signal in signals.items():
            model, way, kernels = key.split("/")
            if kernels == "plain":
                largest, si_sdr = difference(signal, signals[f"{model}/{way}/xnnpack"])
                rows.append(
                    {
                        "where": where,
                        "model": model,
                        "way": way,
                        "max_abs_difference": largest,
                        "si_sdr_db": si_sdr if np.isfinite(si_sdr) else None,
                    }
                )
    return rows
