"""What is said of xruns: which side, how often, and one thing to type."""

from __future__ import annotations

import pytest

from streamdenoise.live.seek import LADDER
from streamdenoise.live.stream import XRUN_KINDS
from streamdenoise.live.summary import Status, advice


def xruns(**counts: int) -> dict[str, int]:
    return {kind: counts.get(kind.replace(" ", "_"), 0) for kind in XRUN_KINDS}


def test_nothing_wrong_nothing_said() -> None:
    """Without xruns there is no advice, nor after one pause that has healed."""
    assert advice(xruns()) is None
    assert advice({}) is None
    assert advice(xruns(buffer_overrun=1)) is None


@pytest.mark.parametrize("kind", XRUN_KINDS)
def test_each_kind_has_its_sentence(kind: str) -> None:
    """Its name, its side, its count, and an option are in it."""
    sentence = advice({**xruns(), kind: 7}, seconds=125.0, latency=0.02)
    assert sentence
    assert kind in sentence and "7 times in 2 min" in sentence
    assert ("input" in sentence) if "input" in kind else ("output" in sentence)
    assert "--" in sentence


def test_the_commonest_kind_counts() -> None:
    """One sentence only, about what happens most."""
    sentence = advice(xruns(input_overflow=2, output_underflow=9))
    assert sentence and "output underflow" in sentence and "overflow" not in sentence


def test_a_longer_buffer_is_proposed_than_there_is() -> None:
    """The latency to type is above the one that has xruns."""
    for latency, wanted in ((0.0, 0.01), (0.02, 0.03), (0.05, 0.08), (0.2, 0.3)):
        sentence = advice(xruns(input_overflow=3), latency=latency)
        assert sentence and f"--latency {wanted:g}" in sentence
        assert wanted in LADDER
    # Where none is above, no shorter one is named.
    sentence = advice(xruns(input_overflow=3), latency=0.3)
    assert sentence and "--latency" not in sentence and "--input" in sentence


def test_a_slow_engine_is_the_cause() -> None:
    """When the engine takes most of the time no buffer helps, a smaller model does."""
    sentence = advice(xruns(output_underflow=3), load=0.8)
    assert sentence and "--model" in sentence and "80%" in sentence


def test_status_counts_all_kinds() -> None:
    """The sum is over kinds; the short form of earlier days still makes one."""
    status = Status(1.0, -20.0, -30.0, 10.0, 0.1, xruns(buffer_underrun=2))
    assert status.xrun_count == 2
    assert status.state == "running"
