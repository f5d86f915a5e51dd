"""Keys come one by one, and the terminal is as it was whatever happens."""

from __future__ import annotations

import signal
import sys

import numpy as np
import pytest

from streamdenoise.control.keys import HELP, KEYS, Keyboard, keys_in
from tests.terminal import Terminal, need_terminal, python

LOOP = """
import sys, time
from streamdenoise.control.keys import Keyboard
with Keyboard(lambda: print('PAUSED', flush=True)) as keyboard:
    print('READY', keyboard.works, flush=True)
    end = time.monotonic() + 60
    while time.monotonic() < end:
        for key in keyboard.read():
            print('KEY', repr(key), flush=True)
            if key == 'q':
                sys.exit(7)
            if key == 'x':
                raise ValueError('crash')
            if key == 'a':
                import os
                os.abort()
        time.sleep(0.02)
"""


@pytest.mark.parametrize(
    ("text", "keys", "rest"),
    [
        ("bR", ["b", "R"], ""),
        ("\x1b[A\x1bOB\x1b[C", ["up", "down", "right"], ""),
        ("a\x1b", ["a"], "\x1b"),
        ("\x1b[", [], "\x1b["),
        ("\x1b[1;5A", ["up"], ""),
        ("\x1b[15~b", ["b"], ""),
        ("\x1bb", ["b"], ""),
        ("\x1b[200~", [], ""),
        ("", [], ""),
    ],
)
def test_keys_are_cut_out_of_what_a_terminal_sends(
    text: str, keys: list[str], rest: str
) -> None:
    """Arrows of both kinds, sequences that are passed over, halves that are kept."""
    assert keys_in(text) == (keys, rest)


def test_cutting_anywhere_gives_the_same_keys(rng: np.random.Generator) -> None:
    """Keys do not depend on how the terminal groups its bytes."""
    pieces = ["b", "+", "\x1b[A", "\x1bOB", "\x1b[15~", "ü", "R"]
    for _ in range(300):
        text = "".join(str(p) for p in rng.choice(pieces, 12))
        whole, rest = keys_in(text)
        assert rest == ""
        found: list[str] = []
        for char in text:
            keys, rest = keys_in(rest + char)
            found += keys
        assert (found, rest) == (whole, "")


def test_any_bytes_are_cut(rng: np.random.Generator) -> None:
    """Nothing that comes in grows or raises."""
    rest = ""
    for _ in range(500):
        raw = bytes(rng.integers(0, 256, 40)) + b"\x1b[" + b"1" * int(rng.integers(40))
        _, rest = keys_in(rest + raw.decode("utf-8", "ignore"))
        assert len(rest) < 100


def test_the_help_has_every_key() -> None:
    """What works is told."""
    told = " ".join(key for key, _, _ in HELP)
    for key in KEYS:
        assert key in told or key in ("up", "down", "=")


def test_without_a_terminal_there_are_no_keys(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A service, a pipe and a closed input are all the same."""
    for stdin in (None, open("/dev/null")):  # noqa: SIM115, PTH123
        monkeypatch.setattr(sys, "stdin", stdin)
        with Keyboard() as keyboard:
            assert not keyboard.works and keyboard.read() == []


def test_keys_come_at_once_and_without_echo() -> None:
    """No Enter is needed, and what is typed does not spoil the picture."""
    need_terminal()
    with python(LOOP) as terminal:
        terminal.wait_for("READY True")
        assert not terminal.cooked
        terminal.type("b\x1b[A")
        terminal.wait_for("KEY 'b'")
        terminal.wait_for("KEY 'up'")
        assert "\x1b[A" not in terminal.raw and "^[" not in terminal.raw
        terminal.type("q")
        assert terminal.end() == 7
        assert terminal.cooked


@pytest.mark.parametrize("how", ["x", "a", "\x03", "\x1c", "hang-up", "term"])
def test_every_end_puts_the_terminal_back(how: str) -> None:
    """A crash, an abort, Ctrl-C, Ctrl-backslash and kill leave it as it was."""
    need_terminal()
    code = LOOP
    if how in ("hang-up", "term"):
        # As live does: these become an ordinary end.
        code = (
            "import signal, sys\n"
            "for s in (signal.SIGTERM, signal.SIGHUP):\n"
            "    signal.signal(s, lambda *_: sys.exit(5))\n" + LOOP
        )
    with python(code) as terminal:
        terminal.wait_for("READY True")
        assert not terminal.cooked
        if how == "term":
            terminal.signal(signal.SIGTERM)
        elif how == "hang-up":
            terminal.signal(signal.SIGHUP)
        else:
            terminal.type(how)
        code_of = {"x": 1, "a": -signal.SIGABRT, "\x1c": -signal.SIGQUIT}
        code_of |= {"\x03": -signal.SIGINT, "hang-up": 5, "term": 5}
        assert terminal.end() in (code_of[how], 128 + abs(code_of[how]))
        if how != "a":  # abort() of C leaves no time
            assert terminal.cooked
        # Nothing tidies up behind a signal that kills: the cursor has to come back.
        assert ("PAUSED" in terminal.text) is (how == "\x1c")


def test_ctrl_z_gives_the_terminal_back_until_it_goes_on() -> None:
    """The shell gets an ordinary terminal, and `fg` brings the keys back."""
    need_terminal()
    shell = (
        "import os, signal, sys, time\n"
        "signal.signal(signal.SIGTTOU, signal.SIG_IGN)\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    os.setpgid(0, 0); time.sleep(0.3)\n"
        "    signal.signal(signal.SIGTTOU, signal.SIG_DFL)\n"
        "    os.execv(sys.executable, [sys.executable, '-c', sys.argv[1]])\n"
        "os.setpgid(child, child); os.tcsetpgrp(0, child)\n"
        "def wait():\n"
        "    _, status = os.waitpid(child, os.WUNTRACED)\n"
        "    os.tcsetpgrp(0, os.getpgrp())\n"
        "    return status\n"
        "status = wait()\n"
        "print('STOPPED', os.WIFSTOPPED(status), flush=True)\n"
        "os.kill(child, signal.SIGCONT); time.sleep(0.5)\n"
        "print('BEHIND', flush=True); sys.stdin.readline()\n"
        "os.tcsetpgrp(0, child)\n"
        "print('FRONT', flush=True)\n"
        "print('END', os.WEXITSTATUS(wait()), flush=True)\n"
    )
    with Terminal([sys.executable, "-c", shell, LOOP]) as terminal:
        terminal.wait_for("READY True")
        terminal.until(lambda: not terminal.cooked)
        terminal.type("\x1a")
        terminal.wait_for("PAUSED")
        terminal.wait_for("STOPPED True")
        assert terminal.cooked
        # `bg`: it runs, takes nothing, changes nothing, and is not stopped for it.
        terminal.wait_for("BEHIND")
        assert terminal.cooked
        at = terminal.type("b\n")
        terminal.wait_for("FRONT")
        terminal.until(lambda: not terminal.cooked)
        assert "KEY" not in terminal.text[at:].split("FRONT")[0]
        terminal.type("m")
        terminal.wait_for("KEY 'm'", start=at)
        terminal.type("q")
        terminal.wait_for("END 7")
        assert terminal.end() == 0
