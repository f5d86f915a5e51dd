"""Checks of the machine: is it fast enough, and does it let sound go first."""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

from ..errors import ModelError, StreamDenoiseError
from .check import Check
from .software import model_fix

__all__ = ["deadline", "load", "memory", "priority"]

MEASURE_SECONDS = 2.0
"""Time for which the engine is run."""

_RATE = 48_000
_LITTLE_MEMORY = 150
_ROOT = Path("/")


def deadline(model: str | Path | None = None, seconds: float | None = None) -> Check:
    """Run the engine hop by hop, and compare with the time that there is.

    Parameters
    ----------
    model
        As for live.
    seconds
        How long.
    """
    import numpy as np

    from ..engine import Denoiser
    from ..model import load_model

    name = "deadline"
    try:
        loaded = load_model(model)
        hop = loaded.card.stft(_RATE).hop
        denoiser = Denoiser(loaded, _RATE, block=hop)
    except ModelError as error:
        said = f"the engine does not start: {error}"
        return Check(name, "fail", said, model_fix(model))
    except StreamDenoiseError as error:
        said, _, fix = str(error).partition(": ")
        return Check(name, "fail", f"the engine does not start: {said}", fix)
    noise = np.random.default_rng(0).standard_normal((64, hop)).astype(np.float32)
    noise *= 0.05
    out = np.empty(hop, np.float32)
    times: list[float] = []
    for block in noise:
        denoiser.process(block, out)
    until = time.perf_counter() + (MEASURE_SECONDS if seconds is None else seconds)
    began = 0.0
    while began < until:
        began = time.perf_counter()
        denoiser.process(noise[len(times) % len(noise)], out)
        times.append(time.perf_counter() - began)
    p50, p99, p999 = (1000 * float(q) for q in np.percentile(times, (50, 99, 99.9)))
    limit = 1000 * hop / _RATE
    details = {
        "model": loaded.card.name,
        "sample_rate": _RATE,
        "hop_ms": limit,
        "p50_ms": p50,
        "p99_ms": p99,
        "p999_ms": p999,
        "hops": len(times),
    }
    found = (
        f"p50 {p50:.2f} ms, p99 {p99:.2f} ms, p99.9 {p999:.2f} ms of {limit:.1f} ms "
        f"per hop at {_RATE // 1000} kHz"
    )
    if p50 > 0.9 * limit:
        fix = "choose a smaller model: streamdenoise models; then live --model NAME"
        return Check(name, "fail", f"too slow: {found}", fix, details)
    if p99 > 0.5 * limit:
        fix = (
            "close other programs, or give it more room: streamdenoise live "
            "--latency 0.1"
        )
        return Check(name, "warn", f"tight: {found}", fix, details)
    return Check(name, "ok", found, details=details)


def priority(root: Path = _ROOT) -> Check:
    """See whether the system lets an audio thread run before others."""
    from ..live.realtime import raise_priority

    name = "priority"
    if sys.platform != "linux":
        return Check(name, "skip", "the host API sees to it")
    granted: list[str] = []
    thread = threading.Thread(target=lambda: granted.append(raise_priority()))
    thread.start()
    thread.join()
    import resource

    limit = resource.getrlimit(resource.RLIMIT_RTPRIO)[0]
    kit = (root / "usr/lib/systemd/system/rtkit-daemon.service").exists()
    details = {"granted": granted[0], "rtprio_limit": limit, "rtkit": kit}
    if granted[0] == "real-time":
        return Check(name, "ok", f"real-time (rtprio limit {limit})", details=details)
    fix = (
        "echo '@audio - rtprio 90' | sudo tee /etc/security/limits.d/90-audio.conf; "
        'sudo usermod -aG audio "$USER"; then log out and in'
    )
    said = f"{granted[0]}, not real-time: a busy machine will make xruns"
    return Check(name, "warn", said, fix, details)


def memory(root: Path = _ROOT) -> Check:
    """See whether there is enough free memory."""
    name = "memory"
    lines = _read(root / "proc/meminfo").splitlines()
    sizes = {line.split(":")[0]: line.split()[1] for line in lines if ":" in line}
    try:
        free, total = (int(sizes[key]) // 1024 for key in ("MemAvailable", "MemTotal"))
    except (KeyError, ValueError):
        return Check(name, "skip", "this machine does not say")
    details = {"free_mib": free, "total_mib": total}
    found = f"{free} MiB free of {total} MiB"
    if free < _LITTLE_MEMORY:
        return Check(name, "warn", found, "close other programs", details)
    return Check(name, "ok", found, details=details)


def load() -> Check:
    """See how much else the machine has to do."""
    name = "load"
    cores = os.cpu_count() or 1
    try:
        busy = os.getloadavg()[0]
    except (OSError, AttributeError):
        return Check(name, "skip", "this machine does not say")
    details = {"load": busy, "cores": cores}
    found = f"{busy:.1f} programs want {cores} cores"
    if busy > cores:
        fix = "close other programs: top shows which"
        return Check(name, "warn", found, fix, details)
    return Check(name, "ok", found, details=details)


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
