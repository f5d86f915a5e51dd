"""Joins the config file to the commands: what a flag is not typed for comes from it."""

from __future__ import annotations

import contextlib
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from ..names import shown
from .options import completer

if TYPE_CHECKING:
    from ..config import Config, Found

__all__ = [
    "CONFIGURABLE",
    "PATHS",
    "config_for",
    "configurable",
    "flags_of",
    "live_values",
    "open_config",
    "profile_names",
]

CONFIGURABLE: Final = ("live", "file", "pipe")
"""Commands whose flags can stand in the config file."""

_NEVER: Final = ("help", "profile")
PATHS: Final = ("record", "model")
"""Flags of live whose value may be a path."""
_AT_HOME: Final = (*PATHS, "output", "report")


def configurable(command: click.Command) -> click.Command:
    """Give a command its ``--profile``, and defaults from the config file."""
    if not any(param.name == "profile" for param in command.params):
        command.params.append(
            click.Option(
                ["--profile"],
                metavar="NAME",
                is_eager=True,
                expose_value=False,
                callback=_use_config,
                shell_complete=completer("profiles"),
                help="Take flags from [profile.NAME] of the config file; see: "
                "streamdenoise config.",
            )
        )
    return command


def flags_of(command: click.Command) -> dict[str, click.Option]:
    """Return the options that people know of a command, by their long flag."""
    found = {}
    for param in command.params:
        if isinstance(param, click.Option) and not param.hidden:
            name = next((o for o in param.opts if o.startswith("--")), "")[2:]
            if name and name not in _NEVER:
                found[name] = param
    return found


def all_flags() -> dict[str, dict[str, click.Option]]:
    """Return the options of all configurable commands."""
    commands = {}
    for name in CONFIGURABLE:
        module = import_module(f".{name}", __package__)
        commands[name] = flags_of(getattr(module, name))
    return commands


def open_config() -> Config | None:
    """Read and check the config file; None if there is none."""
    from ..config import config_path, load_config

    path = config_path()
    if path is None:
        return None
    flags = all_flags()
    known = {name: frozenset(options) for name, options in flags.items()}
    return load_config(known, _shared(flags), path)


def _shared(flags: dict[str, dict[str, click.Option]]) -> frozenset[str]:
    """Keys of live that mean something else to another command."""
    return frozenset(
        key
        for key, option in flags["live"].items()
        for name in CONFIGURABLE
        if key in flags[name] and _meaning(flags[name][key]) != _meaning(option)
    )


def _meaning(option: click.Option) -> tuple[object, ...]:
    return option.metavar, type(option.type), option.is_flag


def profile_names() -> list[str]:
    """Return the names of the profiles."""
    config = open_config()
    return [] if config is None else config.profiles


def config_for(profile: str | None) -> Config | None:
    """Read and check the config file; None if there is none, and no profile is meant.

    Raises
    ------
    ConfigError
        If it is wrong, or there is none to have the profile.
    """
    from ..config import ConfigError, config_path, why_none

    config = open_config()
    if config is None and profile is not None:
        path = config_path()
        if path is None:
            raise ConfigError(
                f"there is no profile '{shown(profile)}': {why_none()}, then begin "
                "with: streamdenoise config init"
            )
        raise ConfigError(
            f"there is no profile '{shown(profile)}', for {shown(path)} is missing; "
            "begin with: streamdenoise config init"
        )
    return config


def live_values(config: Config, profile: str | None) -> dict[str, Found]:
    """Return what a config file says for live, checked as live checks it.

    Raises
    ------
    ConfigError
        If there is no such profile, or a value is not what its flag takes.
    """
    from .live import live

    found = config.values("live", profile)
    defaults(config, click.Context(live, info_name="live"), found)
    return found


def _use_config(
    ctx: click.Context, param: click.Parameter, profile: str | None
) -> None:
    """Set the defaults of a command; runs before its other options are looked at."""
    if ctx.resilient_parsing:
        return
    ctx.meta["streamdenoise.profile"] = profile
    config = config_for(profile)
    if config is None:
        return
    command = ctx.command
    assert command.name is not None
    found = config.values(command.name, profile)
    ctx.default_map = {**(ctx.default_map or {}), **defaults(config, ctx, found)}


def defaults(
    config: Config, ctx: click.Context, found: dict[str, Found]
) -> dict[str, Any]:
    """Return values for the parameters of a command, checked as typed ones are.

    Raises
    ------
    ConfigError
        If one of them is not what its flag takes.
    """
    options = flags_of(ctx.command)
    values = {}
    for key, item in found.items():
        option = options[key]
        assert option.name is not None
        value = item.value
        try:
            value = _plain(option, value)
            if key in _AT_HOME and isinstance(value, str):
                # No shell has done it; a user who is not known is no home.
                with contextlib.suppress(RuntimeError):
                    value = str(Path(value).expanduser()) if value[:1] == "~" else value
            if value is not None:
                checked = option.type_cast_value(ctx, value)
                if option.callback is not None:
                    option.callback(ctx, option, checked)
        except (click.BadParameter, ValueError, TypeError) as error:
            text = error.message if isinstance(error, click.BadParameter) else error
            raise config.error(item.section, f"{key}: {text}") from error
        if value is not None:
            values[option.name] = value
    return values


def _plain(option: click.Option, value: Any) -> Any:
    """Return a value of TOML as click would have it from the command line."""
    if option.is_flag:
        if not isinstance(value, bool):
            raise click.BadParameter(f"write true or false, not {value!r}")
        return value
    if isinstance(value, bool):
        # An option that may stand without its value, such as --virtual-mic.
        alone = getattr(option, "_flag_needs_value", False)
        if not alone:
            raise click.BadParameter(f"write a value, not {str(value).lower()}")
        return option.flag_value if value else None
    if option.multiple or option.nargs != 1:
        return value if isinstance(value, list) else [value]
    if not isinstance(value, (str, int, float)):
        raise click.BadParameter("write a number or a text in quotes")
    if isinstance(value, float) and isinstance(option.type, click.types.IntParamType):
        raise click.BadParameter(f"{value} is no whole number")
    return value
