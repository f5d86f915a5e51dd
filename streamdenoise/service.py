"""Running ``live`` at every login, as the systemd user unit of `unit`.

Whether a user's units may see a read-only file system here is tried out when the unit
is installed. `notify` tells systemd that sound runs; if it falls silent, systemd starts
it anew.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from .errors import EXIT_USAGE, OutputError
from .names import shown
from .unit import (
    READ_ONLY,
    RESTART_SECONDS,
    ServiceError,
    recordings_folder,
    unit_path,
    unit_text,
)

__all__ = [
    "install",
    "read_only_works",
    "remove",
    "status",
]

_TIMEOUT: Final = 30.0
_START_TIMEOUT: Final = 90.0


@dataclass(frozen=True)
class Installed:
    """What `install` did.

    Attributes
    ----------
    path
        The unit.
    started
        Whether it runs now.
    read_only
        Whether it sees a read-only file system.
    """

    path: Path
    started: bool
    read_only: bool


def install(
    profile: str | None = None,
    *,
    start: bool = True,
    writable: Sequence[Path] = (),
) -> Installed:
    """Write the unit, have it start at every login, and start it.

    Parameters
    ----------
    profile
        See `unit_text`; a unit that is there already is replaced.
    start
        Start it now, too.
    writable
        More folders for recordings; `recordings_folder` is made.

    Raises
    ------
    ServiceError
        If systemd does not run here for this user, or refuses.
    OutputError
        If the unit cannot be written, or the folder cannot be made.
    """
    _need_systemd()
    read_only = read_only_works()
    path = unit_path(profile)
    text = unit_text(profile, read_only=read_only, writable=writable)
    folder = recordings_folder()
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"the folder for recordings, {shown(folder)}, cannot be made "
            f"({error.strerror})"
        ) from error
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_suffix(".new")
        new.write_text(text, encoding="utf-8")
        new.replace(path)
    except OSError as error:
        raise OutputError(f"cannot write {shown(path)}: {error.strerror}") from error
    _systemctl("daemon-reload")
    _systemctl("enable", path.name)
    if start:
        _start(path.name)
    return Installed(path, start, read_only)


def _start(name: str) -> None:
    """Start a unit, and wait until it says that it runs."""
    try:
        done = _run("restart", name, timeout=_START_TIMEOUT)
        lines = done.stderr.strip().splitlines() if done.returncode else []
        failed = done.returncode != 0
    except (OSError, subprocess.TimeoutExpired) as error:
        failed, lines = True, [str(error)]
    if failed:
        raise ServiceError(
            f"{name} is installed, but does not start"
            + (f" ({lines[0].rstrip('.')})" if lines else "")
            + f"; {_further(name)}. See why with: journalctl --user -u {name}"
        )


def _further(name: str) -> str:
    """Say what systemd does with a unit that did not start."""
    try:
        known = _properties(name, "ExecMainStatus")
    except ServiceError:
        known = {}
    if known.get("ExecMainStatus") == str(EXIT_USAGE):
        return "its flags are wrong, so systemd does not try again"
    return f"systemd tries again every {RESTART_SECONDS} seconds"


def _properties(name: str, *keys: str) -> dict[str, str]:
    """Return what systemd knows of a unit."""
    text = _systemctl("show", name, *(f"--property={key}" for key in keys))
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def remove(profile: str | None = None) -> Path | None:
    """Stop the unit and take it away; return where it was, or None if it was not.

    Raises
    ------
    ServiceError
        If systemd refuses.
    """
    path = unit_path(profile)
    if not path.exists():
        return None
    if _systemd_runs() is None:
        _systemctl("disable", "--now", path.name)
    try:
        path.unlink()
    except OSError as error:
        raise OutputError(f"cannot remove {shown(path)}: {error.strerror}") from error
    if _systemd_runs() is None:
        _systemctl("daemon-reload")
    return path


def status(profile: str | None = None) -> dict[str, Any]:
    """Return what systemd knows of the unit, in plain types.

    Returns
    -------
    dict
        ``unit``, ``path``, ``installed``, ``enabled``, ``active`` (systemd's word),
        ``pid``, ``restarts``, and ``result``, why it ended last.

    Raises
    ------
    ServiceError
        If systemd does not run here for this user.
    """
    path = unit_path(profile)
    _need_systemd()
    keys = ("UnitFileState", "ActiveState", "MainPID", "NRestarts", "Result")
    known = _properties(path.name, *keys)
    return {
        "unit": path.name,
        "path": str(path),
        "installed": path.exists(),
        "enabled": known.get("UnitFileState") == "enabled",
        "active": known.get("ActiveState", "unknown"),
        "pid": int(known.get("MainPID", "0") or 0) or None,
        "restarts": int(known.get("NRestarts", "0") or 0),
        "result": known.get("Result", "unknown"),
    }


def read_only_works() -> bool:
    """Whether a user's unit may have its own view of the files here.

    That needs user namespaces, which some systems keep from users. A unit that asked
    for it all the same would not start.
    """
    if shutil.which("systemd-run") is None:
        return False
    wanted = [f"--property={line}" for line in READ_ONLY]
    command = ["systemd-run", "--user", "--wait", "--quiet", "--collect", *wanted]
    try:
        done = subprocess.run(
            [*command, "/bin/true"], capture_output=True, timeout=_TIMEOUT, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _need_systemd() -> None:
    why = _systemd_runs()
    if why is not None:
        raise ServiceError(
            f"services need systemd, which does not run here for this user ({why}); "
            "start it by other means with: streamdenoise live --no-view, or see the "
            "unit with: streamdenoise service install --print"
        )


def _systemd_runs() -> str | None:
    """Return None if the user's systemd answers, else why it does not."""
    if sys.platform != "linux":
        return "it is part of Linux only"
    if shutil.which("systemctl") is None:
        return "there is no systemctl"
    try:
        done = _run("show-environment")
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode:
        return (done.stderr.strip().splitlines() or ["systemctl --user fails"])[0]
    return None


def _systemctl(*words: str) -> str:
    try:
        done = _run(*words)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ServiceError(f"systemctl {words[0]} failed ({error})") from error
    if done.returncode:
        raise ServiceError(
            f"systemctl --user {' '.join(words)} failed: {done.stderr.strip()}; see: "
            "systemctl --user status"
        )
    return done.stdout


def _run(*words: str, timeout: float = _TIMEOUT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemctl", "--user", "--no-pager", *words],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
