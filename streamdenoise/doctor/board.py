"""Checks of a small computer: which one, its power supply, its heat, its clock.

A Raspberry Pi tells through its firmware: by the program ``vcgencmd``, by a file of its
kernel, or, for the voltage alone, by a sensor that every kernel has.
"""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from .check import Check

__all__ = ["governor", "heat", "identity", "model_name", "power", "throttled"]

_ROOT = Path("/")
_HOT: Final = 80.0
_FIRMWARE: Final = "sys/devices/platform/soc/soc:firmware/get_throttled"

# Bits of the firmware's word: what is now, and, 16 bits up, what was since the start.
_SINCE: Final = 16
_LOW_VOLTAGE: Final = 1
_SLOWED: Final = {
    2: "its clock is held down",
    4: "it is throttled",
    8: "it is at its soft limit of heat",
}
_WAS_SLOWED: Final = {
    2: "its clock was held down",
    4: "it was throttled",
    8: "it was at its soft limit of heat",
}


def model_name(root: Path = _ROOT) -> str:
    """Return the name of a board such as a Raspberry Pi; empty elsewhere."""
    return _read(root / "proc/device-tree/model").strip("\0\n ")


def identity(
    root: Path = _ROOT, *, bits: int | None = None, machine: str = ""
) -> Check:
    """Say which board it is, and whether its system is the one that suits it.

    Parameters
    ----------
    root
        Where the files of the kernel are.
    bits, machine
        Of this Python and of the kernel; by default those that run.
    """
    name = "board"
    bits = bits or (64 if sys.maxsize > 2**32 else 32)
    machine = machine or platform.machine()
    found = model_name(root)
    if not found:
        return Check(name, "skip", "no board that tells its name")
    details = {"model": found, "bits": bits, "machine": machine}
    said = f"{found}, {bits}-bit system"
    if bits == 32 and machine in ("aarch64", "arm64"):
        fix = (
            "install the 64-bit Raspberry Pi OS: its runtime is the current one, that "
            "of 32 bits is the last that was made"
        )
        return Check(name, "warn", f"{said} on a 64-bit kernel", fix, details)
    return Check(name, "ok", said, details=details)


def power(root: Path = _ROOT) -> Check:
    """See whether the power supply holds its voltage."""
    name = "power supply"
    bits, source = throttled(root)
    if bits is None:
        return Check(name, "skip", "this machine does not say")
    now, since = bool(bits & _LOW_VOLTAGE), bool(bits >> _SINCE & _LOW_VOLTAGE)
    details = {"low_now": now, "low_since_start": since, "source": source}
    fix = (
        "use the power supply made for this board, a short cable, and a powered hub "
        "for USB devices; then: sudo reboot, and later: vcgencmd get_throttled"
    )
    if now:
        return Check(name, "warn", "the voltage is too low now", fix, details)
    if since:
        said = "the voltage was too low since the start, not now"
        return Check(name, "warn", said, fix, details)
    return Check(name, "ok", "the voltage was never too low", details=details)


def heat(root: Path = _ROOT) -> Check:
    """See how hot it is, and whether it is slowed down for that."""
    name = "heat"
    bits, source = throttled(root)
    # The sensor of the voltage knows nothing of heat.
    bits = None if source == "hwmon" else bits
    zones = [_read(p) for p in root.glob("sys/class/thermal/thermal_zone*/temp")]
    degrees = [int(text) / 1000 for text in zones if text.lstrip("-").isdecimal()]
    hottest = max(degrees, default=None)
    now = _said(_SLOWED, bits or 0)
    since = _said(_WAS_SLOWED, (bits or 0) >> _SINCE)
    details = {
        "celsius": hottest,
        "throttled": bits,
        "now": now,
        "since_start": since,
        "source": source,
    }
    said = [] if hottest is None else [f"{hottest:.0f} degrees Celsius"]
    # What is now was since the start, too.
    said += now or [f"{text} since the start" for text in since]
    if hottest is None and bits is None:
        return Check(name, "skip", "this machine does not say")
    if now or since or (hottest or 0.0) > _HOT:
        look = "vcgencmd measure_temp" if bits is not None else "streamdenoise doctor"
        fix = f"cool it (heat sink, fan, air around it), then: {look}"
        return Check(name, "warn", ", ".join(said), fix, details)
    if bits is not None:
        said.append("never slowed down")
    return Check(name, "ok", ", ".join(said), details=details)


def _said(words: dict[int, str], bits: int) -> list[str]:
    return [text for bit, text in words.items() if bits & bit]


def governor(root: Path = _ROOT) -> Check:
    """See whether the processor may raise its clock."""
    name = "cpu governor"
    folder = root / "sys/devices/system/cpu"
    found = sorted(
        {_read(path) for path in folder.glob("cpu[0-9]*/cpufreq/scaling_governor")}
    )
    if not found:
        return Check(name, "skip", "this machine does not say")
    driver = _read(folder / "cpu0/cpufreq/scaling_driver")
    details = {"governors": found, "driver": driver}
    said = f"{', '.join(found)} ({driver or 'driver unknown'})"
    # With these drivers powersave is no fixed clock but the normal, quick regulation;
    # amd-pstate alone has the governors that all have.
    regulated = driver in ("intel_pstate", "amd-pstate-epp")
    if "powersave" in found and not regulated:
        fix = (
            "echo performance | sudo tee "
            "/sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"
        )
        return Check(name, "warn", f"{said}: the lowest clock, always", fix, details)
    return Check(name, "ok", said, details=details)


def throttled(root: Path = _ROOT) -> tuple[int | None, str]:
    """Return the firmware's word on voltage and heat, and who told it.

    Returns
    -------
    tuple
        The bits, None if nothing tells; and ``vcgencmd``, ``sysfs``, ``hwmon`` (the
        bits of low voltage only), or nothing.
    """
    for source, text in (
        ("vcgencmd", _vcgencmd()),
        ("sysfs", _read(root / _FIRMWARE)),
    ):
        try:
            return int(text.rpartition("=")[2], 16), source
        except ValueError:
            continue
    for folder in root.glob("sys/class/hwmon/hwmon*"):
        alarm = _read(folder / "in0_lcrit_alarm")
        if _read(folder / "name") == "rpi_volt" and alarm in ("0", "1"):
            return int(alarm) * _LOW_VOLTAGE, "hwmon"
    return None, ""


def _vcgencmd() -> str:
    program = shutil.which("vcgencmd")
    if program is None:
        return ""
    try:
        done = subprocess.run(
            [program, "get_throttled"], capture_output=True, text=True, timeout=5
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
