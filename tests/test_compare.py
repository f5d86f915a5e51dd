"""Two recordings side by side."""

from __future__ import annotations

import json
import math
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
import soundfile as sf

from streamdenoise.audio.levels import si_sdr
from streamdenoise.show.compare import compare
from streamdenoise.show.likeness import find_lag
from tests.clitools import model_arg, noise, run, write_noise

__all__ = ["model_arg"]


def write(path, x, rate=16000):
    sf.write(path, x, rate, subtype="FLOAT")
    return path


@pytest.mark.parametrize("lag", [0, 1, -1, 256, -4000, 15999])
def test_lag_is_found(tmp_path, lag):
    """To the sample, either way, also for a copy that is turned over; SI-SDR fits."""
    x = noise(200_000)[:, 0]
    y = -0.3 * np.roll(x, lag)
    y[:lag] *= lag < 0
    a, b = write(tmp_path / "a.wav", x), write(tmp_path / "b.wav", y)
    found = compare(a, b)
    assert found.lag == lag
    assert found.si_sdr > 60 or (lag < 0 and found.si_sdr > 10)


def test_si_sdr_is_that_of_the_whole_arrays(tmp_path):
    """Sums over blocks are the formula, whatever the length."""
    x = noise(150_001)[:, 0]
    y = 0.5 * x + 0.05 * np.random.default_rng(1).standard_normal(len(x))
    y = y.astype(np.float32)
    found = compare(write(tmp_path / "a.wav", x), write(tmp_path / "b.wav", y))
    assert found.lag == 0
    assert found.si_sdr == pytest.approx(si_sdr(y, x), abs=1e-4)


def test_same_file(tmp_path):
    """No difference at all."""
    path = write_noise(tmp_path / "a.wav", 30_000, 44100, channels=2)
    found = compare(path, path)
    assert found.lag == 0 and found.si_sdr == math.inf
    assert all(band.difference == 0 for band in found.bands)


def test_octaves_tell_where(tmp_path):
    """What is missing above 2 kHz is missing there, and only there."""
    x = noise(160_000)[:, 0]
    spectrum = np.fft.rfft(x)
    spectrum[int(len(spectrum) * 2000 / 8000) :] *= 0.1
    y = np.fft.irfft(spectrum, len(x)).astype(np.float32)
    found = compare(write(tmp_path / "a.wav", x), write(tmp_path / "b.wav", y))
    change = {band.hz: band.difference for band in found.bands}
    assert change[500] == pytest.approx(0.0, abs=0.2)
    assert change[4000] == pytest.approx(-20.0, abs=0.3)


def test_other_rate_and_length(tmp_path):
    """Levels and octaves still compare; the rest is left out, and said."""
    a = write_noise(tmp_path / "a.wav", 16000, 16000)
    b = write_noise(tmp_path / "b.wav", 48000, 48000, channels=2)
    found = compare(a, b, picture=True)
    assert found.lag is None and found.si_sdr is None
    assert found.picture[:4] == b"\x89PNG" and len(found.bands) == 8
    assert "one rate and length" in run("compare", a, b).stdout


def pixels(picture):
    """Return the pixels of a PNG of ours."""
    width, height = struct.unpack(">II", picture[16:24])
    at, data = 8, b""
    while at < len(picture):
        size, name = struct.unpack(">I4s", picture[at : at + 8])
        data += picture[at + 8 : at + 8 + size] if name == b"IDAT" else b""
        at += 12 + size
    lines = np.frombuffer(zlib.decompress(data), np.uint8)
    return lines.reshape(height, width + 1)[:, 1:]


@pytest.mark.parametrize("turned", [False, True])
def test_one_pair_of_axes_for_both(tmp_path, turned):
    """A tone stands as high in both, and a short one ends where its time is over."""
    for name, rate, seconds in (("a", 16000, 1), ("b", 48000, 2)):
        x = 0.5 * np.sin(2 * np.pi * 4000 * np.arange(rate * seconds) / rate)
        write(tmp_path / f"{name}.wav", x.astype(np.float32), rate)
    one, two = (tmp_path / f"{name}.wav" for name in ("ba" if turned else "ab"))
    drawn = pixels(compare(one, two, picture=True).picture)
    # Panels of 224 x 960, see show.picture; 4 kHz is half of what both have.
    panels = [drawn[y : y + 224, 68 : 68 + 960] for y in (30, 30 + 224 + 34)]
    for panel, short in zip(panels, (not turned, turned), strict=True):
        loudest = panel[:, 100].argmax()
        assert abs(loudest - 112) <= 2
        assert (panel[:, 481:] == 240).all() == short
        assert (panel[:, :479] < 240).all()


def test_silence(tmp_path):
    """Nothing divides by zero."""
    a = write(tmp_path / "a.wav", np.zeros(5000, np.float32))
    b = write_noise(tmp_path / "b.wav", 5000)
    for one, two in ((a, b), (b, a), (a, a)):
        found = compare(one, two, picture=True)
        assert found.lag is None
    assert find_lag(np.zeros(1, np.float32), np.ones(1, np.float32), 8000) is None


def test_memory_does_not_grow(tmp_path):
    """A long recording needs no more than its first half minute."""
    peaks = []
    for seconds in (60, 240):
        path = write_noise(tmp_path / f"{seconds}.wav", 8000 * seconds, 8000)
        tracemalloc.start()
        compare(path, path)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0] + 200_000


def test_command(tmp_path):
    """Figures on standard output, a picture where it was asked for."""
    a, b = write_noise(tmp_path / "a.wav"), write_noise(tmp_path / "b.flac")
    picture = tmp_path / "p.png"
    result = run("compare", a, b, "-o", picture)
    assert result.exit_code == 0, result.output
    assert picture.read_bytes()[:4] == b"\x89PNG"
    assert "0 samples" in result.stdout and "octave at 1000 Hz" in result.stdout
    assert run("compare", a, b, "-o", picture).exit_code == 1
    told = json.loads(run("compare", a, b, "--json").stdout)
    assert told["lag"] == 0 and told["a"]["sample_rate"] == 16000
    assert run("compare", a, tmp_path / "none.wav").exit_code == 1


def test_picture_never_replaces_a_recording(tmp_path):
    """A slip of the hand with --force costs no recording."""
    a, b = write_noise(tmp_path / "a.wav"), write_noise(tmp_path / "b.flac")
    before = b.read_bytes()
    (tmp_path / "x").mkdir()
    for other in (b, tmp_path / "x" / ".." / "b.flac"):
        result = run("compare", a, b, "-o", other, "--force")
        assert result.exit_code == 2 and "another file" in result.stderr
        assert b.read_bytes() == before


def test_picture_has_the_name_of_what_it_is(tmp_path):
    """A PNG under the name of another format is refused, with the name to take."""
    a = write_noise(tmp_path / "a.wav")
    result = run("compare", a, a, "-o", tmp_path / "both.jpg")
    assert result.exit_code == 2 and "both.png" in result.stderr
    assert not (tmp_path / "both.jpg").exists()
