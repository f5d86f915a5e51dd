"""What a part of the day is watched by: memory, and words on how far it is."""

from __future__ import annotations

import os
import sys
from pathlib import Path

__all__ = ["ROOT", "memory_mib", "peak_mib", "say"]

ROOT = Path(__file__).resolve().parents[2]


def memory_mib(pid: int | str = "self") -> float:
    """Return the memory of a process that lies in RAM."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def peak_mib(pid: int) -> float:
    """Return the most memory in RAM that a process has had so far."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0


def say(text: str) -> None:
    """Tell how far it is."""
    print(text, file=sys.stderr, flush=True)
