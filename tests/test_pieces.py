"""A recording in pieces that are done apart, and in two passes."""

from __future__ import annotations

import tracemalloc
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from streamdenoise import Denoiser, Settings, StreamDenoiseError
from streamdenoise.audio.file import AudioInfo
from streamdenoise.audio.levels import si_sdr
from streamdenoise.batch.cleaning import Cleaner, regroup
from streamdenoise.batch.file import denoise_file
from streamdenoise.batch.joined import Joined
from streamdenoise.batch.pieces import (
    Piece,
    PieceError,
    cut_apart,
    do_piece,
    plan_pieces,
)
from tests.clitools import noise, write_noise
from tests.fakes import IdentityModel, MemoryModel

RATE = 8000


def nothing(done: int, total: int) -> None:
    """Hear of progress."""


def cut_at(unit: int):
    """Return what cuts recordings into pieces that begin at whole units."""
    return lambda info, most: cut_apart(info, most, unit)


def in_pieces(source: Path, target: Path, model, **how) -> list:
    """Denoise in pieces of a minute; return them."""
    clean = Cleaner(model, Settings(), **how)
    pieces = plan_pieces(source, 1, cut_at(model.card.stft(RATE).hop * model.group))
    paths = [target.with_name(f"{i}.f32") for i in range(len(pieces))]
    for piece, path in zip(pieces, paths, strict=True):
        do_piece(source, piece, path, clean, nothing)
    denoise_file(source, target, clean=Joined(pieces, paths))
    return pieces


@pytest.mark.parametrize(("ext", "channels"), [("wav", 2), ("flac", 1), ("ogg", 1)])
def test_pieces_lie_on_their_input(tmp_path, ext, channels):
    """A model that changes nothing gives the file back, seams and all."""
    source = write_noise(
        tmp_path / f"a.{ext}", 150 * RATE + 77, RATE, channels=channels
    )
    target = tmp_path / "b.wav"
    assert len(in_pieces(source, target, IdentityModel())) == 3
    before, after = (sf.read(p, dtype="float32")[0] for p in (source, target))
    assert before.shape == after.shape
    assert np.abs(before - after).max() < 1e-4


def test_seams_of_a_model_that_forgets_cannot_be_told(tmp_path):
    """Around each seam the pieces are the whole, to 50 dB and better."""
    source = write_noise(tmp_path / "a.wav", 150 * RATE, RATE, subtype="FLOAT")
    model = MemoryModel()
    pieces = in_pieces(source, tmp_path / "b.wav", model)
    denoise_file(source, tmp_path / "c.wav", model)
    split, whole = (sf.read(tmp_path / f"{n}.wav", dtype="float32")[0] for n in "bc")
    for piece in pieces[1:]:
        around = slice(piece.start - RATE, piece.start + 3 * RATE)
        assert si_sdr(split[around], whole[around]) > 50


def test_pieces_begin_on_the_grid_with_a_run_in(tmp_path):
    """Each covers its part, hears 20 s before it, and meets the next in its fade."""
    source = write_noise(tmp_path / "a.wav", 200 * RATE, RATE)
    pieces = plan_pieces(source, 1, cut_at(32 * 64))
    assert pieces[0].start == pieces[0].begin == 0 and pieces[-1].stop is None
    for before, piece in pairwise(pieces):
        assert piece.start + piece.fade == before.stop
        assert piece.begin % (32 * 64) == 0
        assert piece.start - piece.begin >= 20 * RATE
        assert before.end > before.stop


def test_what_cannot_be_cut_is_done_whole(tmp_path):
    """A short file, what is no sound, and what is not there have no pieces."""
    short = write_noise(tmp_path / "a.wav", 60 * RATE, RATE)
    (tmp_path / "b.wav").write_bytes(b"no sound")
    for path in (short, tmp_path / "b.wav", tmp_path / "none.wav"):
        assert plan_pieces(path, 1, cut_at(32 * 64)) == []


def test_pieces_of_another_file_are_refused(tmp_path):
    """The result is not written if the file has changed meanwhile."""
    source = write_noise(tmp_path / "a.wav", 130 * RATE, RATE)
    in_pieces(source, tmp_path / "b.wav", IdentityModel())
    pieces = plan_pieces(source, 1, cut_at(4 * 64))
    paths = [tmp_path / f"{i}.f32" for i in range(len(pieces))]
    for size in (129, 131):
        write_noise(source, size * RATE, RATE)
        with pytest.raises(PieceError):
            denoise_file(source, tmp_path / "c.wav", clean=Joined(pieces, paths))
    assert not (tmp_path / "c.wav").exists()


def test_a_piece_that_is_gone_is_a_reason_to_do_the_whole(tmp_path):
    """A worker had joined them, and was lost before it could say so."""
    source = tmp_path / "a.wav"
    write_noise(source, 16_000)
    path = tmp_path / "piece"
    for content in (None, b"1234"):
        if content is not None:
            path.write_bytes(content)
        piece = Piece(begin=0, start=0, fade=0, stop=None, end=None)
        with pytest.raises(PieceError):
            denoise_file(source, tmp_path / "c.wav", clean=Joined([piece], [path]))
    assert not (tmp_path / "c.wav").exists()


def test_regroup_gives_the_same_samples():
    """Whatever the blocks are, and in blocks of the size that was asked for."""
    rng = np.random.default_rng(1)
    x = noise(5000, 2)
    for size in (1, 7, 1000, 6000):
        cuts = np.sort(rng.integers(0, 5000, 9))
        got = [b.copy() for b in regroup(iter(np.split(x, cuts)), size)]
        assert np.array_equal(np.concatenate(got), x)
        assert all(len(b) == size for b in got[:-1])


@pytest.mark.parametrize("n", [1, 100, 61 * RATE, 125 * RATE + 3])
def test_two_passes_lie_on_their_input(tmp_path, n):
    """A model that changes nothing gives the file back, over chunks too."""
    source = write_noise(tmp_path / "a.wav", n, RATE, channels=2)
    denoise_file(source, tmp_path / "b.wav", IdentityModel(), two_pass=True)
    before, after = (sf.read(tmp_path / f"{f}.wav")[0] for f in "ab")
    assert before.shape == after.shape
    assert np.abs(before - after).max() < 1e-4


def test_two_passes_do_not_care_which_way_time_runs(tmp_path):
    """A file turned round gives the result turned round."""
    x = noise(10 * RATE)
    x[: 5 * RATE] *= 0.1
    outputs = []
    for name, sound in (("a", x), ("b", x[::-1])):
        sf.write(tmp_path / f"{name}.wav", sound, RATE, subtype="FLOAT")
        target = tmp_path / f"{name}.out.wav"
        denoise_file(tmp_path / f"{name}.wav", target, MemoryModel(), two_pass=True)
        outputs.append(sf.read(target, dtype="float32")[0])
    # Windows are not the same backwards, so that frames lie a little elsewhere.
    assert si_sdr(outputs[0], outputs[1][::-1]) > 25


def whole_pass(x: np.ndarray, rate: int) -> np.ndarray:
    """Return what one pass makes of sound, all of it at once and without lag."""
    engine = Denoiser(MemoryModel(), rate, x.shape[1], bulk=True)
    said = [engine.process(np.ascontiguousarray(x)), engine.flush()]
    joint = np.concatenate([one.reshape(-1, x.shape[1]) for one in said])
    return joint[engine.latency_samples :]


@pytest.mark.parametrize("n", [200 * RATE + 5, 67 * RATE, 1000])
@pytest.mark.parametrize("size", [999, 1 << 16, 1 << 30])
def test_two_passes_are_the_mean_of_both_bit_for_bit(n, size):
    """However the sound comes; in chunks of a minute that hear eight seconds more."""
    x = noise(n, 2)
    model = MemoryModel()
    unit = model.card.stft(RATE).hop * model.group
    chunk, fade = 60 * RATE // unit * unit, RATE
    back = np.zeros((0, 2), np.float32)
    begin = 0
    while begin < n:
        end = min(begin + chunk, n)
        first = max(begin - fade, 0)
        new = whole_pass(x[first : end + 8 * RATE][::-1], RATE)[::-1][: end - first]
        if begin:
            rise = (np.arange(fade, dtype=np.float32)[:, None] + 0.5) / fade
            new = new.copy()
            rise = rise.astype(np.float32)
            new[:fade] = (1 - rise) * back[first:] + rise * new[:fade]
        back, begin = np.concatenate([back[:first], new]), end
    wanted = np.float32(0.5) * (whole_pass(x, RATE) + back)
    info = AudioInfo(Path("a.wav"), RATE, 2, n, "WAV", "FLOAT")
    blocks = (x[at : at + size] for at in range(0, n, size))
    clean = Cleaner(model, Settings(), two_pass=True)(blocks, info)
    got = np.concatenate([block.copy() for block in clean])
    assert np.array_equal(got, wanted)


def test_two_passes_hold_two_chunks():
    """Memory is that of a minute twice, however long it is, and little besides."""
    info = AudioInfo(Path("a.wav"), RATE, 2, 300 * RATE, "WAV", "FLOAT")
    blocks = (noise(RATE, 2) for _ in range(300))
    minute = 60 * RATE * 2 * 4
    tracemalloc.start()
    try:
        for _ in Cleaner(IdentityModel(), Settings(), two_pass=True)(blocks, info):
            pass
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # The eight seconds ahead, and blocks of 2^16 samples, which here are eight too.
    assert peak < 3.5 * minute


def test_two_passes_are_refused_where_they_add_nothing():
    """A model that hears the whole file needs no second pass."""
    from streamdenoise.offline import WholeModel

    whole = WholeModel.__new__(WholeModel)
    whole.card = IdentityModel(causal=False).card
    with pytest.raises(StreamDenoiseError, match="both ends"):
        Cleaner(whole, Settings(), two_pass=True)(iter([]), None)
