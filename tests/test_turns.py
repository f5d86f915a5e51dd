"""How much comes or is asked for at once is known before sound is played."""

from __future__ import annotations

import pytest

from streamdenoise.live.turns import Turns

RATE, BLOCK = 48_000, 384


def go(turns: Turns, blocks: list[int], every: float, start: float = 1.0) -> list[int]:
    """Add so many blocks in each turn; return what was then to come."""
    return [
        turns.add(BLOCK, start + number * every + 0.0005 * one)
        for number, count in enumerate(blocks)
        for one in range(count)
    ]


def test_one_by_one_is_one() -> None:
    turns = Turns(RATE, 0.2)
    go(turns, [3] + 24 * [1], 0.008)
    assert turns.known
    assert turns.most == BLOCK
    assert turns.add(BLOCK, 5.0) == 0


def test_the_first_fill_and_stumbles_do_not_count() -> None:
    turns = Turns(RATE, 0.2)
    go(turns, [9, 1, 1, 1, 4, 1, 1, 1, 2, *20 * [1]], 0.008)
    assert turns.most == BLOCK


@pytest.mark.parametrize(
    ("blocks", "every", "most"),
    [
        ([3, 2, 3], 1024, 3),
        ([1, 1, 2], 512, 2),
        ([0, 1, 1], 256, 1),
        ([5, 6, 5], 2048, 6),
    ],
)
def test_the_turns_of_a_device(blocks: list[int], every: int, most: int) -> None:
    """Of 1024 samples with blocks of 384: two and three blocks; 512: one and two."""
    turns = Turns(RATE, 0.2)
    go(turns, [6, *12 * blocks], every / RATE)
    assert turns.known
    assert turns.most == most * BLOCK
    expected = [most - 1 - one for one in range(most)]
    assert go(turns, [most], 1.0, 9.0) == [BLOCK * left for left in expected]


def test_what_never_pauses_is_known_in_time() -> None:
    """Somebody who asks without a clock, for one: it does not listen for ever."""
    turns = Turns(RATE, 0.2)
    for _ in range(25):
        turns.add(BLOCK, 3.0)
    assert turns.known
    assert turns.most == 0


def test_without_listening_nothing_is_expected() -> None:
    turns = Turns(RATE)
    assert turns.known
    assert go(turns, [5, 5], 0.04) == 10 * [0]
