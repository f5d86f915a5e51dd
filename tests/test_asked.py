"""How much an output asks for at once is known before it plays."""

from __future__ import annotations

from streamdenoise.live.asked import Asked

RATE, BLOCK = 48_000, 384


def ask(asked: Asked, turns: list[int], every: float, start: float = 1.0) -> list[int]:
    """Ask for so many blocks in each turn; return what was then to come."""
    return [
        asked.add(BLOCK, start + number * every + 0.0001 * one)
        for number, turn in enumerate(turns)
        for one in range(turn)
    ]


def test_one_by_one_is_one() -> None:
    asked = Asked(RATE, 0.2)
    ask(asked, [3] + 24 * [1], 0.008)
    assert asked.known
    assert asked.most == BLOCK
    assert asked.add(BLOCK, 5.0) == 0


def test_the_first_fill_and_one_stumble_do_not_count() -> None:
    asked = Asked(RATE, 0.2)
    ask(asked, [9, 1, 1, 1, 4, *20 * [1]], 0.008)
    assert asked.most == BLOCK


def test_turns_of_two_and_three_are_three() -> None:
    asked = Asked(RATE, 0.2)
    ask(asked, [6, *5 * [3, 2, 3]], 0.021)
    assert asked.known
    assert asked.most == 3 * BLOCK
    assert ask(asked, [3, 2], 0.021, 9.0) == [2 * BLOCK, BLOCK, 0, 2 * BLOCK, BLOCK]


def test_what_never_pauses_is_known_in_time() -> None:
    """Somebody who asks without a clock, for one: it does not listen for ever."""
    asked = Asked(RATE, 0.2)
    for _ in range(25):
        asked.add(BLOCK, 3.0)
    assert asked.known
    assert asked.most == 0


def test_without_listening_nothing_is_expected() -> None:
    asked = Asked(RATE)
    assert asked.known
    assert ask(asked, [5, 5], 0.04) == 10 * [0]
