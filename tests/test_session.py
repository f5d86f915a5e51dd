"""Opening, ending and failing of live sound, on a device that is not there."""

from __future__ import annotations

import gc
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import streamdenoise.live.session as session_module
from streamdenoise import Denoiser, DeviceError, ModelError, OutputError, Settings
from streamdenoise.live.opening import make_bridge
from streamdenoise.live.options import LiveOptions
from streamdenoise.live.realtime import realtime
from streamdenoise.live.session import LiveSession, Status
from streamdenoise.live.stream import LiveStream
from tests.fakes import GainModel, IdentityModel
from tests.fakesound import FakeSound, Flags, device


@pytest.fixture(autouse=True)
def identity(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use a model without files, so that these tests need no interpreter."""
    monkeypatch.setattr(session_module, "load_model", lambda name: IdentityModel())
    # A busy machine may be slow here; what is said then has its own test.
    monkeypatch.setattr(session_module, "DEADLINE_SHARE", np.inf)


CARD = [device("card")]
SERVER = [device("pulse", 32, 32)]


def test_one_card_is_one_stream(rng: np.random.Generator) -> None:
    """What goes into a card comes out of it a hop later, on both channels."""
    x = (0.1 * rng.standard_normal((48_000, 1))).astype(np.float32)
    sound = FakeSound(CARD, captured=x)
    with LiveSession(LiveOptions(), sound) as session:
        assert session.duplex
        assert session.rate == 48_000
        session.run(0.5)
    y = np.concatenate(sound.played)
    assert y.shape[1] == 2
    count = min(len(y) - 384, len(x))
    np.testing.assert_allclose(y[384 : 384 + count, 0], x[:count, 0], atol=1e-6)
    asked = sound.opened[0].asked
    assert asked["blocksize"] == 384
    assert asked["latency"] == "low"
    assert sound.opened[0].closed


def test_a_sound_server_is_two_streams_and_a_bridge() -> None:
    """Two directions with clocks of their own meet in a bridge that is reported."""
    sound = FakeSound(SERVER, pace=0.002)
    with LiveSession(LiveOptions(), sound) as session:
        assert not session.duplex
        session.run(0.3)
        assert session.core.bridge is not None
    parts = session.latency().parts()
    assert list(parts) == ["device in", "hop", "window", "buffer", "device out"]
    assert parts["device in"] == parts["device out"] == 0.016
    assert parts["hop"] == parts["window"] == 0.008
    assert 0 < parts["buffer"] == pytest.approx(session.core.delays.held, abs=1e-9)
    assert session.latency().total == pytest.approx(sum(parts.values()))
    assert [stream.kind for stream in sound.opened] == ["input", "output"]
    assert all(stream.closed for stream in sound.opened)


def test_a_refused_rate_is_not_the_persons_problem() -> None:
    """-9997 leads to the next rate; one that was asked for is mentioned."""
    said: list[str] = []
    sound = FakeSound(
        CARD, refuse=lambda k, d, rate, c: -9997 if rate > 44_100 else None
    )
    with LiveSession(LiveOptions(rate=96_000), sound, said.append) as session:
        assert session.rate == 44_100
        assert session.core.denoiser.params.hop == 352
    assert said == ["the devices refuse 96000 Hz; running at 44100 Hz"]


def test_no_rate_at_all_is_one_sentence() -> None:
    """A device that takes nothing ends in a sentence with the device in it."""
    sound = FakeSound(CARD, refuse=lambda *_: -9997)
    with pytest.raises(DeviceError, match=r"0 card \(ALSA\) refuses the sample rate"):
        LiveSession(LiveOptions(), sound)


def test_a_busy_device_is_said_at_once() -> None:
    """Busy is busy at every rate; nothing else is tried, nothing stays open."""
    tried = []

    def refuse(kind: str, index: int, rate: int, channels: int) -> int | None:
        tried.append(rate)
        return -9985 if kind == "output" else None

    sound = FakeSound(SERVER, refuse=refuse)
    with pytest.raises(DeviceError, match=r"output device.*in use by another program"):
        LiveSession(LiveOptions(), sound)
    assert set(tried) == {48_000}


def test_a_card_without_mono_is_opened_in_stereo() -> None:
    """Cards that only open with two channels work: the first is heard."""
    sound = FakeSound(CARD, refuse=lambda k, d, r, c: -9998 if c == 1 else None)
    with LiveSession(LiveOptions(), sound):
        assert sound.opened[0].asked["channels"] == (2, 2)


def test_it_ends_when_it_is_told_to() -> None:
    """`stopped` ends it within a tick or two, and `tick` has seen numbers."""
    sound = FakeSound(CARD, flags=lambda call: Flags(input_overflow=call > 50))
    seen: list[Any] = []
    with LiveSession(LiveOptions(), sound) as session:
        session.run(None, lambda: len(seen) >= 4, seen.append)
    assert len(seen) == 4
    assert seen[-1].xrun_count > 0
    summary = session.summary()
    assert summary["xruns"]["input overflow"] == seen[-1].xrun_count or (
        summary["xruns"]["input overflow"] > seen[-1].xrun_count
    )
    assert summary["step"]["count"] > 0
    assert 0 < summary["step"]["p50"] <= summary["step"]["max"]


def test_an_engine_failure_is_reported_by_the_main_thread(
    rng: np.random.Generator,
) -> None:
    """What a callback raised comes out of `run`, and the dry sound went on."""
    x = (0.1 * rng.standard_normal((48_000, 1))).astype(np.float32)
    sound = FakeSound(CARD, captured=x)
    with LiveSession(LiveOptions(), sound) as session:
        session.core.denoiser.model.step = None  # type: ignore[method-assign]
        with pytest.raises(Exception, match=r"engine failed.*passed on as it is"):
            session.run(5.0)
    assert np.isfinite(np.concatenate(sound.played)).all()


def test_the_recording_is_what_was_played(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    """Sample for sample, in a file that appears at the end."""
    x = (0.1 * rng.standard_normal((48_000, 1))).astype(np.float32)
    path = tmp_path / "talk.wav"
    sound = FakeSound(CARD, captured=x)
    with LiveSession(LiveOptions(record=path), sound) as session:
        session.run(0.4)
        assert not path.exists()
    y, rate = soundfile.read(path, dtype="float32")
    assert rate == 48_000
    np.testing.assert_array_equal(y, np.concatenate(sound.played)[:, 0])
    assert session.summary()["recorded"]["files"] == [str(path)]


def test_a_target_that_exists_is_refused_before_anything_sounds(tmp_path: Path) -> None:
    """The devices are closed again, and the file is as it was."""
    path = tmp_path / "talk.wav"
    path.write_bytes(b"precious")
    sound = FakeSound(CARD)
    with pytest.raises(OutputError, match="--force"):
        LiveSession(LiveOptions(record=path), sound)
    assert all(stream.closed for stream in sound.opened)
    assert path.read_bytes() == b"precious"


def test_a_machine_that_is_too_slow_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the first xrun it is said that there will be some, and what to do."""
    monkeypatch.setattr(session_module, "DEADLINE_SHARE", 0.0)
    said: list[str] = []
    with LiveSession(LiveOptions(), FakeSound(CARD), said.append):
        assert len(said) == 1
        assert "of the 8.0 ms that it may" in said[0]
        assert "--model" in said[0]


def test_realtime_leaves_no_trace() -> None:
    """Collector and switch interval are as before, errors or not."""
    before = (gc.isenabled(), sys.getswitchinterval(), gc.get_freeze_count())
    with pytest.raises(RuntimeError), realtime():
        assert not gc.isenabled()
        raise RuntimeError
    assert (gc.isenabled(), sys.getswitchinterval(), gc.get_freeze_count()) == before


@pytest.mark.parametrize("latency", [0.008, 0.016, 0.05, 0.1, 0.5])
def test_the_bridge_covers_what_a_server_hands_over(latency: float) -> None:
    """It holds at least half of the device's buffer, and drops only far above."""
    bridge = make_bridge(latency, 48_000, 384, 1)
    assert bridge.target >= latency * 48_000 / 2 + 384
    assert bridge.limit >= bridge.target + latency * 48_000


def test_waiting_takes_no_processor_time() -> None:
    """The main thread sleeps between its looks."""
    sound = FakeSound(CARD, pace=0.05)
    with LiveSession(LiveOptions(), sound) as session:
        looks: list[float] = []
        session.run(1.0, tick=lambda status: looks.append(time.monotonic()))
    assert len(looks) <= 11


# Orders while it runs ---------------------------------------------------------------


def tone(seconds: float = 30.0) -> np.ndarray:
    at = np.arange(int(seconds * 48_000)) / 48_000
    return (0.3 * np.sin(2 * np.pi * 440 * at)).astype(np.float32)[:, None]


def ordered(
    sound: FakeSound, orders: list[Any], ticks: int = 3, **options: Any
) -> LiveSession:
    """Run a session that gets one order after some ticks each, then stops."""
    count = [0]

    def tick(status: Status) -> None:
        count[0] += 1
        at, rest = divmod(count[0], ticks)
        if rest:
            return
        if at > len(orders):
            session.stop()
        else:
            orders[at - 1](session)

    with LiveSession(LiveOptions(**options), sound) as session:
        session.run(30.0, tick=tick)
    return session


def test_mute_is_silence_without_a_click() -> None:
    """Muted is exactly silent, says so, and both ends fade over a hop."""
    sound = FakeSound(CARD, captured=tone())
    seen: list[bool] = []

    def mute(session: LiveSession) -> None:
        session.muted = not session.muted
        status = session.status()
        seen.append(status.muted)
        assert (status.level_out == -120.0) == status.muted

    ordered(sound, [mute, mute])
    y = np.concatenate(sound.played)[:, 0]
    assert seen == [True, False]
    silent = np.flatnonzero(np.convolve(y == 0, np.ones(384), "valid") == 384)
    assert np.ptp(silent) > 4800
    assert np.abs(np.diff(y[384 * 3 :])).max() < 0.3 * 2 * np.pi * 440 / 48_000 * 1.2
    assert np.abs(y[-4800:]).max() > 0.29


def test_mute_holds_when_the_engine_fails() -> None:
    """The dry sound that goes on after a failure is muted as well."""
    core = LiveStream(Denoiser(IdentityModel(), 48_000, block=384))
    core.denoiser.model.step = None  # type: ignore[method-assign]
    core.muted = True
    block, out = tone()[:384], np.ones((384, 1), np.float32)
    for _ in range(3):
        core.process_callback(block, out, 384, None, Flags())
    assert core.error is not None
    assert not out.any()


def test_recordings_begin_and_end_while_it_runs(tmp_path: Path) -> None:
    """Two files, each a gapless piece of what was played; none when it is off."""
    x = (0.1 * np.random.default_rng(1).standard_normal((960_000, 1))).astype("f4")
    sound = FakeSound(CARD, captured=x)
    first, second = tmp_path / "one.wav", tmp_path / "two.wav"
    seen: list[Path | None] = []
    session = ordered(
        sound,
        [
            lambda s: s.record(first),
            lambda s: seen.append(s.status().recording),
            lambda s: s.record(second),
            lambda s: seen.append(s.recording),
            lambda s: s.record(None),
            lambda s: seen.append(s.recording),
        ],
    )
    assert seen == [first, second, None]
    y = np.concatenate(sound.played)[:, 0]
    for path in (first, second):
        part, _ = soundfile.read(path, dtype="float32")
        at = np.flatnonzero(y == part[0])
        assert any(np.array_equal(y[k : k + len(part)], part) for k in at)
    assert session.summary()["recorded"]["files"] == [str(first), str(second)]


def test_a_recording_that_cannot_be_made_changes_nothing(tmp_path: Path) -> None:
    """An order that fails is an error for who gave it; sound goes on."""
    there = tmp_path / "there.wav"
    there.write_bytes(b"precious")
    seen: list[Any] = []

    def order(session: LiveSession) -> None:
        with pytest.raises(OutputError, match="--force"):
            session.record(there)
        seen.append(session.recording)

    ordered(FakeSound(CARD), [order, lambda s: s.record(there, force=True)])
    assert seen == [None]
    assert soundfile.info(there).frames > 0


def test_another_model_takes_over_smoothly(monkeypatch: pytest.MonkeyPatch) -> None:
    """The level glides within a hop, with the same delay and settings; no step."""
    half = GainModel(0.5, name="half")
    models = {None: IdentityModel(), "half": half}
    monkeypatch.setattr(session_module, "load_model", lambda name: models[name])
    sound = FakeSound(CARD, captured=tone())
    names: list[str] = []
    session = ordered(
        sound,
        [
            lambda s: setattr(s, "settings", Settings(mix=1.0, strength_db=60.0)),
            lambda s: s.use_model("half"),
            lambda s: names.append(s.status().model),
        ],
        ticks=6,
    )
    y = np.concatenate(sound.played)[:, 0]
    assert names == ["half"] and session.model_name == "half"
    assert session.settings.strength_db == 60.0
    assert session.summary()["model"] == "half"
    slope = 0.3 * 2 * np.pi * 440 / 48_000
    assert np.abs(np.diff(y[384 * 3 :])).max() < 1.1 * slope
    assert np.abs(y[-4800:]).max() == pytest.approx(0.15, rel=0.02)
    # In step throughout: the zeros of the tone lie where they always did.
    end = len(y) - 384
    np.testing.assert_allclose(
        y[-4800:], 0.5 * tone()[end - 4800 + 0 : end, 0], atol=2e-3
    )


def test_a_model_with_another_delay_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says how to start with it instead; the old one goes on."""
    models = {None: IdentityModel(), "quick": IdentityModel(synthesis_hops=1)}
    monkeypatch.setattr(session_module, "load_model", lambda name: models[name])

    def order(session: LiveSession) -> None:
        with pytest.raises(ModelError, match="--model"):
            session.use_model("quick")

    session = ordered(FakeSound(CARD), [order])
    assert session.model_name == "fake"


def test_the_status_has_all_that_a_view_needs() -> None:
    """Levels by band stand where the sound is; latency is the sum of its parts."""
    sound = FakeSound(CARD, captured=tone())
    seen: list[Status] = []
    with LiveSession(LiveOptions(), sound) as session:
        session.run(0.8, tick=seen.append)
        last, total = seen[-1], session.latency().total
        edges = session.core.bands.edges
    assert len(last.bands_in) == len(last.bands_out) == len(edges) - 1 == 16
    loudest = int(np.argmax(last.bands_in))
    assert edges[loudest] <= 440 <= edges[loudest + 1]
    assert last.bands_in[loudest] == pytest.approx(20 * np.log10(0.3) - 3, abs=1)
    assert last.latency == pytest.approx(total)
    assert (last.state, last.muted, last.recording) == ("running", False, None)
    assert last.model == "fake"


@pytest.mark.parametrize(("latency", "hops"), [("low", 1), (0.04, 1), (0.06, 2)])
def test_long_buffers_are_served_by_two_hops_at_a_time(
    latency: float | str, hops: int
) -> None:
    """It halves the calls where the sound waits anyway; the sound is the same."""
    x = tone()
    sound = FakeSound(CARD, captured=x)
    with LiveSession(LiveOptions(latency=latency), sound) as session:
        session.run(0.4)
        assert not session.core.reblocked
        assert session.latency().hop == 0.008
    assert sound.opened[0].asked["blocksize"] == hops * 384
    y = np.concatenate(sound.played)
    count = min(len(y) - 384, len(x))
    np.testing.assert_allclose(y[384 : 384 + count, 0], x[:count, 0], atol=1e-6)


def test_levels_by_band_are_computed_for_who_wants_them() -> None:
    """They are most of the work of a status, and a log does not show them."""
    sound = FakeSound(CARD, captured=tone())
    seen: list[Status] = []
    with LiveSession(LiveOptions(), sound) as session:
        session.bands = False
        session.run(0.3, tick=seen.append)
        assert len(session.status().bands_in) == 16
    assert seen and all(status.bands_in == () for status in seen)


# Recordings that stop ---------------------------------------------------------------


def full_disk(session: LiveSession, path: Path) -> None:
    """Begin a recording whose disk is full from now on."""

    def write(*_: object) -> None:
        raise OutputError("cannot write: the disk is full")

    session.record(path)
    recorder = session._recordings.made[-1]
    assert recorder is not None and recorder._writer is not None
    recorder._writer.write = write  # type: ignore[method-assign]


def stopped_twice(tmp_path: Path, seen: list[Any]) -> list[Any]:
    """Two recordings that stop, one begun over the other, and one that does not."""
    first, second, third = (tmp_path / f"{name}.wav" for name in "abc")
    return [
        lambda s: full_disk(s, first),
        lambda s: seen.append(s.status().recording),
        lambda s: full_disk(s, second),
        lambda s: seen.append(s.status().recording),
        lambda s: s.record(third),
        lambda s: seen.append(s.status().recording),
    ]


def test_a_recording_that_stopped_is_not_shown_as_running(tmp_path: Path) -> None:
    """Nothing is written any more, so no view and no status says that it is."""
    seen: list[Any] = []
    sound = FakeSound(CARD, pace=0.004)
    ordered(sound, stopped_twice(tmp_path, seen))
    assert seen == [None, None, tmp_path / "c.wav"]
    assert soundfile.info(tmp_path / "c.wav").frames > 0


def test_every_recording_that_stops_is_said_once(tmp_path: Path) -> None:
    """The second failure is news as much as the first, and neither is repeated."""
    said: list[str] = []
    orders = stopped_twice(tmp_path, [])[:4]

    def tick(status: Status) -> None:
        if count[0] % 3 == 0 and orders:
            orders.pop(0)(session)
        count[0] += 1

    count = [0]
    sound = FakeSound(CARD, pace=0.004)
    session = LiveSession(LiveOptions(), sound, said.append)
    session.run(2.0, tick=tick)
    assert not orders
    assert said == 2 * [
        "the recording stopped: cannot write: the disk is full; live sound goes on"
    ]
    # Who ends it is told what is kept; after that there is nothing to be told.
    with pytest.raises(OutputError, match="recording stopped"):
        session.record(None)
    session.close()
    assert not session.summary()["recorded"]["whole"]
