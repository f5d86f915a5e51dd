"""The shortest buffer that runs without xruns is found, and not chased for ever."""

from __future__ import annotations

import pytest

from streamdenoise.live.seek import (
    CALM_SECONDS,
    GRACE_SECONDS,
    LADDER,
    MOST_STEPS,
    TRIAL_SECONDS,
    LatencySeeker,
)


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


def test_each_waking_up_is_no_new_trial() -> None:
    """After each resume one xrun changes nothing, for months; three still do."""
    seeker, xruns, now = LatencySeeker("auto"), 0, 0.0
    seeker.opened(now, xruns)
    for _ in range(100):
        seeker.lost(now + 60.0)
        now += 61.0
        seeker.reopened(now, xruns)
        xruns += 1
        assert not seeker.look(now + 2.0, xruns, 0.01)
    assert seeker.setting == "low" and seeker.steps == 0
    assert not seeker.look(now + 3.0, xruns + 1, 0.01)
    assert seeker.look(now + 4.0, xruns + 2, 0.01)


def raised(seeker: LatencySeeker, now: float, latency: float) -> float:
    """Let a buffer be too short after a reopening; return the time of the step."""
    seeker.reopened(now, 0)
    for count in (1, 2, 3):
        now += GRACE_SECONDS
        step = seeker.look(now, count, latency)
    assert step
    seeker.opened(now, 3)
    return now


def test_a_long_calm_gives_a_step_back() -> None:
    """Down by one where it is opened again anyway; where that fails, twice the calm."""
    seeker = LatencySeeker("auto")
    now = raised(seeker, 0.0, 0.01)
    high = seeker.setting
    for calm in (CALM_SECONDS, 2 * CALM_SECONDS, 4 * CALM_SECONDS):
        seeker.lost(now + calm - 1.0)
        assert seeker.setting == high
        seeker.reopened(now + calm, 3)
        now += calm + 1.5
        seeker.lost(now)
        assert (seeker.setting, seeker.steps) == ("low", 0)
        now = raised(seeker, now, 0.01)
        assert (seeker.setting, seeker.steps) == (high, 1)


def test_what_was_given_back_can_be_taken_again() -> None:
    """Steps that were undone do not count among the few that there are."""
    seeker = LatencySeeker("auto")
    live(seeker, 600, needs=9.0)
    assert seeker.steps == MOST_STEPS
    top, now = seeker.setting, 1000.0
    for _ in range(MOST_STEPS):
        now += CALM_SECONDS
        seeker.lost(now)
        seeker.reopened(now, 0)
    assert (seeker.setting, seeker.steps) == ("low", 0)
    live(seeker, 600, needs=9.0)
    assert (seeker.setting, seeker.steps) == (top, MOST_STEPS)


def test_only_sound_without_xruns_is_a_calm() -> None:
    """Neither the time in which a device is away nor that before an xrun counts."""
    seeker = LatencySeeker("auto")
    now = raised(seeker, 0.0, 0.01)
    high, half = seeker.setting, CALM_SECONDS / 2 + 1.0
    seeker.lost(now + half)
    now += 100 * CALM_SECONDS
    seeker.reopened(now, 3)
    seeker.lost(now + 1.0)
    assert seeker.setting == high
    seeker.reopened(now, 3)
    assert not seeker.look(now + TRIAL_SECONDS, 4, 0.02)
    seeker.lost(now + TRIAL_SECONDS + half)
    assert seeker.setting == high
    now += 100.0
    seeker.reopened(now, 4)
    seeker.lost(now + half)
    assert seeker.setting == "low"


def test_a_number_of_a_persons_own_survives_calm() -> None:
    """What was asked for is not lowered either."""
    seeker = LatencySeeker(0.1)
    seeker.opened(0.0, 0)
    seeker.lost(10 * CALM_SECONDS)
    assert seeker.setting == 0.1
