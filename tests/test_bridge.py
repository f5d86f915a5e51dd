"""Between two clocks: the delay stays where it was, and nothing clicks."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from streamdenoise.live.bridge import Bridge
from streamdenoise.live.opening import make_bridge

RATE, HOP = 16_000, 128


def frames(start: int, count: int) -> np.ndarray:
    return np.arange(start, start + count, dtype=np.float32)[:, None]


def pull(bridge: Bridge, count: int) -> np.ndarray:
    out = np.full((count, 1), np.nan, np.float32)
    bridge.pull(out)
    assert np.isfinite(out).all()
    return out[:, 0]


class World:
    """Two devices on simulated clocks: blocks come and go when they should.

    The input delivers two hops at a time, as sound servers do; both sides are late
    by up to 3 ms. `sound` gives the samples of the input from one index on.
    """

    def __init__(self, ppm: float, rng: np.random.Generator, sound: Any) -> None:
        self.now, self.sent, self.rng = 0.0, 0, rng
        self.sound = sound
        self.in_rate = RATE * (1 + ppm * 1e-6)
        self.stopped_in = self.stopped_out = -1.0
        target = 4 * HOP
        self.bridge = Bridge(
            target, 8 * target, rate=RATE, slack=2 * HOP + 96, clock=lambda: self.now
        )
        self.next_in, self.next_out = 0.0, 0.05
        self.begun = 0.0

    def stall(self, seconds: float) -> None:
        """Keep the output from pulling for a while; the input goes on."""
        self.next_out += seconds

    def run(self, seconds: float) -> np.ndarray:
        """Go on for a while; return what was played."""
        end, played = self.now + seconds, []
        while True:
            late_in, late_out = 0.003 * self.rng.random(2)
            if self.next_in + late_in <= self.next_out + late_out:
                self.now = max(self.now, self.next_in + late_in)
                for _ in range(2):
                    self.bridge.push(self.sound(self.sent, HOP))
                    self.sent += HOP
                self.next_in += 2 * HOP / self.in_rate
            else:
                self.now = max(self.now, self.next_out + late_out)
                played.append(pull(self.bridge, HOP))
                self.next_out += HOP / RATE
            if self.now >= end:
                return np.concatenate([np.zeros(0, "f4"), *played])


def tone(hertz: float) -> Any:
    def sound(start: int, count: int) -> np.ndarray:
        at = np.arange(start, start + count)
        return (0.5 * np.sin(2 * np.pi * hertz / RATE * at)).astype(np.float32)[:, None]

    return sound


def speech(start: int, count: int) -> np.ndarray:
    """Noise in syllables: loud for 200 ms, nearly silent for 100 ms."""
    rng = np.random.default_rng(start)
    on = (np.arange(start, start + count) % (300 * RATE // 1000)) < 200 * RATE // 1000
    noise = rng.standard_normal(count) * np.where(on, 0.2, 0.0005)
    return noise.astype(np.float32)[:, None]


def residual_db(y: np.ndarray, hertz: float) -> float:
    """Largest deviation of short parts from the best sinusoid near `hertz`, in dB."""
    size = int(0.02 * RATE)
    parts = y[: len(y) // size * size].reshape(-1, size).astype(float)
    at = np.arange(size) - size / 2
    worst = 0.0
    for part in parts:
        turn = 2 * np.pi * hertz / RATE
        for _ in range(3):  # Gauss-Newton on the frequency
            sine, cosine = np.sin(turn * at), np.cos(turn * at)
            (a, b), *_ = np.linalg.lstsq(np.stack([sine, cosine], 1), part, rcond=None)
            left = part - a * sine - b * cosine
            slope = at * (a * cosine - b * sine)
            turn += float(left @ slope) / max(float(slope @ slope), 1e-12)
        worst = max(worst, float(np.abs(left).max()))
    return float(20 * np.log10(worst / 0.5))


def test_it_starts_when_its_target_is_held() -> None:
    """Silence until the target is in the ring, then every sample in order."""
    bridge = Bridge(target=8, limit=100)
    bridge.push(frames(1, 8))
    assert not pull(bridge, 4).any()
    bridge.push(frames(9, 4))
    np.testing.assert_array_equal(pull(bridge, 4), [1, 2, 3, 4])
    assert (bridge.underruns, bridge.overruns, bridge.inserted) == (0, 0, 0)
    assert bridge.fill == 8


def test_equal_clocks_pass_bit_by_bit(rng: np.random.Generator) -> None:
    """Five minutes with jitter: every sample is the one that came in."""
    world = World(0.0, rng, frames)
    world.run(1)
    y = world.run(300)
    np.testing.assert_array_equal(y, y[0] + np.arange(len(y)))
    assert world.bridge.ratio == 1.0
    assert (world.bridge.underruns, world.bridge.overruns) == (0, 0)


@pytest.mark.parametrize("ppm", [-300, 300])
def test_clocks_that_differ_cost_no_sample(rng: np.random.Generator, ppm: int) -> None:
    """Three minutes at +-300 ppm: a tone stays a tone to -80 dB, nothing is dropped."""
    world = World(ppm, rng, tone(1000))
    world.run(2)
    start = world.bridge.held
    y = world.run(180)
    bridge = world.bridge
    assert (bridge.underruns, bridge.overruns) == (0, 0)
    assert bridge.drift == pytest.approx(ppm * 1e-6, abs=30e-6)
    assert abs(bridge.held - start) < 0.004 * RATE
    assert residual_db(y, 1000) < -80


def test_a_stall_of_two_seconds_heals(rng: np.random.Generator) -> None:
    """Within 5 s the delay is what it was; what was dropped is counted, no click."""
    for ppm in (0, 200):
        world = World(ppm, rng, speech)
        world.run(60)
        before = world.bridge.fill
        world.stall(2.0)
        y = world.run(7.0)
        bridge = world.bridge
        assert abs(bridge.held - bridge.target) < 4 * HOP
        assert bridge.fill <= before + 3 * HOP
        assert bridge.overruns == 1
        assert bridge.dropped == pytest.approx(2.0 * RATE, abs=4 * HOP)
        assert bridge.underruns == 0
        # And it stays there.
        world.run(30)
        assert bridge.overruns == 1
        assert np.abs(y).max() < 1.5


def test_a_little_too_much_goes_where_it_is_quiet(rng: np.random.Generator) -> None:
    """A delay 60 ms too long is taken back in the pauses between syllables."""
    world = World(0.0, rng, speech)
    world.run(20)
    world.stall(0.06)
    played, begin = [], world.sent - world.bridge.fill
    for _ in range(250):
        played.append(world.run(2 * HOP / RATE))
    assert world.bridge.dropped == pytest.approx(0.06 * RATE, abs=3 * HOP)
    heard = float(np.sum(np.concatenate(played) ** 2))
    end = world.sent - world.bridge.fill
    said = np.concatenate([speech(at, HOP) for at in range(begin, end, HOP)])
    assert heard == pytest.approx(float(np.sum(said**2)), rel=1e-3)


def test_dropping_makes_no_click(rng: np.random.Generator) -> None:
    """Through a drop of two seconds a low tone has no step beyond its own slope."""
    world = World(0.0, rng, tone(100))
    world.run(10)
    world.stall(2.0)
    y = world.run(6)
    assert world.bridge.overruns == 1
    slope = 0.5 * 2 * np.pi * 100 / RATE
    assert np.abs(np.diff(y)).max() < slope + 2.5 * 1.0 / (0.004 * RATE)
    assert np.abs(np.diff(y, 2)).max() < 0.03


def test_an_underrun_is_silence_that_fades(rng: np.random.Generator) -> None:
    """When the input pauses: one count, no step at either end, the target again."""
    bridge = Bridge(4 * HOP, 40 * HOP, rate=RATE)
    sound, sent, played = tone(100), 0, []
    for at in range(200):
        if not 50 <= at < 80:
            bridge.push(sound(sent, HOP))
            sent += HOP
        played.append(pull(bridge, HOP))
    y = np.concatenate(played)
    assert bridge.underruns == 1
    silent = 30 * HOP - (4 * HOP)
    assert bridge.inserted == pytest.approx(silent + 4 * HOP, abs=2 * HOP)
    assert np.abs(np.diff(y)[5 * HOP :]).max() < 0.04
    assert bridge.fill == 4 * HOP


def test_an_underrun_in_the_middle_of_a_block(rng: np.random.Generator) -> None:
    """What there was is played and fades; inserted frames are counted."""
    bridge = Bridge(target=64, limit=3000, rate=RATE)
    bridge.push(np.ones((640, 1), np.float32))
    pull(bridge, 500)
    y = pull(bridge, 200)
    assert (bridge.underruns, bridge.inserted) == (1, 60)
    assert y[0] == 1.0
    assert not y[140:].any()
    assert np.abs(np.diff(y)).max() < 0.03


def test_a_delay_that_stays_too_long_is_healed() -> None:
    """After the output lost time, less than the limit, the fill goes back."""
    bridge = Bridge(2 * HOP, 20 * HOP, rate=RATE, slack=HOP)
    for at in range(1000):
        bridge.push(np.zeros((HOP, 1), np.float32))
        if not 500 <= at < 506:
            pull(bridge, HOP)
        if at == 506:
            assert bridge.fill >= 8 * HOP
    assert bridge.fill <= 3 * HOP
    assert bridge.overruns == 1
    assert bridge.dropped == 6 * HOP
    assert bridge.underruns == 0


def test_what_an_output_did_not_play_is_no_drift(rng: np.random.Generator) -> None:
    """Twelve small gaps of one clock: each heals at once, and no rate is changed."""
    world = World(0.0, rng, speech)
    bridge = world.bridge
    world.run(5)
    for _ in range(20):
        world.stall(0.012)
        world.run(0.05)
        bridge.stumbled()
        world.run(3)
        # A burst of two hops is at its middle when half a hop has been played.
        assert bridge.held < bridge.target + 1.5 * HOP
    assert (bridge.drift, bridge.ratio) == (0.0, 1.0)
    assert (bridge.overruns, bridge.underruns) == (0, 0)
    assert bridge.dropped == pytest.approx(20 * 0.012 * RATE, abs=3 * HOP)


def test_what_a_full_bridge_refuses_is_counted() -> None:
    """Without anybody pulling, memory stays as it is and the loss is counted."""
    bridge = Bridge(target=4, limit=20, capacity=30)
    for at in range(10):
        bridge.push(frames(10 * at, 10))
    assert bridge.fill == 30
    assert (bridge.refused, bridge.dropped, bridge.lost_frames) == (1, 0, 70)


def test_any_block_size_while_it_steers(rng: np.random.Generator) -> None:
    """Pulls of random sizes, longer than its buffers too, get a clean tone."""
    bridge = Bridge(3000, 40_000, rate=RATE, slack=9000, most=256)
    sound, sent, played = tone(1000), 0, []
    bridge.controller.steering, bridge.controller.drift = True, 2e-4
    bridge.controller.relearn()
    bridge.controller.observe = lambda fill, frames: None  # type: ignore[method-assign]
    for _ in range(2000):
        while bridge.fill < 6000:
            bridge.push(sound(sent, HOP))
            sent += HOP
        played.append(pull(bridge, int(rng.integers(0, 1000))))
    assert bridge.ratio != 1.0
    assert bridge.underruns == 0
    assert residual_db(np.concatenate(played)[5 * RATE :], 1000) < -80  # once settled


def test_bounds_that_cannot_be_kept_are_refused() -> None:
    """The target lies below the limit."""
    with pytest.raises(ValueError, match="target"):
        Bridge(target=10, limit=10)


def test_underruns_raise_the_target_a_few_times(rng: np.random.Generator) -> None:
    """Where what is held does not suffice, more is held; but not without end."""
    bridge = Bridge(2 * HOP, 20 * HOP, rate=RATE, growth=HOP)
    for at in range(2000):
        if at % 100 < 90:
            bridge.push(np.zeros((HOP, 1), np.float32))
            pull(bridge, HOP)
        else:
            pull(bridge, HOP)
    assert bridge.underruns > 4
    assert bridge.grown == 4
    assert (bridge.target, bridge.limit) == (6 * HOP, 24 * HOP)
    # A long pause of the input is no reason to hold more.
    bridge = Bridge(2 * HOP, 20 * HOP, rate=RATE, growth=HOP)
    for at in range(300):
        if not 100 <= at < 200:
            bridge.push(np.zeros((HOP, 1), np.float32))
        pull(bridge, HOP)
    assert (bridge.underruns, bridge.grown, bridge.target) == (1, 0, 2 * HOP)


def test_what_was_held_for_a_bad_time_is_given_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After a long calm the delay is as at the start, dropped in a pause, uncounted.

    Where that is too early, it is held for twice as long the next time.
    """
    monkeypatch.setattr("streamdenoise.live.bridge.CALM_SECONDS", 20.0)
    bridge = Bridge(2 * HOP, 20 * HOP, rate=RATE, growth=HOP)
    hum, at = tone(200), 0

    def go_on(seconds: float) -> np.ndarray:
        """A second of sound, then a second of silence, and so on."""
        nonlocal at
        played = []
        for _ in range(round(seconds * RATE / HOP)):
            loud = at // RATE % 2 == 0
            bridge.push(hum(at, HOP) * np.float32(loud))
            played.append(pull(bridge, HOP))
            at += HOP
        return np.concatenate(played)

    def starve(hops: int) -> None:
        for _ in range(hops):
            pull(bridge, HOP)

    go_on(10)
    starve(4)
    go_on(5)
    raised = 3 * HOP
    assert (bridge.grown, bridge.target, bridge.overruns) == (1, raised, 0)
    before = bridge.fill
    played = go_on(25)
    assert (bridge.grown, bridge.target) == (0, 2 * HOP)
    assert bridge.fill == before - HOP
    assert (bridge.underruns, bridge.overruns, bridge.dropped) == (1, 0, 0)
    # Nothing clicks: no step is larger than those of the tone itself.
    assert np.max(np.abs(np.diff(played))) <= 1.01 * np.max(
        np.abs(np.diff(hum(0, RATE)[:, 0]))
    )
    starve(4)
    go_on(30)
    assert bridge.grown == 1
    go_on(30)
    assert bridge.grown == 0


@pytest.mark.parametrize("block", [HOP, 2 * HOP])
@pytest.mark.parametrize("hops", [3, 4, 5, 8, 25])
def test_what_is_held_lasts_from_burst_to_burst(block: int, hops: int) -> None:
    """Half a buffer comes at once, whole blocks are taken: a hop is always left."""
    bridge = make_bridge(2 * hops * HOP / RATE, RATE, HOP, 1, lambda: 0.0, block)
    burst, owed = hops * HOP, 0
    lowest = bridge.ring.capacity
    while not bridge.target <= bridge.fill - block:
        bridge.push(frames(0, HOP))
    for _ in range(200):
        # As late as it may come: the output has played all of a burst, and more only
        # because a block is taken whole.
        while owed < burst:
            pull(bridge, block)
            owed += block
        lowest = min(lowest, bridge.fill)
        bridge.push(frames(0, burst))
        owed -= burst
    assert bridge.underruns == 0
    assert lowest >= HOP


@pytest.mark.parametrize("start", range(0, 3 * HOP, HOP // 4))
def test_the_phase_of_the_start_adds_no_delay(start: int) -> None:
    """Wherever between two pushes the output begins, no more than a hop stays over."""
    now, block, look = 0.0, HOP // 2, 5 * RATE // 1000
    bridge = make_bridge(0.004, RATE, HOP, 1, lambda: now, block, burst=HOP)
    lowest, pulled, pushed = bridge.ring.capacity, start, 0
    for tick in range(0, 4 * RATE, 16):
        now = tick / RATE
        if pushed + HOP <= tick:
            bridge.push(frames(pushed, HOP))
            pushed += HOP
        # A server looks every 5 ms, and asks for as many blocks as were played.
        while (tick - start) % look == 0 and pulled + block <= tick:
            pull(bridge, block)
            pulled += block
            if now > 1.0:
                lowest = min(lowest, bridge.fill)
    assert bridge.underruns == 0
    assert lowest <= bridge.target + RATE // 1000
    assert bridge.lost_frames == 0


@pytest.mark.parametrize("ppm", [-40, 40, 200])
@pytest.mark.parametrize("phase", [0.0013, 0.0026])
def test_what_is_held_lasts_while_the_clocks_wander(ppm: int, phase: float) -> None:
    """Hop by hop, in ticks of 5 ms as a null sink keeps them, through all phases."""
    now, tick, step, rng = 0.0, 0.005, HOP / RATE, np.random.default_rng(3)
    bridge = make_bridge(step, RATE, HOP, 1, lambda: now, burst=HOP)
    pushed, pulled, late_in, late_out = 0, 3, 0.0, 0.0
    while pulled < 400 / step:
        whole = (pushed + 1) * step / (1 + ppm * 1e-6) + phase
        due_in = math.ceil(whole / tick) * tick + late_in
        due_out = pulled * step + late_out
        now = max(now, min(due_in, due_out))
        if due_in <= due_out:
            bridge.push(frames(0, HOP))
            pushed, late_in = pushed + 1, rng.exponential(0.0005)
        else:
            pull(bridge, HOP)
            pulled, late_out = pulled + 1, rng.exponential(0.00025)
    assert bridge.underruns == 0
    assert bridge.held < 0.014 * RATE
    assert bridge.drift == pytest.approx(ppm * 1e-6, abs=20e-6)


@pytest.mark.parametrize("turn", [HOP, 3 * HOP, 1024])
@pytest.mark.parametrize("phase", [0.0, 0.003, 0.0061])
def test_what_is_held_lasts_for_what_an_output_asks_for_at_once(
    turn: int, phase: float
) -> None:
    """A device that plays long pieces takes as many blocks in a moment, from the start:
    nothing is missing, and no more is held than that needs."""
    now, step, rng = 0.0, HOP / RATE, np.random.default_rng(4)
    bridge = make_bridge(step, RATE, HOP, 1, lambda: now, burst=HOP, listen=0.2)
    pushed = turns = asked = 0
    pulled, late, heard = 0, 0.0, 0.0
    while pulled < 10 * RATE:
        due_in = (pushed + 1) * step + phase
        due_out = turns * turn / RATE + late
        now = min(due_in, due_out)
        if due_in <= due_out:
            bridge.push(frames(1, HOP))
            pushed += 1
            continue
        turns, late = turns + 1, 0.001 * rng.random()
        asked += turn
        while asked >= HOP:
            asked -= HOP
            out = pull(bridge, HOP)
            pulled += HOP
            now += 0.0001
            heard = heard or (now if out.any() else 0.0)
    assert (bridge.underruns, bridge.inserted, bridge.dropped) == (0, 0, 0)
    assert 0.15 <= heard < 0.45
    assert bridge.held < 2 * HOP + turn


def test_an_output_that_stumbles_all_the_time_is_healed_all_the_same() -> None:
    """More often than the fill is looked at: what is too much goes nevertheless."""
    now = 0.0
    bridge = Bridge(
        2 * HOP, 40 * HOP, rate=RATE, slack=HOP, listen=0.0, clock=lambda: now
    )
    for count in range(1000):
        bridge.push(frames(0, HOP))
        if count == 500:
            bridge.push(frames(0, 20 * HOP))
        now += HOP / RATE
        if count % 10 == 0:
            bridge.stumbled()
        pull(bridge, HOP)
    assert bridge.dropped == pytest.approx(20 * HOP, abs=2 * HOP)
    assert bridge.underruns == 0
