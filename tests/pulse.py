"""A private PulseAudio server with null sinks: sound devices without sound cards.

Nothing outside a temporary folder is read or written, so that a server which runs
already on this machine is neither used nor disturbed.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

_PROGRAMS = ("pulseaudio", "pactl", "paplay", "parec")
_ASOUNDRC = "pcm.!default { type pulse }\nctl.!default { type pulse }\n"


class PulseServer:
    """A PulseAudio server of our own, with sinks that exist in memory only."""

    def __init__(self, folder: Path) -> None:
        home, runtime = folder / "home", folder / "run"
        home.mkdir()
        runtime.mkdir(mode=0o700)
        (home / ".asoundrc").write_text(_ASOUNDRC)
        drop = {"PULSE_SERVER", "PULSE_SINK", "PULSE_SOURCE", "DISPLAY", "PULSE_COOKIE"}
        drop |= {"DBUS_SESSION_BUS_ADDRESS", "XDG_CONFIG_HOME", "PIPEWIRE_RUNTIME_DIR"}
        self.env = {k: v for k, v in os.environ.items() if k not in drop}
        self.env |= {"HOME": str(home), "XDG_RUNTIME_DIR": str(runtime)}
        self._children: list[subprocess.Popen[bytes]] = []
        self._log = folder / "pulseaudio.log"
        self.start()

    def start(self) -> None:
        """Start the server; also after `kill`."""
        with self._log.open("wb") as log:
            words = ["--system=false", "--daemonize=no", "--exit-idle-time=-1"]
            words += ["--disable-shm=yes", "--use-pid-file=no"]
            words += ["--high-priority=yes", "--realtime=yes"]
            module = "module-native-protocol-unix"
            server = self._start(["pulseaudio", "-n", *words, "-L", module], log)
        for _ in range(100):
            if server.poll() is not None:
                break
            if self._pactl("info").returncode == 0:
                return
            time.sleep(0.1)
        self.stop()
        pytest.skip(f"PulseAudio does not start here: {self._log.read_text()[-300:]}")

    def add_sink(self, name: str, rate: int = 48_000) -> None:
        """Make a null sink; its other end is the source ``NAME.monitor``."""
        done = self._pactl(
            "load-module",
            "module-null-sink",
            f"sink_name={name}",
            f"rate={rate}",
            "format=float32le",
            "channels=2",
        )
        assert done.returncode == 0, done.stderr
        # A null sink that nobody listens to runs up to two seconds ahead, and its
        # monitor is then silent as long. One steady listener keeps it on time.
        self._start(
            ["parec", "--raw", f"--device={name}.monitor", "--latency-msec=5"],
            subprocess.DEVNULL,
        )

    def remove_sink(self, name: str) -> None:
        """Take a null sink away, as if it were unplugged."""
        for line in self._pactl("list", "short", "modules").stdout.splitlines():
            if f"sink_name={name} " in line + " ":
                self._pactl("unload-module", line.split()[0])

    def kill(self) -> None:
        """Let the server die at once, and with it what listens to it."""
        self._children[0].kill()
        self.stop()
        self._children.clear()

    def settle(self) -> None:
        """Wait until the sinks run on time."""
        for _ in range(60):
            found = self._pactl("list", "sinks").stdout
            delays = [
                int(line.split()[1])
                for line in found.splitlines()
                if line.strip().startswith("Latency:")
            ]
            if delays and max(delays) < 50_000:
                return
            time.sleep(0.1)

    def env_for(self, source: str, sink: str) -> dict[str, str]:
        """Environment in which the default devices are these two."""
        return {**self.env, "PULSE_SOURCE": source, "PULSE_SINK": sink}

    def use(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let this process ask this server too."""
        for name in ("PULSE_SERVER", "PULSE_SINK", "PULSE_SOURCE"):
            monkeypatch.delenv(name, raising=False)
        for name in ("HOME", "XDG_RUNTIME_DIR"):
            monkeypatch.setenv(name, self.env[name])

    def play(self, path: Path, sink: str) -> None:
        """Play a sound file into a sink, to its end."""
        subprocess.run(
            ["paplay", f"--device={sink}", str(path)],
            env=self.env,
            check=True,
            timeout=60,
        )

    @contextlib.contextmanager
    def recording(
        self, source: str, rate: int, channels: int = 1
    ) -> Iterator[list[NDArray[np.float32]]]:
        """Record a source; the list holds the samples afterwards.

        One channel is a flat array, several are an array of (samples, channels).
        """
        samples: list[NDArray[np.float32]] = []
        target = self._log.with_name(f"recording-{time.monotonic_ns()}.raw")
        command = ["parec", "--raw", f"--device={source}", "--format=float32le"]
        command += [f"--channels={channels}", f"--rate={rate}", "--latency-msec=50"]
        with target.open("wb") as out:
            process = self._start(command, out)
            time.sleep(0.3)
            try:
                yield samples
            finally:
                _end(process)
        found = np.fromfile(target, np.float32)
        whole = found[: found.size // channels * channels]
        samples.append(whole if channels == 1 else whole.reshape(-1, channels))
        target.unlink()

    def stop(self) -> None:
        """End the server and all that it was started with."""
        for process in reversed(self._children):
            _end(process)

    def _start(self, command: list[str], out: object) -> subprocess.Popen[bytes]:
        process: subprocess.Popen[bytes] = subprocess.Popen(
            command,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=out,  # type: ignore[arg-type]
            stderr=subprocess.STDOUT if len(self._children) == 0 else None,
        )
        self._children.append(process)
        return process

    def _pactl(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["pactl", *words], env=self.env, capture_output=True, text=True, timeout=20
        )


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def pactl(*words: str) -> str:
    """Call the server's own program, for the server that this process asks."""
    done = subprocess.run(
        ["pactl", *words],
        env={**os.environ, "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def hide_libpulse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process be on a computer without the server's client library."""

    def load() -> None:
        raise OSError("libpulse.so.0: cannot open shared object file")

    monkeypatch.setattr("streamdenoise.live.pulse.libpulse.load_libpulse", load)


def wait_for(condition: Callable[[], bool], seconds: float = 40.0) -> bool:
    """Ask again and again whether something is so, until it is or time is over."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.1)
    return False


def hear_until(process: subprocess.Popen[str], words: str) -> str:
    """Read what a program says until the words have come; return all of it."""
    assert process.stderr is not None
    said = ""
    while words not in said:
        line = process.stderr.readline()
        assert line, f"it did not start: {said}"
        said += line
    return said


def list_anew() -> None:
    """Let PortAudio look for devices again: it does so once, perhaps without server."""
    sounddevice = pytest.importorskip("sounddevice", exc_type=ImportError)
    sounddevice._terminate()
    sounddevice._initialize()


def need_pulse() -> None:
    """Skip with a sentence where the programs or PortAudio are missing."""
    missing = [name for name in _PROGRAMS if shutil.which(name) is None]
    if missing:
        pytest.skip(
            f"needs {', '.join(missing)}: apt install pulseaudio pulseaudio-utils "
            "libasound2-plugins libportaudio2"
        )
    try:
        import sounddevice  # noqa: F401
    except (ImportError, OSError) as error:
        pytest.skip(f"needs sounddevice and PortAudio (libportaudio2): {error}")


@pytest.fixture(scope="module")
def pulse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PulseServer]:
    """A server with the sinks ``room`` (what the microphone hears) and ``ear``."""
    need_pulse()
    server = PulseServer(tmp_path_factory.mktemp("pulse"))
    try:
        server.add_sink("room")
        server.add_sink("ear")
        server.settle()
        yield server
    finally:
        server.stop()
