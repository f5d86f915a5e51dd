"""A card that another program holds is missing from the list; it is said who has it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from streamdenoise import DeviceError
from streamdenoise.doctor import sound, will_work
from streamdenoise.live import devices as devices_module
from streamdenoise.live import portaudio
from streamdenoise.live.devices import find_device, list_devices
from streamdenoise.live.holders import HeldError, held_error, holders
from tests.fakesound import FakeSound, device

CARDS = (
    " 0 [b1             ]: bcm2835_hdmi - bcm2835 HDMI 1\n"
    "                      bcm2835 HDMI 1\n"
    " 1 [Device         ]: USB-Audio - USB PnP Sound Device\n"
    "                      C-Media USB PnP Sound Device at usb-xhci-1.2, full speed\n"
)
SERVICE = "0::/user.slice/user-1000.slice/user@1000.service/app.slice/"
USB = "USB PnP Sound Device: USB Audio (hw:1,0)"


class Machine:
    """What the kernel of a Raspberry Pi with a USB card tells."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.write("asound/cards", CARDS)
        for pcm in ("card0/pcm0p", "card1/pcm0p", "card1/pcm0c"):
            name = "USB Audio" if pcm.startswith("card1") else "bcm2835 HDMI 1"
            self.write(f"asound/{pcm}/info", f"card: 1\nid: {name}\nname: {name}\n")
            self.hold(pcm, None)
        self.write("asound/card0/pcm0p/sub1/status", "closed\n")

    def write(self, name: str, text: str) -> None:
        path = self.root / "proc" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def hold(self, pcm: str, task: int | None) -> None:
        """Let a process, or nobody, have a device open."""
        text = "closed\n"
        if task is not None:
            text = f"state: RUNNING\nowner_pid   : {task}\ntrigger_time: 9.1\n"
        self.write(f"asound/{pcm}/sub0/status", text)

    def process(self, pid: int, *words: str, cgroup: str = "0::/user.slice\n") -> None:
        """Start a program."""
        self.write(f"{pid}/status", f"Name:\tx\nTgid:\t{pid}\nPid:\t{pid}\n")
        self.write(f"{pid}/comm", Path(words[0]).name[:15] + "\n")
        self.write(f"{pid}/cmdline", "\0".join(words) + "\0")
        self.write(f"{pid}/cgroup", cgroup)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    monkeypatch.setattr(sys, "platform", "linux")
    return Machine(tmp_path)


def test_nothing_is_held_where_nothing_is_open(
    machine: Machine, tmp_path: Path
) -> None:
    """A closed card, one that has a free part, our own, or a system that has none."""
    assert holders("output", machine.root) == []
    machine.process(70, "/usr/bin/aplay", "x.wav")
    machine.hold("card0/pcm0p", 70)
    assert holders("output", machine.root) == []
    machine.process(os.getpid(), "python", "-m", "streamdenoise")
    machine.hold("card1/pcm0c", os.getpid())
    assert holders("input", machine.root) == []
    assert holders("input", tmp_path / "none") == []


@pytest.mark.parametrize(
    ("words", "cgroup", "advice"),
    [
        (
            ("/usr/bin/python3", "-m", "streamdenoise", "service", "run"),
            f"{SERVICE}streamdenoise-call.service\n",
            "stop it with: systemctl --user stop streamdenoise-call.service",
        ),
        (
            ("/usr/bin/python3", "/opt/venv/bin/streamdenoise", "live"),
            f"{SERVICE}app-terminal.scope\n",
            "stop it with: streamdenoise ctl --pid 812 stop",
        ),
    ],
)
def test_our_own_session_is_named_with_what_stops_it(
    machine: Machine, words: tuple[str, ...], cgroup: str, advice: str
) -> None:
    """ALSA may name a thread of it; the process is what can be told to end."""
    machine.process(812, *words, cgroup=cgroup)
    machine.write("815/status", "Name:\tx\nTgid:\t812\nPid:\t815\n")
    machine.hold("card1/pcm0c", 815)
    listed = list_devices(FakeSound([device("bcm2835 HDMI 1", 0, 2)]))
    for spec in (None, "usb", "USB PnP", "3"):
        with pytest.raises(HeldError) as caught:
            find_device(spec, "input", listed, machine.root)
        said = f"{USB} is in use by streamdenoise (process 812)"
        assert str(caught.value) == f"{said}; {advice}"
        assert caught.value.ours and caught.value.exit_code == 3


def test_other_programs_are_named(machine: Machine) -> None:
    """A sound server is not to be closed; a folder of our name is no session."""
    machine.process(70, "/home/a/streamdenoise/.venv/bin/jukebox")
    machine.hold("card1/pcm0p", 70)
    error = held_error("output", ["usb"], machine.root)
    assert error is not None and not error.ours
    assert str(error) == f"{USB} is in use by jukebox (process 70); close that program"
    machine.process(70, "/usr/bin/pipewire")
    error = held_error("output", ["usb"], machine.root)
    assert error is not None and "choose one of its devices" in str(error)
    machine.hold("card1/pcm0p", 4242)  # of another container
    error = held_error("output", ["usb"], machine.root)
    assert error is not None and f"{USB} is in use by a program;" in str(error)


def test_another_name_is_another_trouble(machine: Machine) -> None:
    """Where the name fits nothing that is held, it is said what there is, as ever."""
    machine.process(812, "streamdenoise", "live")
    machine.hold("card1/pcm0p", 812)
    listed = list_devices(FakeSound([device("bcm2835 HDMI 1", 0, 2)]))
    with pytest.raises(DeviceError, match=r"there are: .*HDMI") as caught:
        find_device("xyzzy", "output", listed, machine.root)
    assert not isinstance(caught.value, HeldError)
    assert find_device("hdmi", "output", listed, machine.root).index == 0
    with pytest.raises(DeviceError, match="no input devices were found"):
        find_device(None, "input", listed, machine.root)


def test_a_service_that_runs_is_no_failure(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The doctor warns of it, and says what stops it; of others it says fail."""
    listed = FakeSound([device("bcm2835 HDMI 1", 0, 2)])
    monkeypatch.setattr(portaudio, "load_sounddevice", lambda: listed)

    def here(kind: Any, words: Any, root: Path) -> HeldError | None:
        return held_error(kind, words, machine.root)

    monkeypatch.setattr(devices_module, "held_error", here)
    machine.process(812, "streamdenoise", "live")
    machine.hold("card1/pcm0c", 812)
    check = sound.devices("input", "usb")
    assert check.state == "warn" and will_work([check])
    assert check.found == f"{USB} is in use by streamdenoise (process 812)"
    assert check.fix == "stop it with: streamdenoise ctl --pid 812 stop"
    machine.process(812, "jukebox")
    assert sound.devices("input", "usb").state == "fail"
