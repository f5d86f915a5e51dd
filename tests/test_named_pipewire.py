"""Devices are found, opened and said by their names on PipeWire as on PulseAudio."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.pipewire import PipeWireServer, pipewire
from tests.test_named import (
    furnished,
    test_a_virtual_microphone_hears_the_one_that_is_named,
    test_headphones_need_no_advice,
    test_live_goes_where_it_was_told,
    test_our_own_microphone_is_no_input,
    test_they_are_listed,
    test_they_are_offered,
)

__all__ = [
    "pipewire",
    "test_a_virtual_microphone_hears_the_one_that_is_named",
    "test_headphones_need_no_advice",
    "test_live_goes_where_it_was_told",
    "test_our_own_microphone_is_no_input",
    "test_they_are_listed",
    "test_they_are_offered",
]


@pytest.fixture
def server(
    pipewire: PipeWireServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[PipeWireServer]:
    """The private server with a loudspeaker, headphones and a microphone."""
    pipewire.use(monkeypatch)
    yield from furnished(pipewire)
