"""``streamdenoise service``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..names import shown
from .options import completer, json_option
from .printing import print_json, say, write

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["service"]


def _profile_name(
    ctx: click.Context, param: click.Parameter, value: str | None
) -> str | None:
    if value is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.]*", value):
        raise click.BadParameter(
            "a service can use profiles whose names are letters, digits, '_' and '.'"
        )
    return value


def _profile_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--profile",
        metavar="NAME",
        callback=_profile_name,
        shell_complete=completer("profiles"),
        help="Profile of the config file; each has a service of its own.",
    )(command)


@click.group(short_help="Run live at every login (systemd).")
def service() -> None:
    """Run live in the background, at every login, as a unit of systemd.

    The flags come from the config file (streamdenoise config); it is started again
    when it fails, and may not do more than it needs. Control it with streamdenoise
    ctl, and read what it says with: journalctl --user -u streamdenoise

    It writes recordings to ~/Recordings, to /tmp, and to the folder of the key record.
    Where the file of that key is there already, the name gets the time.

    \b
    streamdenoise config init
    streamdenoise service install --profile call
    """  # noqa: D301


@service.command("install", short_help="Install and start it.")
@_profile_option
@click.option("--no-start", is_flag=True, help="Start it at the next login only.")
@click.option("--print", "only_print", is_flag=True, help="Only print the unit.")
def install_command(profile: str | None, no_start: bool, only_print: bool) -> None:
    """Install it and start it; one that is there already is replaced."""
    from ..service import install, read_only_works
    from ..unit import unit_text

    writable = _writable(profile)
    if only_print:
        text = unit_text(profile, read_only=read_only_works(), writable=writable)
        write(text.rstrip())
        return
    done = install(profile, start=not no_start, writable=writable)
    write(str(done.path))
    name = done.path.stem
    say(f"{name} starts at every login" + (", and runs now" if done.started else ""))
    if not done.read_only:
        say(
            "this system keeps user namespaces from users, so the file system is not "
            "read-only for it; the other limits hold"
        )
    say(f"what it says: journalctl --user -u {name}")
    say("to start it at boot, before a login: loginctl enable-linger")


def _writable(profile: str | None) -> list[Path]:
    """Check the flags it would run with; return the folders that they write to."""
    from ..errors import StreamDenoiseError
    from ..userfolder import home_folder
    from .configured import PATHS, config_for, live_values

    config = config_for(profile)
    if config is None:
        return []
    found, where = live_values(config, profile), shown(config.path)
    for key in ("duration", "json"):
        if key in found and found[key].value:
            raise StreamDenoiseError(
                f"a service runs without end and without a screen: take {key} out of "
                f"{where}"
            )
    paths = {key: Path(str(found[key].value)) for key in PATHS if key in found}
    if "model" in paths and paths["model"].suffix != ".tflite":
        del paths["model"]  # a name
    home = home_folder() or Path("/")
    for key, path in paths.items():
        if not path.expanduser().is_absolute():
            raise StreamDenoiseError(
                f"a service does not run in your folder: give {key} a whole path in "
                f"{where}, such as {shown(home / path)}"
            )
    if "record" not in paths:
        return []
    folder = paths["record"].expanduser().parent
    if not folder.is_dir():
        raise StreamDenoiseError(
            f"there is no folder {shown(folder)}, where {where} has the service "
            f"record; make it with: mkdir -p {shown(folder)}"
        )
    return [folder]


@service.command("run", hidden=True)
@_profile_option
def run_command(profile: str | None) -> None:
    """Run live as the unit does; each start has a recording of its own."""
    from ..errors import ModelError, UnknownModelError
    from ..unit import fresh_name
    from .configured import config_for, configurable, live_values
    from .live import live

    words = ["--no-view"]
    if profile is not None:
        words += ["--profile", profile]
    config = config_for(profile)
    if config is not None:
        record = live_values(config, profile).get("record")
        if record is not None:
            target = Path(str(record.value)).expanduser()
            words += ["--record", str(fresh_name(target))]
    root = click.get_current_context().find_root()
    with configurable(live).make_context("live", words, parent=root) as ctx:
        try:
            live.invoke(ctx)
        except UnknownModelError as error:
            # It may lie on a disk that is mounted later: systemd is to try again.
            raise ModelError(str(error)) from error


@service.command("remove", short_help="Stop and remove it.")
@_profile_option
def remove_command(profile: str | None) -> None:
    """Stop it and remove it."""
    from ..service import remove
    from ..unit import unit_name

    path = remove(profile)
    if path is None:
        say(f"{unit_name(profile)} is not installed")
    else:
        write(f"removed {shown(path)}")


@service.command("status", short_help="Say whether it runs.")
@_profile_option
@json_option
def status_command(profile: str | None, as_json: bool) -> None:
    """Say whether it is installed and runs."""
    from ..service import status

    known = status(profile)
    if as_json:
        print_json(known)
        return
    if not known["installed"]:
        write(f"{known['unit']} is not installed")
        return
    at_login = "starts at login" if known["enabled"] else "does not start at login"
    process = f", process {known['pid']}" if known["pid"] else ""
    write(f"{known['unit']}: {known['active']}{process}, {at_login}")
    if known["restarts"] or known["result"] not in ("success", "unknown"):
        write(f"started again {known['restarts']} times; last end: {known['result']}")
