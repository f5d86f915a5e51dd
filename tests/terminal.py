"""A real terminal around a program: keys are typed, the screen is read."""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import struct
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent


class Terminal:
    """A program in a terminal of its own, as a shell would run it.

    Attributes
    ----------
    raw
        All that it has written so far.
    text
        The same without escape sequences.
    """

    _ESCAPE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
    _BEGINNING = re.compile(r"\x1b(\[[0-?]*[ -/]*)?$")

    def __init__(
        self,
        command: Sequence[str],
        env: Mapping[str, str] | None = None,
        size: tuple[int, int] = (100, 30),
        folder: Path = ROOT,
    ) -> None:
        import fcntl
        import pty
        import termios

        self.raw = self.text = self._held = ""
        self.code: int | None = None
        self.stopped = False
        self.pid, self.fd = pty.fork()
        if self.pid == 0:  # the program
            try:
                os.chdir(folder)
                full = {**(os.environ if env is None else env)}
                full |= {"TERM": full.get("TERM", "xterm-256color")}
                full |= {"PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"}
                time.sleep(0.1)  # until the size below is set
                os.execve(command[0], list(command), full)
            finally:
                os._exit(127)
        window = struct.pack("HHHH", size[1], size[0], 0, 0)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, window)

    def read(self, seconds: float = 0.1) -> str:
        """Take what comes within `seconds`."""
        end = time.monotonic() + seconds
        part = ""
        while (left := end - time.monotonic()) > 0:
            if not select.select([self.fd], [], [], left)[0]:
                break
            try:
                data = os.read(self.fd, 65536)
            except OSError:  # the program has ended
                break
            if not data:
                break
            part += data.decode("utf-8", "replace")
        self.raw += part
        whole = self._held + part
        cut = self._BEGINNING.search(whole)
        end = len(whole) if cut is None else cut.start()
        self.text += self._ESCAPE.sub("", whole[:end])
        self._held = whole[end:]
        return part

    def wait_for(self, pattern: str, seconds: float = 30.0, start: int = 0) -> int:
        """Wait until the text has `pattern` behind `start`; return where it ends."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = re.search(pattern, self.text[start:])
            if found:
                return start + found.end()
            self.read(0.1)
            if self._ended() and not self.read(0.05):
                found = re.search(pattern, self.text[start:])
                if found:
                    return start + found.end()
                break
        raise AssertionError(f"no {pattern!r} in: {self.text[start:][-3000:]!r}")

    def type(self, keys: str) -> int:
        """Type `keys`; return where the text begins that comes afterwards."""
        self.read(0.01)
        os.write(self.fd, keys.encode())
        return len(self.text)

    def modes(self) -> list[Any]:
        """Return the modes of the terminal."""
        import termios

        return list(termios.tcgetattr(self.fd))

    @property
    def cooked(self) -> bool:
        """Whether it echoes, and gives lines, as a shell expects it."""
        import termios

        flags = self.modes()[3]
        return bool(flags & termios.ECHO) and bool(flags & termios.ICANON)

    def until(self, wanted: Any, seconds: float = 10.0) -> None:
        """Wait until `wanted` returns something true."""
        end = time.monotonic() + seconds
        while not wanted():
            assert time.monotonic() < end, self.text[-2000:]
            self.read(0.05)

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def _ended(self, options: int = os.WNOHANG) -> bool:
        if self.code is not None:
            return True
        pid, status = os.waitpid(self.pid, options | os.WUNTRACED)
        if pid and os.WIFSTOPPED(status):
            self.stopped = True
            return False
        if pid:
            self.code = os.waitstatus_to_exitcode(status)
        return self.code is not None

    def is_stopped(self) -> bool:
        """Whether Ctrl-Z has stopped it."""
        self._ended()
        return self.stopped

    def go_on(self) -> None:
        """Let it go on in the foreground."""
        self.stopped = False
        os.kill(self.pid, signal.SIGCONT)

    def end(self, seconds: float = 30.0) -> int:
        """Wait for its end; return the exit code, negative for a signal."""
        end = time.monotonic() + seconds
        while not self._ended():
            assert time.monotonic() < end, self.text[-2000:]
            self.read(0.1)
        self.read(0.2)
        assert self.code is not None
        return self.code

    def close(self) -> None:
        """End it, whatever it does."""
        if not self._ended():
            with contextlib.suppress(OSError):
                os.kill(self.pid, signal.SIGKILL)
                os.kill(self.pid, signal.SIGCONT)
            with contextlib.suppress(OSError):
                os.waitpid(self.pid, 0)
        with contextlib.suppress(OSError):
            os.close(self.fd)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def need_terminal() -> None:
    """Skip with a sentence where there are no pseudo-terminals."""
    if sys.platform == "win32":
        pytest.skip("pseudo-terminals are part of Unix")


@contextlib.contextmanager
def python(code: str, *words: str) -> Iterator[Terminal]:
    """Run Python code in a terminal."""
    with Terminal([sys.executable, "-c", code, *words]) as terminal:
        yield terminal
