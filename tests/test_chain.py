"""Pieces that follow each other, and the state that they hand on."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from streamdenoise import Denoiser, Settings, StreamDenoiseError
from streamdenoise.audio.file import AudioReader
from streamdenoise.batch import chain
from streamdenoise.batch.chain import cut_chained, do_chained
from streamdenoise.batch.cleaning import Cleaner
from streamdenoise.batch.file import denoise_file
from streamdenoise.batch.joined import Joined
from streamdenoise.batch.pieces import PieceError, plan_pieces
from streamdenoise.errors import ModelError
from streamdenoise.stateio import pack, unpack
from tests.clitools import noise, write_noise
from tests.fakes import IdentityModel, MemoryModel

SHA = "0" * 64


def nothing(done: int, total: int) -> None:
    """Hear of progress."""


def write_long(path: Path, seconds: float, rate: int, channels: int = 1) -> Path:
    """Write noise that comes and goes, in blocks: libsndfile's Vorbis wants it so."""
    x = noise(round(seconds * rate), channels)
    x *= np.sin(np.arange(len(x), dtype=np.float32) / rate)[:, None]
    how = ("OGG", "OPUS") if path.suffix == ".opus" else (None, None)
    with sf.SoundFile(path, "w", rate, channels, how[1], format=how[0]) as file:
        for at in range(0, len(x), 16000):
            file.write(x[at : at + 16000])
    return path


def chained(source: Path, folder: Path, clean: Cleaner) -> list[Path]:
    """Denoise in pieces of a minute, one after the other; return their files."""
    card, before, paths = clean.model.card, b"", []
    pieces = plan_pieces(
        source, 1, partial(cut_chained, card=card, two_pass=clean.two_pass)
    )
    for number, piece in enumerate(pieces):
        paths.append(folder / f"{number}.f32")
        before = do_chained(source, piece, paths[-1], clean, SHA, before, nothing)
    denoise_file(source, folder / "joined.wav", clean=Joined(pieces, paths))
    return paths


def assert_same(folder: Path) -> None:
    one, two = (sf.read(folder / f"{n}.wav")[0] for n in ("joined", "whole"))
    assert np.array_equal(one, two)


@pytest.mark.parametrize("ext", ["wav", "flac", "mp3", "ogg", "opus", "aiff"])
def test_chained_pieces_are_the_whole_bit_for_bit(tmp_path, ext, tiny_model):
    """Whatever decoder had to find its place in the middle."""
    source = write_long(tmp_path / f"a.{ext}", 150.123, 16000)
    assert len(chained(source, tmp_path, Cleaner(tiny_model, Settings()))) == 3
    denoise_file(source, tmp_path / "whole.wav", tiny_model)
    assert_same(tmp_path)


@pytest.mark.parametrize(
    ("rate", "channels", "how"),
    [
        (48000, 1, {}),
        (8000, 2, {"link_channels": True}),
        (44100, 2, {"link_channels": True, "two_pass": True}),
        (16000, 3, {"two_pass": True}),
        (16000, 1, {"settings": Settings(strength_db=12, mix=0.7)}),
    ],
)
def test_every_way_to_denoise_can_be_handed_on(
    tmp_path, rate, channels, how, tiny_model
):
    """The band above 8 kHz, linked channels, two passes, strength: all travel."""
    source = write_long(tmp_path / "a.wav", 130, rate, channels)
    settings = how.pop("settings", Settings())
    assert len(chained(source, tmp_path, Cleaner(tiny_model, settings, **how))) == 3
    denoise_file(source, tmp_path / "whole.wav", tiny_model, settings, **how)
    assert_same(tmp_path)


@pytest.mark.parametrize("silent", [False, True])
def test_a_decoder_that_goes_astray_is_found_out(tmp_path, monkeypatch, silent):
    """Then all before the piece is decoded once more; the result is still the whole."""
    source = write_long(tmp_path / "a.wav", 130, 8000)
    if silent:  # around the seams
        x = sf.read(source)[0]
        x[41 * 8000 : 46 * 8000] = x[84 * 8000 : 90 * 8000] = 0
        sf.write(source, x, 8000)
    seek, opened = AudioReader.seek, []

    class Astray(AudioReader):
        def __init__(self, *args):
            opened.append(self)
            super().__init__(*args)

        def seek(self, frame):
            seek(self, frame + 100)

    monkeypatch.setattr(chain, "AudioReader", Astray)
    chained(source, tmp_path, Cleaner(MemoryModel(), Settings()))
    assert len(opened) == 1 + 3 + 3
    denoise_file(source, tmp_path / "whole.wav", MemoryModel())
    assert_same(tmp_path)


def test_a_recording_that_changed_is_not_gone_on_with(tmp_path):
    """A piece is refused where the sound before it is another, or there is less."""
    source = write_long(tmp_path / "a.wav", 130, 8000)
    clean = Cleaner(MemoryModel(), Settings())
    cut = partial(cut_chained, card=clean.model.card, two_pass=False)
    first, second, _ = plan_pieces(source, 1, cut)
    target = tmp_path / "0.f32"
    handed = do_chained(source, first, target, clean, SHA, b"", nothing)
    shutil.copy(source, tmp_path / "kept.wav")
    x = sf.read(source)[0]
    sf.write(source, -x, 8000)
    with pytest.raises(PieceError, match="read on"):
        do_chained(source, second, target, clean, SHA, handed, nothing)
    sf.write(source, x[: second.stop - 1], 8000)
    with pytest.raises(PieceError, match="shorter"):
        do_chained(source, second, target, clean, SHA, handed, nothing)
    shutil.copy(tmp_path / "kept.wav", source)
    assert do_chained(source, second, target, clean, SHA, handed, nothing)


def test_a_model_with_strides_of_its_own_is_done_whole(tmp_path):
    """Its card does not tell how many frames it takes: seams would be heard."""
    source = write_noise(tmp_path / "a.wav", 130 * 8000, 8000)
    model = MemoryModel()
    cut = partial(cut_chained, card=MemoryModel(steps=3).card, two_pass=False)
    piece = plan_pieces(source, 1, cut)[1]
    clean = Cleaner(model, Settings())
    with pytest.raises(PieceError, match="strides"):
        do_chained(source, piece, tmp_path / "0", clean, SHA, b"", nothing)


@pytest.mark.parametrize("rate", [16000, 48000])
@pytest.mark.parametrize("link", [False, True])
def test_state_survives_as_bytes(rate, link, tiny_model):
    """What follows is the same bit for bit, wherever in a hop the stream stood."""
    x = noise(20000, 2)
    made = [
        Denoiser(tiny_model, rate, 2, bulk=True, link_channels=link) for _ in range(2)
    ]
    made[0].process(x[:7777])
    extra = {"more": np.arange(3, dtype=np.float32)}
    state, more, note = unpack(pack(made[0].snapshot(), SHA, extra, "é"), SHA)
    assert note == "é" and np.array_equal(more["more"], extra["more"])
    made[1].restore(state)
    assert np.array_equal(*(one.process(x[7777:]) for one in made))


def test_state_of_another_model_and_rubbish_are_refused():
    """A state that would fit by chance is not taken, nor is what is none."""
    data = pack(Denoiser(IdentityModel()).snapshot(), SHA)
    with pytest.raises(ModelError, match="another model"):
        unpack(data, "1" * 64)
    for wrong in (b"", b"PK rubbish", data[: len(data) // 2], data[:-1]):
        with pytest.raises(ValueError, match="no state"):
            unpack(wrong, SHA)


def test_another_model_ends_the_piece(tmp_path):
    """It is said, and not hidden by doing the whole."""
    source = write_noise(tmp_path / "a.wav", 130 * 8000, 8000)
    clean = Cleaner(MemoryModel(), Settings())
    cut = partial(cut_chained, card=clean.model.card, two_pass=False)
    first, second, _ = plan_pieces(source, 1, cut)
    target = tmp_path / "0"
    handed = do_chained(source, first, target, clean, SHA, b"", nothing)
    with pytest.raises(StreamDenoiseError, match="same model file"):
        do_chained(source, second, target, clean, "1" * 64, handed, nothing)
