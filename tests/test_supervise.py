"""Devices that go away are waited for; what they come back as is found again."""

from __future__ import annotations

import contextlib
import gc
import sys
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import streamdenoise.live.session as session_module
import streamdenoise.live.supervise as supervise_module
from streamdenoise import DeviceError, OutputError
from streamdenoise.live.defaults import DefaultWatcher
from streamdenoise.live.devices import list_devices
from streamdenoise.live.opening import open_streams
from streamdenoise.live.session import LiveOptions, LiveSession, realtime
from streamdenoise.live.stream import LiveStream
from tests.fakes import IdentityModel
from tests.fakesound import FakeSound, Flags, device


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model without files, and little patience."""
    monkeypatch.setattr(session_module, "load_model", lambda name: IdentityModel())
    monkeypatch.setattr(session_module, "DEADLINE_SHARE", np.inf)
    monkeypatch.setattr(supervise_module, "RETRY_SECONDS", 0.2)
    monkeypatch.setattr(supervise_module, "STEADY_SECONDS", 0.2)
    monkeypatch.setattr(supervise_module, "SILENT_SECONDS", 0.6)


USB, CARD = device("USB headset"), device("card")


class Running:
    """A session that runs in a thread of its own."""

    def __init__(self, sound: FakeSound, **options: Any) -> None:
        self.said: list[str] = []
        self.states: list[str] = []
        self.error: Exception | None = None
        self.session = LiveSession(LiveOptions(**options), sound, self.said.append)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            with self.session:
                self.session.run(tick=lambda status: self.states.append(status.state))
        except Exception as error:
            self.error = error

    def wait(self, until: Callable[[], bool], seconds: float = 15.0) -> None:
        end = time.monotonic() + seconds
        while not until():
            assert self.error is None, self.error
            assert time.monotonic() < end, self.said
            time.sleep(0.02)

    def state(self) -> str:
        return self.session.status().state

    def end(self) -> None:
        self.session.stop()
        self._thread.join(10)
        assert not self._thread.is_alive()
        assert self.error is None, self.error


def test_unplugged_and_plugged_in_again() -> None:
    """It pauses, says so once, and goes on with the same device and its counters."""
    sound = FakeSound([CARD, USB])
    live = Running(sound, input="headset", output="headset")
    live.wait(lambda: live.session.core.callbacks > 20)
    sound.unplug(CARD)
    live.wait(lambda: live.state() == "waiting for device")
    before = live.session.core.callbacks
    time.sleep(1.0)
    assert live.state() == "waiting for device"
    assert all(stream.closed for stream in sound.opened)
    # It is back, under another number.
    sound.devices = [USB, CARD]
    live.wait(lambda: live.state() == "running")
    assert live.session.source.index == 0
    assert live.session.core.callbacks > before
    live.end()
    assert [("Waiting" in s, "is back" in s) for s in live.said] == [
        (True, False),
        (False, True),
    ]
    assert "went away" in live.said[0] and live.said[0].count("1 USB headset") == 1
    assert live.session.summary()["losses"] == 1
    assert "waiting for device" in live.states


def test_another_default_is_followed() -> None:
    """Nothing was named: the device that is the default now is taken."""
    sound = FakeSound([USB, CARD], default=(0, 0))
    live = Running(sound)
    live.wait(lambda: live.session.core.callbacks > 5)
    sound.unplug(CARD)
    live.wait(lambda: live.session.source.name == "card" and live.state() == "running")
    live.end()
    assert "card" in live.said[-1]


def test_a_default_that_changes_is_gone_over_to(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Both devices are there; the system prefers the other one now, and so do we."""
    names = tmp_path / "names.json"
    names.write_text('[["USB headset", "Core Audio"], ["USB headset", "Core Audio"]]')
    code = (
        "import sys, time, pathlib\n"
        "while True:\n"
        "    print(pathlib.Path(sys.argv[1]).read_text(), flush=True)\n"
        "    time.sleep(0.1)\n"
    )
    monkeypatch.setattr(
        supervise_module,
        "watcher_for",
        lambda source, sink, wishes: DefaultWatcher(
            (True, True), [sys.executable, "-c", code, str(names)]
        ),
    )
    sound = FakeSound([USB, CARD], apis=["Core Audio"], default=(0, 0))
    live = Running(sound)
    live.wait(lambda: live.session.core.callbacks > 5)
    time.sleep(1.0)
    assert live.said == []
    sound.default = type("default", (), {"device": (1, 1)})
    names.write_text('[["card", "Core Audio"], ["card", "Core Audio"]]')
    live.wait(lambda: live.session.source.name == "card" and live.state() == "running")
    live.end()
    assert "another default device" in live.said[0]
    assert len(live.said) == 2


def test_a_number_means_the_device_that_had_it() -> None:
    """Another device with the same number is not taken for the one that went."""
    sound = FakeSound([USB, CARD])
    live = Running(sound, input="0", output="0")
    live.wait(lambda: live.session.core.callbacks > 5)
    sound.unplug(CARD)
    time.sleep(1.0)
    assert live.state() == "waiting for device"
    sound.devices = [CARD, USB]
    live.wait(lambda: live.state() == "running")
    assert (live.session.source.name, live.session.source.index) == ("USB headset", 1)
    live.end()


def test_a_recording_goes_on_over_the_gap(tmp_path: Path) -> None:
    """One file has what was played before and after; another rate begins another."""
    path = tmp_path / "talk.wav"
    low = device("low card")
    sound = FakeSound(
        [CARD],
        refuse=lambda k, i, rate, c: (
            -9997 if rate != 16_000 and sound.devices[i] is low else None
        ),
    )
    live = Running(sound, record=path)
    live.wait(lambda: live.session.core.callbacks > 20)
    sound.unplug(CARD)
    live.wait(lambda: live.state() == "running" and len(sound.opened) == 2)
    live.session.muted = True
    sound.unplug(low)
    live.wait(lambda: live.session.rate == 16_000 and live.state() == "running")
    assert live.session.muted
    live.end()
    files = live.session.summary()["recorded"]["files"]
    assert files == [str(path), str(tmp_path / "talk-16000.wav")]
    assert [soundfile.info(f).samplerate for f in files] == [48_000, 16_000]
    assert sum(soundfile.info(f).frames for f in files) > 0


def test_silence_from_the_driver_is_a_loss() -> None:
    """A device that gives no blocks is said once, closed, and tried again."""
    sound = FakeSound([CARD])
    live = Running(sound)
    live.wait(lambda: live.session.core.callbacks > 5)
    sound.pace = 60.0
    live.wait(lambda: live.state() == "waiting for device")
    time.sleep(1.5)
    assert len(live.said) == 1
    assert "muted, suspended or unplugged" in live.said[0]
    sound.pace = 0.001
    live.wait(lambda: live.state() == "running")
    live.end()
    assert len(live.said) == 2


def test_sleep_opens_the_devices_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """After suspend and resume there are new streams, though the old ones 'run'."""
    asleep = [0.0]
    monkeypatch.setattr(
        supervise_module, "clock_with_sleep", lambda: time.monotonic() + asleep[0]
    )
    sound = FakeSound([CARD])
    live = Running(sound)
    live.wait(lambda: live.session.core.callbacks > 5)
    asleep[0] = 3600.0
    live.wait(lambda: len(sound.opened) == 2 and live.state() == "running")
    live.end()
    assert "has slept" in live.said[0]


def test_a_device_that_stays_away_is_an_error_at_the_end() -> None:
    """With --duration, time that is over without a device is exit code 3."""
    sound = FakeSound([CARD], dies_after=5)
    said: list[str] = []
    with (
        pytest.raises(DeviceError, match="went away"),
        LiveSession(LiveOptions(), sound, said.append) as session,
    ):
        session.run(1.5)
    assert len(said) == 1
    assert len(sound.opened) > 2
    assert all(stream.closed for stream in sound.opened)


def test_others_in_the_process_are_left_alone() -> None:
    """With `reinitialise` off, PortAudio is not started anew."""
    sound = FakeSound([CARD])
    live = Running(sound, reinitialise=False)
    live.wait(lambda: live.session.core.callbacks > 5)
    sound.unplug(CARD)
    live.wait(lambda: live.state() == "running" and len(sound.opened) == 2)
    live.end()
    assert sound.initialised == 0


def test_xruns_raise_the_latency(monkeypatch: pytest.MonkeyPatch) -> None:
    """`auto` opens with more after xruns, keeps its counts, and says it once."""
    monkeypatch.setattr("streamdenoise.live.seek.GRACE_SECONDS", 0.2)
    monkeypatch.setattr("streamdenoise.live.seek.TRIAL_SECONDS", 1.0)
    sound = FakeSound(
        [CARD],
        flags=lambda call: Flags(
            output_underflow=call % 50 == 49 and len(sound.opened) < 3
        ),
    )
    live = Running(sound)
    live.wait(lambda: bool(live.said))
    live.end()
    asked = [stream.asked["latency"] for stream in sound.opened]
    assert asked == ["low", 0.03, 0.05]
    assert len(live.said) == 1 and "--latency 0.05" in live.said[0]
    assert live.session.summary()["asked_latency"] == 0.05
    assert live.session.summary()["xruns"]["output underflow"] > 0


def test_a_longer_buffer_that_is_refused_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever hears nothing is told why, though it was our own step."""
    monkeypatch.setattr("streamdenoise.live.seek.GRACE_SECONDS", 0.2)
    refused: list[int] = []

    def refuse(*_: object) -> int | None:
        if len(sound.opened) == 1 and not refused:
            refused.append(-9985)
            return -9985
        return None

    sound = FakeSound(
        [CARD],
        refuse=refuse,
        flags=lambda call: Flags(output_underflow=call % 50 == 49),
    )
    live = Running(sound, latency="auto")
    live.wait(lambda: len(live.said) >= 2)
    live.end()
    assert "did not open again with a longer buffer" in live.said[0]
    assert "Waiting" in live.said[0]
    assert "is back" in live.said[1]


def test_time_in_which_nothing_ran_is_no_silence() -> None:
    """After Ctrl-Z and fg a device is not blamed for the blocks of the pause."""
    running = threading.Event()
    running.set()

    def flags(call: int) -> Flags:
        running.wait(5.0)
        return Flags()

    sound = FakeSound([CARD], flags=flags)
    said: list[str] = []
    ticks: list[str] = []

    def tick(status: Any) -> None:
        ticks.append(status.state)
        if len(ticks) == 5:
            running.clear()
        elif len(ticks) == 7:  # the main thread stands still as well, for long
            time.sleep(1.5)
        elif len(ticks) == 8:  # it has looked first; then the device goes on
            running.set()
        elif len(ticks) == 20:
            session.stop()

    with LiveSession(LiveOptions(), sound, said.append) as session:
        session.run(60.0, tick=tick)
    assert said == []
    assert set(ticks) == {"running"}
    assert len(sound.opened) == 1


@pytest.mark.parametrize("code", [-9985, -9996, -9997, -9998])
def test_attempts_in_vain_leave_nothing_behind(code: int) -> None:
    """A device may be away for days: no error keeps itself while the collector is off.

    With every error that a device gives at its opening, at one rate or at all.
    """
    sound = FakeSound([CARD], refuse=lambda *_: code)
    card = list_devices(sound)[0]

    def core_for(rate: int) -> LiveStream:
        raise AssertionError("no device has agreed")

    def attempt() -> None:
        rates = [48_000, 44_100]
        with contextlib.suppress(DeviceError):
            open_streams(sound, card, card, rates, "low", (4, 2), core_for)

    with realtime():
        attempt()
        before = len(gc.get_objects())
        for _ in range(50):
            attempt()
        grown = len(gc.get_objects()) - before
    assert grown < 50


def test_what_closed_streams_leave_is_collected_while_none_runs() -> None:
    """PortAudio's wrapper makes cycles for each stream; waiting clears them away."""

    class Cycle:
        def __init__(self) -> None:
            self.me = self

    sound = FakeSound([CARD])
    live = Running(sound)
    live.wait(lambda: live.session.core.callbacks > 5)
    left = weakref.ref(Cycle())
    assert left() is not None
    sound.unplug(CARD)
    live.wait(lambda: len(sound.opened) == 2 and live.state() == "running")
    assert left() is None
    live.end()


def test_only_what_opened_is_counted() -> None:
    """`openings` says how often sound could begin, not how often it was tried."""
    busy = threading.Event()
    sound = FakeSound([CARD], refuse=lambda *_: -9985 if busy.is_set() else None)
    live = Running(sound)
    live.wait(lambda: live.session.core.callbacks > 5)
    busy.set()
    sound.unplug(CARD)
    live.wait(lambda: sound.initialised >= 3)
    assert live.session.status().openings == 1
    busy.clear()
    live.wait(lambda: live.state() == "running")
    live.end()
    assert live.session.status().openings == 2


@pytest.mark.parametrize(("there", "wanted"), [(1, 4), (2, 4), (4, 4), (4, 2)])
def test_missing_channels_are_said_once(there: int, wanted: int) -> None:
    """More microphones than the input has: said at the start, not at each reopening."""
    card = device("card", there, 2)
    sound = FakeSound([card])
    live = Running(sound, channels=wanted)
    live.wait(lambda: live.session.core.callbacks > 5)
    sound.unplug(card)
    live.wait(lambda: len(sound.opened) == 2 and live.state() == "running")
    live.end()
    told = [s for s in live.said if "--channels" in s]
    assert len(told) == (1 < there < wanted)
    assert all("2 channels" in s and "--channels 2" in s for s in told)


def test_headphones_are_advised() -> None:
    """A loudspeaker beside a microphone is mentioned at the start; a headset is not."""
    mic = device("Built-in Microphone", 1, 0)
    for name, told in (("Built-in Speakers", True), ("USB Headset", False)):
        sound = FakeSound([mic, device(name, 0, 2)], default=(0, 1))
        said: list[str] = []
        LiveSession(LiveOptions(), sound, said.append).close()
        assert any("headphones" in s for s in said) is told


class OpensAt(FakeSound):
    """Sound whose devices agree to every rate, and then open at some of them only."""

    opens: Callable[[int], bool] = staticmethod(lambda rate: True)

    def Stream(self, **asked: Any) -> Any:
        if not self.opens(asked["samplerate"]):
            raise self.PortAudioError("Invalid sample rate", -9997)
        return super().Stream(**asked)


def test_rates_that_do_not_open_leave_no_files(tmp_path: Path) -> None:
    """However often opening fails, the recording goes on in the one file that it has.

    Cards that say yes to a rate and then do not open at it are not rare with ALSA.
    """
    path = tmp_path / "talk.wav"
    sound = OpensAt([CARD], pace=0.004)
    live = Running(sound, record=path)
    live.wait(lambda: live.session.core.callbacks > 5)
    core, before = live.session.core, sound.initialised
    # Each attempt begins with initialising: it fails at all rates or at none.
    sound.opens = lambda rate: sound.initialised > before + 3
    sound.unplug(CARD)
    live.wait(lambda: sound.initialised >= before + 3)
    assert live.session.recording == path
    assert (live.session.core, live.session.rate) == (core, 48_000)
    live.wait(lambda: live.state() == "running")
    live.end()
    assert live.session.summary()["recorded"]["files"] == [str(path)]
    assert [p.name for p in tmp_path.iterdir()] == ["talk.wav"]


def test_a_stopgap_rate_is_left_as_soon_as_possible(tmp_path: Path) -> None:
    """A headset back from a call gets the rate again that was asked for.

    Each part of the recording is named after the first, and none replaces another,
    even with --force.
    """
    sound = OpensAt([CARD], pace=0.004)
    live = Running(sound, rate=44_100, record=tmp_path / "talk.wav", force=True)
    live.wait(lambda: live.session.core.callbacks > 5)
    for most in (16_000, 48_000, 16_000):
        sound.opens = lambda rate, most=most: rate <= most
        sound.unplug(CARD)
        wanted = min(most, 44_100)
        live.wait(lambda: live.session.rate == wanted and live.state() == "running")  # noqa: B023
    live.end()
    names = ["talk", "talk-16000", "talk-44100", "talk-16000-2"]
    files = live.session.summary()["recorded"]["files"]
    assert files == [str(tmp_path / f"{name}.wav") for name in names]
    rates = [soundfile.info(f).samplerate for f in files]
    assert rates == [44_100, 16_000, 44_100, 16_000]
    told = [s for s in live.said if "refuse" in s]
    assert told == 2 * ["the devices refuse 44100 Hz; running at 16000 Hz"]


def test_without_a_wish_the_rate_of_the_start_is_the_one_meant() -> None:
    """It is tried first at each return, and what is heard instead is said once."""
    sound = OpensAt([CARD], pace=0.004)
    live = Running(sound)
    live.wait(lambda: live.session.core.callbacks > 5)
    for most, opened in ((16_000, 2), (16_000, 3), (48_000, 4)):
        sound.opens = lambda rate, most=most: rate <= most
        sound.unplug(CARD)
        live.wait(lambda: len(sound.opened) == opened and live.state() == "running")  # noqa: B023
        assert live.session.rate == most
    live.end()
    told = [s for s in live.said if "refuse" in s]
    assert told == ["the devices refuse 48000 Hz; running at 16000 Hz"]


def test_a_recording_that_stopped_does_not_go_on_at_another_rate(
    tmp_path: Path,
) -> None:
    """That it stopped has been said; a second file would be a surprise."""
    sound = OpensAt([CARD], pace=0.004)
    live = Running(sound, record=tmp_path / "talk.wav")
    live.wait(lambda: live.session.core.callbacks > 5)
    recorder = live.session._recordings.made[-1]
    assert recorder is not None
    recorder.error = OutputError("cannot write: the disk is full")
    live.wait(lambda: len(live.said) == 1)
    sound.opens = lambda rate: rate <= 16_000
    sound.unplug(CARD)
    live.wait(lambda: live.session.rate == 16_000 and live.state() == "running")
    assert live.session.recording is None
    with pytest.raises(OutputError, match="disk is full"):
        live.session.record(None)
    live.end()
    assert [p.name for p in tmp_path.iterdir()] == ["talk.wav"]


def test_a_card_that_has_another_number_is_found_again() -> None:
    """`--input 1` means the device that had it; ALSA may number its card anew."""
    old, new = device("USB: Audio (hw:1,0)"), device("USB: Audio (hw:2,0)")
    sound = FakeSound([CARD, old])
    live = Running(sound, input="1", output=1)
    live.wait(lambda: live.session.core.callbacks > 5)
    sound.unplug(CARD)
    live.wait(lambda: live.state() == "waiting for device")
    sound.devices = [device("USB: Audio (hw:2,1)"), CARD, new]
    live.wait(lambda: live.state() == "running")
    assert live.session.source.name == live.session.sink.name == new["name"]
    assert live.session.source.index == 2
    live.end()


@pytest.mark.parametrize("twins", [(), ("USB (hw:3,0)",)])
def test_a_twin_is_not_taken_for_it(twins: tuple[str, ...]) -> None:
    """One that was there all the time is another device; two new ones are a riddle."""
    there = device("USB (hw:2,0)")
    sound = FakeSound([CARD, device("USB (hw:1,0)"), *([] if twins else [there])])
    live = Running(sound, input="1", output="0")
    live.wait(lambda: live.session.core.callbacks > 5)
    sound.unplug(CARD, there, *map(device, twins))
    before = sound.initialised
    live.wait(lambda: sound.initialised >= before + 3)
    assert live.state() == "waiting for device"
    live.end()
    assert len(live.said) == 1


def test_why_it_does_not_open_is_said_once() -> None:
    """Each reason that lasts, but not that it is away, which was the loss."""
    busy = threading.Event()
    sound = FakeSound([CARD, USB], refuse=lambda *_: -9985 if busy.is_set() else None)
    live = Running(sound, input="usb", output="usb")
    live.wait(lambda: live.session.core.callbacks > 5)
    sound.unplug(CARD)
    before = sound.initialised
    live.wait(lambda: sound.initialised >= before + 3)
    assert len(live.said) == 1  # that it is away
    sound.devices = [device("usb one"), device("usb two")]
    live.wait(lambda: len(live.said) == 2)
    busy.set()
    sound.devices = [CARD, USB]
    live.wait(lambda: len(live.said) == 3)
    before = sound.initialised
    live.wait(lambda: sound.initialised >= before + 4)
    busy.clear()
    live.wait(lambda: live.state() == "running")
    live.end()
    told = [s for s in live.said if s.startswith("still waiting: ")]
    assert len(told) == 2 and len(live.said) == 4
    assert "'usb' fits 2 input devices" in told[0]
    assert "in use by another program" in told[1]


def test_a_reason_of_a_moment_is_not_said() -> None:
    """A device that has just been plugged in may refuse once."""
    left = [0]

    def refuse(*_: object) -> int | None:
        left[0] -= 1
        return -9985 if left[0] == 0 else None

    sound = FakeSound([CARD], refuse=refuse)
    live = Running(sound)
    live.wait(lambda: live.session.core.callbacks > 5)
    left[0] = 1
    sound.unplug(CARD)
    live.wait(lambda: len(live.said) == 2)
    live.end()
    assert left[0] < 0
    assert "is back" in live.said[1]


def test_an_xrun_after_sleep_raises_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waking up costs one now and then; no buffer spares it, and no gap is worth it."""
    monkeypatch.setattr("streamdenoise.live.seek.GRACE_SECONDS", 0.2)
    asleep = [0.0]
    monkeypatch.setattr(
        supervise_module, "clock_with_sleep", lambda: time.monotonic() + asleep[0]
    )
    due = threading.Event()

    def flags(call: int) -> Flags:
        now = due.is_set()
        due.clear()
        return Flags(output_underflow=now)

    sound = FakeSound([CARD], flags=flags)
    live = Running(sound, latency="auto")
    live.wait(lambda: live.session.core.callbacks > 5)
    for count in (2, 3):
        asleep[0] += 3600.0
        live.wait(lambda: len(sound.opened) == count and live.state() == "running")  # noqa: B023
        time.sleep(0.5)
        due.set()
        time.sleep(0.5)
        assert len(sound.opened) == count
    live.end()
    assert sum(live.session.summary()["xruns"].values()) == 2
    assert {stream.asked["latency"] for stream in sound.opened} == {"low"}
