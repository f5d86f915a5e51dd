"""The systemd unit: what it says, and how it comes and goes."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from streamdenoise import service
from streamdenoise.cli import cli
from streamdenoise.cli.live import live
from streamdenoise.unit import (
    ServiceError,
    fresh_name,
    quoted,
    unit_path,
    unit_text,
)

SYSTEMCTL = """#!/bin/sh
echo "$@" >> "$SYSTEMCTL_LOG"
case "$*" in
*show-environment*) exit ${SYSTEMCTL_DOWN:-0} ;;
*"show streamdenoise"*) printf 'UnitFileState=enabled\\nActiveState=active\\n'
    printf 'MainPID=42\\nNRestarts=3\\nResult=exit-code\\n'
    printf "ExecMainStatus=${SYSTEMCTL_CODE:-1}\\n" ;;
*restart*) test -z "$SYSTEMCTL_REFUSES" || { echo "no such thing" >&2; exit 1; } ;;
esac
"""
"""Answers as systemctl does; the real one needs a systemd that runs for the user."""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with a systemctl that keeps a log, and a systemd-run that agrees."""
    if sys.platform == "win32":
        pytest.skip("systemd is part of Linux")
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in (("systemctl", SYSTEMCTL), ("systemd-run", "#!/bin/sh\n")):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("SYSTEMCTL_LOG", str(tmp_path / "log"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("STREAMDENOISE_CONFIG", "")
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    return tmp_path


def run(*words: str) -> Result:
    return CliRunner().invoke(cli, ["service", *words], prog_name="streamdenoise")


def verify(text: str, folder: Path, name: str = "streamdenoise.service") -> None:
    """Have systemd itself read a unit."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze: apt install systemd")
    path = folder / name
    path.write_text(text)
    env = {**os.environ, "XDG_RUNTIME_DIR": str(folder)}
    done = subprocess.run(
        ["systemd-analyze", "verify", "--user", str(path)],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
    )
    if "Failed to" in done.stderr and "manager" in done.stderr:
        pytest.skip(f"systemd-analyze does not work here: {done.stderr[:200]}")
    assert done.returncode == 0 and done.stderr == "", done.stderr


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize("profile", [None, "call"])
def test_systemd_accepts_the_unit(
    read_only: bool, profile: str | None, tmp_path: Path
) -> None:
    """Every key and value is one that systemd knows."""
    odd = [tmp_path / "my talks 100%", Path("/a'b$c")]
    verify(unit_text(profile, read_only=read_only, writable=odd), tmp_path)


def test_odd_paths_of_an_interpreter_arrive(tmp_path: Path) -> None:
    """Spaces, quotes, percent and dollar signs are what they are."""
    program = tmp_path / "my $py 50% ü"
    program.symlink_to(sys.executable)
    text = unit_text("a$b", interpreter=str(program))
    verify(text, tmp_path)
    assert "my $py 50%% ü" in text and "--profile a$$b" in text
    with pytest.raises(ServiceError, match="another path"):
        unit_text(interpreter="/opt/it's/python")
    assert quoted('a b%c$d"e\\f') == '"a b%%c$d\\"e\\\\f"'
    assert quoted("/usr/bin/python3.11") == "/usr/bin/python3.11"
    assert quoted("") == '""'
    with pytest.raises(ServiceError, match="control characters"):
        quoted("a\nExecStart=/bin/sh")


def test_the_unit_is_hardened_and_limited() -> None:
    """No network, no new privileges; a wrong command line is not tried again."""
    text = unit_text()
    for line in (
        "RestrictAddressFamilies=AF_UNIX",
        "NoNewPrivileges=yes",
        "SystemCallFilter=@system-service",
        "Restart=on-failure",
        "StartLimitIntervalSec=0",
        "Type=notify",
        "WatchdogSec=30",
        "RestartSec=10",
        "RestartPreventExitStatus=2",
    ):
        assert line in text.splitlines()
    assert f"ExecStart={sys.executable} -m streamdenoise service run" in text
    assert "ProtectSystem" not in text
    strict = unit_text(read_only=True)
    assert "ProtectSystem=strict" in strict and "ProtectHome=read-only" in strict


def test_what_ctl_records_can_be_written_and_found(home: Path) -> None:
    """A folder for recordings is there and open, and /tmp is that of everybody."""
    assert run("install").exit_code == 0
    folder = home / "Recordings"
    lines = unit_path().read_text().splitlines()
    assert f"ReadWritePaths=-/tmp -{folder}" in lines
    assert f"WorkingDirectory=-{folder}" in lines and folder.is_dir()
    assert not any(line.startswith("PrivateTmp") for line in lines)
    folder.rmdir()
    folder.write_text("")
    done = run("install")
    assert done.exit_code == 1 and "folder for recordings" in done.stderr


def test_install_writes_enables_and_starts(home: Path) -> None:
    """It says what it did, and doing it again is no error."""
    for _ in range(2):
        done = run("install")
        assert done.exit_code == 0, done.output
        path = home / ".config/systemd/user/streamdenoise.service"
        assert done.stdout == f"{path}\n" and path == unit_path()
        assert "ProtectSystem=strict" in path.read_text()
        assert "runs now" in done.stderr and "journalctl" in done.stderr
    told = (home / "log").read_text().splitlines()
    assert [line.split(maxsplit=2)[2] for line in told[-4:]] == [
        "show-environment",
        "daemon-reload",
        "enable streamdenoise.service",
        "restart streamdenoise.service",
    ]
    assert [p.name for p in path.parent.iterdir()] == ["streamdenoise.service"]


def test_without_user_namespaces_the_rest_holds(home: Path) -> None:
    """A unit that asked for what the system refuses would not start at all."""
    (home / "bin/systemd-run").write_text("#!/bin/sh\nexit 226\n")
    done = run("install", "--no-start")
    text = unit_path().read_text()
    assert "ProtectSystem" not in text and "RestrictAddressFamilies=AF_UNIX" in text
    assert "user namespaces" in done.stderr and "runs now" not in done.stderr
    assert "restart" not in (home / "log").read_text()


def test_a_profile_has_a_service_of_its_own(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its recordings can be written, and a profile that is not there is said."""
    config = home / "config.toml"
    monkeypatch.setenv("STREAMDENOISE_CONFIG", str(config))
    config.write_text('[profile.call]\nrecord = "~/talks/a.wav"\n')
    done = run("install", "--profile", "call")
    assert done.exit_code == 1 and f"mkdir -p {home}/talks" in done.stderr
    (home / "talks").mkdir()
    assert run("install", "--profile", "call").exit_code == 0
    text = unit_path("call").read_text()
    assert "service run --profile call" in text and f" -{home}/talks\n" in text
    assert f"Environment=STREAMDENOISE_CONFIG={config}" in text
    assert not unit_path().exists()
    done = run("install", "--profile", "cal")
    assert done.exit_code == 2 and "did you mean call?" in done.stderr
    for line, code, says in (
        ('record = "a.wav"', 1, "give record a whole path"),
        ('model = "my/net.tflite"', 1, "give model a whole path"),
        ("duration = 3", 1, "take duration out"),
        ('latency = "fast"', 2, "latency: give seconds"),
        ("strength = -3", 2, "strength: give decibels"),
    ):
        config.write_text(f"[live]\n{line}\n")
        done = run("install")
        assert done.exit_code == code and says in done.stderr
    config.write_text('[live]\nmodel = "pi"\n')
    assert run("install").exit_code == 0
    assert run("install", "--profile", "a/../b").exit_code == 2
    monkeypatch.setenv("STREAMDENOISE_CONFIG", "")
    assert "config init" in run("install", "--profile", "call").stderr


def test_status_and_remove(home: Path) -> None:
    """What systemd knows, for people and programs; removed is gone."""
    assert "is not installed" in run("status").stdout
    assert "is not installed" in run("remove").stderr
    run("install")
    said = run("status").stdout
    assert "active, process 42, starts at login" in said
    assert "started again 3 times; last end: exit-code" in said
    known = json.loads(run("status", "--json").stdout)
    assert known["enabled"] and known["pid"] == 42 and known["restarts"] == 3
    assert run("remove").stdout == f"removed {unit_path()}\n"
    assert not unit_path().exists()
    assert "disable --now streamdenoise.service" in (home / "log").read_text()


def test_what_systemd_refuses_is_told(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its words, whether it tries again, and where to look."""
    monkeypatch.setenv("SYSTEMCTL_REFUSES", "1")
    done = run("install")
    assert done.exit_code == 3
    assert "no such thing" in done.stderr and done.stderr.count("\n") == 1
    assert "tries again every 10 seconds" in done.stderr
    assert "journalctl --user -u streamdenoise.service" in done.stderr
    assert unit_path().exists()
    monkeypatch.setenv("SYSTEMCTL_CODE", "2")
    assert "does not try again" in run("install").stderr


@pytest.mark.parametrize(
    ("value", "wanted"),
    [("", ""), ("~/c.toml", "{home}/c.toml"), ("c.toml", "{folder}/c.toml")],
)
def test_the_unit_reads_the_same_config_file(
    home: Path, monkeypatch: pytest.MonkeyPatch, value: str, wanted: str
) -> None:
    """Whatever the variable says here: none, a home, or a path from this folder."""
    folder = home / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("STREAMDENOISE_CONFIG", value)
    path = wanted.format(home=home, folder=folder)
    assert f"Environment=STREAMDENOISE_CONFIG={path}" in unit_text().splitlines()
    monkeypatch.delenv("STREAMDENOISE_CONFIG")
    assert "STREAMDENOISE_CONFIG" not in unit_text()


def test_each_start_has_a_recording_of_its_own(tmp_path: Path) -> None:
    """The name as it is, then with the time, even while the clock stands still."""
    target = tmp_path / "talk.wav"
    made = []
    for _ in range(4):
        made.append(fresh_name(target))
        made[-1].touch()
    assert made[0] == target and len({*made}) == 4
    for name in made[1:]:
        assert re.fullmatch(r"talk-\d{8}-\d{6}(-\d)?\.wav", name.name)


def test_what_the_unit_runs_replaces_no_recording(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Started twice, live is given two files, and all other flags of the profile."""
    config = home / "config.toml"
    monkeypatch.setenv("STREAMDENOISE_CONFIG", str(config))
    config.write_text(
        f'[profile.call]\nrecord = "{home}/a.wav"\nforce = true\nstrength = 6\n'
    )
    seen: list[dict[str, Any]] = []
    monkeypatch.setattr(
        live,
        "callback",
        lambda **flags: seen.append(flags) or Path(flags["record"]).touch(),
    )
    for _ in range(2):
        done = run("run", "--profile", "call")
        assert done.exit_code == 0, done.output
    first, second = (flags["record"] for flags in seen)
    assert first == f"{home}/a.wav" and second.startswith(f"{home}/a-")
    assert [flags["strength"] for flags in seen] == [6.0, 6.0]
    assert all(flags["no_view"] for flags in seen)
    assert run("run", "--profile", "cal").exit_code == 2


def test_without_systemd_it_is_a_sentence(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What to do instead; nothing is written, and the unit can still be seen."""
    monkeypatch.setenv("SYSTEMCTL_DOWN", "1")
    for words in (["install"], ["status"]):
        done = run(*words)
        assert done.exit_code == 3 and "live --no-view" in done.stderr
        assert done.stderr.count("\n") == 1
    assert not unit_path().exists()
    assert "ExecStart=" in run("install", "--print").stdout
    monkeypatch.setenv("PATH", str(home))
    assert "no systemctl" in run("install").stderr
    monkeypatch.setattr(service.sys, "platform", "darwin")
    assert "part of Linux" in run("install").stderr


def test_the_unit_finds_the_package(home: Path) -> None:
    """What the unit runs works from any folder with its own environment only."""
    lines = unit_text().splitlines()
    command = next(x for x in lines if x.startswith("ExecStart=")).split("=", 1)[1]
    env = {"HOME": str(home), "PATH": "/usr/bin:/bin"}
    for line in lines:
        if line.startswith("Environment="):
            name, value = line.split("=", 1)[1].split("=", 1)
            env[name] = value
    done = subprocess.run(
        [*command.split(), "--help"], cwd="/", env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "recording of its own" in done.stdout
