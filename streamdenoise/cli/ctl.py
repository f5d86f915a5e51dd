"""``streamdenoise ctl``."""

from __future__ import annotations

import time
from pathlib import Path

import click

from ..names import shown
from .options import completer, json_option
from .printing import columns, fail, print_json, say, write

__all__ = ["ctl"]


@click.command(
    short_help="Control a live session that runs.",
    context_settings={"ignore_unknown_options": True},
)
@click.argument(
    "words", metavar="COMMAND", nargs=-1, shell_complete=completer("commands")
)
@click.option(
    "--pid",
    type=int,
    metavar="N",
    shell_complete=completer("pids"),
    help="The session of this process.  [default: the newest]",
)
@click.option(
    "--name",
    metavar="NAME",
    shell_complete=completer("names"),
    help="The session of this name (live --name, or its profile).",
)
@json_option
def ctl(
    words: tuple[str, ...], pid: int | None, name: str | None, as_json: bool
) -> None:
    """Control a live session from another terminal, a script or a hot-key.

    \b
    bypass [on|off]             hear the input as it is
    removed [on|off]            hear what is taken away
    mute [on|off]               silence
    strength DB|up|down|full    take away at most DB decibels (12 and -12 are the same)
    mix SHARE                   share of the denoised signal, 0 to 1
    record [FILE|off]           write what is played; without FILE begin or end
    model NAME|next             change the model
    status                      what it does; all of it with --json
    stop                        end it
    list                        sessions that run

    Switches without on or off turn over.

    \b
    streamdenoise ctl strength -12
    streamdenoise ctl --name call mute
    streamdenoise ctl status --json
    """  # noqa: D301
    if not words:
        raise click.UsageError("say what to do, such as: streamdenoise ctl bypass")
    if words[0] == "list" and len(words) == 1:
        _list(as_json)
        return
    from ..control.client import request
    from ..control.words import parse

    parse(words)  # what is wrong is said without asking anybody
    answer = request(_absolute(words), pid=pid, name=name)
    if not answer.get("ok"):
        fail(str(answer.get("error", "it failed")))
        raise click.exceptions.Exit(int(answer.get("exit_code", 1)))
    if as_json:
        print_json(answer.get("status", {"done": answer.get("text", "")}))
    else:
        write(shown(str(answer.get("text", ""))))


def _absolute(words: tuple[str, ...]) -> list[str]:
    """Take a file to be here, not in the folder of the session."""
    from ..control.words import expanded

    verb, *rest = words
    if len(rest) != 1:
        return [*words]
    is_file = verb.casefold() == "record" and rest[0].casefold() != "off"
    is_model = verb.casefold() == "model" and Path(rest[0]).suffix == ".tflite"
    if not (is_file or is_model):
        return [*words]
    name = expanded(rest[0])
    return [verb, str(name if name.is_absolute() else Path.cwd() / name)]


def _list(as_json: bool) -> None:
    from ..control.client import peers

    for peer in peers():
        peer.remove_if_dead()
    found = peers()
    if as_json:
        print_json(
            [
                {"name": p.name, "pid": p.pid, "since": p.since, "socket": str(p.path)}
                for p in found
            ]
        )
        return
    if not found:
        say("nothing is running; start it with: streamdenoise live")
        return
    rows = [["NAME", "PROCESS", "SINCE"]]
    for p in found:
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(p.since))
        rows.append([p.name, str(p.pid), since])
    for line in columns(rows, "lrl"):
        write(line)
