"""``streamdenoise completion``."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import click

from ..audio.target import write_whole
from ..errors import OutputError
from ..names import shown
from ..userfolder import home_folder
from .printing import say, write

__all__ = ["completion"]

_SHELLS = ("bash", "zsh", "fish")
_PROGRAM = "streamdenoise"
_VARIABLE = "_STREAMDENOISE_COMPLETE"


@click.command(short_help="Let the shell complete commands, devices and models.")
@click.argument("shell", type=click.Choice(_SHELLS), required=False)
@click.option(
    "--install", is_flag=True, help="Put it where the shell finds it, for good."
)
def completion(shell: str | None, install: bool) -> None:
    """Print what makes the TAB key of a shell know this program.

    Completes commands and flags, and names of devices, models and profiles. Without
    SHELL it is the one in $SHELL.

    \b
    streamdenoise completion --install             for good
    source <(streamdenoise completion bash)        for this shell only
    """  # noqa: D301
    shell = shell or _own_shell()
    text = script(shell)
    if not install:
        write(text)
        return
    path = target(shell)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write {shown(path)}: {error.strerror}") from error
    write_whole(path, f"{text}\n".encode(), force=True)
    write(str(path))
    say(_remark(shell, path))


def _own_shell() -> str:
    name = Path(os.environ.get("SHELL", "")).name
    if name not in _SHELLS:
        raise click.UsageError(f"say which shell: {', '.join(_SHELLS)}")
    return name


def script(shell: str) -> str:
    """Return the completion script of a shell."""
    from click.shell_completion import get_completion_class

    from . import cli

    cls = get_completion_class(shell)
    assert cls is not None
    made = cls(cli, {}, _PROGRAM, _VARIABLE)
    # Not made.source(): it starts bash to ask for its version, which is ours to say.
    text: str = made.source_template % made.source_vars()
    return text.strip()


def target(shell: str) -> Path:
    """Return the file in which a shell looks for the completion of a program."""
    home = home_folder()
    if home is None:
        raise OutputError(
            "this user has no home folder, so there is no place for it; set HOME, or "
            f"see: streamdenoise completion {shell}"
        )
    data = Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share")
    settings = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    if shell == "bash":
        return data / "bash-completion" / "completions" / _PROGRAM
    if shell == "fish":
        return settings / "fish" / "completions" / f"{_PROGRAM}.fish"
    return Path(os.environ.get("ZDOTDIR") or home) / ".zfunc" / f"_{_PROGRAM}"


def _remark(shell: str, path: Path) -> str:
    if shell == "fish":
        return "it counts from the next shell on"
    if shell == "zsh":
        return (
            "it counts from the next shell on, if ~/.zshrc has these two lines:\n"
            f"  fpath+={path.parent}\n"
            "  autoload -Uz compinit && compinit"
        )
    text = "it counts from the next shell on"
    places = ("/usr/share/bash-completion", "/usr/local/share/bash-completion")
    if not any(Path(place).is_dir() for place in places):
        text += (
            ", if ~/.bashrc has this line (or with the package bash-completion):\n"
            f"  source {path}"
        )
    if _old_bash():
        text += "\nthis bash is too old for it: version 4.4 or newer is needed"
    return text


def _old_bash() -> bool:
    bash = shutil.which("bash")
    if bash is None:
        return False
    command = [bash, "--norc", "-c", "echo $((BASH_VERSINFO[0]*100+BASH_VERSINFO[1]))"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5)
        return int(done.stdout) < 404
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return False
