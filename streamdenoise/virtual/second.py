"""The live that carries what others say: a process of its own, and how it is.

Two audio threads in one Python would wait for each other every few milliseconds, and
each needs its own place in the environment, where PulseAudio's client library is told
which devices to open.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from typing import IO, Final

from ..control.client import request
from ..errors import StreamDenoiseError

__all__ = ["ASK_SECONDS", "WAITING", "SecondLive", "child"]

ASK_SECONDS: Final = 3.0
"""Pause between two questions how it is."""

WAITING: Final = "waiting for device"
"""What it answers while a device of its is away; see `live.summary.State`."""

_ANSWER_SECONDS: Final = 1.0
_END_SECONDS: Final = 5.0
_KEPT_BYTES: Final = 4000
_CODE: Final = "from streamdenoise.virtual.second import child; child()"
_DIE_WITH_PARENT: Final = 1  # PR_SET_PDEATHSIG of Linux


class _Tail:
    """Reads a pipe until it ends, in a thread, and keeps the last of what came.

    A session may run for months: what it says by and by must neither grow here nor
    fill the pipe, where it would make the writer wait.
    """

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe = pipe
        self._last: deque[int] = deque(maxlen=_KEPT_BYTES)
        self._thread = threading.Thread(
            target=self._run, name="streamdenoise-incoming", daemon=True
        )
        self._thread.start()

    def _run(self) -> None:
        with self._pipe:
            while chunk := os.read(self._pipe.fileno(), _KEPT_BYTES):
                self._last.extend(chunk)

    def lines(self) -> list[str]:
        """Return what was said last, by a process that has ended."""
        # Something that it left behind may hold the other end: no reason to wait long.
        self._thread.join(1.0)
        return bytes(self._last.copy()).decode(errors="replace").strip().splitlines()


class SecondLive:
    """A command of this program in a process of its own; it ends when we do.

    To be made in the main thread: it would end with any other.

    Parameters
    ----------
    words
        The command.
    env
        Its environment.

    Attributes
    ----------
    pid
        Its number.
    """

    def __init__(self, words: Sequence[str], env: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _CODE, *words],
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            # Ctrl-C is for us; we end it in our own time.
            start_new_session=True,
        )
        self.pid = self._process.pid
        assert self._process.stderr is not None
        self._tail = _Tail(self._process.stderr)
        self._news: str | None = None
        self._over = threading.Event()
        # It answers when it gets to it, and the one who looks ten times a second must
        # not wait for that.
        threading.Thread(
            target=self._ask, name="streamdenoise-ask", daemon=True
        ).start()

    @property
    def running(self) -> bool:
        """Whether it runs."""
        return self._process.poll() is None

    @property
    def crashed(self) -> bool:
        """Whether something else than itself has ended it."""
        return (self._process.poll() or 0) < 0

    @property
    def reason(self) -> str:
        """Why it has ended: what it said last, or what did it."""
        code = self._process.poll()
        if code == 0:
            return "it was stopped"
        if code is not None and code < 0:
            with contextlib.suppress(ValueError):
                return f"its process was ended by {signal.Signals(-code).name}"
        lines = self._tail.lines()
        return lines[-1].removeprefix("streamdenoise: ") if lines else "no reason"

    def news(self) -> str | None:
        """Return its state once each few seconds, else None; never waits.

        Empty if it does not answer: it has just begun, say.
        """
        news, self._news = self._news, None
        return news

    def _ask(self) -> None:
        while not self._over.wait(ASK_SECONDS):
            state = ""
            with contextlib.suppress(StreamDenoiseError, OSError, LookupError):
                answer = request(["status"], pid=self.pid, timeout=_ANSWER_SECONDS)
                state = str(answer["status"]["state"])
            self._news = state

    def close(self) -> None:
        """End it; may be called twice."""
        self._over.set()
        self._process.terminate()
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def child() -> None:
    """Run the command line, and end when the parent does, whatever ends that."""
    parent = os.getppid()
    if sys.platform == "linux":
        import ctypes

        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGTERM)
        if os.getppid() != parent:  # it ended before that was said
            raise SystemExit(0)
    from ..cli import main

    main()
