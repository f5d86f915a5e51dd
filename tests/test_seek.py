"""The shortest buffer that runs without xruns is found, and not chased for ever."""

from __future__ import annotations

import pytest

from streamdenoise.live.seek import LADDER, MOST_STEPS, LatencySeeker


def live(
    seeker: LatencySeeker, seconds: float, needs: float, low: float = 0.008
) -> list[tuple[float, float]]:
    """Run devices that have an xrun every 0.5 s below `needs`; steps with their time.

    A device asked for ``"low"`` takes `low`, else what it is asked for.
    """
    steps, xruns, now, latency = [], 0, 0.0, low
    seeker.opened(now, xruns)
    while now < seconds:
        now += 0.1
        xruns += latency < needs and round(now * 10) % 5 == 0
        if seeker.look(now, xruns, latency):
            latency = float(seeker.setting)
            seeker.opened(now, xruns)
            steps.append((now, latency))
    return steps


def test_without_xruns_nothing_is_changed() -> None:
    """The lowest setting stays, and nothing is said."""
    seeker = LatencySeeker("auto")
    assert live(seeker, 60, needs=0.0) == []
    assert seeker.setting == "low"
    assert seeker.sentence(60) is None


@pytest.mark.parametrize("needs", [0.01, 0.02, 0.03, 0.05])
def test_it_climbs_until_it_runs(needs: float) -> None:
    """The first step of the ladder that suffices is kept, and said once."""
    seeker = LatencySeeker("auto")
    steps = live(seeker, 60, needs)
    assert steps[-1][1] == min(s for s in LADDER if s >= needs)
    assert [s for _, s in steps] == sorted({s for _, s in steps})
    assert steps[-1][0] < 20
    sentence = seeker.sentence(60)
    assert sentence and f"--latency {steps[-1][1]:g}" in sentence
    assert seeker.sentence(61) is None


def test_a_later_step_is_said_as_well() -> None:
    """Whoever was told one buffer is told the next one too, each once."""
    seeker = LatencySeeker("auto")
    low = live(seeker, 60, needs=0.02)[-1][1]
    first = seeker.sentence(60)
    assert first and f"--latency {low:g}" in first
    seeker.opened(100.0, 0)
    assert seeker.look(103.0, 1, low)
    seeker.opened(103.0, 1)
    assert seeker.sentence(104.0) is None
    second = seeker.sentence(120.0)
    assert second and f"--latency {seeker.setting:g}" in second
    assert first != second
    assert seeker.sentence(121.0) is None


def test_it_gives_up_after_a_few_steps() -> None:
    """Where no buffer helps it stops reopening."""
    seeker = LatencySeeker("auto")
    assert len(live(seeker, 600, needs=9.0)) == MOST_STEPS
    assert seeker.sentence(600) is not None


def test_what_was_asked_for_is_kept() -> None:
    """A number of a person's own is never changed."""
    for asked in (0.02, "low", "high"):
        seeker = LatencySeeker(asked)
        assert live(seeker, 60, needs=1.0) == []
        assert seeker.setting == asked


def test_one_xrun_in_an_hour_is_not_worth_a_gap() -> None:
    """After the trial a single xrun changes nothing, three in ten seconds do."""
    seeker = LatencySeeker("auto")
    seeker.opened(0.0, 0)
    for at, now in enumerate((100.0, 200.0, 300.0, 400.0)):
        assert not seeker.look(now, at + 1, 0.01)
    assert not seeker.look(403.0, 5, 0.01)
    assert seeker.look(405.0, 6, 0.01)


def test_a_machine_that_stood_still_proves_nothing() -> None:
    """Xruns of a stopped process are not blamed on the buffer."""
    seeker = LatencySeeker("auto")
    seeker.opened(0.0, 0)
    seeker.excuse(5.0)
    assert not seeker.look(5.1, 3, 0.01)
    assert not seeker.look(9.0, 3, 0.01)
    assert seeker.look(9.5, 4, 0.01)
