"""Live sound is the file path, sample for sample, whatever a device does."""

from __future__ import annotations

import gc
import threading
import tracemalloc
from typing import Any

import numpy as np
import pytest

from streamdenoise import Denoiser, Meter, Settings
from streamdenoise.live.bridge import Bridge
from streamdenoise.live.engines import PRIME_SECONDS
from streamdenoise.live.realtime import realtime
from streamdenoise.live.spread import spread
from streamdenoise.live.stream import LiveStream
from tests.fakes import BrokenModel, GainModel, IdentityModel, MemoryModel
from tests.fakesound import NO_FLAGS, Flags

RATES = [16_000, 44_100, 48_000]


def make(rate: int = 16_000, channels: int = 1, **more: Any) -> LiveStream:
    model = more.pop("model", None) or MemoryModel()
    block = more.pop("block", model.card.stft(rate).hop)
    denoiser = Denoiser(model, rate, channels, block=block, meter=Meter())
    return LiveStream(denoiser, **more)


def noisy(rng: np.random.Generator, count: int, channels: int = 1) -> np.ndarray:
    x = rng.standard_normal((count, channels)) * (0.05 + 0.3 * rng.random((count, 1)))
    return x.astype(np.float32)


def by_file(x: np.ndarray, rate: int) -> np.ndarray:
    """The same signal through the engine as a file goes, without lag."""
    denoiser = Denoiser(MemoryModel(), rate, x.shape[1])
    lag = denoiser.latency_samples
    y = np.concatenate(
        [denoiser.process(x).reshape(x.shape), denoiser.flush().reshape(-1, x.shape[1])]
    )
    return y[lag:]


def drive(
    core: LiveStream, x: np.ndarray, sizes: Any, out_channels: int | None = None
) -> np.ndarray:
    """Call back with blocks of `sizes` until `x` is used up."""
    played, at = [], 0
    while at < len(x):
        size = min(next(sizes), len(x) - at)
        out = np.full((size, out_channels or x.shape[1]), np.nan, np.float32)
        core.process_callback(x[at : at + size], out, size, None, NO_FLAGS)
        played.append(out)
        at += size
    return np.concatenate(played)


def always(size: int) -> Any:
    while True:
        yield size


def at_random(rng: np.random.Generator, most: int) -> Any:
    while True:
        yield int(rng.integers(0, most))


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("channels", [1, 2])
def test_live_is_file(rng: np.random.Generator, rate: int, channels: int) -> None:
    """With blocks of a hop, live is the file result one hop later, to the bit."""
    core = make(rate, channels)
    hop = core.denoiser.params.hop
    x = noisy(rng, 60 * hop, channels)
    y = drive(core, x, always(hop))
    assert core.denoiser.latency_samples == hop
    np.testing.assert_array_equal(y[hop:], by_file(x, rate)[:-hop])
    assert not core.reblocked


@pytest.mark.parametrize("rate", RATES)
def test_any_block_size_promised_or_not(rng: np.random.Generator, rate: int) -> None:
    """A device that keeps no block size costs one hop of delay and no sample."""
    core = make(rate)
    hop = core.denoiser.params.hop
    x = noisy(rng, 60 * hop)
    y = drive(core, x, at_random(rng, 3 * hop))
    lag = round(core.engine_latency * rate)
    assert core.reblocked
    assert lag == 2 * hop - 1
    np.testing.assert_array_equal(y[lag:], by_file(x, rate)[:-lag])


def test_no_promise_at_all(rng: np.random.Generator) -> None:
    """Without a promised block the engine itself takes any size."""
    core = make(block=None)
    x = noisy(rng, 8000)
    y = drive(core, x, at_random(rng, 500))
    lag = core.denoiser.latency_samples
    np.testing.assert_array_equal(y[lag:], by_file(x, 16_000)[:-lag])
    assert not core.reblocked
    assert core.engine_latency == pytest.approx(128 / 16_000)


def test_a_size_that_changes_on_the_way(rng: np.random.Generator) -> None:
    """Exact until the device changes its mind, and exact again after it."""
    core = make()
    x = noisy(rng, 128 * 60)
    y = np.concatenate(
        [
            drive(core, x[: 128 * 30], always(128)),
            drive(core, x[128 * 30 :], always(100)),
        ]
    )
    expected = by_file(x, 16_000)
    np.testing.assert_array_equal(y[128 : 128 * 30], expected[: 128 * 29])
    np.testing.assert_array_equal(
        y[128 * 30 + 127 :], expected[128 * 29 : -(128 + 127)]
    )


def test_blocks_longer_than_the_buffers(rng: np.random.Generator) -> None:
    """A device with huge blocks gets the same samples."""
    x = noisy(rng, 128 * 200)
    y = drive(make(), x, always(128 * 50))
    np.testing.assert_array_equal(y[128:], by_file(x, 16_000)[:-128])


def test_split_streams_are_file_too(rng: np.random.Generator) -> None:
    """Through a bridge between two threads comes the file result, later."""
    hop, total = 128, 300
    x = noisy(rng, hop * total)
    core = make(bridge=Bridge(target=2 * hop, limit=total * hop))
    # A real device is not ahead by more than its buffer, however busy the machine.
    pushed, room = threading.Semaphore(0), threading.Semaphore(3)

    def capture() -> None:
        for at in range(total):
            assert room.acquire(timeout=20)
            block = x[at * hop : (at + 1) * hop]
            core.input_callback(block, hop, None, NO_FLAGS)
            pushed.release()

    thread = threading.Thread(target=capture)
    thread.start()
    played = []
    for _ in range(total - 2):
        assert pushed.acquire(timeout=20)
        out = np.full((hop, 2), np.nan, np.float32)
        core.output_callback(out, hop, None, NO_FLAGS)
        played.append(out)
        room.release()
    thread.join()
    y = np.concatenate(played)
    duplex = drive(make(), x, always(hop))[:, 0]
    delay = int(np.flatnonzero(y[:, 0])[0] - np.flatnonzero(duplex)[0])
    assert delay % hop == 0
    np.testing.assert_array_equal(y[delay:, 0], duplex[: len(y) - delay])
    np.testing.assert_array_equal(y[:, 0], y[:, 1])
    assert not any(core.xruns().values())


def test_an_exception_never_leaves_silence_or_noise(rng: np.random.Generator) -> None:
    """When the engine fails, the input goes on as it is, and the error is kept."""
    core = make(model=IdentityModel())
    core.denoiser.model.step = None  # type: ignore[method-assign]
    x = noisy(rng, 1024)
    y = drive(core, x, always(128))
    assert isinstance(core.error, TypeError)
    np.testing.assert_array_equal(y, x)


def test_nan_from_the_model_is_never_played(rng: np.random.Generator) -> None:
    """A model that fails now and then is heard as a gap, not as a bang."""
    core = make(model=BrokenModel((5, 6, 9)))
    y = drive(core, noisy(rng, 128 * 30), always(128))
    assert np.isfinite(y).all()
    assert core.error is None


def test_nan_from_the_device_becomes_silence(rng: np.random.Generator) -> None:
    """Garbage of a driver is counted and not heard."""
    core = make()
    x = noisy(rng, 128 * 20)
    x[300:310] = np.nan
    x[500] = np.inf
    assert np.isfinite(drive(core, x, always(128))).all()
    assert core.denoiser.bad_samples == 11


def test_xruns_are_counted_by_kind() -> None:
    """Each flag is counted under its name, once the start is over."""
    core = make()
    block = np.zeros((128, 1), np.float32)
    out = np.empty_like(block)
    early = Flags(output_underflow=True)
    core.process_callback(block, out, 128, None, early)
    for _ in range(40):
        core.process_callback(block, out, 128, None, NO_FLAGS)
    both = Flags(input_overflow=True, output_underflow=True)
    core.process_callback(block, out, 128, None, both)
    core.process_callback(block, out, 128, None, Flags(input_overflow=True))
    core.process_callback(block, out, 128, None, Flags(priming_output=True))
    assert {k: v for k, v in core.xruns().items() if v} == {
        "input overflow": 2,
        "output underflow": 1,
    }


def test_settings_change_while_it_runs(rng: np.random.Generator) -> None:
    """Bypass is the input, delayed as the enhanced signal is."""
    core = make()
    core.denoiser.settings = Settings(bypass=True)
    x = noisy(rng, 128 * 40)
    y = drive(core, x, always(128))
    np.testing.assert_allclose(y[128:], x[:-128], atol=2e-6)


@pytest.mark.parametrize(
    ("have", "wanted", "expected"),
    [
        (1, 3, [[1, 1, 1], [2, 2, 2]]),
        (2, 1, [[2], [3]]),
        (2, 4, [[1, 3, 0, 0], [2, 4, 0, 0]]),
        (3, 2, [[1, 3], [2, 4]]),
        (2, 2, [[1, 3], [2, 4]]),
    ],
)
def test_channels_are_spread(have: int, wanted: int, expected: Any) -> None:
    """Mono goes everywhere, the mean to a mono device, else channel to channel."""
    clean = np.array([[1, 3, 5], [2, 4, 6]], np.float32)[:, :have]
    out = np.full((2, wanted), np.nan, np.float32)
    spread(clean, out)
    np.testing.assert_array_equal(out, expected)


def test_a_mono_device_feeds_a_stereo_stream(rng: np.random.Generator) -> None:
    """The one channel that there is goes into both."""
    core = make(channels=2)
    x = noisy(rng, 128 * 20)
    y = drive(core, x, always(128), out_channels=2)
    np.testing.assert_array_equal(y[:, 0], y[:, 1])
    np.testing.assert_array_equal(y[128:, :1], by_file(x, 16_000)[:-128])


def test_a_stereo_device_feeds_a_mono_stream_with_the_mean(
    rng: np.random.Generator,
) -> None:
    """Neither side is lost, and together they are no louder than each."""
    x = noisy(rng, 128 * 20, 2)
    y = drive(make(), x, always(128), out_channels=1)
    mean = x.mean(axis=1, keepdims=True, dtype=np.float32)
    np.testing.assert_array_equal(y[128:], by_file(mean, 16_000)[:-128])


def test_channels_that_the_device_lacks_are_silent(rng: np.random.Generator) -> None:
    """Two microphones stay two: neither is dropped, neither is heard thrice."""
    core = make(channels=4)
    x = noisy(rng, 128 * 20, 2)
    y = drive(core, x, always(128), out_channels=4)
    np.testing.assert_array_equal(y[128:, :2], by_file(x, 16_000)[:-128])
    assert not y[:, 2:].any()


@pytest.mark.parametrize("steering", [False, True])
def test_the_callback_takes_no_memory_that_grows(
    rng: np.random.Generator, steering: bool
) -> None:
    """After a thousand callbacks neither bytes nor objects are more than before.

    The collector is off, as in a session, so that a cycle would be seen as well.
    """
    bridge = Bridge(512, 4096, rate=16_000)
    core = make(bridge=bridge)
    if steering:
        bridge.controller.steering, bridge.controller.drift = True, 2e-4
        bridge.controller.relearn()
    x, out = noisy(rng, 128), np.empty((128, 2), np.float32)

    def run(count: int) -> None:
        for at in range(count):
            core.input_callback(x, 128, None, NO_FLAGS)
            core.output_callback(out, 128, None, NO_FLAGS)
            if at % 100 == 0:
                core.muted = not core.muted

    with realtime():
        run(400)
        tracemalloc.start()
        try:
            run(100)
            objects = len(gc.get_objects())
            before, _ = tracemalloc.get_traced_memory()
            run(1000)
            after, _ = tracemalloc.get_traced_memory()
            grown = len(gc.get_objects()) - objects
            tracemalloc.reset_peak()
            before_peak, _ = tracemalloc.get_traced_memory()
            run(20)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert (bridge.ratio != 1.0) is steering
    assert after - before < 2_000
    assert grown <= 2
    # And what a callback takes for a moment is small.
    assert peak - before_peak < 100_000


def test_a_drop_takes_no_memory_that_grows(rng: np.random.Generator) -> None:
    """Stalls and their healing, over and over, leave nothing behind."""
    bridge = Bridge(512, 4096, rate=16_000)
    core = make(bridge=bridge)
    x, out = noisy(rng, 128), np.empty((128, 2), np.float32)

    def run(count: int) -> None:
        for at in range(count):
            core.input_callback(x, 128, None, NO_FLAGS)
            if at % 500 > 100:
                core.output_callback(out, 128, None, NO_FLAGS)

    run(1500)
    tracemalloc.start()
    try:
        run(500)
        before, _ = tracemalloc.get_traced_memory()
        run(2000)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert bridge.overruns >= 4
    assert after - before < 2_000


def test_a_new_model_is_primed_and_faded_in(rng: np.random.Generator) -> None:
    """After the change it is, to the bit, the new model heard from the beginning.

    The old one is heard until then, to the bit as well.
    """
    old, new = make(), make()
    hop = old.denoiser.params.hop
    x = noisy(rng, 128 * 200)
    block = old.denoiser.block
    successor = Denoiser(GainModel(0.5), 16_000, 1, block=block)
    core = make(model=MemoryModel())
    y = [drive(core, x[: 50 * hop], always(hop))]
    core.succeed(successor)
    assert core.succeeding and core.model_name == "fake"
    y.append(drive(core, x[50 * hop :], always(hop)))
    assert not core.succeeding
    assert core.denoiser is successor
    assert core.meter is not None and core.meter.hops == 200
    out = np.concatenate(y)
    expected = drive(new, x, always(hop))
    prime = int(PRIME_SECONDS * 16_000)
    start = (50 + -(-prime // hop)) * hop
    np.testing.assert_array_equal(out[:start], expected[:start])
    half = 0.5 * x[start : -2 * hop]
    np.testing.assert_allclose(out[start + hop : -hop], half, atol=1e-6)


def test_the_last_of_many_new_models_is_heard(rng: np.random.Generator) -> None:
    """Changes in quick succession: each fade is finished, none jumps, the last stays.

    Those that are asked for while one takes over wait, and only the newest has a turn.
    """
    hop = 128
    tone = np.sin(2 * np.pi * 440 * np.arange(hop * 300) / 16_000)
    x = (0.3 * tone).astype(np.float32)[:, None]
    core = make(model=IdentityModel())
    first, second, third = (
        Denoiser(GainModel(gain, name=str(gain)), 16_000, 1, block=hop)
        for gain in (0.75, 0.5, 0.25)
    )
    y = [drive(core, x[: 20 * hop], always(hop))]
    core.succeed(first)
    y.append(drive(core, x[20 * hop : 30 * hop], always(hop)))
    core.succeed(second)
    core.succeed(third)
    core.settings = Settings(mix=0.5)
    assert core.model_name == "0.25"
    y.append(drive(core, x[30 * hop : 80 * hop], always(hop)))
    assert core.denoiser is first and core.succeeding
    y.append(drive(core, x[80 * hop :], always(hop)))
    assert core.denoiser is third and not core.succeeding
    assert core.settings == third.settings == Settings(mix=0.5)
    out = np.concatenate(y)
    step = 0.3 * 2 * np.pi * 440 / 16_000
    assert np.abs(np.diff(out[2 * hop :, 0])).max() < 1.2 * step
    # Half of the input, and half of what a quarter of it is.
    assert np.abs(out[-20 * hop :]).max() == pytest.approx(0.3 * 0.625, rel=0.01)


def test_a_model_asked_for_while_another_fades_in_is_not_lost(
    rng: np.random.Generator,
) -> None:
    """Whatever moment between two blocks the order comes at, it is followed."""
    hop = 128
    x = noisy(rng, hop * 120)
    prime = -(-int(PRIME_SECONDS * 16_000) // hop)
    for at in range(prime - 2, prime + 4):
        core = make(model=IdentityModel())
        one, two = (Denoiser(GainModel(g), 16_000, 1, block=hop) for g in (0.75, 0.5))
        core.succeed(one)
        drive(core, x[: at * hop], always(hop))
        core.succeed(two)
        drive(core, x[at * hop :], always(hop))
        assert core.denoiser is two and not core.succeeding


def test_bad_samples_are_counted_over_a_change_of_model(
    rng: np.random.Generator,
) -> None:
    """The count never goes back, and what two models hear counts once."""
    hop = 128
    x = noisy(rng, hop * 100)
    x[1000:1010] = np.nan
    x[hop * 55 + 3] = np.inf  # the new model hears it as well, while it is primed
    x[-5 * hop] = np.nan
    core = make()
    drive(core, x[: 50 * hop], always(hop))
    assert core.bad_samples == 10
    core.succeed(Denoiser(GainModel(0.5), 16_000, 1, block=hop))
    seen = []
    for at in range(50, 100):
        drive(core, x[at * hop : (at + 1) * hop], always(hop))
        seen.append(core.bad_samples)
    assert not core.succeeding
    assert sorted(set(seen)) == [*seen[:1], 11, 12] and seen == sorted(seen)
    other = make(48_000)
    other.inherit(core)
    assert other.bad_samples == 12


def test_a_restart_forgets_the_stream_but_counts_on(rng: np.random.Generator) -> None:
    """After new devices the output is that of a new stream; counters go on."""
    core = make()
    x = noisy(rng, 128 * 40)
    first = drive(core, x, always(100))
    calls = core.callbacks
    core.restart()
    second = drive(core, x, always(128))
    np.testing.assert_array_equal(second[128:], by_file(x, 16_000)[:-128])
    assert core.callbacks == calls + 40
    assert not core.reblocked
    assert first.shape == second.shape


def test_what_is_put_in_place_stays_there() -> None:
    """Opening the devices again keeps it, and settings reach it; it can be put back."""
    core = make(model=GainModel(0.5, name="real"))
    real, hop = core.denoiser, core.denoiser.params.hop
    other = Denoiser(GainModel(0.0, name="other"), 16_000, block=hop, meter=Meter())
    waiting = Denoiser(GainModel(1.0, name="waiting"), 16_000, block=hop)
    core.succeed(waiting)
    assert core.replace(other) is real
    core.restart()
    core.settings = Settings(strength_db=3.0)
    for _ in range(8):
        drive(core, np.ones((hop, 1), np.float32), always(hop))
        assert core.denoiser is other and not core.succeeding
    assert core.model_name == "other"
    assert other.settings == Settings(strength_db=3.0) != real.settings
    assert core.replace(real) is other
    core.restart()
    assert core.denoiser is real and core.model_name == "real"
