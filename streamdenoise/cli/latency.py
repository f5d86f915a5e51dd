"""The option that says how much devices are to buffer."""

from __future__ import annotations

from typing import Any

import click

__all__ = ["LatencyType"]


class LatencyType(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """Seconds, or a word.

    Parameters
    ----------
    words
        That may be given instead of a number.
    """

    name = "latency"

    def __init__(self, *words: str) -> None:
        self._words = words

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float | str:
        """Return seconds as a number, or one of the words."""
        if value in self._words:
            return str(value)
        try:
            seconds = float(value)
        except ValueError:
            seconds = -1.0
        if not 0.0 < seconds <= 5.0:
            *others, last = ("seconds such as 0.05 (up to 5)", *self._words)
            self.fail(f"give {', '.join(others)}, or {last}", param, ctx)
        return seconds

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[Any]:
        """Offer the words."""
        from click.shell_completion import CompletionItem

        return [CompletionItem(w) for w in self._words if w.startswith(incomplete)]
