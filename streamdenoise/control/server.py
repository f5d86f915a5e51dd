"""The control socket of a running session.

A Unix domain socket in the user's runtime folder, one for each running session, open to
its owner only. One connection carries one line of words there and one line of JSON
back. `ControlServer.poll` is called by the main thread between two looks at the
counters: it never waits, and reads, holds and answers a bounded amount, so that nothing
that comes in through the socket can reach the sound. `client` is the other side.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from ..closing import Closing
from ..errors import EXIT_INPUT, StreamDenoiseError
from ..names import shown
from .client import MAX_LINE, peers, runtime_folder, supported

__all__ = ["MAX_CLIENTS", "PATIENCE", "Client", "ControlServer", "read_words"]

MAX_CLIENTS: Final = 8
"""Connections held at once; others wait in the queue of the system."""

PATIENCE: Final = 2.0
"""Seconds after which a connection that has not asked or not listened is closed."""

Answer = Callable[[list[str]], dict[str, Any]]


class Client:
    """One connection: a request that comes in, then an answer that goes out."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.deadline = time.monotonic() + PATIENCE
        self.request = b""
        self.reply = b""


class ControlServer(Closing):
    """Listens for a session; a context manager.

    Parameters
    ----------
    answer
        Called in the thread that polls, with the words of a request; returns the
        answer in plain types. What it raises becomes an answer, too.
    name
        By which this session can be chosen.
    folder
        Where the socket is made; by default `runtime_folder`.

    Attributes
    ----------
    path : Path
        The socket.

    Raises
    ------
    StreamDenoiseError
        If it cannot be made; sound does not need it.
    """

    def __init__(
        self, answer: Answer, name: str = "live", folder: Path | None = None
    ) -> None:
        if not supported():
            raise StreamDenoiseError(
                "there is no control socket on this system, for Python has no Unix "
                "domain sockets here; the keys work"
            )
        self._answer = answer
        self._clients: list[Client] = []
        folder = runtime_folder(make=True) if folder is None else folder
        for peer in peers(folder):  # of processes that were killed
            peer.remove_if_dead()
        self.path = folder / f"{name}-{os.getpid()}.sock"
        self._sock = _listen(self.path)

    def poll(self) -> None:
        """Serve what has come in; never waits and never raises."""
        self._accept()
        now = time.monotonic()
        for client in self._clients[:]:
            try:
                done = self._serve(client)
            except OSError:
                done = True
            if done or now > client.deadline:
                self._clients.remove(client)
                _close(client.sock)

    def _accept(self) -> None:
        while len(self._clients) < MAX_CLIENTS:
            try:
                sock, _ = self._sock.accept()
            except OSError:
                return
            sock.setblocking(False)
            self._clients.append(Client(sock))

    def _serve(self, client: Client) -> bool:
        """Go on with one connection as far as it goes; return whether it is done."""
        if not client.reply:
            try:
                part = client.sock.recv(MAX_LINE + 1 - len(client.request))
            except BlockingIOError:
                return False
            client.request += part
            line, newline, _ = client.request.partition(b"\n")
            if len(line) > MAX_LINE:
                client.reply = _encode(_too_long())
            elif newline or not part:
                if not line.strip():
                    return True
                client.reply = _encode(self._reply(line))
            else:
                return False
            client.deadline = time.monotonic() + PATIENCE
        try:
            sent = client.sock.send(client.reply)
        except BlockingIOError:
            return False
        client.reply = client.reply[sent:]
        return not client.reply

    def _reply(self, line: bytes) -> dict[str, Any]:
        try:
            return {"ok": True, **self._answer(read_words(line))}
        except StreamDenoiseError as error:
            return _refused(str(error), error.exit_code)
        except Exception as error:  # a bad request must not end the sound
            text = f"it failed ({type(error).__name__}: {error})"
            return _refused(text, EXIT_INPUT)

    def close(self) -> None:
        """Close everything and take the socket away; may be called twice."""
        for client in self._clients:
            _close(client.sock)
        self._clients.clear()
        _close(self._sock)
        with contextlib.suppress(OSError):
            self.path.unlink()


def _listen(path: Path) -> socket.socket:
    """Return a listening socket at `path`; it appears there when it is ready."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = path.with_suffix(".new")
    try:
        sock.setblocking(False)
        with contextlib.suppress(FileNotFoundError):
            before.unlink()
        sock.bind(str(before))
        before.chmod(0o600)
        sock.listen(2 * MAX_CLIENTS)
        before.replace(path)
    except OSError as error:
        _close(sock)
        with contextlib.suppress(OSError):
            before.unlink()
        raise StreamDenoiseError(
            f"the control socket {shown(path)} cannot be made "
            f"({error.strerror or error}); sound goes on without it"
        ) from error
    return sock


def read_words(line: bytes) -> list[str]:
    """Return the words of a request: a JSON array of strings, or as a shell has them.

    Raises
    ------
    StreamDenoiseError
        If it is neither.
    """
    try:
        text = line.decode("utf-8").strip()
        if not text.startswith("["):
            return shlex.split(text)
        words = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise StreamDenoiseError(f"the request is no line of words ({error})") from None
    if not all(isinstance(word, str) for word in words):
        raise StreamDenoiseError("the request is no list of words")
    return [str(word) for word in words]


def _refused(sentence: str, code: int) -> dict[str, Any]:
    return {"ok": False, "error": sentence, "exit_code": code}


def _too_long() -> dict[str, Any]:
    return _refused(f"a request has at most {MAX_LINE} bytes", EXIT_INPUT)


def _encode(answer: dict[str, Any]) -> bytes:
    # JSON has no infinity and no NaN: they become null.
    text = json.dumps(answer, default=str)
    known = json.loads(text, parse_constant=lambda name: None)
    return json.dumps(known).encode("ascii") + b"\n"


def _close(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.close()
