"""The words that a running session understands, from keys and from the socket."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Final

from ..errors import EXIT_USAGE, StreamDenoiseError
from ..names import shown

__all__ = ["USAGE", "Command", "ControlError", "expanded", "parse"]

USAGE: Final = {
    "bypass": ("bypass [on|off]", "hear the input as it is, with the same delay"),
    "removed": ("removed [on|off]", "hear what is taken away"),
    "mute": ("mute [on|off]", "silence, faded in and out"),
    "strength": ("strength DB|up|down|full", "take away at most DB decibels"),
    "mix": ("mix SHARE", "share of the denoised signal, 0 to 1"),
    "record": ("record [FILE|off]", "write what is played to a file"),
    "model": ("model NAME|next", "change the model while it runs"),
    "status": ("status", "levels, load, latency, xruns, settings"),
    "stop": ("stop", "end it, with its summary"),
}
"""The words by their first: how they go on, and what they do."""


class ControlError(StreamDenoiseError):
    """The words are none that a running session understands."""

    exit_code = EXIT_USAGE


@dataclass(frozen=True)
class Command:
    """One thing to do.

    Attributes
    ----------
    verb
        A key of `USAGE`.
    value
        For switches True, False, or None to turn over; decibels, ``"up"``,
        ``"down"`` or ``"full"`` for the strength; a share for the mix; a name or
        path, False for off, or None for what comes next or a name of our own.
    """

    verb: str
    value: bool | float | str | None = None


def parse(words: Sequence[str]) -> Command:
    """Understand `words`.

    Parameters
    ----------
    words
        A verb of `USAGE` and what belongs to it. Case does not matter, but in names.

    Raises
    ------
    ControlError
        If they mean nothing; says which words would.
    """
    if not words:
        raise ControlError(f"there is no command; give one of: {', '.join(USAGE)}")
    verb, rest = words[0].casefold(), list(words[1:])
    if verb not in USAGE:
        near = get_close_matches(verb, USAGE, 1)
        meant = f"did you mean {near[0]}? There are" if near else "there are"
        raise ControlError(
            f"there is no command '{shown(words[0])}'; {meant}: {', '.join(USAGE)}"
        )
    if verb in ("status", "stop"):
        most, least = 0, 0
    else:
        most, least = 1, int(verb in ("strength", "mix", "model"))
    if not least <= len(rest) <= most:
        raise _wrong(verb, rest)
    if not rest:
        return Command(verb)
    return Command(verb, _value(verb, rest[0]))


def _value(verb: str, word: str) -> bool | float | str | None:
    lower = word.strip().casefold()
    if verb == "model":
        return None if lower == "next" else word
    if verb == "record":
        return False if lower == "off" else word
    if verb == "strength":
        if lower in ("up", "down", "full"):
            return lower
        # Who writes -12 means the 12 dB that are taken away, too.
        return abs(_number(verb, lower.removesuffix("db")))
    if verb == "mix":
        share = lower.removesuffix("%")
        mix = _number(verb, share) / (1.0 if share == lower else 100.0)
        if not 0.0 <= mix <= 1.0:
            raise _wrong(verb, [word])
        return mix
    if lower not in ("on", "off"):
        raise _wrong(verb, [word])
    return lower == "on"


def _number(verb: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise _wrong(verb, [text]) from None
    if number != number:  # NaN
        raise _wrong(verb, [text])
    return number


def _wrong(verb: str, rest: Sequence[str]) -> ControlError:
    given = " ".join((verb, *map(shown, rest)))
    usage, help_text = USAGE[verb]
    return ControlError(f"'{given}' is not understood; type: {usage} ({help_text})")


def expanded(name: str) -> Path:
    """Return a path with its leading ``~`` or ``~user`` replaced by that home.

    Parameters
    ----------
    name
        As a person wrote it.

    Raises
    ------
    ControlError
        If there is no such user.
    """
    try:
        return Path(name).expanduser()
    except RuntimeError:
        user = Path(name).parts[0]
        raise ControlError(
            f"there is no user for '{shown(user)}' here; write the whole path, or "
            f"./{shown(user)} if a folder is called so"
        ) from None
