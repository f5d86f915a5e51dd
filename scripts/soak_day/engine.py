"""One denoiser, all day."""

from __future__ import annotations

import argparse
import contextlib
import time
from typing import Any

import numpy as np

from .sound import LEAD_SECONDS, PROBE_SECONDS, Day, Sound, level
from .watch import memory_mib, say

__all__ = ["engine"]


def engine(asked: argparse.Namespace) -> dict[str, Any]:
    """Run one denoiser all day."""
    from streamdenoise import Denoiser

    day = Day(asked.rate)
    hop = Denoiser(asked.model, asked.rate).params.hop
    step = hop if asked.hop_by_hop else day.rate * 10 // hop * hop
    one = Denoiser(asked.model, asked.rate, block=hop, bulk=not asked.hop_by_hop)
    hours: list[dict[str, Any]] = []
    began, spent = time.monotonic(), time.process_time()

    def run(sound: Sound) -> Sound:
        out = np.empty_like(sound)
        for at in range(0, len(sound), step):
            one.process(sound[at : at + step], out[at : at + step])
        return out

    def all_day() -> None:
        norms: dict[str, float] = {}
        most = 0.0
        for minute in range(60 * asked.hours + 1):
            if minute % 60 == 0:
                out = run(day.test_piece())
                hour = {
                    "hour": minute // 60,
                    "level_db": level(out[-PROBE_SECONDS * day.rate :]),
                    "memory_mib": memory_mib(),
                    "state_norms": state_norms(one),
                    "largest_norms": norms,
                    "peak": most,
                }
                hours.append(hour)
                norms, most = {}, 0.0
                say(f"hour {hour['hour']}: {hour['level_db']:.4f} dB")
            if minute == 60 * asked.hours:
                return
            out = run(day.minute(minute))
            if not np.isfinite(out).all():
                raise SystemExit(f"minute {minute}: samples that are no numbers")
            most = max(most, float(np.abs(out).max()))
            for name, norm in state_norms(one).items():
                norms[name] = max(norm, norms.get(name, 0.0))

    with contextlib.suppress(KeyboardInterrupt):
        all_day()
    levels = [hour["level_db"] for hour in hours]
    sounded = 3600 * hours[-1]["hour"]
    sounded += len(hours) * (LEAD_SECONDS + PROBE_SECONDS)
    cpu = time.process_time() - spent
    return {
        "part": "engine",
        "model": one.model.card.name,
        "rate": asked.rate,
        "hop_by_hop": asked.hop_by_hop,
        "hours": hours,
        "level_spread_db": max(levels) - min(levels),
        "memory_growth_mib": hours[-1]["memory_mib"] - hours[0]["memory_mib"],
        "bad_frames": one.bad_frames,
        "audio_seconds": sounded,
        "cpu_seconds": cpu,
        "wall_seconds": time.monotonic() - began,
        "times_real_time_of_cpu": sounded / cpu,
    }


def state_norms(denoiser: Any) -> dict[str, float]:
    """Return the Euclidean norm of each state that the model carries."""
    states = denoiser.snapshot().channels[0].stepper.tensors
    return {name: float(np.linalg.norm(state)) for name, state in states.items()}
