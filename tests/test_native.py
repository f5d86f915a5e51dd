"""Streams of a sound server without PortAudio: whole, ended in time, nothing left."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from streamdenoise.live.devices import Device, find_device, list_devices
from streamdenoise.live.opening import is_short, make_bridge
from streamdenoise.live.portaudio import INVALID_DEVICE, explain, load_sounddevice
from streamdenoise.live.pulse.alone import NoPortAudio
from streamdenoise.live.pulse.libpulse import load_libpulse
from streamdenoise.live.pulse.moments import PAUSE_SECONDS, Moments
from streamdenoise.live.pulse.streams import InputStream, OutputStream, Sizes
from streamdenoise.live.pulse.way import can_go_native, goes_native, open_native
from streamdenoise.live.session import LiveOptions, LiveSession
from streamdenoise.virtual import soundserver
from tests.fakesound import FakeSound
from tests.pulse import PulseServer, list_anew
from tests.servers import either, pipewire, pulse

__all__ = ["either", "pipewire", "pulse"]

ROOT = Path(__file__).resolve().parent.parent
RATE, BLOCK = 48_000, 384


class RefusedError(Exception):
    """Stands for sounddevice's."""


@pytest.fixture
def library() -> Any:
    try:
        return load_libpulse()
    except OSError as error:
        pytest.skip(f"needs libpulse0: {error}")


def opened(
    library: Any, kind: type[Any], device: str | None, callback: Callable[..., None]
) -> Any:
    return kind(
        library,
        RefusedError,
        "a test",
        device=device,
        samplerate=RATE,
        blocksize=BLOCK,
        channels=2,
        latency=0.2,
        callback=callback,
        title="a stream",
    )


def wait_for(true: Callable[[], bool], seconds: float = 10.0) -> bool:
    until = time.monotonic() + seconds
    while not true():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def quiet(outdata: Any, *_told: Any) -> None:
    outdata.fill(0.0)


def test_what_is_played_arrives_bit_by_bit(either: PulseServer, library: Any) -> None:
    """Noise through a null sink and its monitor, in blocks of one size."""
    noise = np.random.default_rng(5).uniform(-1, 1, 2 * RATE).astype(np.float32)
    heard: list[np.ndarray] = []
    at, sizes, waits = [0], set(), []

    def play(outdata: Any, frames: int, times: Any, _status: Any) -> None:
        part = noise[at[0] : at[0] + frames]
        outdata[:] = 0.0
        outdata[: len(part)] = part[:, None]
        at[0] += frames
        if times.outputBufferDacTime:
            waits.append(times.outputBufferDacTime - times.currentTime)

    def listen(indata: Any, frames: int, _times: Any, _status: Any) -> None:
        sizes.add((indata.shape, frames))
        heard.append(indata[:, 0].copy())

    into = opened(library, InputStream, "ear.monitor", listen)
    out = opened(library, OutputStream, "ear", play)
    try:
        into.start()
        assert wait_for(lambda: len(heard) > 20)
        out.start()
        assert wait_for(lambda: at[0] > len(noise) + RATE, 20.0)
    finally:
        out.close()
        into.close()
    sound = np.concatenate(heard)
    # A server may lose the very beginning of a stream.
    begin = RATE // 2
    first = int(np.flatnonzero(sound == noise[begin])[0])
    assert np.array_equal(sound[first : first + RATE], noise[begin : begin + RATE])
    assert sizes == {((BLOCK, 2), BLOCK)}
    assert 0.0 < np.median(waits) < 1.0


def test_a_device_that_is_not_there_is_refused_at_once(
    own: PulseServer, library: Any
) -> None:
    """With PortAudio's number for it, and without waiting for the limit.

    PipeWire takes another device, which `Places` looks after.
    """
    began = time.monotonic()
    for kind in (InputStream, OutputStream):
        with pytest.raises(RefusedError) as caught:
            opened(library, kind, "nobody", quiet)
        assert caught.value.args[1] == INVALID_DEVICE
    assert time.monotonic() - began < 4.0


def test_a_server_that_says_nothing_is_not_waited_for_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: Any
) -> None:
    """It takes the connection and never answers: an error within seconds."""
    monkeypatch.setattr("streamdenoise.live.pulse.thread.OPENS_SECONDS", 0.5)
    path = tmp_path / "deaf"
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(path))
        deaf.listen()
        monkeypatch.setenv("PULSE_SERVER", f"unix:{path}")
        threads = threading.active_count()
        with pytest.raises(RefusedError, match="not answered"):
            opened(library, OutputStream, None, quiet)
        assert threading.active_count() == threads


def test_no_server_is_an_error(monkeypatch: pytest.MonkeyPatch, library: Any) -> None:
    """Nobody listens at the address."""
    monkeypatch.setenv("PULSE_SERVER", "unix:/nowhere/at/all")
    with pytest.raises(RefusedError):
        opened(library, InputStream, None, quiet)


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PulseServer]:
    """A server that a test may kill."""
    server = PulseServer(tmp_path)
    server.add_sink("room")
    server.settle()
    server.use(monkeypatch)
    yield server
    server.stop()


def test_the_end_of_the_server_is_noticed(own: PulseServer, library: Any) -> None:
    """It is killed: neither stream is active any more, and both can be closed."""
    blocks = [0]

    def count(*_told: Any) -> None:
        blocks[0] += 1

    streams = [
        opened(library, InputStream, "room.monitor", count),
        opened(library, OutputStream, "room", quiet),
    ]
    for stream in streams:
        stream.start()
    assert wait_for(lambda: blocks[0] > 5)
    assert all(stream.active for stream in streams)
    own.kill()
    assert wait_for(lambda: not any(stream.active for stream in streams))
    with pytest.raises(RefusedError):
        opened(library, OutputStream, None, quiet)
    for stream in streams:
        stream.close()
        stream.close()
    assert not any(thread.name == "sound" for thread in threading.enumerate())


def test_streams_leave_nothing_behind(own: PulseServer, library: Any) -> None:
    """Thirty times opened, run, closed: no thread, no open file, no client stays."""

    def once() -> None:
        streams = [
            opened(library, InputStream, "room.monitor", quiet),
            opened(library, OutputStream, "room", quiet),
        ]
        for stream in streams:
            stream.start()
        time.sleep(0.03)
        for stream in streams:
            stream.abort()
            stream.close()

    def files() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    once()
    threads, descriptors = threading.active_count(), files()
    for _ in range(30):
        once()
    assert threading.active_count() == threads
    assert files() <= descriptors
    assert wait_for(lambda: not soundserver.entries("sink-inputs"))


def test_an_error_in_the_callback_does_not_end_the_thread(
    own: PulseServer, library: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python says what it was; sound goes on, and the stream can be closed."""
    calls, said = [0], []
    monkeypatch.setattr(sys, "unraisablehook", lambda what: said.append(what.exc_value))

    def fails(*_told: Any) -> None:
        calls[0] += 1
        if calls[0] == 3:
            raise ValueError("in the callback")

    stream = opened(library, InputStream, "room.monitor", fails)
    stream.start()
    assert wait_for(lambda: calls[0] > 10)
    stream.close()
    assert [str(error) for error in said] == ["in the callback"]


def test_what_has_ended_before_it_starts_does_not_start(
    own: PulseServer, library: Any
) -> None:
    """The only sink is taken away in between: an error, not silence for seconds."""
    stream = opened(library, OutputStream, "room", quiet)
    own.remove_sink("room")
    assert wait_for(lambda: stream._over)
    with pytest.raises(RefusedError, match="ended"):
        stream.start()
    assert not stream.active
    stream.close()


def test_ctrl_c_while_it_opens_leaves_no_stream(own: PulseServer, library: Any) -> None:
    """Nobody gets what could be closed, so it is closed at once."""

    class Interrupted(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            super().wait(timeout)  # it is open by then
            raise KeyboardInterrupt

    class Hasty(OutputStream):
        def open(self) -> None:
            self._opened = Interrupted()
            super().open()

    threads = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        opened(library, Hasty, "room", quiet)
    assert threading.active_count() == threads
    assert wait_for(lambda: not soundserver.entries("sink-inputs"))


def test_the_loop_is_not_woken_while_it_is_freed(
    own: PulseServer, library: Any
) -> None:
    """Closing from one thread, the freeing in another: a freed pipe gets no byte."""
    freed, late = threading.Event(), []

    def free(loop: int) -> None:
        freed.set()
        time.sleep(0.01)
        library.pa_mainloop_free(loop)

    def wake(loop: int) -> None:
        time.sleep(0.1)  # the other thread sees by itself that it is to end
        late.append(freed.is_set())
        if not freed.is_set():
            library.pa_mainloop_wakeup(loop)

    class Watched:
        pa_mainloop_free, pa_mainloop_wakeup = staticmethod(free), staticmethod(wake)

        def __getattr__(self, name: str) -> Any:
            return getattr(library, name)

    stream = opened(Watched(), OutputStream, "room", quiet)
    stream.close()
    assert freed.is_set() and late == [False]


def test_a_loop_that_cannot_be_made_is_an_error(library: Any) -> None:
    """No file can be opened any more: libpulse would end the process."""

    class Full:
        pa_mainloop_new = staticmethod(lambda: None)

        def __getattr__(self, name: str) -> Any:
            return getattr(library, name)

    with pytest.raises(RefusedError, match="files"):
        opened(Full(), OutputStream, "room", quiet)
    assert not any(thread.name == "sound" for thread in threading.enumerate())


def test_bytes_that_are_no_text_are_an_error(own: PulseServer, library: Any) -> None:
    """As PULSE_SINK may hold them: refused as any device that is not there."""
    with pytest.raises(RefusedError):
        opened(library, OutputStream, os.fsdecode(b"r\xff"), quiet)


def test_an_output_shorter_than_a_block_plays(
    either: PulseServer, library: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PULSE_LATENCY_MSEC rules over what is asked for, and less than a block may do."""
    monkeypatch.setenv("PULSE_LATENCY_MSEC", "5")
    blocks = [0]

    def count(outdata: Any, *_told: Any) -> None:
        outdata.fill(0.0)
        blocks[0] += 1

    stream = opened(library, OutputStream, "ear", count)
    stream.start()
    began = time.monotonic()
    try:
        assert wait_for(lambda: blocks[0] > 100)
        assert time.monotonic() - began > 0.5  # no faster than it is heard
    finally:
        stream.close()


def test_looking_for_the_library_leaves_nothing_behind(library: Any) -> None:
    """The collector of cycles is off while sound runs, and devices are opened anew."""
    assert load_libpulse() is library


@pytest.mark.parametrize(
    ("latency", "fragment", "queue"),
    [
        ("low", 384, 1152),
        (0.001, 192, 768),
        (0.01, 192, 768),
        (0.02, 384, 960),
        (0.1, 2304, 4800),
    ],
)
def test_what_is_asked_of_the_server(
    latency: float | str, fragment: int, queue: int
) -> None:
    """No output with less than two blocks, no input that wakes us more than it must."""
    sizes = Sizes(latency, RATE, BLOCK)
    assert (sizes.fragment, sizes.queue) == (fragment, queue)


def test_a_server_of_cycles_keeps_less_and_is_asked_for_no_part_of_a_block() -> None:
    """Its cycles are short, and what a shorter piece would save it waits for anyway."""
    low = Sizes("low", RATE, BLOCK // 2, cycles=True)
    assert (low.fragment, low.queue) == (BLOCK, 768)
    assert Sizes(0.008, RATE, BLOCK, cycles=True).fragment == BLOCK


def test_the_bridge_holds_what_an_input_hands_over_at_once() -> None:
    """Hop by hop a hop is held; of what comes at once, all but a block more."""
    wanted = {384: 384, 576: 768, 1152: 384 * 3, 2304: 384 * 6}
    for burst, target in wanted.items():
        assert make_bridge(0.02, RATE, 384, 1, burst=burst).target == target
    assert make_bridge(0.02, RATE, 384, 1, block=192, burst=384).target == 384


def test_only_short_latencies_are_fed_by_half_hops() -> None:
    """So that long ones cost no more calls than they must."""
    asked = ("low", "high", 0.01, 0.02)
    assert [is_short(each) for each in asked] == [False, False, True, False]


def some(**more: Any) -> Device:
    known: dict[str, Any] = {"index": 0, "name": "pulse", "host_api": "ALSA"}
    known |= {"inputs": 2, "outputs": 2, "default_rate": 48_000}
    known |= {"latency_in": 0.01, "latency_out": 0.01}
    return Device(**{**known, **more})


def test_who_goes_without_portaudio(
    monkeypatch: pytest.MonkeyPatch, library: Any
) -> None:
    """A server's device and a door behind which one is; unless PortAudio is wanted."""
    sound = NoPortAudio()
    served = some(server_name="room")
    door = some(behind=(served, served))
    assert goes_native(sound, served) and goes_native(sound, door)
    assert not goes_native(sound, some())
    assert not goes_native(FakeSound([]), served)
    monkeypatch.setenv("STREAMDENOISE_SOUND", "portaudio")
    assert not can_go_native(sound)


def test_where_portaudio_is_wanted_it_is_taken(
    either: PulseServer, model_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variable decides who opens the streams; sound comes either way."""
    for wish, native in (("", True), ("portaudio", False)):
        monkeypatch.setenv("STREAMDENOISE_SOUND", wish)
        with LiveSession(LiveOptions(model=model_path)) as session:
            kinds = {type(s) for s in session._devices.streams.opened}
            session.run(20.0, lambda: session.core.callbacks > 20)
            assert session.core.callbacks > 20
        assert (kinds == {InputStream, OutputStream}) is native


def test_what_stands_in_for_portaudio_knows_no_device() -> None:
    """It answers as sounddevice would where there is nothing."""
    sound = NoPortAudio()
    assert list(sound.query_devices()) == list(sound.query_hostapis()) == []
    for call in (sound.InputStream, sound.check_output_settings):
        with pytest.raises(sound.PortAudioError) as caught:
            call(device=3)
        assert caught.value.args[1] == INVALID_DEVICE
    with pytest.raises(sound.PortAudioError):
        sound.query_devices(kind="input")


HIDE = """
import ctypes.util
find = ctypes.util.find_library
ctypes.util.find_library = lambda name: None if "portaudio" in name else find(name)
"""


@pytest.fixture
def without(either: PulseServer, tmp_path: Path) -> dict[str, str]:
    """The environment of a computer on which PortAudio is not installed."""
    (tmp_path / "sitecustomize.py").write_text(HIDE)
    env = either.env_for("room.monitor", "ear")
    return {**env, "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"}


def typed(env: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "streamdenoise", *words],
        env=env,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=90,
    )


def test_live_needs_no_portaudio_where_a_sound_server_runs(
    without: dict[str, str], model_path: Path
) -> None:
    """Devices are listed, and sound runs: on the default ones, by name, into a mic."""
    listed = typed(without, "devices")
    assert listed.returncode == 0 and "room" in listed.stdout, listed.stderr
    for more in ((), ("--output", "room"), ("--virtual-mic",)):
        words = ("live", "--model", str(model_path), "--duration", "1.5", *more)
        done = typed(without, *words)
        assert done.returncode == 0, done.stderr
        assert "ran" in done.stderr and "nan" not in done.stderr


def test_listing_devices_loads_no_numpy(either: PulseServer) -> None:
    """Who presses TAB waits for it."""
    code = (
        "import sys; from streamdenoise.live.devices import list_devices; "
        "print(len(list_devices()), 'numpy' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**either.env, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    count, heavy = done.stdout.split()
    assert int(count) > 2 and heavy == "False", done.stderr


def test_doctor_does_not_ask_for_what_is_not_needed(without: dict[str, str]) -> None:
    """PortAudio is missing, and that is well; without a server it is not."""
    assert "not installed, and not needed" in typed(without, "doctor").stdout
    done = typed({**without, "PULSE_SERVER": "unix:/nowhere"}, "devices")
    assert done.returncode == 3
    assert "no sound server answers, and without one" in done.stderr
    assert "apt install libportaudio2" in done.stderr


def test_errors_of_the_server_become_sentences(own: PulseServer) -> None:
    """A source that is taken away between listing and opening."""
    list_anew()
    sd = load_sounddevice()
    if not goes_native(sd, find_device(None, "output", list_devices(sd))):
        pytest.skip("needs libpulse0")
    gone = some(server_name="gone", name="Gone", host_api="PulseAudio")
    with pytest.raises(sd.PortAudioError) as caught:
        open_native(
            sd,
            gone,
            "input",
            samplerate=RATE,
            blocksize=BLOCK,
            channels=1,
            latency="low",
            callback=quiet,
        )
    said = str(explain(caught.value, gone.label))
    assert "Gone (PulseAudio) is not there any more" in said


def test_times_are_counted_in_samples() -> None:
    """Between two words of the server; nothing is told before it has said one."""

    def latency(_stream: int, micro: Any, _negative: Any) -> int:
        micro._obj.value = 20_000
        return 0

    moments = Moments(SimpleNamespace(pa_stream_get_latency=latency), RATE, -1.0, 0.02)
    moments.told(0)
    assert moments.when(0) == 0.0  # it does not run yet
    moments.moved = RATE
    moments.told(0)
    assert moments.when(RATE) == pytest.approx(time.perf_counter() - 0.02, abs=0.01)
    assert moments.when(2 * RATE) - moments.when(RATE) == pytest.approx(1.0)
    moments.awake(0)
    time.sleep(PAUSE_SECONDS + 0.1)
    moments.awake(0)
    assert moments.when(0) == 0.0  # samples may have been lost


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_answers_within_a_cycle_are_too_early(sign: float) -> None:
    """Of a server that works in cycles one of the longest of the last delays holds."""
    delays = iter([0.5, 0.027, 0.030, *5 * [0.026], 0.07, 0.027])

    def latency(_stream: int, micro: Any, _negative: Any) -> int:
        micro._obj.value = round(1e6 * next(delays))
        return 0

    library = SimpleNamespace(pa_stream_get_latency=latency)
    moments = Moments(library, RATE, sign, 0.02, cycles=True)
    moments.moved = 1
    for _ in range(10):
        moments.told(0)
    wait = sign * (moments.when(1) - time.perf_counter())
    assert wait == pytest.approx(0.030, abs=0.001)


def test_long_pieces_are_no_pause() -> None:
    """With a buffer of a second, half a second without a call is usual."""
    library = SimpleNamespace(pa_stream_get_latency=lambda *_: 0)
    moments = Moments(library, RATE, -1.0, 0.5)
    moments.moved = 1
    moments.told(0)
    moments.awake(0)
    time.sleep(PAUSE_SECONDS + 0.3)
    moments.awake(0)
    assert moments.when(0) != 0.0


STOPPED = """
import os, subprocess, sys, time
from streamdenoise.live.pulse.libpulse import load_libpulse
from streamdenoise.live.pulse.moments import PAUSE_SECONDS, Moments
from streamdenoise.live.pulse.streams import InputStream

waits = []

def listen(indata, frames, times, status):
    if times.inputBufferAdcTime:
        waits.append(times.currentTime - times.inputBufferAdcTime)

stream = InputStream(load_libpulse(), OSError, "a test", device="ear.monitor",
    samplerate=48000, blocksize=384, channels=1, latency=0.04, callback=listen,
    title="a stream")
stream.start()
time.sleep(4.0)
pause = f"sleep 0.2; kill -STOP {os.getpid()}; sleep 2; kill -CONT {os.getpid()}"
pausing = subprocess.Popen(["sh", "-c", pause])
begun = len(waits)
time.sleep(0.1)
pausing.wait()
time.sleep(3.0)
print(len(waits) - begun, max(waits[begun:]))
stream.close()
"""


def test_the_delay_is_told_rightly_after_a_pause(
    either: PulseServer, library: Any
) -> None:
    """What a server dropped while this process was stopped delays no sound."""
    done = subprocess.run(
        [sys.executable, "-c", STOPPED],
        env={**either.env, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    count, longest = done.stdout.split()
    assert int(count) > 200
    assert float(longest) < 0.6  # which the server may keep; nothing was lost of that
