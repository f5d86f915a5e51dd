"""The command line as a whole: help, errors, exit codes, safe printing."""

from __future__ import annotations

import io
import sys

import click
import pytest

from streamdenoise import (
    AudioFormatError,
    DeviceError,
    RuntimeMissingError,
    __version__,
    unmeant,
)
from streamdenoise.cli import COMMANDS, LazyGroup, cli, guard, printing
from streamdenoise.cli.progress import Progress
from tests.clitools import process, run


def test_help_imports_nothing_heavy():
    """Help is fast because it loads no command, no numpy and no sound."""
    code = (
        "import atexit, sys\n"
        "atexit.register(lambda: print(sorted(m for m in sys.modules if m in "
        "('numpy', 'soundfile', 'sounddevice', 'ai_edge_litert', 'tensorflow') or "
        "m.startswith('streamdenoise.cli.')), file=sys.stderr))"
    )
    out, err = process("--help", code=code).communicate(timeout=60)
    assert b"Commands:" in out
    light = ["streamdenoise.cli.guard", "streamdenoise.cli.printing"]
    assert err.decode().strip() == str(light)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_loads_and_has_the_help_that_the_group_shows(name):
    """The list of commands in the help does not go stale."""
    command = cli.get_command(click.Context(cli), name)
    assert command is not None and command.name == name
    assert command.short_help == COMMANDS[name][1]
    result = run(name, "--help")
    assert result.exit_code == 0 and "Usage" in result.output


def test_version():
    """``--version`` is the one of the package."""
    result = run("--version")
    assert result.output == f"streamdenoise {__version__}\n" and result.exit_code == 0


def test_wrong_usage_is_2():
    """What click finds wrong in the words themselves."""
    assert run("nonsense").exit_code == 2
    assert run("file").exit_code == 2
    assert run("file", "--strength", "-3", "a.wav").exit_code == 2
    assert run("file", "--strength", "nan", "a.wav").exit_code == 2
    assert run("file", "--mix", "1.5", "a.wav").exit_code == 2


def test_file_in_place_of_a_command(tmp_path):
    """Who names a file straight away is told the command for it."""
    path = tmp_path / "a.wav"
    path.touch()
    result = run(str(path))
    assert result.exit_code == 2 and "streamdenoise file" in result.stderr


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (AudioFormatError("no sound"), 1, "no sound"),
        (DeviceError("no device"), 3, "no device"),
        (RuntimeMissingError("no runtime"), 3, "no runtime"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (BrokenPipeError(), 0, ""),
        (MemoryError(), 1, "memory"),
        (OSError(5, "Input/output error", "a\x1bb"), 1, "a\\x1bb"),
        (ZeroDivisionError("x"), 1, "this is a bug"),
    ],
)
def test_every_failure_is_one_sentence_and_a_code(error, code, says, monkeypatch):
    """No exception reaches a person as a traceback."""
    monkeypatch.setattr(guard, "quiet_exit", lambda: None)

    @click.group(cls=LazyGroup, invoke_without_command=True)
    def fails() -> None:
        raise error

    result = click.testing.CliRunner().invoke(fails)
    assert result.exit_code == code
    assert says in result.stderr and "Traceback" not in result.stderr
    assert result.stderr.count("\n") == (1 if says else 0)


def test_bug_can_be_seen_in_full(monkeypatch):
    """The variable that the sentence names gives the traceback to report."""
    monkeypatch.setenv(unmeant.TRACEBACK, "1")
    with pytest.raises(ZeroDivisionError):
        guard.guarded(lambda: 1 / 0)


def test_terminal_of_another_encoding(monkeypatch):
    """What it lacks is escaped; it does not end the program."""
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    printing.write("Grüße \udcff")
    sys.stdout.flush()
    assert raw.getvalue() == b"Gr\\xfc\\xdfe \\udcff\n"


def test_json_has_no_infinity(capsys):
    """JSON knows no inf; readers in other languages would fail on it."""
    printing.print_json({"a": [float("inf"), 1.5]})
    assert '"a": [\n    null,\n    1.5' in capsys.readouterr().out


def test_progress_draws_on_a_terminal_and_cleans_up(monkeypatch):
    """The bar is one line that is gone at the end; files get none of it."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for kind, drawn in ((Terminal, True), (io.StringIO, False)):
        stream = kind()
        monkeypatch.setattr(sys, "stderr", stream)
        with Progress("talk.wav") as progress:
            for i in range(5):
                progress(i, 4)
        text = stream.getvalue()
        assert ("100%" in text and "talk.wav" in text) is drawn
        assert "\n" not in text and (not drawn or text.endswith("\r"))
