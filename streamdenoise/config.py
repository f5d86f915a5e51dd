"""The config file: flags that need not be typed, for all commands or by profile.

TOML in the user's config folder. Keys are the long flags without their dashes::

    strength = 12                 # for every command that has --strength

    [live]                        # for one command
    input = "usb"

    [profile.call]                # with --profile call
    virtual-mic = true

    [profile.call.file]           # with --profile call, for one command
    strength = 30

What is typed wins over the profile, the profile over the rest, and in both a section of
one command over what stands for all. A key that commands understand differently
(``output``) is that of ``live`` where it stands for all.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from .badtoml import what_is_wrong
from .errors import EXIT_USAGE, StreamDenoiseError
from .names import shown
from .userfolder import user_folder

__all__ = [
    "FILE_NAME",
    "VARIABLE",
    "Config",
    "ConfigError",
    "Found",
    "Known",
    "config_path",
    "load_config",
    "why_none",
]

FILE_NAME: Final = "config.toml"

VARIABLE: Final = "STREAMDENOISE_CONFIG"
"""Names another file; empty: there is none."""

PROFILE: Final = "profile"

Known = Mapping[str, frozenset[str]]
"""The keys of each command."""


class ConfigError(StreamDenoiseError):
    """The config file cannot be read, or says something that means nothing."""

    exit_code = EXIT_USAGE


@dataclass(frozen=True)
class Found:
    """A value, and the section that it stands in."""

    value: Any
    section: str


def config_path() -> Path | None:
    """Return where the config file is or would be; None if there can be none.

    Raises
    ------
    ConfigError
        If its name begins with the home of a user who has none.
    """
    named = os.environ.get(VARIABLE)
    if named is None:
        folder = user_folder()
        return None if folder is None else folder / FILE_NAME
    try:
        return Path(named).expanduser() if named else None
    except RuntimeError:
        raise ConfigError(
            f"there is no home folder for '{shown(Path(named).parts[0])}', with which "
            f"{VARIABLE} begins; write the whole path there"
        ) from None


def why_none() -> str:
    """Say why there is no config file, where `config_path` is None, and what helps."""
    if VARIABLE in os.environ:
        return f"{VARIABLE} is empty, so there is no config file; unset it"
    return (
        "this user has no home folder, so there is no place for a config file; set "
        f"HOME, or name the file with {VARIABLE}"
    )


@dataclass(frozen=True)
class Config:
    """What a config file says; made by `load_config`.

    Attributes
    ----------
    path
        The file, for sentences.
    data
        As TOML has it.
    known
        The keys of each command.
    shared
        Keys of ``live`` that other commands understand differently.
    """

    path: Path
    data: Mapping[str, Any]
    known: Known
    shared: frozenset[str] = field(default_factory=frozenset)

    @property
    def profiles(self) -> list[str]:
        """Names of the profiles, in order."""
        table = self.data.get(PROFILE, {})
        return [*table] if isinstance(table, dict) else []

    def values(self, command: str, profile: str | None = None) -> dict[str, Found]:
        """Return what the file says for a command, by key.

        Parameters
        ----------
        command
            One of `known`.
        profile
            Which profile to take; None: none.

        Raises
        ------
        ConfigError
            If there is no such profile.
        """
        tables = [("", self.data)]
        if profile is not None:
            if profile not in self.profiles:
                raise ConfigError(self._no_profile(profile))
            tables.append((f"{PROFILE}.{profile}", self.data[PROFILE][profile]))
        found: dict[str, Found] = {}
        for section, table in tables:
            for key, value in table.items():
                name = _normal(key)
                if isinstance(value, dict) or name not in self.known[command]:
                    continue
                if command == "live" or name not in self.shared:
                    found[name] = Found(value, section)
            own = f"{section}.{command}" if section else command
            for key, value in table.get(command, {}).items():
                found[_normal(key)] = Found(value, own)
        return found

    def check(self) -> None:
        """Look for keys and sections that mean nothing.

        Raises
        ------
        ConfigError
            At the first one, with the nearest that would mean something.
        """
        self._check_table("", self.data)
        profiles = self.data.get(PROFILE, {})
        if not isinstance(profiles, dict):
            raise self.error("", f"'{PROFILE}' is no section; write [{PROFILE}.NAME]")
        for name, table in profiles.items():
            section = f"{PROFILE}.{name}"
            if not isinstance(table, dict):
                known = frozenset().union(*self.known.values())
                if _normal(name) in known:
                    name = "NAME"
                text = f"a profile is a section of its own; write [{PROFILE}.{name}]"
                raise self.error(PROFILE, text)
            self._check_table(section, table)

    def _check_table(self, section: str, table: Mapping[str, Any]) -> None:
        every = frozenset().union(*self.known.values())
        for key, value in table.items():
            if key == PROFILE and not section:
                continue
            if key in self.known:
                if not isinstance(value, dict):
                    text = f"'{key}' is a command; write its keys under [{key}]"
                    raise self.error(section, text)
                own = f"{section}.{key}" if section else key
                for inner in value:
                    self._check_key(own, inner, self.known[key], key)
            elif isinstance(value, dict):
                sections = [*self.known, *([] if section else [PROFILE])]
                raise self.error(section, self._unknown("section", key, sections))
            else:
                self._check_key(section, key, every, None)

    def _check_key(
        self, section: str, key: str, known: frozenset[str], command: str | None
    ) -> None:
        if _normal(key) not in known:
            what = f"key of {command}" if command else "key"
            raise self.error(section, self._unknown(what, key, sorted(known)))

    def _unknown(self, what: str, name: str, known: list[str]) -> str:
        near = get_close_matches(_normal(name), known, 1, 0.5)
        hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(known)}"
        return f"'{shown(name)}' is no {what}; {hint}"

    def _no_profile(self, name: str) -> str:
        there = ", ".join(map(shown, self.profiles)) or "none"
        near = get_close_matches(name, self.profiles, 1, 0.5)
        meant = f"did you mean {shown(near[0])}? " if near else ""
        return (
            f"there is no profile '{shown(name)}'; {meant}{shown(self.path)} has: "
            f"{there}; add one with a section [{PROFILE}.{shown(name)}]"
        )

    def error(self, section: str, text: str) -> ConfigError:
        """Return an error about a section of this file."""
        where = f", [{shown(section)}]" if section else ""
        return ConfigError(f"{shown(self.path)}{where}: {text}")


def load_config(
    known: Known, shared: frozenset[str] = frozenset(), path: Path | None = None
) -> Config | None:
    """Read and check the config file.

    Parameters
    ----------
    known, shared
        See `Config`.
    path
        The file; by default `config_path`.

    Returns
    -------
    Config or None
        None if there is no file, unless the environment names it.

    Raises
    ------
    ConfigError
        If it cannot be read, is no TOML, or has a key that means nothing.
    """
    path = config_path() if path is None else path
    if path is None:
        return None
    try:
        data = _parse(path)
    except FileNotFoundError:
        if os.environ.get(VARIABLE):
            raise ConfigError(
                f"there is no config file {shown(path)}, which {VARIABLE} names; make "
                "it with: streamdenoise config init"
            ) from None
        return None
    config = Config(path, data, known, shared)
    config.check()
    return config


def _parse(path: Path) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    text = ""
    try:
        text = path.read_text(encoding="utf-8-sig")
        data: dict[str, Any] = tomllib.loads(text)
        return data
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ConfigError(
            f"the config file {shown(path)} cannot be read ({error.strerror})"
        ) from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(
            f"the config file {shown(path)} is no TOML: {what_is_wrong(text, error)}"
        ) from error


def _normal(key: str) -> str:
    return key.strip().casefold().replace("_", "-")
