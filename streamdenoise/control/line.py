"""A running session as one line, for narrow and dumb terminals."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from .panel import clock

if TYPE_CHECKING:
    from ..live.session import Status
    from ..settings import Settings

__all__ = ["meter_line"]


def meter_line(
    status: Status, settings: Settings | None = None, width: int = 80
) -> str:
    """Return a moment as one line: what is switched on, then numbers.

    Parameters
    ----------
    status, settings
        Of this moment.
    width
        Columns that there are: what does not fit is left out whole, from the right.
    """
    fields = [name for name, on in _switched(status, settings) if on]
    if status.state == "running":
        fields += [
            f"in {status.level_in:6.1f} dB",
            f"out {status.level_out:6.1f} dB",
            f"xruns {status.xrun_count}",
            clock(status.seconds),
            f"less {status.reduction:4.1f} dB",
            f"load {status.load:4.0%}",
        ]
    else:
        fields += [f"{status.state} ...", clock(status.seconds)]
    while fields and len("  ".join(fields)) > width:
        fields.pop()
    return "  ".join(fields)


def _switched(status: Status, settings: Settings | None) -> Iterator[tuple[str, bool]]:
    """Yield what may be switched on: it matters more than any number."""
    yield "muted", status.muted
    if settings is not None:
        yield "bypass", settings.bypass
        yield "removed", settings.removed
    yield "rec", status.recording is not None
