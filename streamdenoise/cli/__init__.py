"""The command line: arguments and printing; all work is done elsewhere.

Commands are loaded when they are called, so that ``--help`` imports nothing but
click. Results go to standard output, talk goes to standard error.

Exit codes: 0 done, 1 failed on the input, 2 wrong usage, 3 no device or runtime,
130 interrupted.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any, Final

import click

from .guard import guarded
from .printing import keep_descriptors

__all__ = ["cli", "main"]

COMMANDS: Final = {
    "file": ("file", "Denoise sound files."),
    "pipe": ("pipe", "Denoise a stream from standard input to standard output."),
    "live": ("live", "Denoise a microphone while you speak."),
    "ctl": ("ctl", "Control a live session that runs."),
    "virtual-mic": (
        "virtual_mic",
        "A microphone for calls that carries the denoised sound.",
    ),
    "devices": ("devices", "List the sound devices."),
    "doctor": ("doctor", "Say whether live will work here, and what mends it."),
    "models": ("models", "List the models."),
    "compare": ("compare", "Say and draw what differs between two recordings."),
    "bench": ("bench", "Measure the speed on this machine."),
    "demo": ("demo", "Hear and see it work, without files or sound card."),
    "config": ("config", "Keep flags in a file, so that they need not be typed."),
    "service": ("service", "Run live at every login (systemd)."),
    "completion": (
        "completion",
        "Let the shell complete commands, devices and models.",
    ),
}
"""Commands in the order of the help: module and attribute, and the short help."""


class LazyGroup(click.Group):
    """A group that imports a command when it is called, and guards all of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order in which people need them."""
        return [*COMMANDS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        if cmd_name not in COMMANDS:
            return None
        attribute = COMMANDS[cmd_name][0]
        module = import_module(f".{attribute}", __name__)
        command: click.Command = getattr(module, attribute)
        if cmd_name in ("live", "file", "pipe"):
            from .configured import configurable

            configurable(command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Suggest `file` to those who name a file where a command was meant."""
        name = args[0]
        if name not in COMMANDS and not name.startswith("-") and os.path.exists(name):  # noqa: PTH110
            ctx.fail(
                f"no such command: {click.format_filename(name)!r}. To denoise a file, "
                f"type: streamdenoise file {click.format_filename(name)}"
            )
        return super().resolve_command(ctx, args)

    def format_commands(
        self, ctx: click.Context, formatter: click.HelpFormatter
    ) -> None:
        """Write the list of commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; every failure becomes one sentence and an exit code."""
        return guarded(super().invoke, ctx)


def _print_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from .. import __version__

        click.echo(f"streamdenoise {__version__}")
        ctx.exit()


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="How much is taken away is set with --strength DB (try 12). "
    "Exit codes: 0 done, 1 failed on the input, 2 wrong usage, 3 no device or runtime, "
    "130 interrupted.",
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the version and exit.",
)
def cli() -> None:
    """Take the noise out of speech: in files, in pipes, and live.

    \b
    streamdenoise demo                       see what it does
    streamdenoise file talk.wav              makes talk.denoised.wav
    streamdenoise live                       microphone to headphones
    streamdenoise live --virtual-mic         a microphone for your call (Linux)
    streamdenoise doctor                     what is wrong, and what to type
    arecord -f S16_LE -r 16000 | streamdenoise pipe | aplay
    """  # noqa: D301


def main() -> None:
    """Run the command line and exit."""
    keep_descriptors()
    cli(prog_name="streamdenoise")
