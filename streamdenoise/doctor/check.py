"""What a check returns, and how names of people are kept out of it."""

from __future__ import annotations

import contextlib
import getpass
import platform
import re
from collections.abc import Mapping
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
    """Return a check without user name, host name, home folder and owners' names."""
    return replace(
        check,
        found=clean(check.found),
        fix=clean(check.fix),
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
    for name, label in _private():
        value = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", label, value)
    return _OWNER.sub("someone", value)


def _private() -> list[tuple[str, str]]:
    found = []
    with contextlib.suppress(OSError, RuntimeError):
        found.append((str(Path.home()), "~"))
    with contextlib.suppress(OSError, KeyError, ImportError):
        found.append((getpass.getuser(), "<user>"))
    found.append((platform.node(), "<host>"))
    # Too short ones would take words apart.
    return [(name, label) for name, label in found if len(name) > 2]
