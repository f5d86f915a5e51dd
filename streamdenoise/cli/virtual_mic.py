"""``streamdenoise virtual-mic``."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import click

from ..names import shown
from ..virtual import DEFAULT_NAME
from ..virtual.recipes import PLATFORMS, recipe, this_platform
from .options import RATE, json_option
from .printing import columns, print_json, say, write

if TYPE_CHECKING:
    from ..errors import DeviceError
    from ..virtual.found import Found

__all__ = ["virtual_mic"]

_BACK_SECONDS: Final = 0.7
"""Time in which a running live has noticed that its microphone is gone."""


@click.group(short_help="A microphone for calls that carries the denoised sound.")
def virtual_mic() -> None:
    """Make a microphone that other programs can choose, and live plays into.

    Works with PulseAudio and PipeWire (most Linux desktops); for macOS, Windows and
    bare ALSA `recipe` says what to do. The command `live --virtual-mic` needs none of
    this: it makes its own and removes it.

    \b
    streamdenoise virtual-mic create          stays until removed, or logout
    streamdenoise live --virtual-mic          play into it
    streamdenoise virtual-mic remove
    """  # noqa: D301


@virtual_mic.command()
@click.option(
    "--name",
    default=DEFAULT_NAME,
    show_default=True,
    help="Tells several apart; call programs show it.",
)
@click.option(
    "--rate",
    type=RATE,
    metavar="HZ",
    help="Samples per second.  [default: 48000]",
)
@json_option
def create(name: str, rate: int | None, as_json: bool) -> None:
    """Make a microphone that stays; nothing happens if it is there already."""
    _need_linux()
    from ..virtual.found import find_all
    from ..virtual.mic import VirtualMic

    mic = VirtualMic.create(name, rate=rate, keep=True)
    if as_json:
        print_json(next(f.as_dict() for f in find_all() if f.name == mic.name))
        return
    flag = "" if mic.name == DEFAULT_NAME else f"={mic.name}"
    say(f"the microphone is there: {shown(mic.description)}")
    say(f"play into it with: streamdenoise live --virtual-mic{flag}")


@virtual_mic.command()
@click.option("--name", default=DEFAULT_NAME, show_default=True, help="Which one.")
@click.option("--all", "everything", is_flag=True, help="All that this program made.")
@json_option
def remove(name: str, everything: bool, as_json: bool) -> None:
    """Remove a microphone; nothing happens if there is none.

    One that belongs to a running live stays: it goes when that ends.
    """
    _need_linux()
    from ..virtual.found import find_all
    from ..virtual.parts import slug_of

    wanted = [f for f in find_all() if everything or f.name == slug_of(name)]
    running = [f for f in wanted if f.in_use or _fed(f)]
    removed = [f for f in wanted if f not in running]
    for found in removed:
        found.remove()
    if removed:
        # A live of somebody else that plays into a kept one makes it anew at once.
        time.sleep(_BACK_SECONDS)
        there = {f.name for f in find_all()}
        running += [f for f in removed if f.name in there]
        removed = [f for f in removed if f.name not in there]
    if as_json:
        names = {"removed": removed, "running": running}
        print_json({key: [f.name for f in each] for key, each in names.items()})
    elif removed:
        say("removed: " + ", ".join(shown(found.name) for found in removed))
    elif not running:
        say("there is nothing to remove")
    if running:
        raise _in_use(running)


def _fed(found: Found) -> bool:
    """Whether a live plays into it: made anew at once, a call has lost it still."""
    from ..control.client import peers
    from ..virtual import soundserver

    sink = found.sink
    return sink is not None and any(
        stream.attached == sink.index
        for peer in peers()
        for stream in soundserver.streams_of("sink-inputs", peer.pid)
    )


def _in_use(found: Sequence[Found]) -> DeviceError:
    from ..errors import DeviceError

    names = ", ".join(shown(f.name) for f in found)
    process = next((f.owner.pid for f in found if f.owner is not None), None)
    which = "" if process is None else f" (process {process})"
    return DeviceError(
        f"a running live{which} plays into {names}, so it stays; end that first, with "
        "Ctrl-C there or: streamdenoise ctl stop"
    )


@virtual_mic.command(name="list")
@json_option
def list_command(as_json: bool) -> None:
    """List the microphones that this program made, and who listens.

    What a killed process has left behind is removed, and named.
    """
    _need_linux()
    from ..virtual.found import find_all, remove_stale

    removed = remove_stale()
    found = find_all()
    if as_json:
        print_json({"microphones": [f.as_dict() for f in found], "removed": removed})
        return
    if removed:
        say("removed what a process that is gone had left: " + ", ".join(removed))
    if not found:
        say("there is none; make one that stays with: streamdenoise virtual-mic create")
        say("or one for as long as live runs with: streamdenoise live --virtual-mic")
        return
    head = ["NAME", "STATE", "CALLED", "SOURCE", "USED BY"]
    for line in columns([head, *map(_row, found)]):
        write(line)


def _row(found: Found) -> list[str]:
    state = found.state
    if state == "live" and found.owner is not None:
        where = " elsewhere" if found.owner.elsewhere else ""
        state = f"live (process {found.owner.pid}{where})"
    return [
        found.name,
        state,
        shown(found.description),
        found.source.name if found.source else "(loudspeaker)",
        ", ".join(map(shown, found.users)) or "-",
    ]


@virtual_mic.command(name="recipe")
@click.argument("platform", type=click.Choice(PLATFORMS), default=this_platform)
def recipe_command(platform: str) -> None:
    """Print the steps for this system, or for another one."""
    write(recipe(platform).rstrip())


def _need_linux() -> None:
    """Say where to read on where there is neither PulseAudio nor PipeWire."""
    from ..errors import DeviceError

    if sys.platform in ("darwin", "win32"):
        raise DeviceError(
            "virtual microphones are made on PulseAudio and PipeWire only; for this "
            "system see: streamdenoise virtual-mic recipe"
        )
