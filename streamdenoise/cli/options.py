"""Options that several commands have, and what they take."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..constants import MAX_CHANNELS, MAX_RATE, MIN_RATE

if TYPE_CHECKING:
    from ..settings import Settings

__all__ = [
    "CHANNELS",
    "RATE",
    "completer",
    "json_option",
    "link_option",
    "model_option",
    "settings_from",
    "settings_options",
]

_F = TypeVar("_F", bound=Callable[..., Any])

RATE = click.IntRange(MIN_RATE, MAX_RATE)
CHANNELS = click.IntRange(1, MAX_CHANNELS)
"""What options for a sample rate and for a number of channels take."""


def completer(what: str) -> Callable[..., list[Any]]:
    """Return what completes a word: ``complete_WHAT`` of `completers`, when needed."""

    def complete(
        ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[Any]:
        from . import completers

        found: list[Any] = getattr(completers, f"complete_{what}")(
            ctx, param, incomplete
        )
        return found

    return complete


def json_option(command: _F) -> _F:
    """Add ``--json``, as `as_json`."""
    return click.option(
        "--json", "as_json", is_flag=True, help="Print the result as JSON."
    )(command)


def model_option(command: _F) -> _F:
    """Add ``--model``, as `model`; None is the default model."""
    return click.option(
        "--model",
        metavar="NAME|PATH",
        shell_complete=completer("models"),
        help="Model to use; see: streamdenoise models.",
    )(command)


def link_option(command: _F) -> _F:
    """Add ``--link-channels``, as `link_channels`."""
    return click.option(
        "--link-channels",
        is_flag=True,
        help="One gain for all channels, so that the stereo image does not move.",
    )(command)


def settings_options(command: _F) -> _F:
    """Add ``--strength``, ``--mix`` and ``--removed``; see `settings_from`."""
    for option in (
        click.option(
            "--removed",
            is_flag=True,
            help="Give what is taken away instead of what is kept.",
        ),
        click.option(
            "--mix",
            type=float,
            default=1.0,
            show_default=True,
            metavar="SHARE",
            callback=_mix,
            help="Share of the denoised signal: 0 is the input, 1 all denoised.",
        ),
        click.option(
            "--strength",
            type=float,
            metavar="DB",
            callback=_strength,
            help="Take away at most this many decibels: 6 is gentle, 12 leaves a "
            "quiet background, 100 is silence.  [default: no limit]",
        ),
    ):
        command = option(command)
    return command


def _strength(
    ctx: click.Context, param: click.Parameter, value: float | None
) -> float | None:
    if value is not None and not value >= 0.0:
        raise click.BadParameter("give decibels from 0 (no change) upwards")
    return value


def _mix(ctx: click.Context, param: click.Parameter, value: float) -> float:
    if not 0.0 <= value <= 1.0:
        raise click.BadParameter("give a number from 0 (input) to 1 (all denoised)")
    return value


def settings_from(strength: float | None, mix: float, removed: bool) -> Settings:
    """Make `Settings` from the options of `settings_options`."""
    from ..settings import Settings

    return Settings(strength_db=strength, mix=mix, removed=removed)
