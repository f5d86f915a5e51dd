"""The buffer between two clocks, all day."""

from __future__ import annotations

import argparse
import math
import time
from typing import Any

import numpy as np

from .sound import Day, Sound
from .watch import memory_mib, say

__all__ = ["bridge"]


def bridge(asked: argparse.Namespace) -> dict[str, Any]:
    """Run the buffer between two clocks all day."""
    from streamdenoise.live.opening import make_bridge

    now = 0.0
    rate, day, rng = asked.rate, Day(asked.rate), np.random.default_rng(0)
    hop = rate // 125
    brought, taken = 4 * hop, 2 * hop
    between = make_bridge(brought / rate, rate, hop, 1, clock=lambda: now)
    sound = day.speech(60)[:, None]
    out = np.empty((taken, 1), np.float32)
    sent, next_in, next_out = 0, 0.0, 0.1
    hours: list[dict[str, Any]] = []
    seen = fresh()
    late_in, late_out = 0.003 * rng.random(2)
    began, spent, checked = time.monotonic(), time.process_time(), 10.0
    end = 3600.0 * asked.hours
    while now < end:
        if next_in + late_in <= next_out + late_out:
            now = max(now, next_in + late_in)
            at = sent % (len(sound) - brought)
            between.push(sound[at : at + brought])
            sent += brought
            swing = 1.0 - math.cos(2.0 * math.pi * now / end)
            next_in += brought / (rate * (1.0 + 1e-6 * asked.ppm * swing))
            late_in = 0.003 * rng.random()
        else:
            now = max(now, next_out + late_out)
            between.pull(out)
            next_out += taken / rate
            late_out = 0.003 * rng.random()
        if now >= checked:
            checked += 1.0
            look(seen, between, out)
            if now >= 3600.0 * (len(hours) + 1) or now >= end:
                hours.append(hour_of(seen, between, asked, now, end))
                held = hours[-1]["held_ms"]
                say(f"hour {len(hours)}: holds {held[0]:.2f} to {held[1]:.2f} ms")
                seen = fresh()
    cpu = time.process_time() - spent
    return {
        "part": "bridge",
        "rate": rate,
        "target_ms": 1000.0 * between.target / rate,
        "hours": hours,
        "underruns": between.underruns,
        "overruns": between.overruns,
        "refused": between.refused,
        "inserted": between.inserted,
        "dropped": between.dropped,
        "held_ms": [
            min(hour["held_ms"][0] for hour in hours),
            max(hour["held_ms"][1] for hour in hours),
        ],
        "memory_growth_mib": hours[-1]["memory_mib"] - hours[0]["memory_mib"],
        "cpu_seconds": cpu,
        "wall_seconds": time.monotonic() - began,
        "times_real_time_of_cpu": end / cpu,
    }


def fresh() -> dict[str, list[float]]:
    """Return extremes that anything replaces."""
    return {"held": [1e9, -1e9], "ratio": [1e9, -1e9]}


def look(seen: dict[str, list[float]], between: Any, out: Sound) -> None:
    """Take note of the fill and the ratio of this moment."""
    if not np.isfinite(out).all():
        raise SystemExit("the bridge gave samples that are no numbers")
    for name, value in (("held", between.held), ("ratio", between.ratio)):
        seen[name][0] = min(seen[name][0], value)
        seen[name][1] = max(seen[name][1], value)


def hour_of(
    seen: dict[str, list[float]], between: Any, asked: Any, now: float, end: float
) -> dict[str, Any]:
    """Return what was seen in an hour."""
    swing = 1.0 - math.cos(2.0 * math.pi * now / end)
    return {
        "hour": round(now / 3600.0),
        "held_ms": [1000.0 * value / asked.rate for value in seen["held"]],
        "ratio_ppm": [1e6 * (value - 1.0) for value in seen["ratio"]],
        "drift_ppm": 1e6 * between.drift,
        "true_ppm": asked.ppm * swing,
        "xruns": between.underruns + between.overruns + between.refused,
        "memory_mib": memory_mib(),
    }
