"""``streamdenoise config``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ..names import shown
from .configured import CONFIGURABLE, all_flags, defaults, open_config
from .options import completer, json_option
from .printing import columns, print_json, say, write

if TYPE_CHECKING:
    from ..config import Found

__all__ = ["config"]

_HEAD = """\
# Flags of streamdenoise that need not be typed. Keys are the long flags without their
# dashes. What is typed on the command line wins over the profile, the profile over the
# rest, and [live], [file] and [pipe] over what stands for all commands.
"""

_EXAMPLES = {
    "strength": "12",
    "model": '"pi"',
    "input": '"USB"',
    "output": '"Headphones"',
    "virtual-mic": "true",
    "rate": "48000",
    "channels": "2",
    "duration": "3600",
    "record": '"~/talk.flac"',
    "name": '"call"',
    "loudness": "-16",
    "cluster": '"local"',
    "split": "30",
    "report": '"report.html"',
}
"""Something that makes sense for a flag without a default that does."""

_OUTPUTS = {"file": '"clean"'}

_PROFILES = """\
# Sections that count with --profile NAME only, here: streamdenoise live --profile call
# [profile.call]
# virtual-mic = true
# strength = 18
"""


@click.group(short_help="Keep flags in a file, so that they need not be typed.")
def config() -> None:
    """Keep flags in a file, so that they need not be typed, and profiles of them.

    \b
    streamdenoise config init                 make one to fill in
    streamdenoise config show --profile call  what counts, and where it comes from
    $EDITOR "$(streamdenoise config path)"

    STREAMDENOISE_CONFIG names another file; empty, there is none.
    """  # noqa: D301


@config.command("path", short_help="Print where the file is.")
def path_command() -> None:
    """Print where the file is, or would be."""
    write(str(_path()))


@config.command("show", short_help="Print what it says.")
@click.option(
    "--profile",
    metavar="NAME",
    shell_complete=completer("profiles"),
    help="With the flags of this profile.",
)
@json_option
def show_command(profile: str | None, as_json: bool) -> None:
    """Print the flags that the file sets, and the section that each comes from."""
    from ..config import ConfigError

    path, found = _path(), open_config()
    if found is None:
        if profile is not None:
            raise ConfigError(
                f"there is no profile '{shown(profile)}', for {shown(path)} is "
                "missing; begin with: streamdenoise config init"
            )
        if as_json:
            print_json({"path": str(path), "exists": False})
        else:
            say(f"{shown(path)} is not there; make it with: streamdenoise config init")
        return
    values = {name: found.values(name, profile) for name in CONFIGURABLE}
    for name, items in values.items():
        _check(name, items)
    if as_json:
        print_json(_entries(path, found.profiles, values))
        return
    rows = [["COMMAND", "FLAG", "VALUE", "FROM"]]
    for name, items in values.items():
        for key, item in items.items():
            section = f"[{shown(item.section)}]" if item.section else "the top"
            rows.append([name, f"--{key}", shown(str(item.value)), section])
    for line in columns(rows):
        write(line)
    names = ", ".join(map(shown, found.profiles)) or "none"
    say(f"\n{shown(path)}; profiles: {names}")


def _entries(
    path: Any, profiles: list[str], values: dict[str, dict[str, Found]]
) -> dict[str, Any]:
    return {
        "path": str(path),
        "exists": True,
        "profiles": profiles,
        "commands": {
            name: {key: {"value": i.value, "from": i.section} for key, i in v.items()}
            for name, v in values.items()
        },
    }


def _check(name: str, items: dict[str, Found]) -> None:
    """Check values as the command would."""
    from importlib import import_module

    command = getattr(import_module(f".{name}", __package__), name)
    found = open_config()
    assert found is not None
    defaults(found, click.Context(command, info_name=name), items)


@config.command("init", short_help="Make one to fill in.")
@click.option("--force", is_flag=True, help="Replace the file that is there.")
def init_command(force: bool) -> None:
    """Make a config file in which every flag stands as a comment."""
    from ..audio.target import write_whole
    from ..errors import OutputError

    path = _path()
    if path.exists() and not force:
        raise OutputError(f"{shown(path)} is there already; replace it with --force")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # A link, as keepers of dot files make, stays one.
        real = path.resolve() if path.is_symlink() else path
    except OSError as error:
        raise OutputError(f"cannot write {shown(path)}: {error.strerror}") from error
    write_whole(real, template().encode(), force=force)
    write(str(path))


def template() -> str:
    """Return a config file in which everything is a comment."""
    parts = [_HEAD]
    for name, flags in all_flags().items():
        lines = [f"[{name}]"]
        for key, option in flags.items():
            text = " ".join((option.help or "").split("  [")[0].split())
            example = _OUTPUTS.get(name) if key == "output" else None
            line = f"# {key} = {example or _example(key, option)}"
            lines.append(f"{line:<30}  # {text}")
        parts.append("\n".join(lines) + "\n")
    return "\n".join([*parts, _PROFILES])


def _example(key: str, option: click.Option) -> str:
    default = option.default
    if key in _EXAMPLES:
        return _EXAMPLES[key]
    if option.is_flag:
        return "true"
    if isinstance(default, (int, float)) and not isinstance(default, bool):
        return str(default)
    if isinstance(default, str):
        return f'"{default}"'
    choices = getattr(option.type, "choices", None)
    if not choices:
        raise LookupError(f"--{key} has no example")
    return f'"{choices[0]}"'


def _path() -> Any:
    from ..config import ConfigError, config_path, why_none

    path = config_path()
    if path is None:
        raise ConfigError(why_none())
    return path
