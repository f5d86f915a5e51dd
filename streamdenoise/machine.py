"""What machine this is: for a measurement, and whether its cores are small."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any, Final

__all__ = ["describe", "has_small_core", "is_small"]

_BIG_GENERATION: Final = 5
_PACKAGES = ("numpy", "ai-edge-litert", "tflite-runtime")


def describe(root: Path = Path("/")) -> dict[str, Any]:
    """Return board, processor, system and Python as plain values for JSON.

    Names of users, hosts and networks are not among them. What cannot be found out is
    None.

    Parameters
    ----------
    root
        Where ``proc`` and ``sys`` lie.
    """
    return {
        "board": _board(root),
        "cpu": _cpu(root),
        "cpus": os.cpu_count(),
        "mhz": _mhz(root),
        "memory_mib": _memory(root),
        "machine": platform.machine(),
        "bits": 64 if sys.maxsize > 2**32 else 32,
        "os": _system(root),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "packages": {name: v for name in _PACKAGES if (v := _version(name))},
    }


def has_small_core(root: Path = Path("/")) -> bool:
    """Tell whether the cores of this machine are those of a small board.

    It costs two attempts to read a file on a board, and one elsewhere.

    Parameters
    ----------
    root
        Where ``proc`` lies.
    """
    bits = 64 if sys.maxsize > 2**32 else 32
    board = _read(root / _DEVICE_TREE).strip("\0\n ")
    text = _read(root / "proc/cpuinfo") if board else ""
    parts = re.findall(r"^CPU part\s*:\s*(\S+)", text, re.MULTILINE | re.IGNORECASE)
    return is_small(board, platform.machine(), bits, parts)


def is_small(
    board: str, machine: str, bits: int = 64, parts: Collection[str] = ()
) -> bool:
    """Tell whether live sound with a large model may be too much for a core.

    Parameters
    ----------
    board
        Its name in ``/proc/device-tree/model``; empty where there is none.
    machine, bits
        Of the kernel, such as ``aarch64``, and of this Python.
    parts
        Numbers of its ARM cores in ``/proc/cpuinfo``.

    Returns
    -------
    bool
        True for a Raspberry Pi before the fifth generation, any Zero, other boards
        all of whose cores are like theirs, and 32-bit ARM.
    """
    if bits == 32 and machine.lower().startswith(("arm", "aarch64")):
        return True
    pi = re.match(r"Raspberry Pi (?:Compute Module )?(\d?)", board)
    if pi is not None:
        # "4 Model B", "400", "Compute Module 4S"; no number: the first one, and Zero.
        return int(pi[1] or 0) < _BIG_GENERATION
    return bool(board and parts) and all(p.casefold() in _SMALL_PARTS for p in parts)


def _board(root: Path) -> str | None:
    for name in (_DEVICE_TREE, "sys/class/dmi/id/product_name"):
        text = _read(root / name).strip("\0\n ")
        if text:
            return text
    return None


def _cpu(root: Path) -> str | None:
    """Return the name of the processor; for ARM what lscpu makes of its numbers."""
    fields: dict[str, str] = {}
    for line in _read(root / "proc/cpuinfo").splitlines():
        key, colon, value = line.partition(":")
        if colon:
            fields.setdefault(key.strip().casefold(), value.strip())
    part = fields.get("cpu part")
    if part:
        name = _ARM_PARTS.get(part.casefold())
        return name or f"ARM part {part} of {fields.get('cpu implementer', '?')}"
    return fields.get("model name") or platform.processor() or None


_DEVICE_TREE: Final = "proc/device-tree/model"
_ARM_PARTS: Final = {
    "0xb76": "ARM1176",
    "0xc07": "Cortex-A7",
    "0xd03": "Cortex-A53",
    "0xd04": "Cortex-A35",
    "0xd05": "Cortex-A55",
    "0xd07": "Cortex-A57",
    "0xd08": "Cortex-A72",
    "0xd09": "Cortex-A73",
    "0xd0b": "Cortex-A76",
    "0xd0c": "Neoverse-N1",
}
_SMALL_PARTS: Final = frozenset({"0xd03", "0xd04", "0xd05", "0xd07", "0xd08"})
"""Those of 64 bits up to the Cortex-A72 of a Raspberry Pi 4."""


def _mhz(root: Path) -> int | None:
    """Return the highest clock that the governor allows."""
    text = _read(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_max_freq").strip()
    return int(text) // 1000 if text.isdecimal() else None


def _memory(root: Path) -> int | None:
    for line in _read(root / "proc/meminfo").splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) // 1024
    return None


def _system(root: Path) -> str:
    for line in _read(root / "etc/os-release").splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.partition("=")[2].strip().strip("\"'")
    return platform.platform()


def _version(package: str) -> str | None:
    from importlib import metadata  # slow, and only needed here

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
