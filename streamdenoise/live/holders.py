"""Who holds a sound card, so that PortAudio leaves it out of its list (Linux).

Without a sound server a card serves one program at a time. PortAudio lists what it can
open; what is held by another program, such as our own service, is as if it were not
there. ALSA tells in ``/proc`` who holds what.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Final, Literal

from ..errors import DeviceError
from ..names import shown

__all__ = ["ROOT", "HeldError", "Holder", "held_error", "holders"]

ROOT: Final = Path("/")

_SERVERS: Final = ("pipewire", "pulseaudio", "wireplumber", "jackd", "jackdbus")
_LETTERS: Final = {"input": "c", "output": "p"}
_CARD: Final = re.compile(r"^ *(\d+) \[.*?\]: .*? - (.*)$", re.MULTILINE)
_PCM: Final = re.compile(r"card(\d+)/pcm(\d+)[cp]$")
_OWNER: Final = re.compile(r"^owner_pid\s*:\s*(\d+)", re.MULTILINE)
_UNIT: Final = re.compile(r"/user@.*/(streamdenoise[^/]*\.service)\s*$", re.MULTILINE)


class HeldError(DeviceError):
    """The device that is meant is held by another program.

    Attributes
    ----------
    ours
        Whether that is a session of this program.
    """

    def __init__(self, sentence: str, ours: bool) -> None:
        super().__init__(sentence)
        self.ours = ours


@dataclass(frozen=True)
class Holder:
    """A device of a card in one direction, and the process that holds it.

    Attributes
    ----------
    device
        Name as PortAudio would have it.
    pid
        Process; 0 if it cannot be seen from here.
    program
        Its name; empty if it cannot be seen from here.
    ours
        Whether it is a session of this program.
    stop
        Command that ends it, if it is ours.
    """

    device: str
    pid: int
    program: str
    ours: bool = False
    stop: str = ""

    @property
    def said(self) -> str:
        """What holds what."""
        who = f"{shown(self.program)} (process {self.pid})" if self.pid else "a program"
        return f"{shown(self.device)} is in use by {who}"

    @property
    def advice(self) -> str:
        """What to do or type."""
        if self.ours:
            return f"stop it with: {shown(self.stop)}"
        if self.program in _SERVERS:
            return (
                "that is the sound server, so choose one of its devices, or pulse, "
                "pipewire or default (streamdenoise devices lists them); if there are "
                "none, type: sudo apt install pipewire-alsa, or for PulseAudio "
                "libasound2-plugins"
            )
        return "close that program"


def holders(kind: Literal["input", "output"], root: Path = ROOT) -> list[Holder]:
    """Return the devices of cards that other programs hold.

    Parameters
    ----------
    kind
        Direction.
    root
        Where ``proc`` is.

    Returns
    -------
    list of Holder
        Empty where nothing is held, or nothing tells. Not among them is what this
        process holds itself.
    """
    names = dict(_CARD.findall(_read(root / "proc/asound/cards")))
    found = []
    for folder in sorted(root.glob(f"proc/asound/card*/pcm*{_LETTERS[kind]}")):
        place = _PCM.search(folder.as_posix())
        states = [_read(path) for path in sorted(folder.glob("sub*/status"))]
        # One that is free is enough to open it.
        owners = [owner for state in states if (owner := _OWNER.search(state))]
        if place is None or not states or len(owners) < len(states):
            continue
        card, number = place.groups()
        name = f"{names.get(card, f'card {card}').strip()}: {_pcm_name(folder)}"
        label = f"{name} (hw:{card},{number})"
        holder = _holder(label, int(owners[0][1]), root)
        if holder.pid != os.getpid():
            found.append(holder)
    return found


def held_error(
    kind: Literal["input", "output"], words: Sequence[str] = (), root: Path = ROOT
) -> HeldError | None:
    """Return an error that says who holds what is meant; None if nobody does.

    Parameters
    ----------
    kind
        Direction.
    words
        All of them are in the name of the device, in lower case; none: any device.
    root
        Where ``proc`` is.
    """
    found = [
        holder
        for holder in holders(kind, root)
        if all(word in f"{holder.device} ALSA".casefold() for word in words)
    ]
    if not found:
        return None
    said = ", and ".join(holder.said for holder in found)
    advice = ", or ".join(dict.fromkeys(holder.advice for holder in found))
    return HeldError(f"{said}; {advice}", any(holder.ours for holder in found))


def _holder(device: str, task: int, root: Path) -> Holder:
    """Ask what a process is; `task` may be a thread of it."""
    folder = root / "proc" / str(task)
    status = re.search(r"^Tgid:\s*(\d+)", _read(folder / "status"), re.MULTILINE)
    if status is None:  # of another name space
        return Holder(device, 0, "")
    pid = int(status[1])
    folder = root / "proc" / str(pid)
    words = [PurePath(word).name for word in _read(folder / "cmdline").split("\0")]
    program = _read(folder / "comm").strip() or words[0]
    if "streamdenoise" not in words[:6]:  # python -m streamdenoise, or the script
        return Holder(device, pid, program)
    return Holder(device, pid, "streamdenoise", True, _stop_command(pid, folder))


def _stop_command(pid: int, folder: Path) -> str:
    """Return what ends a session of ours, whoever runs it."""
    with contextlib.suppress(OSError):
        if folder.stat().st_uid != os.getuid():
            return f"sudo kill {pid}"
    unit = _UNIT.search(_read(folder / "cgroup"))
    if unit is None:
        return f"streamdenoise ctl --pid {pid} stop"
    return f"systemctl --user stop {unit[1]}"


def _pcm_name(folder: Path) -> str:
    found = re.search(r"^name: *(.*)$", _read(folder / "info"), re.MULTILINE)
    return found[1].strip() if found else folder.name


def _read(path: Path) -> str:
    with contextlib.suppress(OSError):
        return path.read_text(errors="replace")
    return ""
