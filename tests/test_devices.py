"""A person finds the device they mean, or a sentence that leads them to it."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from typing import Any

import pytest

from streamdenoise import DeviceError, RuntimeMissingError
from streamdenoise.hush import quiet_stderr
from streamdenoise.live.devices import (
    Device,
    candidate_rates,
    find_device,
    list_devices,
    one_clock,
)
from streamdenoise.live.howling import loudspeaker_advice
from streamdenoise.live.portaudio import explain
from tests.fakesound import FakeSound, PortAudioError, device


@pytest.fixture
def desk() -> list[Device]:
    """Six devices of a usual machine, on three host APIs."""
    sound = FakeSound(
        [
            device("Microsoft Sound Mapper - Input", 2, 0),
            device("Microphone (USB Audio)", 1, 0),
            device("Speakers (Realtek)", 0, 2),
            device("Microphone (USB Audio)", 1, 0, hostapi=1),
            device("Headset (BT Hands-Free)", 1, 2, hostapi=1),
            device("pulse", 32, 32, hostapi=2, default_samplerate=44_100.0),
        ],
        apis=("MME", "Windows WASAPI", "ALSA"),
        default=(1, 2),
    )
    return list_devices(sound)


def test_none_is_the_default(desk: list[Device]) -> None:
    """Naming nothing takes what the system prefers, for each direction."""
    assert find_device(None, "input", desk).index == 1
    assert find_device(None, "output", desk).index == 2


@pytest.mark.parametrize(
    ("spec", "kind", "index"),
    [
        ("headset", "input", 4),
        ("HEADSET", "output", 4),
        ("3", "input", 3),
        (3, "input", 3),
        ("pulse", "output", 5),
        ("real", "output", 2),
        ("usb mme", "input", 1),
        ("mapper", "input", 0),
    ],
)
def test_part_of_a_name_or_a_number(
    desk: list[Device], spec: Any, kind: Any, index: int
) -> None:
    """Words in any case, of the name or the host API, or the index, are enough."""
    assert find_device(spec, kind, desk).index == index


def test_the_quicker_host_api_wins(desk: list[Device]) -> None:
    """One microphone behind two host APIs is no riddle: WASAPI comes before MME."""
    assert find_device("usb", "input", desk).host_api == "Windows WASAPI"


def test_a_host_api_alone_is_its_default_device() -> None:
    """Naming only an API takes what the API itself prefers, for each direction."""
    sound = FakeSound(
        [device("mic A", 1, 0), device("mic B", 1, 0), device("out", 0, 2)],
        apis=("Windows WASAPI",),
    )
    sound.api_defaults = {"default_input_device": 1, "default_output_device": 2}
    found = list_devices(sound)
    assert find_device("wasapi", "input", found).name == "mic B"
    assert find_device("WASAPI", "output", found).name == "out"
    sound.api_defaults = {}
    with pytest.raises(DeviceError, match="fits 2"):
        find_device("wasapi", "input", list_devices(sound))


@pytest.mark.parametrize(
    ("source", "sink", "told"),
    [
        ("Built-in Microphone", "Built-in Output", True),
        ("MacBook Pro Microphone", "MacBook Pro Speakers", True),
        ("USB Microphone", "Speakers (Realtek)", True),
        ("USB Headset", "Speakers (Realtek)", False),
        ("Built-in Microphone", "External Headphones", False),
        ("pulse", "pulse", False),
        ("USB card", "USB card", False),
    ],
)
def test_a_loudspeaker_beside_the_microphone(
    source: str, sink: str, told: bool
) -> None:
    """Headphones are advised where the names say that it would howl; not elsewhere."""
    one, other = list_devices(FakeSound([device(source, 1, 0), device(sink, 0, 2)]))
    advice = loudspeaker_advice(one, other)
    assert (advice is not None) is told
    if advice:
        assert "headphones" in advice and "--output" in advice


def test_a_name_that_fits_several_lists_them(desk: list[Device]) -> None:
    """Nothing is guessed between different devices; both are named."""
    with pytest.raises(DeviceError, match=r"fits 3.*Mapper.*USB.*more of the name"):
        find_device("micro", "input", desk)


def test_an_unknown_name_lists_what_matches_in_part(desk: list[Device]) -> None:
    """A spelling mistake leads to the device that was meant."""
    with pytest.raises(DeviceError, match=r"match in part: 4 Headset") as caught:
        find_device("hedset", "input", desk)
    assert "Mapper" not in str(caught.value)
    with pytest.raises(DeviceError, match=r"there are: .*Realtek.*Headset.*pulse"):
        find_device("xyzzy", "output", desk)


def test_a_number_of_the_wrong_kind_says_so(desk: list[Device]) -> None:
    """An output cannot be an input, and a missing number is no IndexError."""
    with pytest.raises(DeviceError, match=r"2 Speakers.*no input channels"):
        find_device("2", "input", desk)
    with pytest.raises(DeviceError, match="no device 17"):
        find_device(17, "output", desk)


def test_no_devices_is_one_sentence() -> None:
    """Without an input the sentence says so, and what there is instead."""
    with pytest.raises(DeviceError, match=r"no input devices.*no sound device at all"):
        find_device(None, "input", [])
    speakers = list_devices(FakeSound([device("Speakers", 0, 2)]))
    with pytest.raises(DeviceError, match="no input devices were found, only 0 Speak"):
        find_device("usb", "input", speakers)


def test_rates_are_probed() -> None:
    """A rate is listed when the device takes it in each direction that it has."""
    sound = FakeSound(
        [device("card"), device("mic", 1, 0)],
        refuse=lambda kind, index, rate, channels: (
            None if rate in ((48_000, 16_000) if index else (48_000,)) else -9997
        ),
    )
    card, mic = list_devices(sound, probe=True)
    assert card.rates == (48_000,)
    assert mic.rates == (16_000, 48_000)


def test_the_rate_that_is_asked_for_is_tried_first(desk: list[Device]) -> None:
    """Then what the devices prefer; a sound server prefers nothing."""
    mic, server = desk[1], desk[5]
    assert candidate_rates(server, server)[0] == 48_000
    assert candidate_rates(server, server, 16_000)[:2] == [16_000, 48_000]
    cheap = Device(9, "cheap", "ALSA", 1, 0, 22_050, 0.01, 0.01)
    assert candidate_rates(cheap, mic)[:2] == [22_050, 48_000]


def test_one_stream_only_where_there_is_one_clock(desk: list[Device]) -> None:
    """A card is one clock; two cards are not, nor are the two ways of a server."""
    headset, server = desk[4], desk[5]
    assert one_clock(headset, headset)
    assert not one_clock(desk[1], desk[2])
    assert not one_clock(server, server)
    jack = [
        Device(i, f"port {i}", "JACK Audio Connection Kit", 1, 1, 48_000, 0.01, 0.01)
        for i in range(2)
    ]
    assert one_clock(*jack)


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (-9985, "in use by another program"),
        (-9997, "refuses the sample rate of 12345 Hz"),
        (-9998, "number of channels"),
        (-9996, "not there any more"),
        (-9999, "cannot be opened"),
    ],
)
def test_portaudio_errors_become_sentences(code: int, text: str) -> None:
    """Each says what to do next and exits with 3."""
    error = explain(PortAudioError("Error opening Stream", code), "the mic", 12_345)
    assert text in str(error)
    assert "streamdenoise devices" in str(error)
    assert error.exit_code == 3


def test_without_portaudio_it_says_what_to_install() -> None:
    """The library missing is a sentence with a command, not an OSError."""
    code = (
        "import sys, types\n"
        "class Finder:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'sounddevice':\n"
        "            raise {error}\n"
        "sys.meta_path.insert(0, Finder())\n"
        "from streamdenoise.live.portaudio import load_sounddevice\n"
        "from streamdenoise import RuntimeMissingError\n"
        "try: load_sounddevice()\n"
        "except RuntimeMissingError as error: print(error.exit_code, error)\n"
    )
    for error, words in (
        ("OSError('PortAudio library not found')", ("PortAudio library", "install")),
        ("ImportError('no')", ("pip install sounddevice",)),
    ):
        done = subprocess.run(
            [sys.executable, "-c", code.format(error=error)],
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.startswith("3 ")
        assert all(word in done.stdout for word in words), done.stdout
    assert RuntimeMissingError.exit_code == 3


def stderr_of(code: str) -> str:
    """Run Python code, and return what arrives on its standard error."""
    words = [sys.executable, "-c", code]
    return subprocess.run(words, capture_output=True, text=True, check=True).stderr


def test_quiet_stderr_silences_libraries_but_not_us() -> None:
    """What C code writes to descriptor 2 is gone; Python's own text arrives."""
    code = (
        "import os, sys\n"
        "from streamdenoise.hush import quiet_stderr\n"
        "with quiet_stderr():\n"
        "    os.write(2, b'ALSA lib noise\\n')\n"
        "    print('ours inside', file=sys.stderr)\n"
        "    with quiet_stderr():\n"
        "        os.write(2, b'more noise\\n')\n"
        "        print('nested', file=sys.stderr)\n"
        "print('ours after', file=sys.stderr)\n"
        "os.write(2, b'C after\\n')\n"
    )
    assert stderr_of(code) == "ours inside\nnested\nours after\nC after\n"


def test_quiet_stderr_gives_its_descriptors_back() -> None:
    """Many rounds leave no file open."""
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0  # noqa: PTH112, PTH208
    for _ in range(50):
        with quiet_stderr():
            pass
    if before:
        assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_quiet_stderr_of_two_threads_ends_with_the_last() -> None:
    """Whoever began first ends first, and standard error is as it was."""
    code = (
        "import os, sys, threading\n"
        "from streamdenoise.hush import quiet_stderr\n"
        "inside, go_on = threading.Event(), threading.Event()\n"
        "def first():\n"
        "    with quiet_stderr():\n"
        "        inside.set()\n"
        "        go_on.wait()\n"
        "before, thread = sys.stderr, threading.Thread(target=first)\n"
        "thread.start()\n"
        "inside.wait()\n"
        "with quiet_stderr():\n"
        "    go_on.set()\n"
        "    thread.join()\n"
        "    os.write(2, b'noise\\n')\n"
        "    print('ours inside', file=sys.stderr)\n"
        "assert sys.stderr is before\n"
        "os.write(2, b'C after\\n')\n"
    )
    assert stderr_of(code) == "ours inside\nC after\n"


def test_quiet_stderr_without_a_real_stderr_opens_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where standard error is no file, many rounds leave no file open either."""
    if not os.path.isdir("/proc/self/fd"):  # noqa: PTH112
        pytest.skip("open files cannot be counted here")
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for _ in range(20):
        with quiet_stderr():
            print("heard", file=sys.stderr)
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
    assert sys.stderr.getvalue() == 20 * "heard\n"  # type: ignore[attr-defined]


def test_quiet_alone_leaves_other_threads_their_voice() -> None:
    """While there are other threads nothing is led away."""
    code = (
        "import os, threading\n"
        "from streamdenoise.hush import quiet_alone\n"
        "with quiet_alone():\n"
        "    os.write(2, b'noise\\n')\n"
        "end = threading.Event()\n"
        "threading.Thread(target=end.wait).start()\n"
        "with quiet_alone():\n"
        "    os.write(2, b'of another\\n')\n"
        "end.set()\n"
    )
    assert stderr_of(code) == "of another\n"


@pytest.mark.parametrize("system", ["linux", "darwin", "win32", "haiku"])
def test_advice_without_devices_is_made_of_sentences(
    monkeypatch: pytest.MonkeyPatch, system: str
) -> None:
    """What to look at ends before what to type begins."""
    monkeypatch.setattr(sys, "platform", system)
    with pytest.raises(DeviceError, match=r"[.?] List again with: streamdenoise"):
        find_device(None, "input", [])
