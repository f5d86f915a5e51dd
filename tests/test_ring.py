"""The ring keeps every sample in order; the bridge keeps the delay in bounds."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from streamdenoise.ring import FADE, Bridge, Ring


def frames(start: int, count: int, channels: int = 1) -> np.ndarray:
    column = np.arange(start, start + count, dtype=np.float32)[:, None]
    return np.repeat(column, channels, axis=1)


def test_random_sizes_come_out_in_order(rng: np.random.Generator) -> None:
    """Whatever the sizes of reads and writes, nothing is lost, doubled or moved."""
    ring = Ring(37, channels=2)
    sent, got = 0, []
    for _ in range(2000):
        sent += ring.write(frames(sent, int(rng.integers(0, 50)), 2))
        out = np.empty((int(rng.integers(0, 50)), 2), np.float32)
        got.append(out[: ring.read(out)].copy())
        assert 0 <= ring.fill <= 37
    out = np.concatenate(got)
    assert len(out) > 10_000
    np.testing.assert_array_equal(out, frames(0, len(out), 2))


def test_a_full_ring_takes_what_fits_and_no_more() -> None:
    """A full ring refuses, and never overwrites what was not read."""
    ring = Ring(5)
    assert ring.write(frames(0, 8)) == 5
    assert ring.write(frames(8, 1)) == 0
    out = np.zeros((8, 1), np.float32)
    assert ring.read(out) == 5
    np.testing.assert_array_equal(out[:, 0], [0, 1, 2, 3, 4, 0, 0, 0])


def test_skip_throws_away_the_oldest() -> None:
    """Skipping drops from the front, at most what is there."""
    ring = Ring(10)
    ring.write(frames(0, 6))
    assert ring.skip(4) == 4
    out = np.zeros((1, 1), np.float32)
    ring.read(out)
    assert out[0, 0] == 4
    assert ring.skip(100) == 1
    assert ring.skip(-3) == 0


def test_two_threads_lose_nothing(rng: np.random.Generator) -> None:
    """One thread writes, another reads at the same time: the same samples arrive."""
    ring, total = Ring(256), 100_000
    sizes = rng.integers(1, 100, 5000)
    got = np.empty((total, 1), np.float32)

    def produce() -> None:
        sent, at = 0, 0
        while sent < total:
            count = min(int(sizes[at % len(sizes)]), total - sent)
            sent += ring.write(frames(sent, count))
            at += 1

    thread = threading.Thread(target=produce)
    thread.start()
    done = 0
    while done < total:
        done += ring.read(got[done : done + 77])
    thread.join()
    np.testing.assert_array_equal(got, frames(0, total))


@pytest.mark.parametrize("arguments", [(0, 1), (5, 0), (-1, 1)])
def test_a_ring_of_nothing_is_refused(arguments: tuple[int, int]) -> None:
    """Sizes below 1 are an error at once, not later."""
    with pytest.raises(ValueError, match="cannot be made"):
        Ring(*arguments)


def pull(bridge: Bridge, count: int) -> np.ndarray:
    out = np.full((count, 1), np.nan, np.float32)
    bridge.pull(out)
    return out[:, 0]


def test_the_bridge_starts_when_its_target_is_held() -> None:
    """Silence until the target is in the ring, then every sample in order."""
    bridge = Bridge(target=8, limit=100)
    bridge.push(frames(1, 8))
    assert not pull(bridge, 4).any()
    bridge.push(frames(9, 4))
    np.testing.assert_array_equal(pull(bridge, 4), [1, 2, 3, 4])
    assert (bridge.underruns, bridge.overruns, bridge.inserted) == (0, 0, 0)
    assert bridge.fill == 8


def test_an_underrun_is_silence_counted_once_and_refilled() -> None:
    """When the input stalls: silence, one count, and the target is held again."""
    bridge = Bridge(target=4, limit=100)
    bridge.push(frames(1, 8))
    np.testing.assert_array_equal(pull(bridge, 4), [1, 2, 3, 4])
    np.testing.assert_array_equal(pull(bridge, 6), [5, 6, 7, 8, 0, 0])
    assert not pull(bridge, 6).any()
    assert (bridge.underruns, bridge.inserted) == (1, 8)
    bridge.push(frames(9, 10))
    np.testing.assert_array_equal(pull(bridge, 6), frames(9, 6)[:, 0])
    assert bridge.underruns == 1


def test_too_much_is_dropped_from_the_front_to_the_target() -> None:
    """When the output stalls, the delay goes back to the target, and it is counted."""
    bridge = Bridge(target=4, limit=20, capacity=400)
    bridge.push(frames(0, 8))
    pull(bridge, 4)
    bridge.push(frames(8, 300))
    out = pull(bridge, 200)
    assert bridge.fill == 4
    assert (bridge.overruns, bridge.dropped) == (1, 100)
    # The old fades out while the new fades in; no step is larger than the fade's.
    np.testing.assert_array_equal(out[FADE:], frames(104 + FADE, 200 - FADE)[:, 0])
    assert 4 <= out[0] < 10
    assert np.abs(np.diff(out)).max() < 1 + 2 * 100 / FADE


def test_a_delay_that_stays_too_long_is_healed() -> None:
    """After the output lost time, the fill goes back to the target in two windows."""
    hop = 48
    bridge = Bridge(2 * hop, 20 * hop, window=10 * hop, slack=hop)
    for at in range(60):
        bridge.push(frames(at * hop, hop))
        if not 10 <= at < 16:  # the output stands still, less than the limit
            pull(bridge, hop)
        if at == 16:
            assert bridge.fill >= 8 * hop
    assert bridge.fill <= 3 * hop
    assert bridge.overruns == 1
    assert bridge.dropped == 6 * hop
    assert bridge.underruns == 0


def test_what_a_full_bridge_refuses_is_counted() -> None:
    """Without anybody pulling, memory stays as it is and the loss is counted."""
    bridge = Bridge(target=4, limit=20, capacity=30)
    for at in range(10):
        bridge.push(frames(10 * at, 10))
    assert bridge.fill == 30
    assert (bridge.refused, bridge.refused_frames) == (1, 70)


def test_two_clocks_that_differ_never_leave_the_bounds() -> None:
    """Twenty minutes at +-300 ppm: the delay stays bounded, and the rest is counted."""
    for ppm in (-300, 300):
        hop, rate = 128, 16_000
        bridge = Bridge(target=2 * hop, limit=8 * hop)
        sent, block, out = 0.0, np.zeros((hop, 1), np.float32), np.empty((hop, 1), "f4")
        most = 0
        for _ in range(1200 * rate // hop):
            sent += 1 + ppm * 1e-6
            while sent >= 1:
                bridge.push(block)
                sent -= 1
            bridge.pull(out)
            most = max(most, bridge.fill)
        assert most <= 9 * hop
        expected = 1200 * rate * 300e-6
        moved = bridge.dropped if ppm > 0 else bridge.inserted
        assert moved == pytest.approx(expected, rel=0.2)


def test_bounds_that_cannot_be_kept_are_refused() -> None:
    """The target lies below the limit."""
    with pytest.raises(ValueError, match="target"):
        Bridge(target=10, limit=10)
