"""Virtual devices are as loud as what is played into them, on either sound server."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from streamdenoise.virtual.incoming import Incoming
from tests.pulse import PulseServer, pactl, wait_for
from tests.servers import either, pipewire, pulse
from tests.test_incoming import plays
from tests.test_virtualmic import RATE, start_live

__all__ = ["either", "pipewire", "pulse"]

TOLERANCE = 0.1
"""In dB; half of what a changed sum of two channels would make is 1.5."""


def tone(path: Path, channels: int, seconds: float = 4.0) -> Path:
    """Write a steady tone, the same in all channels."""
    time_axis = np.arange(round(seconds * RATE)) / RATE
    wave = 0.5 * np.sin(2 * np.pi * 1000.0 * time_axis)
    soundfile.write(path, np.tile(wave[:, None], channels), RATE, subtype="FLOAT")
    return path


def level(x: NDArray[np.float32]) -> float:
    """Level in dB of what is not silent; gaps of a busy machine do not count."""
    size = RATE // 20
    pieces = x[: len(x) // size * size].reshape(-1, size)
    powers = np.mean(np.square(pieces, dtype=np.float64), axis=1)
    loud = powers[powers > 1e-3]
    assert len(loud) >= 10, "hardly anything was heard"
    return float(10.0 * np.log10(np.median(loud)))


def test_the_microphone_is_as_loud_as_what_live_plays(
    either: PulseServer, model_path: Path, tmp_path: Path
) -> None:
    """A recorder gets the samples of ``--record``, not 3 dB more."""
    kept, sound = tmp_path / "kept.wav", tone(tmp_path / "tone.wav", 2)
    words = ["--record", str(kept), "--strength", "0"]
    process = start_live(either, model_path, 7, *words)
    try:
        with either.recording("streamdenoise.mic", RATE) as heard:
            either.play(sound, "room")
        process.communicate(timeout=30)
    finally:
        process.kill()
    played = soundfile.read(kept, dtype="float32")[0]
    assert level(heard[0]) == pytest.approx(level(played), abs=TOLERANCE)


@pytest.mark.parametrize("channels", [1, 2])
def test_the_others_are_as_loud_as_they_were(
    either: PulseServer, model_path: Path, tmp_path: Path, channels: int
) -> None:
    """What a call plays in mono or stereo reaches the loudspeaker at its level."""
    pactl("set-default-sink", "ear")
    sound = tone(tmp_path / "tone.wav", channels)
    words = ["--model", str(model_path), "--rate", str(RATE), "--latency", "0.06"]
    with Incoming(arguments=[*words, "--strength", "0"]) as incoming:
        assert wait_for(plays)
        with either.recording("ear.monitor", RATE, channels=2) as heard:
            either.play(sound, incoming.sink_name)
            time.sleep(0.5)
    expected = 20.0 * np.log10(0.5 / np.sqrt(2.0))
    for side in heard[0].T:
        assert level(side) == pytest.approx(expected, abs=TOLERANCE)
