"""The order of channels in Ogg files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from streamdenoise.audio.file import open_reader
from streamdenoise.audio.order import in_file_order, ogg_layout
from streamdenoise.audio.wavchunks import set_channel_mask
from streamdenoise.audio.wavscan import scan_wav
from tests.clitools import copy_sound

RATE = 48000
SLOT = RATE // 4

SPEAKERS = {
    3: ("FL FC FR", "FL FR FC", 0x7),
    4: ("FL FR BL BR", "FL FR BL BR", 0x33),
    5: ("FL FC FR BL BR", "FL FR FC BL BR", 0x37),
    6: ("FL FC FR BL BR LFE", "FL FR FC LFE BL BR", 0x3F),
    7: ("FL FC FR SL SR BC LFE", "FL FR FC LFE BC SL SR", 0x70F),
    8: ("FL FC FR SL SR BL BR LFE", "FL FR FC LFE BL BR SL SR", 0x63F),
}
"""Loudspeakers in Ogg ("Vorbis I specification", 4.3.9) and in WAV, and their mask."""


def turns(channels: int) -> np.ndarray:
    """Return sound that each channel has for a while, one after the other."""
    x = np.zeros((channels * SLOT, channels), np.float32)
    tone = 0.4 * np.sin(2 * np.pi * 80 / RATE * np.arange(SLOT))
    for i in range(channels):
        x[i * SLOT : (i + 1) * SLOT, i] = tone
    return x


def whose(x: np.ndarray) -> list[int]:
    """Return whose turn it is, channel by channel."""
    power = [np.square(x[i * SLOT :][:SLOT]).mean(axis=0) for i in range(x.shape[1])]
    return np.argmax(power, axis=0).tolist()


def write_ogg(path: Path, channels: int, subtype: str) -> Path:
    if not sf.check_format("OGG", subtype):
        pytest.skip(f"this libsndfile does not write OGG with {subtype}")
    sf.write(path, turns(channels), RATE, format="OGG", subtype=subtype)
    return path


def copy(source: Path, target: Path) -> Path:
    return copy_sound(source, target)[0].path


@pytest.mark.parametrize("channels", SPEAKERS)
@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_channels_are_read_in_the_order_of_wav(tmp_path, channels, subtype):
    """The centre is no right channel, and the LFE no surround; the mask says so."""
    path = write_ogg(tmp_path / "a.ogg", channels, subtype)
    ogg, wav, mask = SPEAKERS[channels]
    with open_reader(path) as reader:
        y = np.concatenate([block.copy() for block in reader])
        assert reader.info.channel_mask == mask
    assert [ogg.split()[i] for i in whose(y)] == wav.split()
    with copy(path, tmp_path / "b.wav").open("rb") as file:
        assert scan_wav(file).header.channel_mask == mask


@pytest.mark.parametrize("channels", [1, 2, 9])
@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_channels_without_an_order_stay_as_they_are(tmp_path, channels, subtype):
    """Mono and stereo are the same everywhere, nine channels have no places."""
    path = write_ogg(tmp_path / "a.ogg", channels, subtype)
    with open_reader(path) as reader:
        y = np.concatenate([block.copy() for block in reader])
        assert reader.info.channel_mask == 0
    assert whose(y) == list(range(channels))


def test_opus_channels_that_are_no_loudspeakers(tmp_path):
    """Mapping family 255 gives them no places, however many there are."""
    path = write_ogg(tmp_path / "a.opus", 6, "OPUS")
    assert ogg_layout(path, "OPUS", 6)[1] == 0x3F
    raw = bytearray(path.read_bytes())
    raw[raw.index(b"OpusHead") + 18] = 255
    path.write_bytes(raw)
    assert ogg_layout(path, "OPUS", 6) == ([], 0)
    path.write_bytes(b"OggS")
    assert ogg_layout(path, "OPUS", 6) == ([], 0)


@pytest.mark.parametrize("channels", range(1, 10))
def test_writing_undoes_reading(tmp_path, channels):
    """What is read and written lies in the file as before; others pass untouched."""
    x = turns(channels)
    order, _ = ogg_layout(tmp_path, "VORBIS", channels)
    read = x[:, order] if order else x
    assert np.array_equal(in_file_order(read, "OGG", "VORBIS"), x)
    assert in_file_order(x, "WAV", "PCM_16") is x
    assert in_file_order(x, "FLAC", "PCM_16") is x


@pytest.mark.parametrize("channels", SPEAKERS)
@pytest.mark.parametrize("ext", ["ogg", "opus"])
def test_channels_are_written_as_ogg_has_them(tmp_path, channels, ext):
    """A WAV becomes an Ogg file in which every loudspeaker has its own sound."""
    ogg, wav, mask = SPEAKERS[channels]
    source = tmp_path / "a.wav"
    sf.write(source, turns(channels), RATE, format="WAVEX", subtype="PCM_16")
    set_channel_mask(source, mask)
    if not sf.check_format("OGG", {"ogg": "VORBIS", "opus": "OPUS"}[ext]):
        pytest.skip(f"this libsndfile does not write .{ext}")
    target = copy(source, tmp_path / f"b.{ext}")
    assert [wav.split()[i] for i in whose(sf.read(target)[0])] == ogg.split()
    again = copy(target, tmp_path / "c.wav")
    assert whose(sf.read(again)[0]) == list(range(channels))
