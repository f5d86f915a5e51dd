"""Videos and other containers: which loudspeaker each channel is for."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile as sf

from streamdenoise import OutputError
from streamdenoise.audio.avlayout import alike, low_channels
from streamdenoise.audio.wavchunks import set_channel_mask
from tests.media import Track, av, decoded, make_media
from tests.test_avfile import copy

RATE = 48_000


def tones(channels: int, n: int = RATE) -> np.ndarray:
    """Return another tone for each channel, all of them above what an LFE keeps."""
    t = np.arange(n) / RATE
    pitches = 500.0 * np.arange(1, channels + 1)
    return (0.3 * np.sin(2 * np.pi * pitches * t[:, None])).astype(np.float32)


def pitches(x: np.ndarray) -> list[int]:
    """Return the number of the tone in each channel; 0 where there is next to none."""
    middle = x[12_000:36_000]
    loud = np.abs(middle).max(axis=0) > 0.15
    peaks = np.abs(np.fft.rfft(middle, axis=0)).argmax(axis=0) * RATE / len(middle)
    return [round(p / 500) * int(ok) for p, ok in zip(peaks, loud, strict=True)]


def layout(path) -> str:
    with av.open(str(path)) as container:
        return container.streams.audio[0].codec_context.layout.name


@pytest.mark.parametrize(
    ("channels", "ext", "wanted"),
    [
        (3, "m4a", "3.0"),
        (3, "ac3", "3.0"),
        (3, "mka", "3.0"),
        (4, "m4a", "quad"),
        (4, "ac3", "quad(side)"),
        (5, "m4a", "5.0"),
        (7, "m4a", "7.0"),
        (7, "mka", "7.0"),
    ],
)
def test_no_channel_becomes_a_low_frequency_one(tmp_path, channels, ext, wanted):
    """Three microphones in a WAV are three voices after it, in every coding."""
    x = tones(channels)
    sf.write(tmp_path / "a.wav", x, RATE, subtype="PCM_16")
    writer = copy(tmp_path / "a.wav", tmp_path / f"b.{ext}")
    assert writer.notes == []
    y, _ = decoded(tmp_path / f"b.{ext}")
    assert pitches(y) == list(range(1, channels + 1))
    # FFmpeg 8 has no name for what AAC says of seven.
    assert layout(tmp_path / f"b.{ext}") in (wanted, "7 channels")


@pytest.mark.parametrize(
    ("mask", "wanted"),
    [(0x33, "quad"), (0x60F, "5.1(side)"), (0x3F, "5.1"), (0xB, "2.1"), (0x7, "3.0")],
)
@pytest.mark.parametrize("ext", ["m4a", "mka"])
def test_the_mask_of_a_wav_is_heard(tmp_path, mask, wanted, ext):
    """Quad stays quad, and sides stay sides."""
    path = tmp_path / "a.wav"
    x = tones(mask.bit_count())
    sf.write(path, x, RATE, format="WAVEX", subtype="PCM_16")
    set_channel_mask(path, mask)
    writer = copy(path, tmp_path / f"b.{ext}")
    # AAC has one place for both kinds of 5.1.
    same = wanted if ext == "mka" else wanted.removesuffix("(side)")
    assert layout(tmp_path / f"b.{ext}") == same
    assert writer.notes == []
    if ext == "mka":
        assert np.abs(decoded(tmp_path / "b.mka")[0] - x).max() < 1e-4


def test_where_no_layout_fits_it_is_refused(tmp_path):
    """Opus of seven channels has a low-frequency one; the sentence says what to do."""
    sf.write(tmp_path / "a.wav", tones(7), RATE, subtype="PCM_16")
    with pytest.raises(
        OutputError, match=r"opus does not take .*\(7\.0, .*name a \.mkv"
    ):
        copy(tmp_path / "a.wav", tmp_path / "b.webm")


def test_custom_of_six_channels_is_said(tmp_path):
    """Six count as 5.1 by custom; where that takes something away, a note tells."""
    sf.write(tmp_path / "a.wav", tones(6), RATE, subtype="PCM_16")
    (note,) = copy(tmp_path / "a.wav", tmp_path / "b.m4a").notes
    assert "5.1, in which channel 4 is the low-frequency one" in note
    assert copy(tmp_path / "a.wav", tmp_path / "b.mka").notes == []
    # In FLAC it is no custom, but its specification.
    copy(tmp_path / "a.wav", tmp_path / "a.flac")
    assert copy(tmp_path / "a.flac", tmp_path / "c.m4a").notes == []


@pytest.mark.parametrize(("channels", "wanted"), [(3, "3.0"), (4, "quad"), (6, "5.1")])
def test_a_container_that_says_nothing(tmp_path, channels, wanted):
    """Sound of a video without a layout is handled like that of a WAV without one."""
    track = Track("pcm_s16le", RATE, f"{channels} channels")
    make_media(tmp_path / "a.mka", "matroska", [track])
    assert layout(tmp_path / "a.mka") == f"{channels} channels"
    notes = copy(tmp_path / "a.mka", tmp_path / "b.m4a").notes
    assert layout(tmp_path / "b.m4a") == wanted
    assert len(notes) == (channels == 6)


@pytest.mark.parametrize("name", ["3.0", "quad", "5.0", "6.0", "7.0", "6.1(front)"])
def test_what_stands_for_a_layout_adds_no_low_channel(name):
    """Also where an encoder refuses it as it is."""
    for other in alike(name):
        assert low_channels(other) <= low_channels(name)
        assert av.AudioLayout(other).nb_channels == av.AudioLayout(name).nb_channels
