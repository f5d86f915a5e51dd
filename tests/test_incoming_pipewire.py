"""What the other side says, on PipeWire: what holds on PulseAudio holds there too."""

from __future__ import annotations

from tests.pipewire import pipewire as pulse
from tests.test_incoming import (
    headset,
    test_a_loudspeaker_that_is_late_is_waited_for,
    test_it_comes_back,
    test_it_ends_with_its_parent,
    test_it_goes_back_to_the_headset,
    test_only_one_of_a_name,
    test_started_anew_it_gets_the_environment_of_the_start,
    test_the_others_are_heard_denoised,
)
from tests.test_virtualmic import server

__all__ = [
    "headset",
    "pulse",
    "server",
    "test_a_loudspeaker_that_is_late_is_waited_for",
    "test_it_comes_back",
    "test_it_ends_with_its_parent",
    "test_it_goes_back_to_the_headset",
    "test_only_one_of_a_name",
    "test_started_anew_it_gets_the_environment_of_the_start",
    "test_the_others_are_heard_denoised",
]
