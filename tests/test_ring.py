"""The ring keeps every sample in order."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from streamdenoise.live.ring import Ring


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


def test_peeking_further_on_moves_nothing() -> None:
    """What lies behind an offset can be seen, around the end too, and stays."""
    ring = Ring(10)
    ring.write(frames(0, 8))
    ring.skip(6)
    ring.write(frames(8, 7))
    out = np.zeros((20, 1), np.float32)
    assert ring.peek(out, 4) == 5
    np.testing.assert_array_equal(out[:5, 0], [10, 11, 12, 13, 14])
    assert ring.peek(out, 40) == 0
    assert ring.fill == 9


@pytest.mark.parametrize("arguments", [(0, 1), (5, 0), (-1, 1)])
def test_a_ring_of_nothing_is_refused(arguments: tuple[int, int]) -> None:
    """Sizes below 1 are an error at once, not later."""
    with pytest.raises(ValueError, match="cannot be made"):
        Ring(*arguments)
