"""Both sound servers of Linux in turn, for what must hold on either."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from streamdenoise.virtual.found import find_all
from tests.pipewire import pipewire
from tests.pulse import PulseServer, list_anew, pulse

__all__ = ["either", "pipewire", "pulse"]


@pytest.fixture(params=["pulse", "pipewire"])
def either(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[PulseServer]:
    """Each server in turn, used by this process too; left as it was found."""
    server: PulseServer = request.getfixturevalue(request.param)
    server.use(monkeypatch)
    list_anew()
    yield server
    for device in find_all():
        device.remove()
