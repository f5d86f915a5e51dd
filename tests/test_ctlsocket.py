"""The control socket: who may speak to it, and what it survives."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamdenoise.control import client
from streamdenoise.control.client import (
    MAX_LINE,
    peers,
    request,
    runtime_folder,
    supported,
)
from streamdenoise.control.server import (
    MAX_CLIENTS,
    PATIENCE,
    ControlServer,
    read_words,
)
from streamdenoise.errors import EXIT_USAGE, StreamDenoiseError
from tests.clitools import run

pytestmark = pytest.mark.skipif(
    not supported(), reason="Python has no Unix domain sockets on this system"
)


def echo(words: list[str]) -> dict[str, Any]:
    if words == ["fail"]:
        raise StreamDenoiseError("it cannot be done")
    if words == ["bug"]:
        raise ZeroDivisionError("x")
    if words == ["nan"]:
        return {"text": "", "status": {"level": float("-inf"), "path": Path("a")}}
    return {"text": " ".join(words)}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ControlServer]:
    """A server that a thread polls as a running session does."""
    stop = threading.Event()
    with ControlServer(echo, "live", tmp_path) as server:

        def run() -> None:
            while not stop.wait(0.005):
                server.poll()

        thread = threading.Thread(target=run)
        thread.start()
        yield server
        stop.set()
        thread.join()


def connect(server: ControlServer) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(10)
    sock.connect(str(server.path))
    return sock


def ask(server: ControlServer, line: bytes) -> bytes:
    with connect(server) as sock:
        sock.sendall(line)
        reply = b""
        with contextlib.suppress(ConnectionError):
            while part := sock.recv(65536):
                reply += part
    return reply


def test_words_there_and_an_answer_back(server: ControlServer, tmp_path: Path) -> None:
    """Any words arrive as they are: spaces, quotes, newlines, other scripts."""
    words = ["record", 'a b\'c\n"ü".wav']
    answer = request(words, folder=tmp_path)
    assert answer == {"ok": True, "text": " ".join(words)}


def test_a_shell_can_speak_to_it(server: ControlServer) -> None:
    """A line of words is enough; the answer is a line of JSON."""
    reply = ask(server, b"record 'my talk.wav'\n")
    assert reply.endswith(b"\n") and reply.count(b"\n") == 1
    assert json.loads(reply)["text"] == "record my talk.wav"
    assert read_words(b"strength -12") == ["strength", "-12"]


def test_what_fails_is_an_answer(server: ControlServer, tmp_path: Path) -> None:
    """An error is told with its exit code, and a bug does not end the session."""
    failed = request(["fail"], folder=tmp_path)
    assert failed == {"ok": False, "error": "it cannot be done", "exit_code": 1}
    assert "ZeroDivisionError" in request(["bug"], folder=tmp_path)["error"]
    assert request(["fine"], folder=tmp_path)["ok"]


def test_answers_are_json(server: ControlServer, tmp_path: Path) -> None:
    """Infinities become null, paths text."""
    assert b"Infinity" not in ask(server, b"nan\n")
    known = request(["nan"], folder=tmp_path)["status"]
    assert known == {"level": None, "path": "a"}


def test_only_the_owner_may_speak(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Socket and folder are closed to others, and a foreign folder is refused."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    folder = runtime_folder(make=True)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    folder.chmod(0o755)
    assert stat.S_IMODE(runtime_folder(make=True).stat().st_mode) == 0o700
    with ControlServer(echo) as server:
        assert server.path.parent == folder
        assert stat.S_IMODE(server.path.stat().st_mode) == 0o600
    assert not server.path.exists()
    folder.rmdir()
    folder.symlink_to(tmp_path)
    with pytest.raises(StreamDenoiseError, match="somebody else"):
        runtime_folder(make=True)
    folder.unlink()
    folder.write_text("")
    with pytest.raises(StreamDenoiseError, match="XDG_RUNTIME_DIR"):
        runtime_folder(make=True)


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Where /run/user/UID would be, not made yet, and an empty /tmp; no variable."""
    shared = tmp_path / "tmp"
    shared.mkdir()
    monkeypatch.setattr(client, "_RUN", tmp_path / "run")
    monkeypatch.setattr(client.tempfile, "gettempdir", lambda: str(shared))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    return tmp_path / "run" / str(os.getuid()), shared


def test_sessions_are_found_wherever_they_were_started(
    places: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By cron at boot, from the desktop, with a folder of one's own; each once."""
    user, shared = places
    with contextlib.ExitStack() as stack:
        stack.enter_context(ControlServer(echo, "cron"))  # before the first login
        assert runtime_folder().parent == shared
        user.mkdir(parents=True)
        stack.enter_context(ControlServer(echo, "su"))  # behind a login
        assert runtime_folder() == user / "streamdenoise"
        assert sorted(peer.name for peer in peers()) == ["cron", "su"]
        for own in (user, tmp_path / "own", tmp_path / "link"):
            if own.name == "link":
                own.symlink_to(user)
            own.mkdir(exist_ok=True)
            monkeypatch.setenv("XDG_RUNTIME_DIR", str(own))
            assert runtime_folder() == own / "streamdenoise"
            with ControlServer(echo, "here"):
                assert sorted(peer.name for peer in peers()) == ["cron", "here", "su"]


def test_what_others_made_in_our_place_is_not_looked_at(
    places: tuple[Path, Path], tmp_path: Path
) -> None:
    """In /tmp anybody can make a folder or a link of our name."""
    folder = runtime_folder()
    (tmp_path / "trap").mkdir()
    folder.symlink_to(tmp_path / "trap")
    with ControlServer(echo, "trap", tmp_path / "trap"):
        assert peers() == []


def test_a_runtime_folder_of_another_user_is_not_used(
    places: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root could make a folder there, after sudo -E; its user would be locked out."""
    other = tmp_path / "other"
    other.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(other))
    monkeypatch.setattr(client, "_user", lambda: os.getuid() + 1)
    assert runtime_folder().parent == places[1]
    (client._RUN / str(os.getuid() + 1)).mkdir(parents=True)
    assert runtime_folder().parent == places[1]  # nor is what bears our number only
    assert list(other.iterdir()) == []


def test_a_path_that_is_too_long_is_a_sentence(tmp_path: Path) -> None:
    """The system limits the length; sound goes on without the socket."""
    folder = tmp_path / ("x" * 120)
    folder.mkdir()
    with pytest.raises(StreamDenoiseError, match="without it"):
        ControlServer(echo, folder=folder)
    assert list(folder.iterdir()) == []


def test_a_killed_session_leaves_nothing_in_the_way(tmp_path: Path) -> None:
    """Its socket is passed over, and taken away by the next one."""
    code = (
        "import sys, time; from pathlib import Path\n"
        "from streamdenoise.control.server import ControlServer\n"
        "s = ControlServer(lambda w: {}, 'old', Path(sys.argv[1]))\n"
        "print(s.path, flush=True); time.sleep(60)"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    path = Path(child.stdout.readline().strip())
    child.kill()
    child.communicate()
    assert path.exists()
    with pytest.raises(StreamDenoiseError, match="nothing is running"):
        request(["status"], folder=tmp_path)
    assert not path.exists()
    path.touch()
    left = socket.socket(socket.AF_UNIX)
    path.unlink()
    left.bind(str(path))
    left.close()
    with ControlServer(echo, "new", tmp_path) as server:
        assert [p.path for p in peers(tmp_path)] == [server.path]


def test_the_newest_is_asked_and_others_by_name_or_process(tmp_path: Path) -> None:
    """Several sessions can be told apart; who is not there is named."""
    with (
        ControlServer(lambda w: {"text": "a"}, "a", tmp_path) as first,
        ControlServer(lambda w: {"text": "b"}, "b", tmp_path) as second,
    ):
        os.utime(first.path, (1, 1))
        found = peers(tmp_path)
        assert [p.name for p in found] == ["b", "a"]
        assert {p.pid for p in found} == {os.getpid()}
        stop = threading.Event()

        def run() -> None:
            while not stop.wait(0.005):
                first.poll()
                second.poll()

        thread = threading.Thread(target=run)
        thread.start()
        try:
            assert request(["x"], folder=tmp_path)["text"] == "b"
            assert request(["x"], folder=tmp_path, name="a")["text"] == "a"
            assert request(["x"], folder=tmp_path, pid=os.getpid())["text"] == "b"
            with pytest.raises(StreamDenoiseError) as caught:
                request(["x"], folder=tmp_path, name="c")
            assert "name c" in str(caught.value) and "b (--pid" in str(caught.value)
            assert caught.value.exit_code == 3
        finally:
            stop.set()
            thread.join()


def test_the_other_direction_comes_last(tmp_path: Path) -> None:
    """Who names no session means the own voice, even if the other began later."""
    with (
        ControlServer(echo, "live", tmp_path) as own,
        ControlServer(echo, "incoming", tmp_path),
    ):
        os.utime(own.path, (1, 1))
        assert [peer.name for peer in peers(tmp_path)] == ["live", "incoming"]


def test_a_session_that_is_stopped_is_a_sentence(tmp_path: Path) -> None:
    """Who does not answer is named, and what lets it go on."""
    with (
        ControlServer(echo, "live", tmp_path),
        pytest.raises(StreamDenoiseError, match="does not answer") as caught,
    ):
        request(["status"], folder=tmp_path, timeout=0.2)
    assert f"kill -CONT {os.getpid()}" in str(caught.value)


def test_garbage_is_answered_or_dropped(
    server: ControlServer, tmp_path: Path, rng: np.random.Generator
) -> None:
    """No bytes end the server, and the next request is served as ever."""
    lines = [b"\xff\xfe\n", b"'\n", b"[1, 2]\n", b'["a"\n', b"\n", b"", b"[" * 2000]
    lines += [bytes(rng.integers(0, 256, rng.integers(1, 300))) for _ in range(60)]
    for line in lines:
        with contextlib.suppress(OSError):
            ask(server, line if line.endswith(b"\n") else line + b"\n")
        assert request(["fine"], folder=tmp_path)["text"] == "fine"


def test_a_huge_line_is_refused(server: ControlServer, tmp_path: Path) -> None:
    """No more than the longest request is ever held."""
    with connect(server) as sock, contextlib.suppress(OSError):
        for _ in range(200):
            sock.sendall(b"x" * 65536)
    with connect(server) as sock, contextlib.suppress(OSError):
        sock.sendall(b"y" * (MAX_LINE + 10) + b"\n")
        assert b"at most" in sock.recv(4096)
    assert all(len(c.request) <= MAX_LINE + 1 for c in server._clients)
    assert request(["fine"], folder=tmp_path)["ok"]
    with pytest.raises(StreamDenoiseError, match="at most"):
        request(["x" * MAX_LINE], folder=tmp_path)


def test_slow_clients_wait_in_vain(server: ControlServer, tmp_path: Path) -> None:
    """Many connections that say nothing are closed after a while, not served first."""
    silent = [connect(server) for _ in range(2 * MAX_CLIENTS)]
    for sock in silent[: MAX_CLIENTS // 2]:
        sock.sendall(b"half a li")
    began = time.monotonic()
    assert request(["fine"], folder=tmp_path, timeout=30)["ok"]
    assert time.monotonic() - began < 4 * PATIENCE
    for sock in silent:
        sock.close()


def test_a_poll_never_waits(tmp_path: Path) -> None:
    """With clients that neither ask nor listen, a look costs next to nothing."""
    big = {"text": "x" * 400_000}
    with ControlServer(lambda w: big, "live", tmp_path) as server:
        deaf = [connect(server) for _ in range(MAX_CLIENTS)]
        for sock in deaf:
            sock.sendall(b"status\n")
        took = []
        for _ in range(20):
            began = time.monotonic()
            server.poll()
            took.append(time.monotonic() - began)
        # The sockets are full, and nobody is waited for: not even for as long as one
        # of them is waited for before it is closed.
        assert max(took) < 0.5 * PATIENCE
        assert len(server._clients) == MAX_CLIENTS
        for sock in deaf:
            sock.close()
        server.poll()
        assert server._clients == []


@pytest.mark.parametrize(
    "words", [("record", "~no-such-user/x.wav"), ("model", "~no-such-user/x.tflite")]
)
def test_a_home_of_nobody_is_a_wrong_word(words: tuple[str, str]) -> None:
    """It is said without asking a session, and is no bug to be reported."""
    result = run("ctl", *words)
    assert result.exit_code == EXIT_USAGE
    assert "no user for '~no-such-user'" in result.output
    assert "bug" not in result.output


def test_a_tilde_in_other_words_is_left_to_the_session(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The name of a model is no file, and a tilde of our own is a home."""
    sent: list[list[str]] = []

    def asked(words: list[str], **_: object) -> dict[str, Any]:
        sent.append(words)
        return {"ok": True, "text": "done"}

    monkeypatch.setattr(client, "request", asked)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert run("ctl", "model", "~no-such-user").exit_code == 0
    assert run("ctl", "record", "~/x.wav").exit_code == 0
    assert sent == [["model", "~no-such-user"], ["record", str(tmp_path / "x.wav")]]
