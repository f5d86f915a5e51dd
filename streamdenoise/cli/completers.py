"""What the shell offers for a word that is being typed: devices, models, profiles.

Each completer is quick and never fails: what cannot be found is not offered. Devices
are asked for in a process of their own, which is ended when it takes too long, and
remembered for a minute.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import click
from click.shell_completion import CompletionItem

__all__ = [
    "complete_commands",
    "complete_inputs",
    "complete_models",
    "complete_names",
    "complete_outputs",
    "complete_pids",
    "complete_profiles",
    "words_for",
]

_DEVICE_SECONDS: Final = 2.0
_REMEMBER_SECONDS: Final = 60.0
_COLUMNS: Final = 6
_LIST = (
    "import json, sys\n"
    "from streamdenoise.live.devices import list_devices\n"
    "print(json.dumps([[d.index, d.name, d.inputs, d.outputs, d.known_as,"
    " d.server_name] for d in list_devices() if d.form not in"
    " ('monitor', 'virtual')]))"
)

Item = tuple[str, str]
"""What is typed, and what it is."""


def _offer(items: Callable[[], Sequence[Item]], incomplete: str) -> list[Any]:
    with contextlib.suppress(Exception):
        return [
            CompletionItem(_for_shell(word), help=text)
            for word, text in items()
            if word.casefold().startswith(incomplete.casefold())
        ]
    return []


def _for_shell(word: str) -> str:
    """Return a word so that it arrives as one: zsh and fish see to that themselves."""
    if os.environ.get("_STREAMDENOISE_COMPLETE") != "bash_complete":
        return word
    lines = os.environ.get("COMP_WORDS", "").split("\n")
    at = int(os.environ.get("COMP_CWORD", "0"))
    if at < len(lines) and lines[at][:1] in ("'", '"'):
        return word
    # Twice, for the script of click takes one backslash away when it reads the line.
    return re.sub(r"[^\w@%+=:,./-]", r"\\\\\g<0>", word)


def complete_models(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[Any]:
    """Offer names of models; files, when what is typed looks like a path."""
    if any(sign in incomplete for sign in "./\\~"):
        return [CompletionItem(incomplete, type="file")]
    return _offer(_models, incomplete)


def complete_inputs(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[Any]:
    """Offer words that name one input device each."""
    return _offer(lambda: words_for(_devices(2)), incomplete)


def complete_outputs(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[Any]:
    """Offer words that name one output device each."""
    return _offer(lambda: words_for(_devices(3)), incomplete)


def complete_profiles(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[Any]:
    """Offer names of profiles in the config file."""
    from .configured import profile_names

    return _offer(lambda: [(name, "") for name in profile_names()], incomplete)


def complete_names(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[Any]:
    """Offer names of the sessions that run."""
    return _offer(
        lambda: [(peer.name, f"process {peer.pid}") for peer in _peers()], incomplete
    )


def complete_pids(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[Any]:
    """Offer processes of the sessions that run."""
    return _offer(lambda: [(str(peer.pid), peer.name) for peer in _peers()], incomplete)


def complete_commands(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[Any]:
    """Offer commands of a running session, then what goes on with them."""
    given = [str(word) for word in ctx.params.get(param.name or "") or ()]
    if given == ["record"]:
        return [CompletionItem(incomplete, type="file")]
    return _offer(lambda: _next_words(given), incomplete)


def _next_words(given: list[str]) -> list[Item]:
    from ..control.words import USAGE

    if not given:
        return [*((verb, text) for verb, (_, text) in USAGE.items()), ("list", "")]
    further = {
        "bypass": ("on", "off"),
        "removed": ("on", "off"),
        "mute": ("on", "off"),
        "strength": ("up", "down", "full", "6", "12", "18"),
    }
    if len(given) > 1:
        return []
    if given[0] == "model":
        return [("next", "the next one"), *_models()]
    return [(word, "") for word in further.get(given[0], ())]


def _peers() -> list[Any]:
    from ..control.client import peers

    return peers()


def _models() -> list[Item]:
    from ..model import list_models

    return [(card.name, card.description) for card in list_models()]


def words_for(devices: Sequence[tuple[int, str, str, str]]) -> list[Item]:
    """Return a word for each device that finds it and no other.

    A word needs no quotes in any shell. Where no word of a name is its own, the number
    is taken, or the sound server's name of it.

    Parameters
    ----------
    devices
        Index, name, all in which words find them, and the sound server's name, of the
        devices of one direction.
    """
    texts = [text for _, _, text, _ in devices]
    names = [name.casefold() for _, name, _, _ in devices]
    found = []
    for at, (index, name, _, server_name) in enumerate(devices):
        others = texts[:at] + texts[at + 1 :]
        word = next(
            (
                word
                for word in re.findall(r"\w+", name.casefold())
                if len(word) > 1
                and not word.isdecimal()
                # A whole name wins over a part of one.
                and (
                    (word == name.casefold() and names.count(word) == 1)
                    or not any(word in other for other in others)
                )
            ),
            server_name or str(index),
        )
        found.append((word, name))
    return found


def _devices(direction: int) -> list[tuple[int, str, str, str]]:
    """Return what `words_for` takes of devices with channels in a direction."""
    rows = _remembered()
    if rows is None:
        rows = _ask()
        _remember(rows)
    return [
        (int(row[0]), str(row[1]), str(row[4]), str(row[5]))
        for row in rows
        if row[direction]
    ]


def _ask() -> list[list[Any]]:
    done = subprocess.run(
        [sys.executable, "-c", _LIST],
        capture_output=True,
        timeout=_DEVICE_SECONDS,
        check=True,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(
                [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
            ).rstrip(os.pathsep),
        },
    )
    rows: list[list[Any]] = json.loads(done.stdout)
    return rows


def _memory() -> Path:
    from ..userfolder import home_folder

    base = os.environ.get("XDG_CACHE_HOME")
    home = home_folder() or Path(tempfile.gettempdir())
    return Path(base or home / ".cache") / "streamdenoise" / "devices.json"


def _remembered() -> list[list[Any]] | None:
    with contextlib.suppress(OSError, ValueError):
        path = _memory()
        if 0.0 <= time.time() - path.stat().st_mtime < _REMEMBER_SECONDS:
            rows: list[list[Any]] = json.loads(path.read_text())
            # Another version may have kept something else.
            if all(len(row) == _COLUMNS for row in rows):
                return rows
    return None


def _remember(rows: list[list[Any]]) -> None:
    with contextlib.suppress(OSError):
        path = _memory()
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(f"devices-{os.getpid()}.json")
        new.write_text(json.dumps(rows))
        new.replace(path)
