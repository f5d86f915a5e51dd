"""A terminal that takes nothing makes nobody wait."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from streamdenoise.control.outlet import Outlet, terminal_size
from tests.terminal import need_terminal, python

FLOOD = """
import sys, time
from streamdenoise.control.outlet import Outlet
out = Outlet()
began, most = time.monotonic(), 0.0
for at in range(3000):
    before = time.monotonic()
    if out.through():
        out.write(f'picture {at} ' + 'x' * 2000 + '\\n')
        out.flush()
    most = max(most, time.monotonic() - before)
for _ in range(100):
    out.write('y' * 5000)  # more than it keeps
open(sys.argv[1], 'w').write(f'{most} {len(out._pending)}')
while not out.through():
    time.sleep(0.01)
out.write('DONE\\n')
out.drain()
"""


def test_a_terminal_that_nobody_reads_is_not_waited_for(tmp_path):
    """Writing costs nothing while it is full, and goes on where it stopped."""
    need_terminal()
    note = tmp_path / "note"
    with python(FLOOD, str(note)) as terminal:
        end = time.monotonic() + 60
        while not (note.exists() and note.read_text()):
            assert time.monotonic() < end
            time.sleep(0.05)
        most, pending = note.read_text().split()
        assert float(most) < 1.0
        assert 0 < int(pending) <= 65536
        terminal.wait_for("DONE")
        terminal.end()
    pictures = [x for x in terminal.text.splitlines() if x.startswith("picture")]
    # What was begun is whole, and what would have had to wait was left out.
    numbers = [int(line.split()[1]) for line in pictures]
    assert numbers == sorted(set(numbers)) and 0 < len(numbers) < 3000
    assert all(line.split()[2] == "x" * 2000 for line in pictures)


def test_a_terminal_on_hold_goes_on_where_it_was():
    """Ctrl-S holds the picture, not the program; Ctrl-Q brings it back."""
    need_terminal()
    code = (
        "import time\n"
        "from streamdenoise.control.outlet import Outlet\n"
        "out = Outlet()\n"
        "print('READY', flush=True)\n"
        "for at in range(100):\n"
        "    time.sleep(0.02)\n"
        "    if out.through():\n"
        "        out.write(f'at {at}\\n'); out.flush()\n"
        "out.drain()\n"
    )
    with python(code) as terminal:
        terminal.wait_for("READY")
        terminal.type("\x13")
        time.sleep(0.5)
        terminal.read(0.2)
        held = len(terminal.text)
        time.sleep(0.3)
        assert terminal.read(0.1) == ""
        terminal.type("\x11")
        terminal.wait_for("at 99", start=held)
        assert terminal.end() == 0


def test_a_file_gets_all_of_it(tmp_path, monkeypatch):
    """What is no terminal is written as ever, in its encoding."""
    from streamdenoise.control.outlet import Outlet

    with (tmp_path / "log").open("w", encoding="ascii") as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        out = Outlet()
        assert not out.isatty()
        out.write("Grüße\n")
        assert out.through()
        out.drain()
        out.close()
    assert (tmp_path / "log").read_text() == "Gr\\xfc\\xdfe\n"


def test_who_has_the_terminal() -> None:
    """In front at first; behind, once another group has it; without one, in front."""
    need_terminal()
    code = (
        "import os, signal, sys, time\n"
        "from streamdenoise.control.outlet import Outlet\n"
        "signal.signal(signal.SIGTTOU, signal.SIG_IGN)\n"
        "out = Outlet()\n"
        "said = [out.in_front()]\n"
        "child = os.fork()\n"
        "if child == 0: time.sleep(60)\n"
        "os.setpgid(child, child); os.tcsetpgrp(2, child)\n"
        "said.append(out.in_front())\n"
        "os.tcsetpgrp(2, os.getpgrp()); os.kill(child, signal.SIGKILL)\n"
        "said.append(out.in_front())\n"
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    os.setsid(); said.append(out.in_front()); print(said, flush=True)\n"
        "    os._exit(0)\n"
        "os.waitpid(pid, 0)\n"
    )
    with python(code) as terminal:
        terminal.wait_for(r"\[True, False, True, True\]")
        assert terminal.end() == 0


def test_what_is_no_terminal_is_in_front(monkeypatch: pytest.MonkeyPatch) -> None:
    """A log has no shell in front of it."""
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert Outlet().in_front()


def test_without_standard_error_nothing_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After 2>&- Python has no stream at all: views go on, and text is swallowed."""
    monkeypatch.setattr(sys, "stderr", None)
    out = Outlet()
    assert out.write("gone\n") == 5
    out.flush()
    out.drain()
    assert out.through() and out.in_front() and not out.isatty()
    assert out.encoding == "utf-8"
    assert terminal_size() == (80, 24)
    with pytest.raises(OSError, match="closed"):
        out.fileno()
    out.close()
    out.write("after the end\n")


@pytest.mark.skipif(os.name != "posix", reason="shells that close a descriptor")
def test_talk_is_not_printed_as_a_result() -> None:
    """With standard error closed, standard output has results only."""
    code = "from streamdenoise.cli.printing import say, write; say('talk'); write('it')"
    for closed, printed in (("2>&-", b"it\n"), (">&-", b""), ("2>&- >&-", b"")):
        line = ["sh", "-c", f'exec "$0" -c "{code}" {closed}', sys.executable]
        done = subprocess.run(line, stdout=subprocess.PIPE, check=True)
        assert done.stdout == printed, closed


@pytest.mark.skipif(os.name != "posix", reason="shells that close a descriptor")
def test_what_libraries_print_does_not_go_into_a_file(tmp_path: Path) -> None:
    """A file that is opened does not get the number of a closed standard error."""
    code = (
        "import os, sys; from streamdenoise.cli.printing import keep_descriptors; "
        "keep_descriptors(); f = open(sys.argv[1], 'wb'); os.write(2, b'ALSA'); "
        "assert f.fileno() > 2"
    )
    line = ["sh", "-c", f'exec "$0" -c "{code}" "$1" 2>&-', sys.executable]
    subprocess.run([*line, str(tmp_path / "talk.wav")], check=True)
    assert (tmp_path / "talk.wav").read_bytes() == b""
