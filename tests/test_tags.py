"""Tags of compressed files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from tests.clitools import copy_sound, write_noise

mutagen = pytest.importorskip(
    "mutagen", reason='all tags need mutagen: pip install "streamdenoise[tags]"'
)
KINDS = {
    "flac": ("FLAC", "PCM_16"),
    "ogg": ("OGG", "VORBIS"),
    "opus": ("OGG", "OPUS"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
    "aiff": ("AIFF", "PCM_16"),
}
PNG = bytes.fromhex("89504e470d0a1a0a") + bytes(50)


def make(tmp_path: Path, ext: str, n: int = 20_000) -> Path:
    container, subtype = KINDS[ext]
    if not sf.check_format(container, subtype):
        pytest.skip(f"this libsndfile does not write {container} with {subtype}")
    return write_noise(
        tmp_path / f"a.{ext}", n, 48000, format=container, subtype=subtype
    )


def copy(source: Path, target: Path) -> list[str]:
    return copy_sound(source, target)[1]


@pytest.mark.parametrize("old", ["flac", "ogg", "opus"])
@pytest.mark.parametrize("new", ["flac", "ogg", "opus"])
def test_comments_are_kept(tmp_path, old, new):
    """Any key, several values of one, any script; from one format to the next too."""
    source, target = make(tmp_path, old), tmp_path / f"b.{new}"
    file = mutagen.File(source)
    if file.tags is None:
        file.add_tags()
    file["artist"] = ["we", "you"]
    file["title"] = ["Grüße, 世界"]
    file["x-own-key"] = ["=" * 1000]
    file.save()
    assert copy(source, target) == []
    tags = mutagen.File(target).tags
    assert tags["artist"] == ["we", "you"] and tags["title"] == ["Grüße, 世界"]
    assert tags["x-own-key"] == ["=" * 1000]
    assert len(sf.read(target)[0]) == len(sf.read(source)[0])


def test_pictures_and_cue_sheet_of_flac(tmp_path):
    """The cover and the cue points stay."""
    from mutagen.flac import FLAC, CueSheet, CueSheetTrack, Picture

    source = make(tmp_path, "flac")
    file = FLAC(source)
    picture = Picture()
    picture.data, picture.type, picture.mime = PNG, 3, "image/png"
    file.add_picture(picture)
    sheet = CueSheet(None)
    sheet.media_catalog_number, sheet.lead_in_samples = b"1234567890123", 88200
    sheet.compact_disc = False
    sheet.tracks = [CueSheetTrack(1, 0), CueSheetTrack(170, 20_000)]
    file.cuesheet = sheet
    file.metadata_blocks.append(sheet)
    file.save()
    assert copy(source, tmp_path / "b.flac") == []
    after = FLAC(tmp_path / "b.flac")
    assert [p.data for p in after.pictures] == [PNG]
    assert after.cuesheet.write() == sheet.write()
    a, b = sf.read(source)[0], sf.read(tmp_path / "b.flac")[0]
    assert np.array_equal(a, b)
    # In Ogg the picture becomes a comment.
    copy(source, tmp_path / "b.ogg")
    assert "metadata_block_picture" in mutagen.File(tmp_path / "b.ogg").tags


@pytest.mark.parametrize("version", [3, 4])
@pytest.mark.parametrize("ext", ["mp3", "aiff"])
def test_id3_is_kept(tmp_path, ext, version):
    """Text, pictures, chapters and private frames, in the version they had."""
    from mutagen.id3 import APIC, CHAP, PRIV, TIT2, TPE1

    source, target = make(tmp_path, ext), tmp_path / f"b.{ext}"
    file = mutagen.File(source)
    if file.tags is None:
        file.add_tags()
    file.tags.add(TIT2(encoding=1, text=["Grüße, 世界"]))
    file.tags.add(TPE1(encoding=0, text=["we"]))
    file.tags.add(APIC(encoding=0, mime="image/png", type=3, desc="", data=PNG))
    file.tags.add(PRIV(owner="me", data=b"\0\1"))
    chapter = [TIT2(encoding=0, text=["one"])]
    file.tags.add(CHAP(element_id="c", start_time=0, end_time=9, sub_frames=chapter))
    file.save(v2_version=version)
    assert copy(source, target) == []
    tags = mutagen.File(target).tags
    assert ext != "mp3" or tags.version[1] == version
    assert str(tags["TIT2"]) == "Grüße, 世界" and str(tags["TPE1"]) == "we"
    assert tags.getall("APIC")[0].data == PNG
    assert tags.getall("PRIV")[0].data == b"\0\1"
    assert str(tags.getall("CHAP")[0].sub_frames["TIT2"]) == "one"
    assert len(sf.read(target)[0]) == len(sf.read(source)[0])


@pytest.mark.parametrize("ext", ["flac", "ogg", "opus", "mp3"])
@pytest.mark.parametrize("seed", range(10))
def test_damaged_tags_do_no_harm(tmp_path, ext, seed):
    """The sound comes through, and what was wrong is said."""
    source = make(tmp_path, ext, 4000)
    file = mutagen.File(source)
    if file.tags is None:
        file.add_tags()
    if ext == "mp3":
        from mutagen.id3 import TXXX

        file.tags.add(TXXX(encoding=0, desc="k", text=["v" * 300]))
    else:
        file["k"] = ["v" * 300]
    file.save()
    rng = np.random.default_rng(seed)
    raw = bytearray(source.read_bytes())
    for at in rng.integers(6, 400, 8):
        raw[at] = rng.integers(0, 256)
    source.write_bytes(raw)
    from streamdenoise import AudioFormatError

    try:
        copy(source, tmp_path / f"b.{ext}")
    except AudioFormatError:
        assert not (tmp_path / f"b.{ext}").exists()
    else:
        assert sf.info(tmp_path / f"b.{ext}").frames > 0
    assert not [p for p in tmp_path.iterdir() if p.name[0] == "."]
