"""A virtual microphone on a real sound server: made, heard, found again, removed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner, Result

from streamdenoise import denoise, load_model
from streamdenoise.cli.virtual_mic import virtual_mic
from streamdenoise.errors import DeviceError
from streamdenoise.virtual import soundserver
from streamdenoise.virtual.absence import GONE_SECONDS
from streamdenoise.virtual.asking import Asking
from streamdenoise.virtual.found import find_all, remove_stale
from streamdenoise.virtual.infos import DeviceInfo, ServerInfo
from streamdenoise.virtual.mic import VirtualMic
from streamdenoise.virtual.owner import Owner
from streamdenoise.virtual.parts import make, slug_of
from streamdenoise.virtual.recipes import PLATFORMS, recipe
from tests.pulse import (
    PulseServer,
    hear_until,
    hide_libpulse,
    list_anew,
    need_pulse,
    pactl,
    pulse,
    wait_for,
)
from tests.test_live_pulse import furthest, place, recording

__all__ = ["pulse"]

RATE = 48_000
GRID = 384
"""Samples of one hop."""
ATTEMPTS = 5
ROOT = Path(__file__).parent.parent

HOLD = """
import sys, time
from streamdenoise.virtual.mic import VirtualMic
mic = VirtualMic.create(sys.argv[1])
print("made", flush=True)
sys.stdin.read()
mic.close()
"""


@pytest.fixture
def server(
    pulse: PulseServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[PulseServer]:
    """The private server, used by this process too; left as it was found."""
    pulse.use(monkeypatch)
    list_anew()
    yield pulse
    for found in find_all():
        found.remove()


def start(pulse: PulseServer, code: str, *args: str) -> subprocess.Popen[str]:
    """Start Python on the private server; its first line has arrived."""
    process = subprocess.Popen(
        [sys.executable, "-c", code, *args],
        env={**pulse.env_for("room.monitor", "ear"), "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    if not process.stdout.readline():
        pytest.fail(f"it did not start: {process.communicate()[1]}")
    return process


def start_live(
    pulse: PulseServer, model: Path, seconds: float, *words: str
) -> subprocess.Popen[str]:
    """Start ``live --virtual-mic`` as a person would; it has said which to choose."""
    command = [sys.executable, "-m", "streamdenoise", "live", "--virtual-mic"]
    command += ["--model", str(model), "--rate", str(RATE), "--latency", "0.06"]
    process = subprocess.Popen(
        [*command, "--duration", str(seconds), *words],
        env=pulse.env_for("room.monitor", "ear"),
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    hear_until(process, "choose the microphone 'Denoised microphone'")
    time.sleep(0.3)
    return process


def run(*args: str) -> Result:
    return CliRunner().invoke(virtual_mic, args)


def test_a_microphone_is_made_once_and_removed_once(server: PulseServer) -> None:
    """Create, create, list, remove, remove: each does what it says and no more."""
    first = run("create", "--json")
    made = json.loads(first.stdout)
    assert made["state"] == "kept"
    assert made["description"] == "Denoised microphone"
    again = json.loads(run("create", "--json").stdout)
    assert again == made
    sources = [e for e in soundserver.entries("sources") if e.name == made["source"]]
    assert len(sources) == 1
    assert not sources[0].is_monitor
    assert sources[0].properties["device.class"] == "sound"
    listed = json.loads(run("list", "--json").stdout)["microphones"]
    assert listed == [made]
    assert "Denoised microphone" in run("list").stdout
    removed = {"removed": [made["name"]], "running": []}
    assert json.loads(run("remove", "--json").stdout) == removed
    assert json.loads(run("remove", "--json").stdout) == removed | {"removed": []}
    kinds: tuple[soundserver.Devices, ...] = get_args(soundserver.Devices)
    names = {e.name for kind in kinds for e in soundserver.entries(kind)}
    assert names == {"room", "room.monitor", "ear", "ear.monitor"}


def test_it_is_one_channel_in_the_middle(server: PulseServer) -> None:
    """Both halves are mono with the position set: others leave browsers silent."""
    with VirtualMic.create() as mic:
        for kind, name in (("sinks", mic.sink_name), ("sources", mic.source_name)):
            text = pactl("list", kind).split(f"Name: {name}\n")[1]
            assert "1ch 48000Hz" in text.split("\n\tOwner")[0]
            assert "Channel Map: mono" in text.split("\n\tOwner")[0]


def test_names_and_descriptions_are_safe(server: PulseServer) -> None:
    """A name may hold quotes and spaces; people see it, the server gets a plain one."""
    name = """Ann's "studio" \\ mic"""
    with VirtualMic.create(name) as mic:
        assert mic.name == slug_of(name) == "ann-s-studio-mic"
        assert mic.description == "Anns studio  mic (denoised)"
        assert [f.name for f in find_all()] == [mic.name]
    assert find_all() == []
    with pytest.raises(DeviceError, match="letters and digits"):
        VirtualMic.create("!?")


def test_the_defaults_stay(server: PulseServer) -> None:
    """Nobody's calls move to the new devices by themselves."""
    pactl("set-default-sink", "ear")
    pactl("set-default-source", "room.monitor")
    before = soundserver.server()
    with VirtualMic.create():
        assert soundserver.server() == before
    assert soundserver.server() == before


def test_what_is_read_is_what_the_server_has(server: PulseServer) -> None:
    """Field by field what the server's own program says of it."""
    player = subprocess.Popen(["paplay", "--raw", "/dev/zero"], env=server.env)
    recorder = subprocess.Popen(
        ["parec", "--raw", "-d", "ear.monitor"],
        env=server.env,
        stdout=subprocess.DEVNULL,
    )
    try:
        with VirtualMic.create():
            assert wait_for(lambda: bool(soundserver.entries("sink-inputs")))
            time.sleep(0.5)
            for kind in get_args(soundserver.Kind):
                told = json.loads(pactl("--format=json", "list", kind))
                found = soundserver.entries(kind)
                if kind == "clients":  # the one that asks is one of them
                    known = {e["index"] for e in told}
                    found = [e for e in found if e.index in known]
                    told = [e for e in told if e["index"] in {f.index for f in found}]
                assert [_told(e, kind) for e in told] == [_read(e) for e in found]
                assert found
            assert soundserver.streams_of("sink-inputs", player.pid)
    finally:
        for program in (player, recorder):
            program.kill()
            program.wait()


def _read(entry: soundserver.Entry) -> tuple[object, ...]:
    samples = f"{entry.channels}ch {entry.rate}Hz" if entry.rate else ""
    names = entry.name, entry.description, entry.monitor, entry.attached
    module = None if entry.module is None else str(entry.module)
    return (entry.index, *names, module, samples, entry.muted, dict(entry.properties))


def _told(raw: dict[str, Any], kind: str) -> tuple[object, ...]:
    """The same, of what the program prints."""
    device = kind in ("sinks", "sources")
    monitor = raw.get("monitor_source", raw.get("monitor_of_sink", ""))
    names = [raw.get(key, "") if device else "" for key in ("name", "description")]
    module = raw.get("owner_module")
    return (
        raw["index"],
        *names,
        "" if not device or monitor == "n/a" else monitor,
        raw.get("sink", raw.get("source")),
        None if module in (None, "n/a") else str(module),
        " ".join(raw["sample_specification"].split()[1:]) if device else "",
        raw["mute"] if device else False,
        raw["properties"],
    )


def test_ctrl_c_in_the_middle_of_an_answer_is_not_lost(server: PulseServer) -> None:
    """C cannot pass on what a callback raises: it comes once the answer is there."""

    def hasty(_library: object, _info: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), Asking() as asking:
        asking.listed("pa_context_get_sink_info_list", DeviceInfo, hasty)
    with pytest.raises(KeyboardInterrupt), Asking() as asking:
        asking.told("pa_context_get_server_info", ServerInfo, hasty)


def test_what_a_killed_process_left_is_removed(server: PulseServer) -> None:
    """After kill -9 the halves stay; the next list or create takes them away."""
    process = start(server, HOLD, "gone")
    assert [f.state for f in find_all()] == ["live"]
    process.kill()
    process.communicate()
    assert [f.state for f in find_all()] == ["left over"]
    said = run("list")
    assert "gone" in said.output
    assert find_all() == []


def test_another_ones_microphone_is_left_alone(server: PulseServer) -> None:
    """A running process keeps its own; a second one of that name is refused."""
    process = start(server, HOLD, "mine")
    try:
        assert remove_stale() == []
        with pytest.raises(DeviceError, match=f"process {process.pid}"):
            VirtualMic.create("mine")
        with VirtualMic.create("other"):
            assert [f.name for f in find_all()] == ["mine", "other"]
    finally:
        process.communicate("", timeout=20)
    assert find_all() == []


def test_half_a_microphone_is_mended(server: PulseServer) -> None:
    """Where one half was unloaded by hand, create makes it whole."""
    made = VirtualMic.create(keep=True)
    found = find_all()[0]
    assert found.sink is not None and found.sink.module is not None
    soundserver.unload_module(found.sink.module)
    left = find_all()
    assert not left or left[0].state == "broken"
    again = VirtualMic.create(keep=True)
    assert again.source_name == made.source_name
    assert [f.state for f in find_all()] == ["kept"]


def test_a_kept_one_survives_live(server: PulseServer) -> None:
    """Made by command, used by live, and still there afterwards."""
    VirtualMic.create(keep=True)
    with VirtualMic.create() as mic:
        assert mic.kept
    assert [f.state for f in find_all()] == ["kept"]


def test_owners() -> None:
    """A process is alive, or gone; of other machines nothing is claimed."""
    here = Owner.here()
    assert Owner.parse(str(here)) == here
    assert not here.gone
    assert Owner(here.pid, "1", here.space, here.boot).gone
    assert not Owner(here.pid, "1", here.space, "elsewhere").gone
    assert not Owner(here.pid, "1", "pid:[1]", here.boot).gone
    assert Owner.parse("kept") is None
    process = subprocess.Popen(["true"])
    process.wait()
    assert Owner(process.pid, "1", here.space, here.boot).gone


def test_route_never_lets_it_hear_itself(
    server: PulseServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it is the default microphone, another one is taken, and that is said."""
    said: list[str] = []
    number = soundserver.load_module(
        "module-remap-source", "source_name=desk", "master=room.monitor"
    )
    try:
        with VirtualMic.create() as mic:
            pactl("set-default-source", mic.source_name)
            assert mic.route(said.append) == "pulse"
            assert os.environ["PULSE_SINK"] == mic.sink_name
            assert os.environ["PULSE_SOURCE"] == "desk"
            assert len(said) == 1 and "itself" in said[0]
        assert "PULSE_SINK" not in os.environ
        assert "PULSE_SOURCE" not in os.environ
    finally:
        soundserver.unload_module(number)
    with VirtualMic.create() as mic:
        pactl("set-default-source", mic.source_name)
        with pytest.raises(DeviceError, match="only microphone"):
            mic.route(said.append)
        monkeypatch.setenv("PULSE_SOURCE", "room.monitor")
        mic.route(said.append)
    pactl("set-default-source", "room.monitor")
    assert len(said) == 1


def test_a_recorder_hears_the_denoised_sound(
    server: PulseServer, model_path: Path, tmp_path: Path, rng: np.random.Generator
) -> None:
    """What a program records from it is what live played, and that is `denoise`.

    A busy machine has xruns, and with them nothing can be equal: some attempts.
    """
    x = recording(rng)
    talk = tmp_path / "talk.wav"
    soundfile.write(talk, x, RATE, subtype="FLOAT")
    model = load_model(model_path)
    # Frames begin when live does, so its grid may lie anywhere against the file's. Of
    # the silence around it, live may leave some out to keep its delay.
    quiet = RATE // 4
    shifts = range(0, GRID, GRID // 16)
    wholes = [denoise(np.pad(x, (shift, 0)), RATE, model)[shift:] for shift in shifts]
    cleans = [whole[quiet:-quiet] for whole in wholes]
    history = []
    for attempt in range(ATTEMPTS):
        kept = tmp_path / f"kept-{attempt}.wav"
        process = start_live(server, model_path, 9, "--record", str(kept))
        try:
            with server.recording("streamdenoise.mic", RATE) as heard:
                assert find_all()[0].users
                time.sleep(1.0)  # what the start held too much has been left out
                server.play(talk, "room")
                time.sleep(0.5)
            said = process.communicate(timeout=30)[1]
        finally:
            process.kill()
        assert process.returncode == 0, said
        assert find_all() == []
        played = soundfile.read(kept, dtype="float32")[0]
        places = [place(clean, played) for clean in cleans]
        parts = [played[at : at + len(cleans[0])] for at in places]
        pairs = zip(cleans, parts, strict=True)
        near, sounding = max(
            ((float(np.corrcoef(a, b)[0, 1]), b) for a, b in pairs), key=lambda p: p[0]
        )
        lost = furthest(heard[0][place(sounding, heard[0]) :], sounding)
        history.append((near, lost))
        if near > 0.98 and lost <= 1e-6:
            assert float(np.abs(sounding).max()) > 0.01
            return
    pytest.fail(f"no run was equal; correlation with file, error: {history}")


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_live_takes_it_away_at_its_end(
    server: PulseServer, model_path: Path, how: signal.Signals
) -> None:
    """Ctrl-C, kill, and a terminal that is closed: nothing stays."""
    process = start_live(server, model_path, 30)
    assert [f.state for f in find_all()] == ["live"]
    process.send_signal(how)
    said = process.communicate(timeout=30)[1]
    assert process.returncode == 0, said
    assert "Traceback" not in said
    assert find_all() == []


def test_live_after_a_crash(server: PulseServer, model_path: Path) -> None:
    """What a killed live left does not keep the next one from starting."""
    first = start_live(server, model_path, 30)
    first.kill()
    first.communicate()
    assert [f.state for f in find_all()] == ["left over"]
    second = start_live(server, model_path, 1)
    assert [f.state for f in find_all()] == ["live"]
    assert second.communicate(timeout=30)[0] == ""
    assert second.returncode == 0
    assert find_all() == []


def plays_into_it(process: subprocess.Popen[str]) -> bool:
    """Whether what a process plays goes into the microphone, within some seconds."""

    def now() -> bool:
        sinks = [
            e.index for e in soundserver.entries("sinks") if e.name.endswith("e.sink")
        ]
        streams = soundserver.streams_of("sink-inputs", process.pid)
        return bool(streams) and all(each.attached in sinks for each in streams)

    return wait_for(now, 15.0)


def test_taken_away_while_it_plays_it_is_made_anew(
    server: PulseServer, model_path: Path
) -> None:
    """What was meant for the call does not stay on the loudspeaker."""
    process = start_live(server, model_path, 60)
    try:
        for _ in range(2):
            assert plays_into_it(process)
            find_all()[0].remove()
            assert not any(
                e.name.endswith("e.sink") for e in soundserver.entries("sinks")
            )
        assert plays_into_it(process)
        assert [(f.state, f.in_use) for f in find_all()] == [("live", True)]
    finally:
        process.terminate()
        said = process.communicate()[1]
    assert said.count("was gone; it is back") == 2
    assert find_all() == []


def test_a_stream_that_a_server_moves_late_is_brought_back(
    server: PulseServer, model_path: Path
) -> None:
    """Some seconds after devices have come or gone it is still looked after."""
    process = start_live(server, model_path, 60)
    try:
        assert plays_into_it(process)
        with VirtualMic.create("other"):
            time.sleep(2.5)
            (stream,) = soundserver.streams_of("sink-inputs", process.pid)
            pactl("move-sink-input", str(stream.index), "room")
            assert plays_into_it(process)
    finally:
        process.terminate()
        process.communicate()


@pytest.mark.parametrize("kept", [False, True])
def test_remove_leaves_one_that_live_plays_into(
    server: PulseServer, model_path: Path, kept: bool
) -> None:
    """It says which process has it, and what to type; the others are removed."""
    VirtualMic.create("other", keep=True)
    if kept:
        VirtualMic.create(keep=True)
    process = start_live(server, model_path, 60)
    try:
        assert plays_into_it(process)
        mic = next(f.source for f in find_all() if f.name == "streamdenoise")
        done = run("remove", "--all", "--json")
        assert isinstance(done.exception, DeviceError)
        assert "streamdenoise ctl stop" in str(done.exception)
        assert kept or f"process {process.pid}" in str(done.exception)
        names = {"removed": ["other"], "running": ["streamdenoise"]}
        assert json.loads(done.stdout) == names
        assert plays_into_it(process)
        # Not for a moment either: a call that listens to it would have lost it.
        assert mic == next(f.source for f in find_all() if f.name == "streamdenoise")
    finally:
        process.terminate()
        process.communicate()
    assert run("remove").exit_code == 0
    assert find_all() == []


def test_it_comes_back(server: PulseServer) -> None:
    """Where the server has forgotten the microphone, a check makes it anew."""
    said: list[str] = []
    with VirtualMic.create() as mic:
        find_all()[0].remove()
        mic.check(said.append)
        assert [f.state for f in find_all()] == ["live"]
        assert len(said) == 1 and "back" in said[0]
        mic.check(said.append)
        assert len(said) == 1
    assert find_all() == []


def test_an_unplugged_input_is_left_for_another(
    server: PulseServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `route` chose by itself is chosen again; what a person named is not."""
    said: list[str] = []

    def plug(name: str) -> int:
        words = (f"source_name={name}", "master=room.monitor")
        return soundserver.load_module("module-remap-source", *words)

    desk = plug("desk")
    try:
        with VirtualMic.create() as mic:
            pactl("set-default-source", mic.source_name)
            mic.route(said.append)
            soundserver.unload_module(desk)
            with pytest.raises(DeviceError, match="only microphone"):
                absent(mic.restore, said)
            lamp = plug("lamp")
            mic.restore(said.append)
            assert os.environ["PULSE_SOURCE"] == "lamp"
            mic.restore(said.append)
            mic.check(said.append)
            assert len(said) == 2 and "is gone; the input is" in said[1]
            # A moment is no reason, nor one of which nobody looked at the end.
            soundserver.unload_module(lamp)
            mic.restore(said.append)
            mic.check(said.append)
            time.sleep(GONE_SECONDS)
            mic.restore(said.append)
            lamp = plug("lamp")
            mic.restore(said.append)
            monkeypatch.setenv("PULSE_SOURCE", "lamp")
            assert len(said) == 2
            soundserver.unload_module(lamp)
        with VirtualMic.create() as mic:
            monkeypatch.setenv("PULSE_SOURCE", "no-such-source")
            mic.route(said.append)
            absent(mic.restore, said)
            assert os.environ["PULSE_SOURCE"] == "no-such-source"
        assert len(said) == 2
    finally:
        pactl("set-default-source", "room.monitor")


def absent(restore: Callable[[Callable[[str], None]], None], said: list[str]) -> None:
    """Call `restore` until what is away has been away for long."""
    restore(said.append)
    time.sleep(GONE_SECONDS)
    restore(said.append)


def test_one_of_another_container_is_named_so(server: PulseServer) -> None:
    """Nobody here can say whether its process runs: what to type if not is said.

    So it is after `docker kill`, and where the server is on another machine than the
    live that was cut off. What is to be typed works.
    """
    here = Owner.here()
    others = [Owner(7, "1", "pid:[1]", here.boot), Owner(7, "1", here.space, "other")]
    for owner in others:
        make("streamdenoise", "A microphone", RATE, str(owner))
        assert remove_stale() == []
        with pytest.raises(DeviceError, match="another machine or container") as told:
            VirtualMic.create()
        assert "which runs" not in str(told.value)
        words = str(told.value).partition("type: streamdenoise virtual-mic ")[2].split()
        removed = json.loads(run(*words, "--json").stdout)["removed"]
        assert removed == ["streamdenoise"]
        assert find_all() == []
        VirtualMic.create().close()


@pytest.fixture
def wrecked() -> Iterator[PulseServer]:
    """A server of its own, which a test may kill."""
    need_pulse()
    # Not in tmp_path: the names of control sockets may have some hundred characters.
    with tempfile.TemporaryDirectory(
        prefix="sd-", ignore_cleanup_errors=True
    ) as folder:
        server = PulseServer(Path(folder))
        try:
            yield server
        finally:
            server.stop()


def devices_of(server: PulseServer, kind: str) -> list[dict[str, Any]]:
    """What a server lists, empty while it does not answer."""
    done = subprocess.run(
        ["pactl", "--format=json", "list", kind],
        env=server.env,
        capture_output=True,
        text=True,
        timeout=20,
    )
    return json.loads(done.stdout) if done.returncode == 0 else []


def runs(server: PulseServer, name: str) -> bool:
    """Wait until the session of this name plays: only then does it answer."""
    command = [sys.executable, "-m", "streamdenoise", "ctl", "--name", name, "status"]

    def answers() -> bool:
        done = subprocess.run(
            command, env=server.env, cwd=ROOT, capture_output=True, timeout=60
        )
        return done.returncode == 0

    return wait_for(answers, 55)


def play_into(server: PulseServer, wanted: set[str]) -> bool:
    """Wait until something plays into each of these sinks."""

    def now() -> bool:
        names = {e["index"]: e["name"] for e in devices_of(server, "sinks")}
        streams = devices_of(server, "sink-inputs")
        return wanted <= {names.get(stream["sink"], "") for stream in streams}

    return wait_for(now, 30)


def test_live_goes_on_after_the_server_was_started_again(
    wrecked: PulseServer, model_path: Path
) -> None:
    """Both directions: the new server gets microphone and loudspeaker, and sound."""
    server = wrecked
    for name in ("room", "ear"):
        server.add_sink(name)
    server.settle()
    words = ["pactl", "set-default-sink", "ear"]
    subprocess.run(words, env=server.env, check=True, timeout=20)
    live = start_live(server, model_path, 60, "--also-incoming", "--no-view")
    wanted = {"streamdenoise.sink", "ear"}
    try:
        # In the moment between opening and starting PortAudio would hang for ever.
        assert all(runs(server, name) for name in ("live", "incoming"))
        server.kill()
        server.start()
        for name in ("room", "ear"):
            server.add_sink(name)
        assert live.stderr is not None
        said = ""
        while "sound is back" not in said:
            line = live.stderr.readline()
            assert line, said
            said += line
        assert play_into(server, wanted), said
        sources = {e["name"] for e in devices_of(server, "sources")}
        assert {"streamdenoise.mic", "streamdenoise-incoming.monitor"} <= sources
        live.send_signal(signal.SIGINT)
        said += live.communicate(timeout=30)[1]
    finally:
        live.kill()
    assert live.returncode == 0, said
    assert "Traceback" not in said
    assert said.count("the virtual microphone 'Denoised microphone' was gone") == 1
    assert said.count("the virtual loudspeaker 'Denoised loudspeaker' was gone") == 1
    left = {e["name"] for e in devices_of(server, "sinks")}
    assert left == {"room", "ear"}


def test_without_a_server_it_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No server, no library to ask it with: what to type."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PULSE_SERVER", f"unix:{tmp_path}/none")
    with pytest.raises(DeviceError, match=r"no sound server .* systemctl"):
        VirtualMic.create()
    hide_libpulse(monkeypatch)
    with pytest.raises(DeviceError, match="apt install libpulse0"):
        VirtualMic.create()


@pytest.mark.parametrize("platform", PLATFORMS)
def test_recipes_name_the_commands(platform: str) -> None:
    """Every recipe fits a terminal and ends in something to type."""
    text = recipe(platform)
    assert "streamdenoise live" in text
    assert max(map(len, text.splitlines())) <= 88
    assert run("recipe", platform).stdout.rstrip() == text.rstrip()
