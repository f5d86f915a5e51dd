"""Speaking to a running session from another program: finding its socket, asking it.

A session has a Unix domain socket in the user's runtime folder; see `server` for
its side. One connection carries one line of words there and one line of JSON back.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import socket
import stat
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ..errors import EXIT_ENVIRONMENT, StreamDenoiseError
from ..names import shown

__all__ = [
    "MAX_LINE",
    "NAME",
    "Peer",
    "peers",
    "request",
    "runtime_folder",
    "supported",
]

MAX_LINE: Final = 4096
"""Bytes of the longest request."""

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.]{0,31}")
"""What a session may be called."""

INCOMING: Final = "incoming"
"""In the name of a session that carries what others say."""

_RUN: Final = Path("/run/user")
_FILE = re.compile(rf"(?P<name>{NAME.pattern})-(?P<pid>\d+)\.sock")


def supported() -> bool:
    """Whether this system has such sockets."""
    return hasattr(socket, "AF_UNIX") and sys.platform != "win32"


class _NoSessionError(StreamDenoiseError):
    """There is nothing that could be controlled."""

    exit_code = EXIT_ENVIRONMENT


def runtime_folder(*, make: bool = False) -> Path:
    """Return the folder of the sockets: owner only, and gone at the next boot.

    ``$XDG_RUNTIME_DIR/streamdenoise``; without that variable, or if it names a folder
    of somebody else, the same in ``/run/user/UID``; where that is missing, as before a
    login, a folder of the user in the system's temporary one.

    Parameters
    ----------
    make
        Make it if it is not there.

    Raises
    ------
    StreamDenoiseError
        If it cannot be made, or belongs to somebody else.
    """
    named = os.environ.get("XDG_RUNTIME_DIR")
    bases = [Path(named)] if named else []
    bases = [base for base in (*bases, _user_place()) if _usable(base)]
    folder = bases[0] / "streamdenoise" if bases else _shared_place()
    if not make:
        return folder
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        if not _is_own(folder):
            raise StreamDenoiseError(
                f"the folder for control sockets, {shown(folder)}, belongs to somebody "
                "else; set XDG_RUNTIME_DIR to a folder of yours"
            )
        if folder.lstat().st_mode & 0o077:
            folder.chmod(0o700)
    except OSError as error:
        raise StreamDenoiseError(
            f"the folder for control sockets, {shown(folder)}, cannot be made "
            f"({error.strerror}); set XDG_RUNTIME_DIR to a folder of yours"
        ) from error
    return folder


def _user_place() -> Path:
    """Return where systemd has the folder of the user's services and desktop."""
    return _RUN / str(_user())


def _usable(base: Path) -> bool:
    """Whether a runtime folder is there, is of this user, and can be written.

    After ``su`` or ``sudo -E`` it may be that of another user, in which root could make
    a folder all the same, and the user would be locked out of it.
    """
    with contextlib.suppress(OSError):
        return (
            base.is_dir()
            and base.stat().st_uid == _user()
            and os.access(base, os.W_OK | os.X_OK)
        )
    return False


def _shared_place() -> Path:
    """Return the folder of this user where all users may make folders."""
    return Path(tempfile.gettempdir()) / f"streamdenoise-{_user()}"


def _user() -> int:
    return os.getuid() if hasattr(os, "getuid") else 0


def _is_own(folder: Path) -> bool:
    """Whether it is no link, and belongs to this user."""
    found = folder.lstat()
    return not stat.S_ISLNK(found.st_mode) and found.st_uid == _user()


def _folders() -> list[Path]:
    """Return where sessions of this user may have sockets, whoever started them.

    One that ``cron`` started at boot is in another place than those of the desktop,
    for it had no variable, and its user no folder yet.
    """
    found: dict[Path, Path] = {}
    for place in (runtime_folder(), _user_place() / "streamdenoise", _shared_place()):
        with contextlib.suppress(OSError):
            # Anybody could have made one in /tmp, to hear what we say.
            if _is_own(place):
                found.setdefault(place.resolve(), place)
    return list(found.values())


@dataclass(frozen=True)
class Peer:
    """A session that runs, or has been running.

    Attributes
    ----------
    name, pid
        By which it can be chosen.
    path
        Its socket.
    since
        Seconds since the epoch when it began.
    """

    name: str
    pid: int
    path: Path
    since: float

    def connect(self, timeout: float) -> socket.socket:
        """Return a connection; OSError if nobody listens."""
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(timeout)
        try:
            sock.connect(str(self.path))
        except OSError:
            sock.close()
            raise
        return sock

    def remove_if_dead(self) -> None:
        """Take the socket away if its process has gone without doing so."""
        try:
            sock = self.connect(0.2)
        except OSError as error:
            if error.errno == errno.ECONNREFUSED:
                with contextlib.suppress(OSError):
                    self.path.unlink()
            return
        sock.close()


def peers(folder: Path | None = None) -> list[Peer]:
    """Return the sessions that have a socket, the newest first.

    The other direction of a call (``live --also-incoming``) comes behind all others:
    who names no session means the own voice.
    """
    found = []
    for place in _folders() if folder is None else [folder]:
        with contextlib.suppress(OSError):
            found += [peer for path in place.iterdir() if (peer := _peer(path))]
    return sorted(found, key=lambda peer: (INCOMING in peer.name, -peer.since))


def _peer(path: Path) -> Peer | None:
    """Return the session whose socket this is; None if it is none."""
    match = _FILE.fullmatch(path.name)
    with contextlib.suppress(OSError):
        known = path.lstat()
        if match and stat.S_ISSOCK(known.st_mode):
            return Peer(match["name"], int(match["pid"]), path, known.st_mtime)
    return None


def request(
    words: Sequence[str],
    *,
    pid: int | None = None,
    name: str | None = None,
    folder: Path | None = None,
    timeout: float = 10.0,
) -> dict[str, Any]:
    """Send `words` to a running session and return its answer.

    Parameters
    ----------
    words
        A command; see `commands`.
    pid, name
        Choose among several; by default the one that began last.
    timeout
        In seconds.

    Raises
    ------
    StreamDenoiseError
        If none runs, or it does not answer.
    """
    if not supported():
        raise _NoSessionError(
            "a running session cannot be controlled from outside on this system, for "
            "Python has no Unix domain sockets here; use the keys of the live view"
        )
    for peer in peers(folder):
        if pid not in (None, peer.pid) or name not in (None, peer.name):
            continue
        try:
            sock = peer.connect(timeout)
        except OSError as error:
            if error.errno in (errno.ECONNREFUSED, errno.ENOENT):
                peer.remove_if_dead()
                continue
            raise _silent(peer, error.strerror or str(error)) from error
        with sock:
            return _ask(sock, peer, words)
    raise _nobody(pid, name, folder)


def _ask(sock: socket.socket, peer: Peer, words: Sequence[str]) -> dict[str, Any]:
    line = json.dumps(list(words)).encode()
    if len(line) > MAX_LINE:
        raise StreamDenoiseError(f"a command has at most {MAX_LINE} bytes")
    reply = b""
    try:
        sock.sendall(line + b"\n")
        while part := sock.recv(65536):
            reply += part
        answer = json.loads(reply)
    except (OSError, ValueError) as error:
        raise _silent(peer, str(error)) from error
    if not isinstance(answer, dict):
        raise _silent(peer, "its answer is none of ours")
    return answer


def _silent(peer: Peer, why: str) -> StreamDenoiseError:
    return StreamDenoiseError(
        f"the session {peer.name} (process {peer.pid}) does not answer ({why}); is it "
        f"stopped? Let it go on with: kill -CONT {peer.pid}"
    )


def _nobody(pid: int | None, name: str | None, folder: Path | None) -> _NoSessionError:
    others = [f"{peer.name} (--pid {peer.pid})" for peer in peers(folder)]
    wanted = " and ".join(
        f"{what} {value}"
        for what, value in (("process", pid), ("name", name))
        if value is not None
    )
    if others:
        return _NoSessionError(
            f"no session with {wanted} is running; there are: {', '.join(others)}"
        )
    return _NoSessionError("nothing is running; start it with: streamdenoise live")
