"""Running ``live`` at every login: a systemd user unit, hardened.

The unit needs the sound server and the files of this program, and gets no more: no
network but local sockets, no new privileges, only the calls of an ordinary service,
and, where the system lets a user's units have their own view of the files, a read-only
file system but for recordings. Whether it does is tried out when the unit is installed.

`notify` tells systemd that sound runs; if it falls silent, systemd starts it anew.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from .config import VARIABLE, config_path
from .errors import EXIT_ENVIRONMENT, EXIT_USAGE, OutputError, StreamDenoiseError
from .names import shown

__all__ = [
    "ServiceError",
    "fresh_name",
    "install",
    "quoted",
    "read_only_works",
    "recordings_folder",
    "remove",
    "status",
    "unit_name",
    "unit_path",
    "unit_text",
]

_TIMEOUT: Final = 30.0
_START_TIMEOUT: Final = 90.0
_RESTART_SECONDS: Final = 10

# Not PrivateTmp: what `ctl record /tmp/talk.wav` writes is to be found there.
_READ_ONLY: Final = ("ProtectSystem=strict", "ProtectHome=read-only")
_SHARED: Final = Path("/tmp")

# Not here: MemoryDenyWriteExecute, for the callbacks of PortAudio are machine code that
# is made while it runs, and RestrictRealtime, for audio threads ask for priority.
_UNIT: Final = """\
# Made by: streamdenoise service install
[Unit]
Description=streamdenoise: microphone without noise{label}
Documentation=man:systemd.service(5)
After=pipewire.service pipewire-pulse.service pulseaudio.service
# Never given up: the sound card may be plugged in tomorrow.
StartLimitIntervalSec=0

[Service]
# It says when it runs, and is started anew when it says nothing for so long.
Type=notify
WatchdogSec=30
ExecStart={command}
{environment}# Here lie the recordings that have no folder of their own.
WorkingDirectory=-{recordings}
Restart=on-failure
RestartSec={again}
RestartPreventExitStatus={usage}
TimeoutStartSec=60
TimeoutStopSec=10
RuntimeDirectory=streamdenoise
RuntimeDirectoryMode=0700
RuntimeDirectoryPreserve=yes
UMask=0077
# Local sockets reach the sound server; there is no network.
RestrictAddressFamilies=AF_UNIX
NoNewPrivileges=yes
RestrictNamespaces=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
{read_only}
[Install]
WantedBy=default.target
"""


class ServiceError(StreamDenoiseError):
    """There is no systemd here, or it refuses."""

    exit_code = EXIT_ENVIRONMENT


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


def unit_name(profile: str | None = None) -> str:
    """Return the name of the unit, one for each profile."""
    return f"streamdenoise-{profile}.service" if profile else "streamdenoise.service"


def unit_path(profile: str | None = None) -> Path:
    """Return where the unit of a user lies."""
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(base) / "systemd" / "user" / unit_name(profile)


def unit_text(
    profile: str | None = None,
    *,
    read_only: bool = False,
    writable: Sequence[Path] = (),
    interpreter: str = sys.executable,
) -> str:
    """Return the unit.

    Parameters
    ----------
    profile
        Of the config file; None: what counts without one.
    read_only
        Whether the file system is to be read-only.
    writable
        Folders that are not, besides `recordings_folder` and that for temporary files.
    interpreter
        Python that runs it.
    """
    words = [interpreter, "-m", "streamdenoise", "service", "run"]
    if profile is not None:
        words += ["--profile", profile]
    lines = []
    if read_only:
        lines = ["# All files can be read, and none be written but these.", *_READ_ONLY]
        paths = dict.fromkeys((_SHARED, recordings_folder(), *writable))
        open_to = " ".join(quoted(f"-{path}") for path in paths)
        lines += [f"ReadWritePaths={open_to}", ""]
    return _UNIT.format(
        label=f" ({_literal(profile)})" if profile else "",
        command=_command(words),
        recordings=_literal(str(recordings_folder())),
        again=_RESTART_SECONDS,
        usage=EXIT_USAGE,
        environment="".join(f"Environment={quoted(x)}\n" for x in _environment()),
        read_only="\n".join(lines),
    )


def _command(words: Sequence[str]) -> str:
    """Return a command line; in its arguments, but not in its program, $ is special."""
    if any(char in words[0] for char in "\"'\\"):
        raise ServiceError(
            f"systemd runs no program whose path has quotes or backslashes, such as "
            f"{shown(words[0])}; install this program under another path"
        )
    return " ".join(
        (quoted(words[0]), *(quoted(w.replace("$", "$$")) for w in words[1:]))
    )


def quoted(word: str) -> str:
    """Return a word as a unit has it: specifiers and quotes escaped."""
    text = _literal(word)
    plain = all(c.isalnum() or c in "-_./:=+@,%$" for c in text)
    if text and plain:
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _literal(word: str) -> str:
    if any(not char.isprintable() for char in word):
        raise ServiceError(
            f"'{shown(word)}' cannot stand in a unit of systemd; choose a path or "
            "profile without control characters"
        )
    return word.replace("%", "%%")


def _environment() -> list[str]:
    """Return what the interpreter needs of this environment to do the same again."""
    found = []
    if not _importable():
        package = Path(__file__).resolve().parent
        found.append(f"PYTHONPATH={package.parent}")
    if VARIABLE in os.environ:  # empty, too: then there is no config file
        path = config_path()
        found.append(f"{VARIABLE}={'' if path is None else path.resolve()}")
    return found


def _importable() -> bool:
    """Whether the interpreter finds this package without help."""
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    command = [sys.executable, "-c", "import streamdenoise"]
    done = subprocess.run(command, env=env, cwd="/", capture_output=True, check=False)
    return done.returncode == 0


# Recordings --------------------------------------------------------------------------


def recordings_folder() -> Path:
    """Return where recordings go that have no folder of their own."""
    return Path.home() / "Recordings"


def fresh_name(target: Path) -> Path:
    """Return `target`, or a name beside it with the time, if it is there already.

    A service is started again and again with the same words, and a recording replaces
    nothing.
    """
    name, number = target, 1
    stamp = time.strftime("%Y%m%d-%H%M%S")
    while name.exists():
        again = "" if number == 1 else f"-{number}"  # the clock may have stood still
        name = target.with_name(f"{target.stem}-{stamp}{again}{target.suffix}")
        number += 1
    return name


# Doing it ----------------------------------------------------------------------------


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
    return f"systemd tries again every {_RESTART_SECONDS} seconds"


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
    wanted = [f"--property={line}" for line in _READ_ONLY]
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
