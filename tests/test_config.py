"""The config file: flags that need not be typed, profiles, and what is wrong in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner, Result

import streamdenoise.cli.configured as configured
from streamdenoise.cli import cli
from streamdenoise.cli.config import template
from streamdenoise.cli.configured import CONFIGURABLE, all_flags
from streamdenoise.config import Config, ConfigError, config_path, why_none
from streamdenoise.userfolder import user_folder
from tests.clitools import write_noise

FILE = """
strength = 12
output = "headphones"

[live]
input = "usb"
strength = 9

[file]
force = true

[profile.call]
virtual-mic = true
strength = 18

[profile.call.file]
strength = 30

[profile.studio.live]
virtual_mic = "Studio"
no-view = true
latency = "low"
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A config file that counts; write to it."""
    path = tmp_path / "config.toml"
    monkeypatch.setenv("STREAMDENOISE_CONFIG", str(path))
    return path


def run(*words: str) -> Result:
    return CliRunner().invoke(cli, list(words), prog_name="streamdenoise")


def taken(name: str, *words: str) -> dict[str, Any]:
    """Return the parameters that a command would run with."""
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    return command.make_context(name, list(words)).params


@pytest.mark.parametrize(
    ("name", "words", "wanted"),
    [
        ("live", "", {"strength": 9.0, "source": "usb", "virtual_mic": None}),
        ("live", "", {"sink": "headphones"}),
        ("live", "--strength 3 --input 4", {"strength": 3.0, "source": "4"}),
        ("live", "--profile call", {"strength": 18.0, "source": "usb"}),
        ("live", "--profile call", {"virtual_mic": "streamdenoise"}),
        ("live", "--profile call --virtual-mic X", {"virtual_mic": "X"}),
        ("live", "--profile call --strength 3", {"strength": 3.0}),
        ("live", "--profile studio", {"virtual_mic": "Studio", "no_view": True}),
        ("live", "--profile studio", {"latency": "low", "strength": 9.0}),
        ("file", "a.wav", {"strength": 12.0, "force": True, "output": None}),
        ("file", "--profile call a.wav", {"strength": 30.0}),
        ("pipe", "--profile call", {"strength": 18.0, "rate": None}),
        ("pipe", "--mix 0.5", {"strength": 12.0, "mix": 0.5}),
    ],
)
def test_what_counts(file: Path, name: str, words: str, wanted: dict[str, Any]) -> None:
    """Typed before profile before command before all; output at the top is live's."""
    file.write_text(FILE)
    params = taken(name, *words.split())
    assert {key: params[key] for key in wanted} == wanted


@pytest.mark.parametrize("name", CONFIGURABLE)
def test_without_a_file_nothing_changes(
    name: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing file is none, and an empty name switches it off."""
    words = ["a.wav"] if name == "file" else []
    monkeypatch.setenv("STREAMDENOISE_CONFIG", "")
    plain = taken(name, *words)
    monkeypatch.delenv("STREAMDENOISE_CONFIG")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(file.parent / "none"))
    assert taken(name, *words) == plain


def test_every_flag_can_stand_in_the_file(file: Path) -> None:
    """What can be typed can be written, and the file that init makes is accepted."""
    for command, flags in all_flags().items():
        words = ["a.wav"] if command == "file" else []
        for key, option in flags.items():
            file.write_text(f"[{command}]\n{key} = {value_for(option)}\n")
            assert option.name is not None
            if option.expose_value:
                assert taken(command, *words)[option.name] not in (None, (), "")
    text = template()
    file.write_text(text)
    assert taken("live")["strength"] is None
    for command, flags in all_flags().items():
        assert f"[{command}]" in text
        for key in flags:
            assert f"# {key} = " in text


def test_each_line_of_the_new_file_can_be_uncommented(file: Path) -> None:
    """What `init` shows is an example that works and does something, not a blank."""
    section, lines = "", []
    for line in template().split("# [profile")[0].splitlines():
        if line.startswith("["):
            section = line
        elif line.startswith("# ") and " = " in line.split("  #")[0] and section:
            lines.append((section.strip("[]"), line[2:]))
    assert len(lines) > 40
    for command, line in lines:
        file.write_text(f"[{command}]\n{line}\n")
        key = line.split(" = ")[0].strip()
        option = all_flags()[command][key]
        value = taken(command, *(["a.wav"] if command == "file" else []))
        assert option.name is not None
        if option.expose_value:
            assert value[option.name] not in (None, (), "", 0, False), line


def value_for(option: click.Option) -> str:
    if option.is_flag:
        return "true"
    if isinstance(option.type, click.Choice):
        value = f'"{option.type.choices[0]}"'
    elif isinstance(option.type, click.types.IntParamType):
        value = str(int(getattr(option.type, "min", 1) or 1))
    elif isinstance(option.type, click.types.FloatParamType) or option.name in (
        "latency",
        "loudness",
    ):
        value = "-20" if option.name == "loudness" else "0.5"
    else:
        value = '"some"'
    return f"[{value}]" if option.multiple else value


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("strenght = 3", "'strenght' is no key; did you mean strength?"),
        ("[live]\noutptu = 'a'", "[live]: 'outptu' is no key of live; did you mean"),
        ("[pipe]\nvirtual-mic = true", "'virtual-mic' is no key of pipe"),
        ("[lives]\ninput = 'a'", "'lives' is no section; did you mean live?"),
        ("[profile.a.pip]\nmix = 1", "[profile.a]: 'pip' is no section"),
        ("[profile]\nstrength = 3", "write [profile.NAME]"),
        ("profile = 3", "'profile' is no section"),
        ("live = 3", "'live' is a command; write its keys under [live]"),
        ("strength = 'much'", "strength: 'much' is not a valid float"),
        ("strength = -3", "strength: give decibels from 0"),
        ("strength = true", "strength: write a value, not true"),
        ("removed = 1", "removed: write true or false, not 1"),
        ("[live]\nrate = 48000.5", "rate: 48000.5 is no whole number"),
        ("[live]\nlatency = 9", "latency: give seconds such as 0.05"),
        ("[live]\ninput = [1, 2]", "input: write a number or a text"),
        ("[live]\ninput = 2024-01-01", "input: write a number or a text"),
        ("strength = ", "is no TOML: line 1, strength =: Invalid value; write text in"),
        (
            "\n[live]\nmodel = pi",
            "line 3, column 9, model = pi: Invalid value; write text",
        ),
        ('a = 1\nmodel = "pi\nb = 2', 'line 2, column 12, model = "pi: Illegal'),
        ('model = "pi\nb = 2', "close the quote in this line"),
        ("strength 12", "write KEY = VALUE, such as: strength = 12"),
        ("[live\n", "write a section as [live]"),
        (
            "mix = 1\nmix = 1",
            "line 2, mix = 1: Cannot overwrite a value; write each key",
        ),
        ("mix = 0,5", "line 1, column 8, mix = 0,5: Expected newline"),
        ("a = " + 200 * "x", "x...: Invalid value"),
        ("\x00", "is no TOML"),
        ("a = " + "[" * 5000, "is no TOML"),
    ],
)
def test_what_is_wrong_is_one_sentence(file: Path, text: str, says: str) -> None:
    """It names the file, the section and what would be right; exit code 2."""
    file.write_text(text)
    done = run("live", "--duration", "1")
    assert done.exit_code == 2, done.output
    assert says in done.stderr
    assert str(file) in done.stderr
    assert done.stderr.count("\n") == 1 and "Traceback" not in done.stderr


def test_bytes_that_are_no_text(file: Path) -> None:
    """A file in another encoding is a sentence, a byte order mark is nothing."""
    file.write_bytes(b"strength = '\xff'")
    assert "is no TOML" in run("live").stderr
    file.write_bytes(b"\xef\xbb\xbfstrength = 3")
    assert taken("live")["strength"] == 3.0
    file.unlink()
    file.mkdir()
    assert "cannot be read" in run("live").stderr


def test_a_profile_that_is_not_there(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The nearest is named, and those that there are."""
    file.write_text(FILE)
    done = run("live", "--profile", "cal")
    assert done.exit_code == 2
    assert "did you mean call?" in done.stderr and "call, studio" in done.stderr
    file.write_text("")
    assert "has: none" in run("live", "--profile", "cal").stderr
    file.unlink()
    assert "which STREAMDENOISE_CONFIG names" in run("live").stderr
    monkeypatch.setenv("STREAMDENOISE_CONFIG", "")
    assert "config init" in run("live", "--profile", "cal").stderr
    monkeypatch.delenv("STREAMDENOISE_CONFIG")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))
    assert "is missing" in run("live", "--profile", "cal").stderr


def test_where_the_file_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each system has its place for a user's settings."""
    monkeypatch.delenv("STREAMDENOISE_CONFIG", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    assert config_path() == tmp_path / ".config/streamdenoise/config.toml"
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "c"))
    assert user_folder() == tmp_path / "c/streamdenoise"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert user_folder() == tmp_path / "Library/Application Support/streamdenoise"
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setenv("APPDATA", str(tmp_path / "Roaming"))
    assert user_folder() == tmp_path / "Roaming/streamdenoise"


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user that the system does not know, as containers run programs."""

    def none() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", none)
    for name in ("STREAMDENOISE_CONFIG", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)


def test_without_a_home_there_is_no_file(
    homeless: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Commands run as with no file; a place that is named needs no home."""
    for system in ("darwin", "linux"):
        monkeypatch.setattr(sys, "platform", system)
        assert user_folder() is None and config_path() is None
    assert "HOME" in why_none()
    assert taken("pipe")["strength"] is None
    assert run("live", "--profile", "call").exit_code == 2
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert config_path() == tmp_path / "streamdenoise/config.toml"
    monkeypatch.setenv("STREAMDENOISE_CONFIG", "~no-such-user/c.toml")
    done = run("pipe")
    assert done.exit_code == 2 and "'~no-such-user'" in done.stderr
    assert "bug" not in done.stderr
    monkeypatch.setenv("STREAMDENOISE_CONFIG", "")
    assert "unset it" in why_none()


def test_a_service_needs_a_home(homeless: None) -> None:
    """There its unit and its recordings go; without one, a sentence says so."""
    for words in (["install", "--print"], ["status"], ["remove"]):
        done = run("service", *words)
        assert done.exit_code == 3, done.output
        assert "set HOME" in done.stderr and "bug" not in done.stderr


def test_path_show_and_init(file: Path) -> None:
    """Make one, fill it in, and see what counts and where it comes from."""
    assert run("config", "path").stdout == f"{file}\n"
    done = run("config", "show")
    assert done.exit_code == 2  # the environment names a file that is not there
    assert "config init" in done.stderr
    assert run("config", "init").stdout == f"{file}\n"
    assert run("config", "init").exit_code == 1
    file.write_text(FILE)
    assert "--force" in run("config", "init").stderr
    assert file.read_text() == FILE
    shown = run("config", "show", "--profile", "call")
    assert shown.exit_code == 0, shown.stderr
    lines = [line.split(maxsplit=3) for line in shown.stdout.splitlines()]
    assert ["live", "--strength", "18", "[profile.call]"] in lines
    assert ["file", "--strength", "30", "[profile.call.file]"] in lines
    assert ["live", "--input", "usb", "[live]"] in lines
    assert "profiles: call, studio" in shown.stderr
    known = json.loads(run("config", "show", "--json").stdout)
    assert known["profiles"] == ["call", "studio"]
    assert known["commands"]["live"]["strength"] == {"value": 9, "from": "live"}
    file.write_text("strength = -1")
    assert run("config", "show").exit_code == 2
    assert run("config", "init", "--force").exit_code == 0


@pytest.mark.skipif(os.name != "posix", reason="links")
def test_init_keeps_a_link(file: Path, tmp_path: Path) -> None:
    """Who keeps the file elsewhere keeps it there; nothing else is left behind."""
    real = tmp_path / "dotfiles" / "config.toml"
    real.parent.mkdir()
    real.write_text(FILE)
    file.unlink(missing_ok=True)
    file.symlink_to(real)
    assert run("config", "init", "--force").exit_code == 0
    assert file.is_symlink() and "# [profile.call]" in real.read_text()
    assert [p.name for p in real.parent.iterdir()] == [real.name]


def test_values_know_their_section() -> None:
    """The file itself is plain: known keys in, values with their origin out."""
    config = Config(
        Path("c.toml"),
        {"a": 1, "b": 2, "x": {"a": 3}, "profile": {"p": {"b": 4, "y": {"A_b": 5}}}},
        {"x": frozenset({"a", "b"}), "y": frozenset({"b", "a-b"})},
    )
    config.check()
    assert {k: v.value for k, v in config.values("x").items()} == {"a": 3, "b": 2}
    found = config.values("y", "p")
    assert (found["a-b"].value, found["a-b"].section) == (5, "profile.p.y")
    with pytest.raises(ConfigError, match="no profile 'q'"):
        config.values("x", "q")


def test_help_and_the_options_stay_quick() -> None:
    """Without a file, no other command is loaded; help never looks for one."""
    code = (
        "import sys\n"
        "from streamdenoise.cli import cli\n"
        "try: cli(['live', '--help'])\n"
        "except SystemExit: pass\n"
        "names = ('tomllib', 'tomli', 'numpy', 'streamdenoise.cli.file')\n"
        "print([m for m in names if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert "--profile NAME" in done.stdout
    assert done.stdout.rstrip().endswith("[]")


def test_what_commands_share_they_understand_alike(file: Path) -> None:
    """But for output, of which the help says so: no other key is passed over."""
    assert configured._shared(all_flags()) == {"output"}
    file.write_text("rate = 48000\nchannels = 2\n[profile.a]\nrate = 44100\n")
    for name in ("live", "pipe"):
        params = taken(name)
        assert (params["rate"], params["channels"]) == (48_000, 2)
        assert taken(name, "--profile", "a")["rate"] == 44_100
    file.write_text("rate = 4000")
    for name in ("live", "pipe"):
        assert "rate: 4000 is not in the range" in run(name).stderr


def test_profiles_are_offered_to_the_shell(file: Path) -> None:
    """Behind every --profile, those whose beginning has been typed."""
    file.write_text(FILE)
    made = ShellComplete(cli, {}, "streamdenoise", "_STREAMDENOISE_COMPLETE")
    for words in (["live"], ["file"], ["pipe"], ["doctor"], ["service", "install"]):
        for typed, wanted in (("", ["call", "studio"]), ("st", ["studio"])):
            found = made.get_completions([*words, "--profile"], typed)
            assert [item.value for item in found] == wanted, words


def test_home_in_a_path_is_the_home(monkeypatch, tmp_path):
    """The template has ``~``, and no shell puts the home in its place."""
    monkeypatch.setenv("HOME", str(tmp_path))
    path = tmp_path / "config.toml"
    path.write_text('[live]\nrecord = "~/talk.flac"\nmodel = "~/m.tflite"\n')
    monkeypatch.setenv("STREAMDENOISE_CONFIG", str(path))
    config = configured.open_config()
    ctx = click.Context(cli.get_command(None, "live"), info_name="live")
    found = configured.defaults(config, ctx, config.values("live", None))
    assert found["record"] == str(tmp_path / "talk.flac")
    assert found["model"] == str(tmp_path / "m.tflite")


def test_a_folder_of_results_may_lie_in_the_home(monkeypatch, tmp_path):
    """Nothing is written into a folder that is called ``~``."""
    monkeypatch.setenv("HOME", str(tmp_path))
    path = tmp_path / "config.toml"
    path.write_text('[file]\noutput = "~/clean"\nreport = "~/page.html"\n')
    monkeypatch.setenv("STREAMDENOISE_CONFIG", str(path))
    source = str(write_noise(tmp_path / "a.wav"))
    result = run("file", source, "--dry-run")
    assert f"-> {tmp_path / 'clean' / 'a.wav'}" in result.output, result.output


def test_flags_of_a_cluster_wait_for_one(monkeypatch, tmp_path):
    """What the file says of clusters, or of this computer, is no error elsewhere."""
    path = tmp_path / "config.toml"
    path.write_text("[file]\nsplit = 30\napart = true\njobs = 4\n")
    monkeypatch.setenv("STREAMDENOISE_CONFIG", str(path))
    source = str(write_noise(tmp_path / "a.wav"))
    assert run("file", source, "--dry-run").exit_code == 0
    result = run("file", source, "--dry-run", "--cluster", "tcp://h:1")
    assert result.exit_code == 0, result.output
    assert run("file", source, "--dry-run", "--split", "5").exit_code == 2
    path.write_text("[file]\napart = true\n")
    assert run("file", source, "--dry-run").exit_code == 0
