"""The systemd user unit that runs ``live``: what stands in it, and why.

The unit needs the sound server and the files of this program, and gets no more: no
network but local sockets, no new privileges, only the calls of an ordinary service,
and, where the system lets a user's units have their own view of the files, a read-only
file system but for recordings.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from .config import VARIABLE, config_path
from .errors import EXIT_ENVIRONMENT, EXIT_USAGE, StreamDenoiseError
from .names import shown
from .userfolder import home_folder

__all__ = [
    "READ_ONLY",
    "RESTART_SECONDS",
    "ServiceError",
    "fresh_name",
    "quoted",
    "recordings_folder",
    "unit_name",
    "unit_path",
    "unit_text",
]

RESTART_SECONDS: Final = 10

# Not PrivateTmp: what `ctl record /tmp/talk.wav` writes is to be found there.
READ_ONLY: Final = ("ProtectSystem=strict", "ProtectHome=read-only")
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
# A recording is finished even if a driver hangs.
WatchdogSignal=SIGTERM
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


def unit_name(profile: str | None = None) -> str:
    """Return the name of the unit, one for each profile."""
    return f"streamdenoise-{profile}.service" if profile else "streamdenoise.service"


def unit_path(profile: str | None = None) -> Path:
    """Return where the unit of a user lies."""
    base = os.environ.get("XDG_CONFIG_HOME") or _home() / ".config"
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
        lines = ["# All files can be read, and none be written but these.", *READ_ONLY]
        paths = dict.fromkeys((_SHARED, recordings_folder(), *writable))
        open_to = " ".join(quoted(f"-{path}") for path in paths)
        lines += [f"ReadWritePaths={open_to}", ""]
    return _UNIT.format(
        label=f" ({_literal(profile)})" if profile else "",
        command=_command(words),
        recordings=_literal(str(recordings_folder())),
        again=RESTART_SECONDS,
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


def recordings_folder() -> Path:
    """Return where recordings go that have no folder of their own."""
    return _home() / "Recordings"


def _home() -> Path:
    home = home_folder()
    if home is None:
        raise ServiceError(
            "a service needs a home folder, for its unit and its recordings, and this "
            "user has none; set HOME to a folder of yours, or type: streamdenoise live"
        )
    return home


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
