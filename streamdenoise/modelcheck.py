"""Puts a step model through what the engine, and months of running, will ask of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from .constants import GRID_BINS
from .head import POWERS

if TYPE_CHECKING:
    from .carried import ModelState
    from .highband import Head
    from .model import StepModel

    Frames = NDArray[np.float32]

__all__ = ["CheckResult", "check_model"]

SPEECH_LEVEL: Final = 2.0
"""RMS of a spectral value, grid scale, of sound at about -20 dB below full scale."""

GROWTH_LIMIT: Final = 1.5
"""How far the last tenth of a long run may lie above the tenth before the middle."""

AMPLIFICATION_LIMIT: Final = 4.0
"""Most that the output's RMS may lie above the input's."""

STEPS_BOUND: Final = 1e-5
"""Most that ``steps`` may differ from ``step`` in float32, relative to the peak."""

QUANTISED_STEPS_BOUND: Final = 0.02
"""The same with int8 weights: activations are then rounded call by call."""


@dataclass(frozen=True)
class CheckResult:
    """Outcome of one check.

    Attributes
    ----------
    name
        What was checked, in a few words.
    ok
        Whether the model passed.
    found
        What was seen.
    """

    name: str
    ok: bool
    found: str

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values for JSON."""
        return asdict(self)


def check_model(
    model: StepModel,
    steps: int = 10_000,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Iterator[CheckResult]:
    """Check a loaded model; that it could be loaded is the first check already.

    Parameters
    ----------
    model
        From `load_model`: its signatures, shapes and names fit.
    steps
        Steps of each long run.
    progress
        Called with what is done and what is to do, in steps.

    Yields
    ------
    CheckResult
        One by one, as they are done.
    """
    rng = np.random.default_rng(0)
    shapes = {name: value.shape for name, value in model.initial_state().items()}
    shown = ", ".join(f"{n} {list(s)}" for n, s in shapes.items()) or "none"
    yield CheckResult("states", True, shown)
    yield _silence(model)
    yield _hostile(model, rng)
    yield _level(model, rng)
    yield _own_state(model, rng)
    if model.group:
        yield _grouped(model, rng)
    for number, what in enumerate(("noise", "silence")):
        yield _long_run(model, rng, what, steps, number, progress)
    yield _timing(model, rng)
    if model.head is not None:
        yield _head(model.head, steps, rng)


def _noise(rng: np.random.Generator, frames: int, level: float) -> Frames:
    """Return ``(frames, 257, 2)`` of noise that falls with frequency, as rooms have."""
    tilt = 1.0 / (1.0 + np.arange(GRID_BINS) / 32.0)
    noise = rng.standard_normal((frames, GRID_BINS, 2)) * tilt[:, None]
    noise[:, 0, 1] = noise[:, -1, 1] = 0.0
    scale = level / np.sqrt(np.mean(noise**2))
    return np.ascontiguousarray(noise * scale, np.float32)


def _run(model: StepModel, frames: Frames, state: ModelState) -> Frames:
    """Step through frames one by one; outputs in the shape of the input."""
    out = np.empty_like(frames)
    for t in range(len(frames)):
        out[t] = model.step(frames[t : t + 1], state)[0]
    return out


def _finite(*arrays: Any) -> bool:
    return all(bool(np.all(np.isfinite(a))) for a in arrays)


def _silence(model: StepModel) -> CheckResult:
    out = _run(model, np.zeros((50, GRID_BINS, 2), np.float32), model.initial_state())
    peak = float(np.max(np.abs(out)))
    return CheckResult("silence stays silence", peak <= 1e-6, f"peak {peak:.1e}")


def _hostile(model: StepModel, rng: np.random.Generator) -> CheckResult:
    """Feed tiny, huge and lone values one after the other."""
    state = model.initial_state()
    worst = 0.0
    for level in (1e-20, 1e4, 1e-6, 1e2):
        frames = _noise(rng, 20, level)
        frames[10] = 0.0
        frames[11, 7] = 1e5
        out = _run(model, frames, state)
        if not _finite(out, *state.values()):
            found = f"NaN or infinity after values of size {level:g}"
            return CheckResult("extreme input gives finite output", False, found)
        worst = max(worst, float(np.max(np.abs(out)) / np.max(np.abs(frames))))
    ok = worst < AMPLIFICATION_LIMIT
    found = f"output peak at most {worst:.2g} of the input's"
    return CheckResult("extreme input gives finite output", ok, found)


def _level(model: StepModel, rng: np.random.Generator) -> CheckResult:
    """Compare the output's level with the input's."""
    frames = _noise(rng, 400, SPEECH_LEVEL)
    out = _run(model, frames, model.initial_state())
    ratio = float(np.sqrt(np.mean(out**2) / np.mean(frames**2)))
    found = f"noise leaves at {20 * np.log10(max(ratio, 1e-9)):.1f} dB"
    return CheckResult("noise is not made louder", ratio <= 1.0, found)


def _own_state(model: StepModel, rng: np.random.Generator) -> CheckResult:
    """Run two streams in turns and alone: a model must keep nothing to itself."""
    frames = _noise(rng, 40, SPEECH_LEVEL)
    alone = _run(model, frames, model.initial_state())
    one, other = model.initial_state(), model.initial_state()
    together = np.empty_like(frames)
    for t in range(len(frames)):
        together[t] = model.step(frames[t : t + 1], one)[0]
        model.step(frames[-t - 1 : len(frames) - t], other)
    same = np.array_equal(alone, together)
    found = "same bits beside another stream" if same else "another stream is heard"
    return CheckResult("all state is in the states", same, found)


def _grouped(model: StepModel, rng: np.random.Generator) -> CheckResult:
    frames = _noise(rng, 3 * model.group, SPEECH_LEVEL)
    single = _run(model, frames, model.initial_state())
    state = model.initial_state()
    grouped = np.concatenate(
        [
            model.steps(np.ascontiguousarray(part[None]), state)[0]
            for part in np.split(frames, 3)
        ]
    )
    worst = float(np.max(np.abs(single - grouped)) / max(np.max(np.abs(single)), 1e-9))
    quantised = model.card.quantisation not in ("", "float32", "unknown")
    bound = QUANTISED_STEPS_BOUND if quantised else STEPS_BOUND
    found = f"differ by {worst:.1e} of the peak, {bound:g} allowed"
    return CheckResult(f"steps ({model.group} frames) is step", worst <= bound, found)


def _long_run(
    model: StepModel,
    rng: np.random.Generator,
    what: str,
    steps: int,
    number: int,
    progress: Callable[[int, int], None],
) -> CheckResult:
    """Carry the state over many steps, and compare its size late with that earlier."""
    name = f"no growth over {steps:,} steps of {what}"
    state = model.initial_state()
    # Both runs begin in sound: states that only silence leads to show nothing.
    _run(model, _noise(rng, 100, SPEECH_LEVEL), state)
    block = max(steps // 10, 1)
    sizes: list[float] = []
    for part in range(10):
        if what == "noise":
            frames = _noise(rng, block, SPEECH_LEVEL)
        else:
            frames = np.zeros((block, GRID_BINS, 2), np.float32)
        out = _run(model, frames, state)
        if not _finite(out, *state.values()):
            found = f"NaN or infinity within {(part + 1) * block:,} steps"
            return CheckResult(name, False, found)
        peaks = [float(np.max(np.abs(v), initial=0.0)) for v in state.values()]
        sizes.append(max([float(np.sqrt(np.mean(out**2))), *peaks]))
        progress(number * steps + (part + 1) * block, 2 * steps)
    growth = sizes[-1] / max(sizes[4], 1e-6)
    found = f"largest state or output late to halfway: {growth:.2f}"
    return CheckResult(name, growth <= GROWTH_LIMIT, found)


def _timing(model: StepModel, rng: np.random.Generator) -> CheckResult:
    frames = _noise(rng, 600, SPEECH_LEVEL)
    state = model.initial_state()
    times = []
    for t in range(len(frames)):
        began = time.perf_counter()
        model.step(frames[t : t + 1], state)
        times.append(time.perf_counter() - began)
    p50, p99 = np.percentile(times[100:], (50, 99))
    hop = model.card.hop_seconds
    found = (
        f"p50 {1e6 * p50:.0f} us, p99 {1e6 * p99:.0f} us of a hop of {1e3 * hop:.0f} ms"
    )
    return CheckResult("a step is in time", bool(p99 < hop), found)


def _head(head: Head, steps: int, rng: np.random.Generator) -> CheckResult:
    """Feed the head of the high band sound, extremes and silence for a long time."""
    name = f"the head above 8 kHz keeps to gains over {steps:,} steps"
    state = head.initial_state()
    low, high = 0.0, 0.0
    for level in (1.0, 0.0, 1e-20, 1e12, 1e-6, 1.0):
        for _ in range(max(steps // 6, 1)):
            powers = np.float32(level * rng.exponential(1.0, (1, POWERS)))
            gains = head.gains(powers, state)
            low, high = min(low, float(gains.min())), max(high, float(gains.max()))
            if not _finite(gains, *state.values()):
                return CheckResult(name, False, f"NaN or infinity at power {level:g}")
    ok = low >= 0.0 and high <= 1.0
    return CheckResult(name, ok, f"gains from {low:.2f} to {high:.2f}")
