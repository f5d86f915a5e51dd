"""What a measurement was made on, for whoever compares it with others."""

from __future__ import annotations

import os
import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

__all__ = ["describe"]

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


def _board(root: Path) -> str | None:
    for name in ("proc/device-tree/model", "sys/class/dmi/id/product_name"):
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


_ARM_PARTS = {
    "0xb76": "ARM1176",
    "0xc07": "Cortex-A7",
    "0xd03": "Cortex-A53",
    "0xd05": "Cortex-A55",
    "0xd08": "Cortex-A72",
    "0xd09": "Cortex-A73",
    "0xd0b": "Cortex-A76",
    "0xd0c": "Neoverse-N1",
}


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
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
