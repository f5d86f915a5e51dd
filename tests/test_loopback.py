"""The measured way through the devices: exact in simulation, right on a real server."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import resample_poly

import streamdenoise.live.session as session_module
from streamdenoise import Denoiser, DeviceError
from streamdenoise.doctor.chirp import chirp, find_delay
from streamdenoise.doctor.loopback import NotHeardError, Probe, measure_loop
from streamdenoise.doctor.trip import TOLERANCE, LoopResult, Trip
from streamdenoise.live.session import LiveOptions
from streamdenoise.live.supervise import Supervisor
from tests.fakes import IdentityModel
from tests.fakesound import FakeSound, device
from tests.pulse import PulseServer, list_anew, pulse

__all__ = ["pulse"]


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000])
def test_a_chirp_is_found_to_a_part_of_a_sample(
    rate: int, rng: np.random.Generator
) -> None:
    """Delayed by tenths of a sample, in noise and room echo, it is found at the place.

    Ten times the rate gives the delays between the samples.
    """
    for tenths in rng.integers(10, 5 * rate, 6):
        fine = np.zeros(10 * rate)
        sound = resample_poly(chirp(rate).astype(float), 10, 1)
        fine[tenths : tenths + len(sound)] += sound
        heard = resample_poly(fine, 1, 10)
        heard += 0.3 * np.roll(heard, rate // 50)
        heard += 0.02 * rng.standard_normal(len(heard))
        found = find_delay(heard.astype(np.float32), rate)
        assert found is not None
        assert abs(found - tenths / (10 * rate)) < 0.3 / rate


def test_what_is_no_chirp_is_not_found(rng: np.random.Generator) -> None:
    """Silence, noise, hum and a click are not taken for the chirp."""
    t = np.arange(48_000) / 48_000
    click = np.zeros(48_000)
    click[20_000] = 1.0
    for sound in (
        np.zeros(48_000),
        0.1 * rng.standard_normal(48_000),
        0.5 * np.sin(2 * np.pi * 50 * t),
        click,
    ):
        assert find_delay(sound.astype(np.float32), 48_000) is None


@pytest.mark.parametrize("delay", [0, 1, 383, 2500])
def test_the_probe_counts_the_whole_way(delay: int) -> None:
    """In a loop of known length the way found is that, with the engine's own part."""
    rate, hop = 48_000, 384
    denoiser = Denoiser(IdentityModel(), rate, block=hop)
    length = 60 * hop
    probe = Probe(denoiser, [4 * hop], length)
    line = np.zeros(length + 10 * hop, np.float32)
    out = np.empty((hop, 1), np.float32)
    for i in range(length // hop):
        probe.process(line[i * hop : (i + 1) * hop, None], out)
        # As a duplex device: what is made of one block is played with the next one.
        at = (i + 1) * hop + delay
        line[at : at + hop] = out[: max(len(line) - at, 0), 0]
    found = find_delay(probe.kept[4 * hop :], rate)
    assert found is not None
    wanted = denoiser.latency_samples + hop + delay
    assert found * rate == pytest.approx(wanted, abs=0.1)
    assert probe.latency_samples == denoiser.latency_samples  # shows through


def test_the_verdict_says_which_way_it_differs() -> None:
    """Right, longer with a guess at the reason, or shorter."""

    def verdict(measured: float) -> str:
        trip = Trip("active", 3, 3, measured, 0.0)
        parts = {"device in": 0.01, "hop": 0.008, "window": 0.008}
        return LoopResult("a", "b", 48_000, (trip,), parts, 0).verdict

    assert "right within" in verdict(0.030)
    assert "14.0 ms longer" in verdict(0.040)
    assert "4.8 m of air" in verdict(0.040)
    assert "16.0 ms less" in verdict(0.010)


@pytest.mark.parametrize(
    ("bypass", "active", "spread", "xruns"),
    [(0.030, 0.030, 0.0401, 0), (0.030, 0.030, 0.0, 14), (0.040, 0.030, 0.0, 0)],
)
def test_what_is_unsteady_certifies_nothing(
    bypass: float, active: float, spread: float, xruns: int
) -> None:
    """Chirps that disagree, many xruns, or two modes apart: no verdict, but a way."""
    trips = Trip("bypass", 5, 5, bypass, spread), Trip("active", 5, 5, active, 0.0001)
    parts = {"device in": 0.014, "hop": 0.008, "window": 0.008}
    result = LoopResult("a", "b", 48_000, trips, parts, xruns)
    assert abs(result.difference) < TOLERANCE and not result.good
    assert result.verdict.startswith("too unsteady to tell")
    assert f"with {xruns} xruns" in result.verdict
    assert result.as_dict()["steady"] is False
    assert result.fix("low").endswith("measure again with --latency 0.03")
    assert result.fix("high").endswith("measure again with --latency 0.2")
    assert result.fix(0.12).endswith("measure again with --latency 0.2")
    assert result.fix(0.5).endswith("measure again")
    calm = Trip("bypass", 5, 5, 0.030, 0.0001), Trip("active", 5, 5, 0.031, 0.0001)
    result = LoopResult("a", "b", 48_000, calm, parts, 1)
    assert result.good and result.fix("low") == ""


@pytest.fixture
def wired(pulse: PulseServer, monkeypatch: pytest.MonkeyPatch) -> PulseServer:
    """The microphone is the monitor of the sink that is played into."""
    for name, value in pulse.env_for("ear.monitor", "ear").items():
        if name in ("HOME", "XDG_RUNTIME_DIR", "PULSE_SOURCE", "PULSE_SINK"):
            monkeypatch.setenv(name, value)
    list_anew()
    return pulse


@pytest.mark.parametrize("latency", ["low", 0.06])
def test_the_reported_sum_is_the_measured_way(
    wired: PulseServer, model_path: Path, latency: float | str
) -> None:
    """On a null sink whose monitor is the input: equal within 5 ms.

    An xrun moves the buffer in the middle of the measurement, so there are attempts;
    beside other work many are needed, as `low` leaves no time to spare.
    """
    history = []
    for _ in range(12):
        options = LiveOptions(model=model_path, rate=48_000, latency=latency)
        result = measure_loop(options, repeats=3)
        bypass, active = result.trips
        assert bypass.heard == active.heard == 3
        history.append((result.xruns, result.as_dict()))
        steady = bypass.spread < 0.0005 and active.spread < 0.0005
        if steady and abs(result.difference) <= TOLERANCE:
            assert abs(bypass.median - active.median) < 0.002
            return
    pytest.fail(f"no measurement agrees: {history}")


def test_deaf_is_a_sentence(
    wired: PulseServer, model_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An input that does not hear the output: what to do about it."""
    monkeypatch.setenv("PULSE_SOURCE", "room.monitor")
    options = LiveOptions(model=model_path, rate=48_000, latency=0.06)
    with pytest.raises(NotHeardError, match="cable"):
        measure_loop(options, repeats=1)


@pytest.fixture
def loud(monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator) -> FakeSound:
    """A device whose microphone hears noise that must not be played."""
    monkeypatch.setattr(session_module, "load_model", lambda name: IdentityModel())
    monkeypatch.setattr(session_module, "DEADLINE_SHARE", float("inf"))
    captured = 0.5 * rng.standard_normal((48_000 * 20, 2)).astype(np.float32)
    return FakeSound([device("card")], captured=captured, pace=0.004)


def test_a_device_that_goes_away_ends_the_measurement(loud: FakeSound) -> None:
    """It is not waited for: what comes back would not be what was measured."""
    loud.dies_after = 50
    with pytest.raises(DeviceError, match=r"went away.* measure again with"):
        measure_loop(LiveOptions(latency="low"), loud, repeats=1)
    assert len(loud.opened) == 1 and loud.opened[0].closed
    assert not np.concatenate(loud.played).any()


def test_what_opens_again_passes_no_microphone_on(
    loud: FakeSound, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Devices that open anew meanwhile get the probe, and the measurement ends."""
    real, looks = Supervisor.look, [0]

    def look(self: Supervisor) -> None:
        looks[0] += 1
        if looks[0] != 3:
            real(self)
            return
        self._shut()
        self._renew(self.source, self.sink, [self.streams.rate])
        time.sleep(0.3)

    monkeypatch.setattr(Supervisor, "look", look)
    with pytest.raises(DeviceError, match=r"opened again.* measure again with"):
        measure_loop(LiveOptions(latency="low"), loud, repeats=1)
    assert len(loud.opened) == 2 and all(stream.closed for stream in loud.opened)
    assert len(loud.played) > 20 and not np.concatenate(loud.played).any()
