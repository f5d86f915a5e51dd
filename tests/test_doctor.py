"""Every check finds what is wrong, says what mends it, and names no person."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

import streamdenoise.doctor as doctor_module
from streamdenoise import runtime
from streamdenoise.cli import cli
from streamdenoise.doctor import (
    Check,
    as_dict,
    board,
    examine,
    machine,
    software,
    will_work,
)
from streamdenoise.doctor.check import clean, redacted
from streamdenoise.doctor.sound import default_source, left_overs, server
from streamdenoise.errors import RuntimeMissingError, StreamDenoiseError
from streamdenoise.live.session import LiveOptions
from streamdenoise.model import find_model, models_folder
from streamdenoise.virtual import parts, soundserver
from streamdenoise.virtual.found import find_all
from streamdenoise.virtual.owner import Owner
from tests.pulse import PulseServer, hide_libpulse, pactl, pulse

__all__ = ["pulse"]

ROOT = Path(__file__).parent.parent
FIRST = {
    "python",
    "board",
    "runtime",
    "portaudio",
    "libsndfile",
    "models",
    "sound server",
    "default microphone",
    "input",
    "output",
    "virtual microphones",
    "deadline",
    "priority",
    "cpu governor",
    "power supply",
    "heat",
    "memory",
    "load",
}


def write(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def doctor(env: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    code = "from streamdenoise.cli.doctor import doctor; doctor()"
    return subprocess.run(
        [sys.executable, "-c", code, *words],
        env={**env, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture
def need_model() -> None:
    """Skip where no model is shipped yet."""
    try:
        find_model()
    except StreamDenoiseError as error:
        pytest.skip(f"needs the shipped model: {error}")


def test_on_a_real_server_it_says_yes(pulse: PulseServer, need_model: None) -> None:
    """With sinks and a model live works: exit code 0, all things looked at."""
    done = doctor(pulse.env_for("room.monitor", "ear"), "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert report["will_work"] is True
    checks = {check["name"]: check for check in report["checks"]}
    assert set(checks) == FIRST
    assert checks["sound server"]["details"]["kind"] == "PulseAudio"
    assert "libpulse" in checks["sound server"]["details"]["reached_by"]
    assert 48_000 in checks["input"]["details"]["rates"]
    assert checks["deadline"]["details"]["hops"] > 100
    for private in (pulse.env["HOME"], str(Path.home()), os.uname().nodename):
        assert private not in done.stdout


def test_without_a_server_it_says_no(tmp_path: Path, need_model: None) -> None:
    """No device: exit code 3, and the line says what to type."""
    if Path("/proc/asound/cards").exists():
        pytest.skip("there is a sound card here, so live works without a server")
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    env |= {"XDG_RUNTIME_DIR": str(tmp_path)}
    done = doctor(env)
    assert done.returncode == 3
    assert "fail  input" in done.stdout
    assert re.search("-> (start one with: systemctl|type: sudo apt)", done.stdout)
    assert "live will not work before this is mended" in done.stdout
    assert done.stderr == ""


def test_the_loop_is_part_of_the_report(pulse: PulseServer, need_model: None) -> None:
    """--loop measures through the devices, and is in the JSON."""
    env = pulse.env_for("ear.monitor", "ear")
    done = doctor(env, "--loop", "--json", "--latency", "0.06")
    assert done.returncode == 0, done.stdout + done.stderr
    loop = json.loads(done.stdout)["loop"]
    assert [trip["mode"] for trip in loop["trips"]] == ["bypass", "active"]
    assert 0.03 < loop["measured"] < 0.5
    assert sum(loop["reported"].values()) == pytest.approx(loop["total"])
    deaf = doctor(pulse.env_for("room.monitor", "ear"), "--loop", "--latency", "0.06")
    assert deaf.returncode == 0  # a warning: live works all the same
    assert "warn  round trip" in deaf.stdout
    assert "cable" in deaf.stdout


def test_what_the_config_file_says_is_looked_at(
    pulse: PulseServer, need_model: None, tmp_path: Path
) -> None:
    """Devices and model are those that live would take; what is typed wins."""
    config = tmp_path / "config.toml"
    config.write_text(
        '[live]\ninput = "no-such-mic"\n[profile.call]\ninput = "pulse"\n'
        'model = "bset"\n'
    )
    env = {**pulse.env_for("room.monitor", "ear"), "STREAMDENOISE_CONFIG": str(config)}
    done = doctor(env)
    assert done.returncode == 3
    assert "fail  input" in done.stdout and "'no-such-mic'" in done.stdout
    assert f"{config} says: input no-such-mic\n" in done.stderr
    done = doctor(env, "--input", "pulse")
    assert done.returncode == 0 and done.stderr == "", done.stdout + done.stderr
    done = doctor(env, "--profile", "call")
    assert done.returncode == 3
    assert "ok    input" in done.stdout and "fail  models" in done.stdout
    assert "-> choose another: streamdenoise models" in done.stdout


def test_a_muted_microphone_is_told_of(
    pulse: PulseServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call in which nobody hears you: the first thing to look at."""
    for name, value in pulse.env.items():
        monkeypatch.setenv(name, value)
    check = default_source()
    assert check.details["muted"] is False and "no microphone" in check.found
    pactl("set-default-source", "room.monitor")
    pactl("set-source-mute", "@DEFAULT_SOURCE@", "1")
    try:
        check = default_source()
        other = default_source("ear.monitor")  # by name, as live would be told
    finally:
        pactl("set-source-mute", "@DEFAULT_SOURCE@", "0")
    assert check.state == "warn" and "muted" in check.found
    assert check.details["muted"] is True
    assert (other.name, other.state) == ("microphone", "ok")
    assert other.details["name"] == "ear.monitor"


def test_what_is_left_over_is_removed_and_calls_go_on(
    pulse: PulseServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the line says takes the bad ones away, and leaves the good one alone."""
    for name, value in pulse.env.items():
        monkeypatch.setenv(name, value)
    here = Owner.here()
    gone = replace(here, started="1")  # another process that had this number
    parts.make("good", "Good", 48_000, str(here))
    parts.make("gone", "Gone", 48_000, str(gone))
    half = parts.make("half", "Half", 48_000, str(here))
    try:
        assert half.source is not None and half.source.module is not None
        soundserver.unload_module(half.source.module)
        check = left_overs()
        assert check.state == "warn"
        assert "gone is left over" in check.found and "half is broken" in check.found
        for command in check.fix.split("; "):
            program, *words = command.split()
            assert program == "streamdenoise"
            done = CliRunner().invoke(cli, words)
            assert done.exit_code == 0, done.output
        assert left_overs().found == "good (live)"
    finally:
        for found in find_all():
            found.remove()


def test_one_failure_is_enough() -> None:
    """Warnings and skips do not keep live from working, a failure does."""
    fine = [Check("a", "ok", ""), Check("b", "warn", ""), Check("c", "skip", "")]
    assert will_work(fine)
    assert not will_work([*fine, Check("d", "fail", "")])
    report = as_dict(fine, {"input": "Anna's AirPods", "xruns": 0})
    assert report["will_work"] is True
    assert report["loop"] == {"input": "someone's AirPods", "xruns": 0}


def test_names_of_people_are_taken_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """User, host, home and owner, in text and in details; other words stay."""
    monkeypatch.setenv("HOME", "/home/annabel")
    monkeypatch.setenv("LOGNAME", "annabel")
    monkeypatch.setattr("platform.node", lambda: "annas-laptop")
    check = Check(
        "input",
        "fail",
        "no file /home/annabel/m.tflite of annabel on annas-laptop",
        "see Anna's AirPods, Bert\u2019s Phone, or: cat /home/annabel/m.txt",
        {"device": {"name": "Anna's AirPods"}, "all": ["annabella", 3, None]},
    )
    got = redacted(check)
    assert got.found == "no file ~/m.tflite of <user> on <host>"
    assert got.fix == "see someone's AirPods, someone\u2019s Phone, or: cat ~/m.txt"
    assert got.details["device"]["name"] == "someone's AirPods"
    assert got.details["all"] == ["annabella", 3, None]
    assert clean("user annabel") == "user <user>"


def test_names_do_not_spoil_what_is_to_be_typed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A host called streamdenoise, a user called audio: commands work all the same.

    Nor does a person at the screen see anything but what was found; only the report
    that is sent to others has names taken out.
    """
    monkeypatch.setenv("HOME", "/home/audio")
    monkeypatch.setenv("LOGNAME", "audio")
    monkeypatch.setattr("platform.node", lambda: "streamdenoise")
    fix = 'sudo usermod -aG audio "$USER"; streamdenoise devices; cat /home/audio/x'
    check = Check("a", "warn", "streamdenoise of audio, audiophile", fix)
    (sent,) = as_dict([check], None)["checks"]
    assert sent["fix"] == fix.replace("/home/audio", "~")
    assert sent["found"] == "<host> of <user>, audiophile"
    for module in (doctor_module, board):
        monkeypatch.setattr(module, "identity", lambda: check)
    assert check in list(examine(LiveOptions(model=Path("no.tflite"))))


def test_all_checks_return_everywhere(tmp_path: Path) -> None:
    """Whatever is missing, no check raises, and each has its name once."""
    names = [check.name for check in examine(LiveOptions(model=tmp_path / "no.tflite"))]
    assert set(names) == FIRST
    assert len(names) == len(FIRST)


def test_damaged_and_missing_models(tmp_path: Path, need_model: None) -> None:
    """A changed byte in the default is a failure, in another one a warning."""
    folder = tmp_path / "models"
    shutil.copytree(
        models_folder(), folder, ignore=shutil.ignore_patterns("checkpoints")
    )
    assert software.models(folder=folder).state == "ok"
    manifest = json.loads((folder / "manifest.json").read_text())
    default = manifest["default"]
    others = [name for name in manifest["models"] if name != default]
    if others:
        other = folder / manifest["models"][others[0]]["file"]
        other.unlink()
        check = software.models(folder=folder)
        assert check.state == "warn"
        assert f"{others[0]} is missing" in check.found
    path = folder / manifest["models"][default]["file"]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    check = software.models(folder=folder)
    assert check.state == "fail"
    assert f"{default} is damaged" in check.found
    # By its name alone, an index might give a package of somebody else.
    assert "pip install" in check.fix and "wheel" in check.fix
    assert "checkout" in check.fix and "install streamdenoise" not in check.fix
    assert software.models(folder=tmp_path).state == "fail"
    assert "pip install" in software.models("nonsense", tmp_path).fix
    check = software.models("nonsense", folder)
    assert check.state == "fail" and check.fix == "choose another: streamdenoise models"


def test_no_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without runtime: a failure and the command."""

    def missing() -> None:
        raise RuntimeMissingError("none")

    monkeypatch.setattr(runtime, "find_interpreter", missing)
    check = software.interpreter()
    assert check.state == "fail"
    assert check.fix == "pip install ai-edge-litert"
    check = software.interpreter(bits=32)
    assert check.fix == 'pip install "tflite-runtime==2.14.0" "numpy<2"'


def test_no_libsndfile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For 32-bit boards it is Debian's, elsewhere it comes with the wheel."""
    write(tmp_path, "soundfile.py", "raise OSError('sndfile library not found')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "soundfile", raising=False)
    assert software.files(bits=32).fix == "sudo apt install libsndfile1"
    check = software.files(bits=64)
    assert check.state == "warn" and "library not found" in check.found
    assert check.fix == "pip install --force-reinstall soundfile"
    write(tmp_path, "soundfile.py", "import no_such_package_at_all\n")
    assert "pip install" in software.files(bits=32).fix


def test_governors(tmp_path: Path) -> None:
    """The slow governor is warned of, except where the driver means otherwise."""
    cpu = "sys/devices/system/cpu/cpu0/cpufreq/"
    assert board.governor(tmp_path).state == "skip"
    write(tmp_path, cpu + "scaling_governor", "powersave\n")
    write(tmp_path, cpu + "scaling_driver", "cpufreq-dt\n")
    assert board.governor(tmp_path).state == "warn"
    assert "scaling_governor" in board.governor(tmp_path).fix
    for driver, state in (
        ("intel_pstate", "ok"),
        ("amd-pstate-epp", "ok"),
        ("amd-pstate", "warn"),
        ("intel_cpufreq", "warn"),
    ):
        write(tmp_path, cpu + "scaling_driver", f"{driver}\n")
        assert board.governor(tmp_path).state == state
    write(tmp_path, cpu + "scaling_governor", "ondemand\n")
    assert board.governor(tmp_path).state == "ok"


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all of PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def vcgencmd(tools: Path, says: str) -> None:
    """Install a program that answers as that of a Raspberry Pi."""
    write(tools, "vcgencmd", f'#!/bin/sh\n[ "$1" = get_throttled ] && echo {says}\n')
    (tools / "vcgencmd").chmod(stat.S_IRWXU)


def test_the_board_tells_its_name(tmp_path: Path) -> None:
    """As the kernel has it, with 0 at the end; elsewhere there is none."""
    assert board.identity(tmp_path).state == "skip"
    write(tmp_path, "proc/device-tree/model", "Raspberry Pi 4 Model B Rev 1.4\0")
    check = board.identity(tmp_path, bits=64, machine="aarch64")
    assert check.state == "ok"
    assert check.found == "Raspberry Pi 4 Model B Rev 1.4, 64-bit system"
    assert check.details["model"] == "Raspberry Pi 4 Model B Rev 1.4"
    assert board.identity(tmp_path, bits=32, machine="armv7l").state == "ok"
    check = board.identity(tmp_path, bits=32, machine="aarch64")
    assert check.state == "warn" and "64-bit Raspberry Pi OS" in check.fix


def test_heat(tmp_path: Path, tools: Path) -> None:
    """The hottest zone counts, and a Raspberry Pi tells what it does about it."""
    assert board.heat(tmp_path).state == "skip"
    write(tmp_path, "sys/class/thermal/thermal_zone0/temp", "41500\n")
    write(tmp_path, "sys/class/thermal/thermal_zone1/temp", "55000\n")
    assert board.heat(tmp_path).found == "55 degrees Celsius"
    write(tmp_path, "sys/class/thermal/thermal_zone1/temp", "91000\n")
    check = board.heat(tmp_path)
    assert check.state == "warn" and "vcgencmd" not in check.fix  # no Raspberry Pi
    write(tmp_path, "sys/class/thermal/thermal_zone1/temp", "55000\n")
    vcgencmd(tools, "throttled=0x0")
    assert board.heat(tmp_path).found == "55 degrees Celsius, never slowed down"
    vcgencmd(tools, "throttled=0x50005")
    check = board.heat(tmp_path)
    assert check.found == "55 degrees Celsius, it is throttled"
    assert check.details["throttled"] == 0x50005
    assert "fan" in check.fix and "vcgencmd measure_temp" in check.fix
    vcgencmd(tools, "throttled=0xa0000")
    check = board.heat(tmp_path)
    assert check.state == "warn"
    assert "its clock was held down since the start" in check.found
    assert "it was at its soft limit of heat since the start" in check.found
    assert check.details["now"] == []


@pytest.mark.parametrize("bits", [0, 1, 0x10000, 0x10001, 0x50000, 0xE000E, 0xF000F])
def test_every_source_says_the_same(tmp_path: Path, tools: Path, bits: int) -> None:
    """Program and file give the same bits; the first 16 are now, the rest since."""
    write(tmp_path, "sys/devices/platform/soc/soc:firmware/get_throttled", f"{bits:x}")
    by_file = board.power(tmp_path), board.heat(tmp_path)
    vcgencmd(tools, f"throttled={bits:#x}")
    by_program = board.power(tmp_path), board.heat(tmp_path)
    for one, other in zip(by_file, by_program, strict=True):
        assert (one.state, one.found, one.fix) == (other.state, other.found, other.fix)
        assert one.details["source"] == "sysfs"
        assert other.details["source"] == "vcgencmd"
    power, heat = by_program
    assert power.details["low_now"] is bool(bits & 1)
    assert power.details["low_since_start"] is bool(bits & 0x10000)
    assert (power.state == "ok") is (bits & 0x10001 == 0)
    assert (heat.state == "ok") is (bits & 0xE000E == 0)
    for check in by_program:
        assert bool(check.fix) is (check.state == "warn")
        assert "\n" not in check.found + check.fix


def test_the_sensor_of_the_voltage(tmp_path: Path, tools: Path) -> None:
    """Without the firmware's word it tells of the voltage, and nothing of heat."""
    assert board.power(tmp_path).state == "skip"
    write(tmp_path, "sys/class/hwmon/hwmon0/name", "cpu_thermal\n")
    write(tmp_path, "sys/class/hwmon/hwmon1/name", "rpi_volt\n")
    write(tmp_path, "sys/class/hwmon/hwmon1/in0_lcrit_alarm", "0\n")
    assert board.power(tmp_path).state == "ok"
    assert board.heat(tmp_path).state == "skip"
    write(tmp_path, "sys/class/hwmon/hwmon1/in0_lcrit_alarm", "1\n")
    check = board.power(tmp_path)
    assert check.state == "warn" and "power supply" in check.fix


def test_a_broken_vcgencmd_is_none(tmp_path: Path, tools: Path) -> None:
    """What it may not ask or does not know is not taken for an answer."""
    vcgencmd(tools, "VCHI initialization failed")
    assert board.throttled(tmp_path) == (None, "")
    write(tools, "vcgencmd", "#!/bin/sh\necho throttled=0x1; exit 255\n")
    assert board.throttled(tmp_path) == (None, "")


def test_memory(tmp_path: Path) -> None:
    """Little free memory is warned of."""
    assert machine.memory(tmp_path).state == "skip"
    write(tmp_path, "proc/meminfo", "MemTotal: 948000 kB\nMemAvailable: 512000 kB\n")
    assert machine.memory(tmp_path).found == "500 MiB free of 925 MiB"
    write(tmp_path, "proc/meminfo", "MemTotal: 948000 kB\nMemAvailable: 20000 kB\n")
    assert machine.memory(tmp_path).state == "warn"


def test_a_card_without_server_is_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ALSA alone: live works, and it is said what does not."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("PULSE_SERVER", f"unix:{tmp_path}/none")
    cards = tmp_path / "cards"
    assert server(cards).state == "fail"
    cards.write_text("--- no soundcards ---\n")
    assert server(cards).state == "fail"
    cards.write_text(" 0 [PCH            ]: HDA-Intel - HDA Intel PCH\n")
    check = server(cards)
    assert check.state == "warn"
    assert "ALSA alone" in check.found


def test_without_libpulse_it_is_said_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Live may work all the same, with PortAudio: a warning."""
    if sys.platform != "linux":
        pytest.skip("PulseAudio and PipeWire are for Linux")
    hide_libpulse(monkeypatch)
    for text in ("--- no soundcards ---\n", " 0 [PCH   ]: HDA-Intel - HDA\n"):
        write(tmp_path, "cards", text)
        check = server(tmp_path / "cards")
        assert check.state == "warn" and "cannot be asked" in check.found
        assert check.fix.startswith("sudo apt install libpulse0")
    assert default_source().state == left_overs().state == "skip"


def test_the_deadline_is_measured_on_the_real_engine(need_model: None) -> None:
    """Quantiles in order, of the hop that the model has."""
    details = machine.deadline(seconds=0.2).details
    assert 0 < details["p50_ms"] <= details["p99_ms"] <= details["p999_ms"]
    assert details["hop_ms"] == 8.0


def test_an_engine_that_does_not_start_has_something_to_type(tmp_path: Path) -> None:
    """What mends it is a command, whatever the reason is, which is told as well."""
    broken = tmp_path / "mine.tflite"
    for reason in ("no such file", "no TFL3 mark"):
        check = machine.deadline(broken)
        assert check.state == "fail" and reason in check.found
        assert check.fix == "choose another: streamdenoise models"
        broken.write_bytes(b"no model at all")


def test_a_missing_default_model_is_installed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, need_model: None
) -> None:
    """Where the file of the default model is gone, its reason is no remedy."""
    folder = tmp_path / "models"
    shutil.copytree(models_folder(), folder, ignore=shutil.ignore_patterns("*.tflite"))
    monkeypatch.setattr("streamdenoise.model.models_folder", lambda: folder)
    check = machine.deadline()
    assert check.state == "fail" and "cannot read the model file" in check.found
    assert check.fix == software.model_fix(None) and "pip install" in check.fix
