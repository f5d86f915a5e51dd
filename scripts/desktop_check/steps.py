"""The steps of scripts/desktop-check; each returns a row."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from other_system import NoWheelError, Row, build_wheel

from .machine import HOME, Machine

__all__ = ["Bench"]

MODEL = "pi"
UNIT = "streamdenoise-call"
NEAR = 0.97
"""Correlation from which on it is the denoised sound, resampled on its way."""

CONFIG = f'[profile.call]\\nlatency = 0.06\\nmodel = \\"{MODEL}\\"\\n'


class Bench:
    """The steps on one machine, in the order in which one needs the other."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    def steps(self) -> tuple[Callable[[], Row], ...]:
        """Return the steps in the order in which one needs the other."""
        return (
            *(self.install, self.boot, self.doctor, self.loop, self.virtual_mic),
            *(self.service, self.through_service, self.killed, self.hung),
            *(self.server_restart, self.reboot, self.removed),
        )

    def install(self) -> Row:
        """Build the wheel and install it with pip, from wheels only."""
        with tempfile.TemporaryDirectory() as folder:
            try:
                wheel = build_wheel(Path(folder))
            except NoWheelError as error:
                return Row("install", False, str(error))
            said = self.machine.install(wheel)
        heard = Path(__file__).with_name("heard.py")
        shutil.copy(heard, self.machine.path / "opt" / "heard.py")
        return Row("install", said is None, wheel.name if said is None else said)

    def boot(self) -> Row:
        """Switch it on."""
        self.machine.boot()
        self._sinks()
        found = self._say("systemctl --version | head -1; pactl info | grep -i Name:")
        lines = [line.removeprefix("Server Name: ") for line in found.splitlines()]
        kept = [line for line in lines if "systemd" in line or "PipeWire" in line]
        return Row("boot", len(kept) == 2, ", ".join(kept))

    def _sinks(self) -> None:
        """Make a microphone (what is played into `mic`) and an ear."""
        for name in ("mic", "ear"):
            self._say(f"pactl load-module module-null-sink sink_name={name}")
        self._say("pactl set-default-source mic.monitor; pactl set-default-sink ear")

    def doctor(self) -> Row:
        """Look for all that live sound needs."""
        found = json.loads(self._say("streamdenoise doctor --json") or "{}")
        states = [check["state"] for check in found.get("checks", [])]
        return Row(
            "doctor",
            bool(found.get("will_work")),
            f"{states.count('ok')} ok, {states.count('fail')} failed of {len(states)}",
        )

    def loop(self) -> Row:
        """Compare the real way through the devices with what is said of it."""
        self._say("pactl set-default-sink mic")
        done = self.machine.run("streamdenoise doctor --loop")
        self._say("pactl set-default-sink ear")
        lines = done.stdout.splitlines()
        kept = [x for x in lines if x.startswith(("active", "reported", "ok    round"))]
        return Row("doctor --loop", done.returncode == 0, "; ".join(kept))

    def virtual_mic(self) -> Row:
        """Record from the virtual microphone, and what the call plays.

        Nothing of both is left afterwards.
        """
        flags = f"--virtual-mic --also-incoming --model {MODEL} --no-view"
        flags += " --latency 0.06"
        # Without its output, or the shell would wait for it.
        self._say(f"nohup streamdenoise live {flags} > live.log 2>&1 &")
        time.sleep(8.0)
        near, _ = self._heard("streamdenoise.mic")
        other, _ = self._heard("ear.monitor", "streamdenoise-incoming")
        self._say("pkill -TERM -f '[b]in/streamdenoise live'")
        time.sleep(6.0)
        left = self._say("pactl list short sources | grep -c streamdenoise")
        found = f"like denoise() {near:.3f}, incoming {other:.3f}, {left} left"
        return Row("live --virtual-mic", min(near, other) > NEAR and left == "0", found)

    def service(self) -> Row:
        """Install it; it runs."""
        folder = f"{HOME}/.config/streamdenoise"
        self._say(f'mkdir -p {folder}; printf "{CONFIG}" > {folder}/config.toml')
        done = self.machine.run("streamdenoise service install --profile call")
        active = self._wait_for_new("0", 20.0)
        text = self._show("StatusText")
        unit = self._say(f"cat {HOME}/.config/systemd/user/{UNIT}.service")
        kept = "read-only files" if "ProtectSystem=strict" in unit else "files writable"
        ok = done.returncode == 0 and active is not None
        return Row("service install", ok, f"{text}; {kept}")

    def through_service(self) -> Row:
        """Hear what is played to the microphone, denoised."""
        near, noisy = self._heard("ear.monitor")
        found = f"like denoise() {near:.3f}, like the noisy input {noisy:.3f}"
        return Row("sound through it", near > NEAR > noisy, found)

    def killed(self) -> Row:
        """Kill it; it is started again."""
        return self._lost("killed", "KILL", 30.0)

    def hung(self) -> Row:
        """Let it hang; systemd's watchdog finds out and starts it again."""
        return self._lost("hung", "STOP", 75.0)

    def _lost(self, what: str, signal: str, seconds: float) -> Row:
        before, began = self._show("MainPID"), time.monotonic()
        self._say(f"systemctl --user kill -s {signal} {UNIT}")
        again = self._wait_for_new(before, seconds)
        found = f"runs again after {time.monotonic() - began:.0f} s"
        return Row(what, again is not None, found if again else "stayed away")

    def server_restart(self) -> Row:
        """Let the sound server go and come; the process stays, and is heard again."""
        before = self._show("MainPID")
        self._say("systemctl --user restart pipewire pipewire-pulse wireplumber")
        time.sleep(3.0)
        self._sinks()
        time.sleep(12.0)
        near, _ = self._heard("ear.monitor")
        ok = near > NEAR and self._show("MainPID") == before
        return Row("sound server anew", ok, f"same process, like denoise() {near:.3f}")

    def reboot(self) -> Row:
        """Switch off and on; it runs by itself."""
        self.machine.off()
        self.machine.boot()
        active = self._wait_for_new("0", 30.0)
        return Row("reboot", active is not None, self._show("StatusText"))

    def removed(self) -> Row:
        """Remove it; nothing of it is left."""
        done = self.machine.run("streamdenoise service remove --profile call")
        files = self._say(f"ls {HOME}/.config/systemd/user | grep -c streamdenoise")
        left = self._say("pgrep -c -f '[s]treamdenoise service run'")
        ok = done.returncode == 0 and files == "0" and left == "0"
        return Row("service remove", ok, f"{files} units, {left} processes left")

    def _say(self, command: str) -> str:
        return self.machine.run(command).stdout.strip()

    def _show(self, what: str) -> str:
        return self._say(f"systemctl --user show {UNIT} -p {what} --value")

    def _heard(self, source: str, sink: str = "mic") -> tuple[float, float]:
        words = f"{HOME}/denoise/bin/python /opt/heard.py {MODEL} {sink} {source}"
        found = self._say(words).split()
        return (float(found[0]), float(found[1])) if len(found) == 2 else (0.0, 0.0)

    def _wait_for_new(self, before: str, seconds: float) -> str | None:
        """Wait for the unit to run as another process than `before`."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            pid = self._show("MainPID")
            if pid not in (before, "0", "") and self._show("ActiveState") == "active":
                return pid
            time.sleep(1.0)
        return None
