"""The second report set: unheard voices, stated SNRs, the same every time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from streamdenoise.errors import AudioFormatError
from streamdenoise.eval.pairs import load_pairs
from streamdenoise.eval.validset import SNRS_DB, make_valid_set
from streamdenoise.train.data import Pack


@pytest.fixture
def pack(rng: np.random.Generator) -> Pack:
    """Three speakers, three noises and a room; the last speaker and noise are valid."""

    def rows(key: str, **more: object) -> list[dict]:
        return [
            {
                key: f"{key}{i}",
                "start": 20000 * i,
                "length": 20000,
                "valid": i > 0,
                **more,
            }
            for i in range(3)
        ]

    room = np.zeros(4000)
    room[20] = 1
    room[21:] = 0.1 * rng.standard_normal(3979) * np.exp(-np.arange(3979) / 800)
    return Pack(
        (3000 * rng.standard_normal(60000)).astype(np.int16),
        (3000 * rng.standard_normal(60000)).astype(np.int16),
        (15000 * room).astype(np.int16),
        {
            "speech": rows("speaker", kind="sentence", strict=True),
            "noise": rows("recording"),
            "rooms": [{"room": "hall", "start": 0, "length": 4000}],
        },
    )


def test_set_holds_what_its_index_says(pack: Pack, tmp_path: Path) -> None:
    """Only the validation split is in it, at the SNRs and levels that are stated."""
    clips = make_valid_set(pack, tmp_path / "set", per_cell=1, singles=2)
    assert len(clips) == 2 * len(SNRS_DB) + 4
    assert {clip.speaker for clip in clips} == {"speaker1", "speaker2", ""}
    assert {clip.noise for clip in clips} == {"recording1", "recording2", ""}
    by_name = {clip.name: clip for clip in clips}
    for pair in load_pairs(tmp_path / "set", None):
        noisy, clean = pair.load()
        clip = by_name[pair.name]
        heard = noisy if clip.kind == "noise" else clean
        level = 10 * np.log10(np.mean(heard.astype("f8") ** 2))
        assert level == pytest.approx(clip.level_dbfs, abs=0.1)
        if clip.kind == "clean":
            assert np.array_equal(noisy, clean)
        if clip.kind == "noise":
            assert not np.any(clean)
        if clip.kind == "pair" and not clip.room:
            rest = np.mean((noisy - clean).astype("f8") ** 2)
            snr = 10 * np.log10(np.mean(clean.astype("f8") ** 2) / rest)
            assert snr == pytest.approx(float(clip.snr_db), abs=0.1)


def test_the_set_is_the_same_every_time(pack: Pack, tmp_path: Path) -> None:
    """Two people who make it compare on the same samples."""
    for name in ("a", "b"):
        make_valid_set(pack, tmp_path / name, per_cell=1, singles=1)
    for path in sorted((tmp_path / "a").rglob("*.*")):
        other = tmp_path / "b" / path.relative_to(tmp_path / "a")
        assert path.read_bytes() == other.read_bytes()


def test_a_full_folder_and_a_pack_without_split_are_refused(
    pack: Pack, tmp_path: Path
) -> None:
    """Nothing is overwritten, and training voices never stand in for unheard ones."""
    (tmp_path / "x").write_text("mine")
    with pytest.raises(AudioFormatError, match="not empty"):
        make_valid_set(pack, tmp_path)
    for row in pack.index["speech"]:
        row["valid"] = False
    with pytest.raises(AudioFormatError, match="validation split"):
        make_valid_set(pack, tmp_path / "set")
