"""Tests of the user settings by themselves."""

from __future__ import annotations

import dataclasses

import pytest

from streamdenoise import Settings


@pytest.mark.parametrize("strength", [-1.0, float("nan"), -float("inf")])
def test_impossible_strength_is_refused(strength: float) -> None:
    """A strength that is no attenuation is refused with a sentence."""
    with pytest.raises(ValueError, match="strength_db"):
        Settings(strength_db=strength)


@pytest.mark.parametrize("mix", [-0.1, 1.1, float("nan")])
def test_impossible_mix_is_refused(mix: float) -> None:
    """A mix outside 0 to 1 is refused with a sentence."""
    with pytest.raises(ValueError, match="mix"):
        Settings(mix=mix)


def test_frozen() -> None:
    """Settings cannot change under the engine; only the whole object is swapped."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().mix = 0.5  # type: ignore[misc]


@pytest.mark.parametrize(
    ("strength", "floor"), [(None, 0.0), (float("inf"), 0.0), (0, 1.0), (20, 0.1)]
)
def test_floor(strength: float | None, floor: float) -> None:
    """The strength in dB is the amplitude that every bin keeps at least."""
    assert Settings(strength_db=strength).floor == pytest.approx(floor)
