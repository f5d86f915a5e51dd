"""What a check returns, and how names of people are kept out of it."""

from __future__ import annotations

import contextlib
import getpass
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

__all__ = ["Check", "clean", "redacted"]

State = Literal["ok", "warn", "fail", "skip"]

_OWNER = re.compile(r"\b[\w.-]+(?=['\u2019]s\b)")


@dataclass(frozen=True)
class Check:
    """What one check has found.

    Attributes
    ----------
    name
        Of the thing that was looked at.
    state
        ``ok``; ``warn``: live works, but not as well as it could; ``fail``: it does
        not work; ``skip``: there is nothing to look at here.
    found
        One line for a person.
    fix
        What to type or do; empty where nothing is wrong.
    details
        Numbers and names for programs.
    """

    name: str
    state: State
    found: str
    fix: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """All of it in plain types, for JSON."""
        return asdict(self)


def redacted(check: Check) -> Check:
    """Return a check without user name, host name, home folder and owners' names.

    What is to be typed has to work: there a name that is a word of a command stays, as
    that of a host called streamdenoise, or a user called audio.
    """
    return replace(
        check,
        found=clean(check.found),
        fix=_clean_text(check.fix, [_home()]),
        details=clean(dict(check.details)),
    )


def clean(value: Any) -> Any:
    """Return text, or texts in dicts and lists, without names that are known here.

    Those are user, host and home; and an owner with an apostrophe, for devices are
    often called so: ``Ann's AirPods``. Other names cannot be told from words.
    """
    if isinstance(value, dict):
        return {key: clean(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [clean(item) for item in value]
    if not isinstance(value, str):
        return value
    return _clean_text(value, _private())


def _clean_text(text: str, private: Sequence[tuple[str, str]]) -> str:
    for name, label in private:
        # Too short ones would take words apart.
        if len(name) > 2:
            text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", label, text)
    return _OWNER.sub("someone", text)


def _private() -> list[tuple[str, str]]:
    found = [_home()]
    with contextlib.suppress(OSError, KeyError, ImportError):
        found.append((getpass.getuser(), "<user>"))
    found.append((platform.node(), "<host>"))
    return found


def _home() -> tuple[str, str]:
    with contextlib.suppress(OSError, RuntimeError):
        return str(Path.home()), "~"
    return "", "~"
