"""Who made a thing that outlives its maker: a process, told apart from all others."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Owner"]

_PROC = Path("/proc")


@dataclass(frozen=True)
class Owner:
    """A process of this machine, or of another that shares the sound server.

    A process number alone is given out again and again; with the time of its start,
    the numbering (containers have their own) and the boot it is unique.

    Attributes
    ----------
    pid
        Process number.
    started
        Clock ticks between boot and its start.
    space
        Which numbering of processes it is from.
    boot
        Which start of which machine.
    """

    pid: int
    started: str
    space: str
    boot: str

    @classmethod
    def here(cls) -> Owner:
        """Return the process that runs this."""
        return cls(os.getpid(), _started(os.getpid()), _space(), _boot())

    @classmethod
    def parse(cls, text: str) -> Owner | None:
        """Read what `str` of an owner gave; None if it is something else."""
        parts = text.split("/")
        if len(parts) != 4 or not parts[0].isdecimal():
            return None
        return cls(int(parts[0]), *parts[1:])

    def __str__(self) -> str:
        return "/".join((str(self.pid), self.started, self.space, self.boot))

    @property
    def elsewhere(self) -> bool:
        """Whether it is of another container, machine, or start of this machine."""
        return (self.space, self.boot) != (_space(), _boot())

    @property
    def gone(self) -> bool:
        """Whether it surely runs no more. Of processes elsewhere nobody can say."""
        return not self.elsewhere and _started(self.pid) != self.started


def _started(pid: int) -> str:
    """Return the start time of a process in ticks, or nothing if there is none."""
    try:
        stat = (_PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return ""
    # The name, in brackets, may hold anything; field 22 counts from the last bracket.
    fields = stat.rpartition(")")[2].split()
    return "" if fields[0] == "Z" else fields[19]


def _space() -> str:
    try:
        return str((_PROC / "self/ns/pid").readlink())
    except OSError:
        return ""


def _boot() -> str:
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
