"""The TAB key in real shells, and completers that never fail."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from streamdenoise.cli import cli, completers
from streamdenoise.cli.completion import script, target
from tests.pulse import list_anew
from tests.terminal import ROOT, Terminal, need_terminal

LAUNCHER = f"""#!/bin/sh
exec {sys.executable} -m streamdenoise "$@"
"""

CONFIG = '[profile.call]\nstrength = 12\n[profile.camera]\n[profile."my $1 talks"]\n'


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with the program on the path, profiles, and devices remembered."""
    program = tmp_path / "bin" / "streamdenoise"
    program.parent.mkdir()
    program.write_text(LAUNCHER)
    program.chmod(0o755)
    config = tmp_path / "config.toml"
    config.write_text(CONFIG)
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "ZDOTDIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("STREAMDENOISE_CONFIG", str(config))
    memory = tmp_path / ".cache" / "streamdenoise" / "devices.json"
    memory.parent.mkdir(parents=True)
    rows = [
        [0, "USB Audio Card", 2, 0, "usb audio card alsa", ""],
        [1, "USB Audio Headset", 1, 2, "usb audio headset alsa", ""],
        [2, "x", 0, 2, "x alsa", ""],
    ]
    memory.write_text(json.dumps(rows))
    return tmp_path


def offered(words: list[str], incomplete: str) -> list[str]:
    """Return what click would offer after `words`."""
    from click.shell_completion import ShellComplete

    made = ShellComplete(cli, {}, "streamdenoise", "_STREAMDENOISE_COMPLETE")
    return [item.value for item in made.get_completions(words, incomplete)]


def in_bash(words: list[str]) -> list[str]:
    """Return what real bash offers for the last of `words`."""
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("needs bash")
    code = (
        f"{script('bash')}\n"
        'COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))\n'
        "_streamdenoise_completion streamdenoise\n"
        'printf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    done = subprocess.run(
        [bash, "--norc", "-c", code, "bash", *words],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stderr == "", done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["streamdenoise", "li"], ["live"]),
        (["streamdenoise", "live", "--pro"], ["--profile"]),
        (["streamdenoise", "live", "--profile", "ca"], ["call", "camera"]),
        (["streamdenoise", "config", "show", "--profile", "cal"], ["call"]),
        (["streamdenoise", "live", "--profile", "my"], [r"my\ \$1\ talks"]),
        (["streamdenoise", "live", "--profile", r"my\ \$"], [r"my\ \$1\ talks"]),
        (["streamdenoise", "live", "--profile", "'my $"], ["my $1 talks"]),
        (["streamdenoise", "live", "--input", "ca"], ["card"]),
        (["streamdenoise", "doctor", "--input", "ca"], ["card"]),
        (["streamdenoise", "live", "--output", ""], ["usb", "2"]),
        (["streamdenoise", "live", "--latency", "a"], ["auto"]),
        (["streamdenoise", "pipe", "--format", "s2"], ["s24le"]),
        (["streamdenoise", "ctl", "st"], ["strength", "status", "stop"]),
        (["streamdenoise", "ctl", "strength", "f"], ["full"]),
        (["streamdenoise", "completion", ""], ["bash", "zsh", "fish"]),
    ],
)
def test_real_bash_offers_words(
    home: Path, words: list[str], wanted: list[str]
) -> None:
    """Commands, flags, profiles, devices, and commands of a session."""
    assert in_bash(words) == wanted


def test_models_are_offered(home: Path) -> None:
    """Names come from the manifest; a path is a file."""
    names = offered(["live", "--model"], "")
    if not names:
        pytest.skip("no models here")
    assert names == offered(["file", "--model"], "")
    assert "next" in offered(["ctl", "model"], "")
    items = completers.complete_models(context(), option(), "./x")
    assert [item.type for item in items] == ["file"]


def context() -> click.Context:
    return click.Context(cli)


def option() -> click.Option:
    return click.Option(["--x"])


def test_a_tab_in_an_interactive_shell(home: Path) -> None:
    """The script that is installed for bash works where people type."""
    need_terminal()
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("needs bash")
    done = CliRunner().invoke(cli, ["completion", "bash", "--install"])
    assert done.exit_code == 0, done.output
    path = Path(done.stdout.strip())
    assert path == target("bash") and path.is_relative_to(home)
    env = {**os.environ, "PS1": "ready> ", "TERM": "dumb", "INPUTRC": "/dev/null"}
    with Terminal([bash, "--norc", "--noprofile", "-i"], env, folder=home) as shell:
        shell.wait_for("ready> ")
        shell.type(f"source {path}\n")
        shell.read(0.5)
        at = shell.type("streamdenoise live --profile cam\t")
        shell.wait_for("camera", start=at)
        # What has blanks and dollars arrives as one word.
        at = shell.type("\x15streamdenoise live --profile my\t")
        shell.wait_for(r"my\\ \\\$1\\ talks", start=at)
        shell.type("\x15exit\n")


@pytest.mark.parametrize("name", ["zsh", "fish"])
def test_a_tab_in_other_shells(home: Path, name: str) -> None:
    """The same in zsh and fish, from where their scripts are installed."""
    program = shutil.which(name)
    if program is None:
        pytest.skip(f"needs {name}: apt install {name}")
    done = CliRunner().invoke(cli, ["completion", name, "--install"])
    assert done.exit_code == 0, done.output
    path = Path(done.stdout.strip())
    assert path.is_relative_to(home)
    if name == "fish":
        ask = 'complete -C "streamdenoise live --profile cam"'
        found = subprocess.run(
            [program, "--private", "-c", ask],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert found.stdout.split() == ["camera"], found.stderr
        return
    need_terminal()
    lines = [line.strip() for line in done.stderr.splitlines() if line[:1] == " "]
    assert len(lines) == 2  # what ~/.zshrc needs, as it is told
    (home / ".zshrc").write_text("\n".join([*lines, "PS1='ready> '", ""]))
    with Terminal([program, "-i"], {**os.environ, "TERM": "dumb"}, folder=home) as zsh:
        zsh.wait_for("ready> ", 60)
        at = zsh.type("streamdenoise live --profile cam\t")
        zsh.wait_for("camera", 60, start=at)


def test_printing_and_installing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Printed as it is installed; the shell is the user's own if none is named."""
    runner = CliRunner()
    for shell in ("bash", "zsh", "fish"):
        assert (
            "_STREAMDENOISE_COMPLETE"
            in runner.invoke(cli, ["completion", shell]).stdout
        )
    monkeypatch.setenv("SHELL", "/usr/bin/fish")
    assert runner.invoke(cli, ["completion"]).stdout.strip() == script("fish")
    monkeypatch.setenv("SHELL", "/bin/tcsh")
    done = runner.invoke(cli, ["completion"])
    assert done.exit_code == 2 and "bash, zsh, fish" in done.stderr
    target("fish").parent.parent.mkdir(parents=True)
    target("fish").parent.write_text("")
    done = runner.invoke(cli, ["completion", "fish", "--install"])
    assert done.exit_code == 1 and "cannot write" in done.stderr
    target("fish").parent.unlink()
    for _ in range(2):
        assert runner.invoke(cli, ["completion", "fish", "--install"]).exit_code == 0
        assert target("fish").read_text() == script("fish") + "\n"
        assert len([*target("fish").parent.iterdir()]) == 1


@pytest.mark.parametrize(
    "what",
    ["models", "inputs", "outputs", "profiles", "names", "pids", "commands"],
)
def test_completers_never_fail(
    what: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With everything broken there is nothing to offer, and no traceback."""
    (home / "config.toml").write_text("[[[")
    shutil.rmtree(home / ".cache")
    (home / ".cache").write_text("")  # no folder can be made here

    def fails(*words: object, **how: object) -> Any:
        raise OSError("broken")

    monkeypatch.setattr(subprocess, "run", fails)
    monkeypatch.setattr("streamdenoise.model.list_models", fails)
    monkeypatch.setattr("streamdenoise.control.client.peers", fails)
    found = getattr(completers, f"complete_{what}")(context(), option(), "zzz")
    assert found == []


def test_devices_that_hang_are_given_up(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sound system that does not answer costs two seconds and no more."""
    (home / ".cache/streamdenoise/devices.json").unlink()
    monkeypatch.setattr(completers, "_LIST", "import time; time.sleep(60)")
    monkeypatch.setattr(completers, "_DEVICE_SECONDS", 0.3)
    began = time.monotonic()
    assert completers.complete_inputs(context(), option(), "") == []
    assert time.monotonic() - began < 20


def test_devices_are_asked_for_once_a_minute(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second TAB is answered from memory; old memories are asked again."""
    asked = []

    def ask() -> list[list[Any]]:
        asked.append(1)
        return [[5, "Rode NT", 1, 0, "rode nt alsa", ""]]

    monkeypatch.setattr(completers, "_ask", ask)
    memory = home / ".cache/streamdenoise/devices.json"
    assert [i.value for i in completers.complete_inputs(context(), option(), "")] == [
        "card",
        "headset",
    ]
    os.utime(memory, (1, 1))
    for _ in range(3):
        found = completers.complete_inputs(context(), option(), "")
        assert [item.value for item in found] == ["rode"]
    assert len(asked) == 1
    memory.write_text("{")
    assert completers.complete_inputs(context(), option(), "") != []


def test_devices_are_really_asked(home: Path) -> None:
    """What is offered is what the machine has, as `devices` lists it."""
    (home / ".cache/streamdenoise/devices.json").unlink()
    pytest.importorskip("sounddevice", exc_type=ImportError)
    try:
        from streamdenoise.live.devices import list_devices

        list_anew()
        there = [
            d.name
            for d in list_devices()
            if d.inputs and d.form not in ("monitor", "virtual")
        ]
    except Exception as error:
        pytest.skip(f"PortAudio does not work here: {error}")
    found = completers.complete_inputs(context(), option(), "")
    assert [item.help for item in found] == there or not there


def test_a_word_finds_one_device() -> None:
    """No quotes are needed, and nothing else is meant by it."""
    from streamdenoise.live.devices import Device, find_device

    names = [
        "USB Audio: Card (hw:1,0)",
        "USB Audio: Headset",
        "pulse",
        "pulse out",
        "ü",
        "ALSA Loopback",
    ]
    devices = [
        Device(i, name, "ALSA", 2, 2, 48_000, 0.01, 0.01)
        for i, name in enumerate(names)
    ]
    devices += [
        Device(2, name, "PulseAudio", 2, 2, 48_000, 0.01, 0.01, server_name=server)
        for name, server in (
            ("USB Audio Microphone", "alsa_input.usb-1"),
            ("Headset of Ann", "bluez_input.1"),
            ("USB Audio", "alsa_input.usb-2"),
        )
    ]
    words = completers.words_for(
        [(d.index, d.name, d.known_as, d.server_name) for d in devices]
    )
    for (word, name), device in zip(words, devices, strict=True):
        assert re.fullmatch(r"[\w.-]+", word)
        assert find_device(word, "input", devices) is device, (word, name)
