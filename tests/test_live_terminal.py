"""``live`` as a person uses it: typed into, watched, stopped, told from elsewhere.

The sound server, the streams, the terminal and the processes are real.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tests.clitools import model_arg
from tests.pulse import PulseServer, pulse
from tests.terminal import ROOT, Terminal, need_terminal

__all__ = ["model_arg", "pulse"]


class Desk:
    """A sound server, and `live` in a terminal on it."""

    def __init__(self, pulse: PulseServer, model: str, folder: Path) -> None:
        self.env = {**pulse.env_for("room.monitor", "ear"), "STREAMDENOISE_CONFIG": ""}
        self.env |= {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
        self.folder, self.model, self.pulse = folder, model, pulse
        self.terminals: list[Terminal] = []

    def live(self, *words: str, **how: Any) -> Terminal:
        """Type ``streamdenoise live`` and wait until it runs."""
        env = {**self.env, **how.pop("env", {})}
        start = how.pop("start", "q quit")
        command = [sys.executable, "-m", "streamdenoise", "live", "--latency", "0.05"]
        command += ["--model", self.model, *words]
        terminal = Terminal(command, env, folder=self.folder, **how)
        self.terminals.append(terminal)
        terminal.wait_for("Ctrl-C ends", 60)
        terminal.wait_for(start)
        return terminal

    def ctl(self, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "streamdenoise", "ctl", *words],
            env=self.env,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == code, done.stderr
        return done

    def status(self) -> dict[str, Any]:
        known: dict[str, Any] = json.loads(self.ctl("status", "--json").stdout)
        return known

    def runs_on(self) -> None:
        """Wait until more sound has passed than now."""
        before, end = self.status()["seconds"], time.monotonic() + 30
        while self.status()["seconds"] < before + 0.3:
            assert time.monotonic() < end

    def hears(self, source: str, wanted: Callable[[float], bool]) -> float:
        """Listen until a second of `source` is as loud as wanted; return its RMS."""
        end = time.monotonic() + 30
        while True:
            with self.pulse.recording(source, 48_000) as heard:
                time.sleep(1.0)  # the second
            part = heard[0][4800:]
            level = float(np.sqrt(np.mean(part**2))) if len(part) else 0.0
            if len(part) and wanted(level):
                return level
            assert time.monotonic() < end, level

    @contextlib.contextmanager
    def playing(self, sound: np.ndarray) -> Iterator[None]:
        """Play a sound to the microphone while inside."""
        path = self.folder / "played.wav"
        soundfile.write(path, sound.astype(np.float32), 48_000, subtype="FLOAT")
        command = ["paplay", "--device=room", str(path)]
        with subprocess.Popen(command, env=self.env) as player:
            try:
                yield
            finally:
                player.terminate()


@pytest.fixture
def desk(pulse: PulseServer, model_arg: str, tmp_path: Path) -> Iterator[Desk]:
    """Whatever a test starts is ended."""
    need_terminal()
    desk = Desk(pulse, model_arg, tmp_path)
    yield desk
    for terminal in desk.terminals:
        terminal.close()


def test_every_key_does_what_it_says(desk: Desk) -> None:
    """Typed one after the other; the picture shows each, and the sound runs on."""
    pytest.importorskip("rich", reason="rich draws the picture")
    live = desk.live()
    assert "●" in live.text and "latency" in live.text and "xruns" in live.text
    for keys, shows in (
        ("b", "bypass on"),
        ("r", "removed on"),
        ("r", "removed off"),
        ("-", "strength 30 dB"),
        ("\x1b[B", "strength 24 dB"),
        ("\x1b[A", "strength 30 dB"),
        ("+", "strength full"),
        ("m", "muted"),
        ("m", "no longer muted"),
        ("R", "recording to"),
        ("R", "recorded"),
        ("n", "model "),
        ("?", "hear what is taken away"),
        ("?", "less "),
    ):
        at = live.type(keys)
        live.wait_for(shows, start=at)
    live.type("q")
    assert live.end() == 0
    assert live.cooked
    rest = live.text[live.text.rindex("ran ") :]
    assert "latency" in rest and "wrote" in rest and "\x1b[?25h" in live.raw
    assert "Traceback" not in live.text and "ALSA lib" not in live.text
    made = list(desk.folder.iterdir())
    assert len(made) == 1 and made[0].name.startswith("streamdenoise-")
    assert soundfile.info(made[0]).frames > 0


def test_ctl_from_elsewhere(desk: Desk) -> None:
    """What a script sets is what status tells, and what the picture shows."""
    pytest.importorskip("rich", reason="rich draws the picture")
    assert "nothing is running" in desk.ctl("status", code=3).stderr
    live = desk.live("--name", "desk")
    assert desk.ctl("strength", "-12").stdout == "strength 12 dB\n"
    live.wait_for("strength 12 dB")
    desk.ctl("mute")
    desk.ctl("--name", "desk", "removed", "on")
    desk.ctl("--pid", str(live.pid), "mix", "50%")
    desk.ctl("record", "talk.wav")
    known = desk.status()
    wanted = {"strength_db": 12.0, "mix": 0.5, "removed": True, "bypass": False}
    assert known["settings"] == wanted
    assert known["muted"] is True and known["pid"] == live.pid
    assert known["recording"] == str(desk.folder / "talk.wav")
    assert len(known["bands_in"]) == 16 and known["state"] == "running"
    assert sum(known["latency_parts"].values()) == pytest.approx(
        2 * known["latency_parts"]["total"]
    )
    assert "desk" in desk.ctl("list").stdout
    assert "running, model" in desk.ctl("status").stdout
    assert "did you mean bypass?" in desk.ctl("bypas", code=2).stderr
    assert "nobody" in desk.ctl("--name", "nobody", "stop", code=3).stderr
    assert desk.ctl("record", "off").stdout.startswith("recorded ")
    assert "another name" in desk.ctl("record", "talk.wav", code=1).stderr
    assert "model" in desk.ctl("model", "no-such", code=2).stderr
    desk.ctl("stop")
    assert live.end() == 0
    assert soundfile.info(desk.folder / "talk.wav").frames > 0
    folder = Path(desk.env["XDG_RUNTIME_DIR"]) / "streamdenoise"
    assert [p for p in folder.iterdir() if p.suffix == ".sock"] == []


def test_bypass_and_mute_are_heard(desk: Desk) -> None:
    """Noise comes through in bypass, hardly without it, and not at all when muted."""
    live = desk.live("--no-view", start="Ctrl-C ends")
    with desk.playing(0.1 * np.random.default_rng(0).standard_normal(48_000 * 120)):
        desk.ctl("bypass", "on")
        level = desk.hears("ear.monitor", lambda rms: 0.07 < rms < 0.13)
        desk.ctl("bypass", "off")
        desk.hears("ear.monitor", lambda rms: 1e-4 < rms < 0.7 * level)
        desk.ctl("mute", "on")
        desk.hears("ear.monitor", lambda rms: rms < 1e-4)
        desk.ctl("mute", "off")
        desk.ctl("bypass", "on")  # it was our doing that nothing was heard
        desk.hears("ear.monitor", lambda rms: rms > 0.07)
    live.signal(signal.SIGINT)
    assert live.end() == 0


def test_the_socket_cannot_be_hurt(desk: Desk, rng: np.random.Generator) -> None:
    """Garbage, huge lines and silent clients end neither the sound nor its session."""
    live = desk.live("--no-view", start="Ctrl-C ends")
    folder = Path(desk.env["XDG_RUNTIME_DIR"]) / "streamdenoise"
    path = next(p for p in folder.iterdir() if p.suffix == ".sock")
    before = desk.status()["seconds"]
    kept = []
    for at in range(60):
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(5)
        sock.connect(str(path))
        if at % 3:
            with contextlib.suppress(OSError):
                sock.sendall(bytes(rng.integers(0, 256, 3000)) + b"\n" * (at % 2))
            sock.close()
        else:
            kept.append(sock)
        time.sleep(0.1)
    for sock in kept:
        sock.close()
    known = desk.status()
    assert known["state"] == "running" and known["seconds"] > before
    desk.runs_on()
    live.signal(signal.SIGTERM)
    assert live.end() == 0
    assert "Traceback" not in live.text


def test_ctrl_z_and_back(desk: Desk) -> None:
    """Stopped, the terminal is the shell's; then keys and picture come back."""
    pytest.importorskip("rich", reason="rich draws the picture")
    live = desk.live()
    live.type("\x1a")
    # Nobody waits in a group of its own here, so the kernel may discard the stop.
    time.sleep(0.5)
    if live.is_stopped():
        assert live.cooked
        live.go_on()
    at = live.type("")
    live.wait_for("q quit", start=at)
    live.until(lambda: not live.cooked)
    at = live.type("b")
    live.wait_for("bypass on", start=at)
    live.type("\x03")
    assert live.end() == 0 and live.cooked


def test_a_held_picture_holds_nothing_else(desk: Desk) -> None:
    """With Ctrl-S, scripts are answered as ever, and Ctrl-Q shows what they did."""
    pytest.importorskip("rich", reason="rich draws the picture")
    live = desk.live()
    live.type("\x13")
    live.read(0.5)
    held = len(live.text)
    for _ in range(3):
        desk.ctl("strength", "down")
    desk.runs_on()
    assert live.read(0.2) == ""
    live.type("\x11")
    live.wait_for("strength 18 dB", start=held)
    live.type("q")
    assert live.end() == 0


def test_a_closed_window_finishes_the_recording(desk: Desk) -> None:
    """Hang-up is an end like Ctrl-C: the file is whole."""
    live = desk.live("--record", "talk.wav")
    desk.runs_on()
    os.close(live.fd)
    live.fd = os.open(os.devnull, os.O_RDWR)
    end = time.monotonic() + 20
    path = desk.folder / "talk.wav"
    while not path.exists() and time.monotonic() < end:
        time.sleep(0.1)
    assert soundfile.info(path).frames > 0
    assert [p.name for p in desk.folder.iterdir()] == ["talk.wav"]


def test_plain_and_dumb_terminals_get_one_line(desk: Desk) -> None:
    """No escape sequences where the terminal has none; keys work all the same."""
    for words, env in ((["--plain"], {}), ([], {"TERM": "dumb"})):
        live = desk.live(*words, env=env, start=r"\rin ")
        live.type("b")
        at = live.wait_for("live: bypass on")
        live.wait_for(r"\rbypass  in ", start=at)
        live.type("q")
        assert live.end() == 0
        assert "\x1b" not in live.raw


def test_closed_output_ends_nothing(desk: Desk) -> None:
    """Started as by a bare script, with nowhere to speak: told, heard and recorded."""
    words = ["-m", "streamdenoise", "live", "--latency", "0.05", "--record", "c.wav"]
    line = 'exec "$0" "$@" >&- 2>&- </dev/null'
    command = ["sh", "-c", line, sys.executable, *words, "--model", desk.model]
    with subprocess.Popen(command, env=desk.env, cwd=desk.folder) as live:
        try:
            end = time.monotonic() + 60
            while not list((Path(desk.env["XDG_RUNTIME_DIR"])).glob("*/live-*.sock")):
                assert live.poll() is None and time.monotonic() < end
                time.sleep(0.1)
            for word in ("mute", "bypass"):
                desk.ctl(word)
                desk.runs_on()
            desk.ctl("stop")
            assert live.wait(30) == 0
        finally:
            live.kill()
    assert soundfile.info(desk.folder / "c.wav").frames > 0


def test_a_profile_from_the_config_file(desk: Desk) -> None:
    """Its flags count, it names the session, and wrong keys are said at once."""
    config = desk.folder / "config.toml"
    config.write_text("[profile.call]\nstrength = 18\nno-view = true\n")
    desk.env["STREAMDENOISE_CONFIG"] = str(config)
    live = desk.live("--profile", "call", start="Ctrl-C ends")
    known = json.loads(desk.ctl("--name", "call", "status", "--json").stdout)
    assert known["settings"]["strength_db"] == 18.0
    desk.ctl("stop")
    assert live.end() == 0


def test_a_service_records_at_every_start(desk: Desk) -> None:
    """What its unit runs ends well twice, and both recordings are there."""
    config = desk.folder / "config.toml"
    config.write_text(
        f'[live]\nrecord = "{desk.folder}/talk.wav"\nforce = true\n'
        f'latency = 0.05\nmodel = "{desk.model}"\n'
    )
    desk.env["STREAMDENOISE_CONFIG"] = str(config)
    command = [sys.executable, "-m", "streamdenoise", "service", "run"]
    for _ in range(2):
        with Terminal(command, desk.env, folder=desk.folder) as service:
            service.wait_for("Ctrl-C ends", 60)
            desk.runs_on()
            desk.ctl("stop")
            assert service.end() == 0
    made = sorted(desk.folder.glob("*.wav"))
    assert len(made) == 2 and desk.folder / "talk.wav" in made
    assert all(soundfile.info(path).frames > 0 for path in made)


def test_a_virtual_microphone_with_one_flag(desk: Desk) -> None:
    """It is there while live runs, carries its sound, and is gone afterwards."""

    def sources() -> str:
        return subprocess.run(
            ["pactl", "list", "short", "sources"],
            env=desk.env,
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    before = sources()
    live = desk.live("--virtual-mic", start="choose the microphone")
    live.wait_for("q quit")
    mic = next(
        line.split()[1]
        for line in sources().splitlines()
        if line not in before and ".monitor" not in line
    )
    live.type("b")
    with desk.playing(0.3 * np.sin(2 * np.pi * 440 * np.arange(48_000 * 60) / 48_000)):
        desk.hears(mic, lambda rms: rms > 0.1)
    live.type("q")
    assert live.end() == 0
    assert mic not in sources()


def test_both_directions_with_one_flag(desk: Desk) -> None:
    """A loudspeaker for the call is there; who names nobody means the own voice."""
    live = desk.live("--also-incoming", "--no-view", start="choose the loudspeaker")
    end = time.monotonic() + 30
    while "incoming" not in desk.ctl("list").stdout:
        assert time.monotonic() < end, live.text
        time.sleep(0.3)
    desk.ctl("strength", "3")
    assert desk.status()["pid"] == live.pid
    said = desk.ctl("--name", "incoming", "status").stdout
    assert "strength full" in said
    live.type("q")
    assert live.end() == 0
    assert "incoming" not in desk.ctl("list").stdout
    sinks = subprocess.run(
        ["pactl", "list", "short", "sinks"],
        env=desk.env,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "incoming" not in sinks


def test_usage_is_checked_before_devices_open(desk: Desk) -> None:
    """What excludes each other, and names that no socket can have."""
    for words in (
        ["--virtual-mic", "--output", "pulse"],
        ["--name", "a/b"],
        ["--latency", "soon"],
    ):
        done = subprocess.run(
            [sys.executable, "-m", "streamdenoise", "live", *words],
            env=desk.env,
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 2, done.stderr
        assert "Traceback" not in done.stderr
