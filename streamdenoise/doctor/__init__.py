"""Looks at everything that live sound needs, and says what mends what is wrong.

A check is a function that returns a `Check` and raises nothing. `examine` calls them
in the order in which one thing needs the other; there is no more to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from .board import governor, heat, identity, power
from .check import Check, clean, redacted
from .machine import deadline, load, memory, priority
from .software import files, interpreter, models, portaudio, python
from .sound import default_source, devices, left_overs, server

if TYPE_CHECKING:
    from ..live.session import LiveOptions

__all__ = ["Check", "as_dict", "examine", "will_work"]


def examine(options: LiveOptions) -> Iterator[Check]:
    """Run all checks, and give each as soon as it is done.

    Parameters
    ----------
    options
        As for live: the devices and the model that are meant.
    """
    checks: tuple[Callable[[], Check], ...] = (
        python,
        identity,
        interpreter,
        portaudio,
        files,
        lambda: models(options.model),
        server,
        lambda: default_source(options.input),
        lambda: devices("input", options.input),
        lambda: devices("output", options.output),
        left_overs,
        lambda: deadline(options.model),
        priority,
        governor,
        power,
        heat,
        memory,
        load,
    )
    for check in checks:
        yield check()


def will_work(checks: list[Check]) -> bool:
    """Say whether live will work: nothing failed."""
    return all(check.state != "fail" for check in checks)


def as_dict(checks: list[Check], loop: dict[str, Any] | None) -> dict[str, Any]:
    """Return what a bug report needs in plain types, without names of people."""
    from .. import __version__

    return {
        "streamdenoise": __version__,
        "will_work": will_work(checks),
        "checks": [redacted(check).as_dict() for check in checks],
        "loop": clean(loop),
    }
