"""Real streams through a real sound server: what is played is what `file` gives."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from scipy.signal import fftconvolve

from streamdenoise import denoise, load_model
from tests.pulse import PulseServer, hear_until, pulse

__all__ = ["pulse"]

RATE = 48_000
ATTEMPTS = 5
ROOT = Path(__file__).parent.parent


def command(model: Path, *words: str) -> list[str]:
    base = [sys.executable, "-m", "streamdenoise", "live", "--model", str(model)]
    return [*base, "--rate", str(RATE), *words]


class Live:
    """A running ``streamdenoise live``."""

    def __init__(self, pulse: PulseServer, model: Path, *words: str) -> None:
        self.process = subprocess.Popen(
            command(model, *words),
            env=pulse.env_for("room.monitor", "ear"),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.said = hear_until(self.process, "Ctrl-C ends")

    def end(self, how: signal.Signals = signal.SIGINT) -> tuple[int, str]:
        self.process.send_signal(how)
        out, said = self.process.communicate(timeout=30)
        self.said += said
        return self.process.returncode, out


@pytest.fixture
def started(pulse: PulseServer) -> Iterator[list[Live]]:
    """Whatever a test starts is ended."""
    running: list[Live] = []
    yield running
    for live in running:
        if live.process.poll() is None:
            live.process.kill()
            live.process.communicate()


def recording(rng: np.random.Generator, seconds: float = 3.0) -> NDArray[np.float32]:
    """Noise with a tone that comes and goes, after and before silence."""
    t = np.arange(int(seconds * RATE)) / RATE
    voice = np.sin(2 * np.pi * (200 + 40 * np.sin(3 * t)) * t) * (np.sin(5 * t) > 0)
    x = 0.2 * voice + 0.05 * rng.standard_normal(len(t))
    x[: RATE // 4] = x[-RATE // 4 :] = 0.0
    return x.astype(np.float32)


def place(part: NDArray[Any], whole: NDArray[Any]) -> int:
    """Where `part` lies in `whole`: the peak of their cross-correlation."""
    if len(whole) < len(part):
        whole = np.pad(whole, (0, len(part) - len(whole)))
    return int(np.argmax(fftconvolve(whole, part[::-1], "valid")))


def furthest(have: NDArray[Any], wanted: NDArray[Any]) -> float:
    """Largest difference where both should be equal; infinite if some is missing."""
    if len(have) < len(wanted):
        return float("inf")
    return float(np.abs(have[: len(wanted)] - wanted).max())


def test_live_is_file_through_a_sound_server(
    pulse: PulseServer,
    model_path: Path,
    started: list[Live],
    tmp_path: Path,
    rng: np.random.Generator,
) -> None:
    """A recording played into a sink comes out of another as `denoise` makes it.

    The engine's frames begin when the stream does, so the same silence is put before
    the recording. A machine that is too busy has xruns or gaps inside the server, and
    with them nothing can be equal; so there are some attempts, of which one must be.
    """
    x = recording(rng)
    talk = tmp_path / "talk.wav"
    soundfile.write(talk, x, RATE, subtype="FLOAT")
    model = load_model(model_path)
    history = []
    for attempt in range(ATTEMPTS):
        kept = tmp_path / f"kept-{attempt}.wav"
        words = ("--latency", "0.06", "--json", "--record", str(kept))
        with pulse.recording("ear.monitor", RATE) as heard:
            live = Live(pulse, model_path, *words)
            started.append(live)
            time.sleep(0.5)
            pulse.play(talk, "room")
            time.sleep(0.7)
            code, out = live.end()
        assert code == 0, live.said
        summary = json.loads(out)
        played, rate = soundfile.read(kept, dtype="float32")
        assert rate == summary["sample_rate"] == RATE

        # From the first to the last sample of the recording: live is file.
        lag = round(summary["latency"]["window"] * RATE)
        before = place(denoise(x, RATE, model), played) - lag
        silent = np.zeros(max(before, 0), np.float32)
        expected = denoise(np.concatenate([silent, x]), RATE, model)
        end = len(expected) - RATE // 8
        error = furthest(played[lag:], expected[:end])
        # And what another program hears is what was recorded.
        sounding = played[before + lag : before + lag + len(x) - RATE // 8]
        lost = furthest(heard[0][place(sounding, heard[0]) :], sounding)
        history.append((sum(summary["xruns"].values()), error, lost))
        if history[-1][0] == 0 and error <= 1e-5 and lost <= 1e-6:
            assert float(np.abs(sounding).max()) > 0.01
            return
    pytest.fail(f"no run was equal; xruns, error to file, to the sink: {history}")


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_kill_end_it_cleanly(
    pulse: PulseServer,
    model_path: Path,
    started: list[Live],
    tmp_path: Path,
    how: signal.Signals,
) -> None:
    """Exit code 0, a summary, a finished recording, and nothing left beside it."""
    kept = tmp_path / "kept.wav"
    live = Live(pulse, model_path, "--record", str(kept))
    started.append(live)
    time.sleep(1.0)
    code, out = live.end(how)
    assert code == 0
    assert out == ""
    assert "latency" in live.said and "device out" in live.said
    assert "Traceback" not in live.said
    assert soundfile.info(kept).frames > 0
    assert [p.name for p in tmp_path.iterdir()] == ["kept.wav"]


class Inside:
    """A session in a thread, in a process whose environment names the devices."""

    def __init__(self, server: PulseServer, model: Path) -> None:
        code = (
            "import sys, threading\n"
            "from streamdenoise.live.session import LiveOptions, LiveSession\n"
            "from streamdenoise.hush import quiet_stderr\n"
            "def out(text): print(text, flush=True)\n"
            "with quiet_stderr():\n"
            "    options = LiveOptions(model=sys.argv[1], rate=48000, latency=0.06)\n"
            "    with LiveSession(options, warn=out) as session:\n"
            "        def end(): sys.stdin.read(); session.stop()\n"
            "        threading.Thread(target=end, daemon=True).start()\n"
            "        out('ready')\n"
            "        session.run(tick=lambda s: out(f'{s.state} {s.latency:.4f} '\n"
            "            f'{s.level_out:.1f} {session.core.dropped}'))\n"
        )
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, str(model)],
            env={**server.env_for("room.monitor", "ear"), "PYTHONPATH": str(ROOT)},
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []

    def until(self, found: Callable[[str], bool], seconds: float = 40.0) -> str:
        """Read on until a line is as wanted; return it."""
        assert self.process.stdout is not None
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            line = self.process.stdout.readline()
            assert line, self.lines[-20:]
            self.lines.append(line.rstrip())
            if found(line):
                return line
        pytest.fail(f"waited in vain: {self.lines[-20:]}")

    def ticks(self, count: int) -> list[list[str]]:
        """Return the next `count` statuses while it runs."""
        seen = []
        while len(seen) < count:
            seen.append(self.until(lambda line: line.startswith("running")).split())
        return seen

    def end(self) -> None:
        """Stop it in the regular way."""
        _, _ = self.process.communicate(timeout=30)
        assert self.process.returncode == 0, self.lines[-20:]


def is_waiting(line: str) -> bool:
    return line.startswith("waiting for device")


def is_back(line: str) -> bool:
    return line.startswith("sound is back")


@pytest.fixture
def inside(
    tmp_path: Path, pulse: PulseServer, model_path: Path
) -> Iterator[tuple[PulseServer, Inside]]:
    """A session on a server of its own, which a test may wreck."""
    server = PulseServer(tmp_path)
    live = None
    try:
        server.add_sink("room")
        server.add_sink("ear")
        server.settle()
        live = Inside(server, model_path)
        live.until(lambda line: line.startswith("running"))
        yield server, live
    finally:
        if live is not None:
            live.process.kill()
            live.process.communicate()
        server.stop()


def test_a_device_that_is_unplugged_comes_back(
    inside: tuple[PulseServer, Inside],
) -> None:
    """The sink that it plays into is taken away for 3 s: it waits, and goes on."""
    server, live = inside
    live.ticks(10)
    server.remove_sink("ear")
    server.remove_sink("room")
    live.until(is_waiting)
    time.sleep(3.0)
    server.add_sink("room")
    server.add_sink("ear")
    live.until(is_back)
    live.ticks(10)
    live.end()
    lost = [line for line in live.lines if "Waiting for it" in line]
    assert len(lost) == 1 and "went away" in lost[0]


def test_a_server_that_is_killed_and_started_again(
    inside: tuple[PulseServer, Inside],
) -> None:
    """The sound server dies: live waits for it, and goes on with the new one."""
    server, live = inside
    live.ticks(5)
    server.kill()
    live.until(is_waiting)
    time.sleep(1.0)
    server.start()
    server.add_sink("room")
    server.add_sink("ear")
    live.until(is_back)
    live.ticks(10)
    live.end()
    assert not any("Traceback" in line for line in live.lines)


def test_a_process_that_stood_still_heals(inside: tuple[PulseServer, Inside]) -> None:
    """Stopped for 2 s by a signal: the two seconds do not stay in the latency.

    How fast it heals, and how exactly, is proven on a simulated clock (`test_bridge`).
    Here a busy machine may make the buffers grow meanwhile, as they should.
    """
    _, live = inside
    live.ticks(30)
    allowed = float(live.ticks(1)[0][1]) + 0.25
    live.process.send_signal(signal.SIGSTOP)
    time.sleep(2.0)
    live.process.send_signal(signal.SIGCONT)
    began = time.monotonic()
    latency = float("inf")
    while latency > allowed and time.monotonic() - began < 60:
        latency = float(live.ticks(1)[0][1])
    live.ticks(20)
    assert float(live.ticks(1)[0][1]) < allowed
    live.end()


def test_no_server_is_a_sentence(
    pulse: PulseServer, model_path: Path, tmp_path: Path
) -> None:
    """With neither sound server nor card: exit code 3, and what to look at."""
    env = {**pulse.env, "HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)}
    done = subprocess.run(
        command(model_path, "--duration", "1"),
        env=env,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    if Path("/proc/asound/cards").exists():
        pytest.skip("there is a sound card here, so there are devices")
    assert done.returncode == 3
    assert "no input devices" in done.stderr
    assert "Traceback" not in done.stderr
