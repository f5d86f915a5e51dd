"""Tags of compressed files: all of them, pictures and chapters too, by mutagen.

mutagen is optional: ``pip install "streamdenoise[tags]"``. Without it libsndfile keeps
title, artist and a few others.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any, Final

from .target import reading_source

__all__ = ["copy_tags"]

_COMMENTS: Final = ("FLAC", "VORBIS", "OPUS")
_LOUDNESS: Final = ("replaygain", "r128_")


def copy_tags(
    source: Path,
    target: Path,
    kinds: tuple[str, str],
    *,
    loudness_changed: bool = False,
) -> list[str]:
    """Give a file all the tags of another.

    Parameters
    ----------
    source, target
        Files.
    kinds
        What they are: FLAC, VORBIS, OPUS, MP3 or AIFF. Tags go from one to the other
        where both store them alike.
    loudness_changed
        Leave out what is said of the loudness.

    Returns
    -------
    list of str
        A sentence if the tags could not be kept.

    Raises
    ------
    OSError
        If the target cannot be written.
    SourceLost
        If the source cannot be read; the target is as it was.
    """
    try:
        import mutagen
    except ImportError:
        return []
    try:
        if kinds[0] in _COMMENTS and kinds[1] in _COMMENTS:
            _copy_comments(source, target, kinds, loudness_changed)
        elif kinds[0] == kinds[1] and kinds[0] in ("MP3", "AIFF"):
            _copy_id3(source, target, kinds[0], loudness_changed)
    except mutagen.MutagenError as error:
        cause = error.__cause__ or error.__context__
        for one in (cause, *error.args):
            if isinstance(one, OSError):
                raise one from error
        return ["its tags are damaged and were left out"]
    except (ValueError, LookupError, TypeError, OverflowError, AttributeError):
        return ["its tags are damaged and were left out"]
    return []


def _copy_comments(
    source: Path, target: Path, kinds: tuple[str, str], loudness_changed: bool
) -> None:
    with reading_source():
        old = _open(source, kinds[0])
    new = _open(target, kinds[1])
    if not old.tags and not getattr(old, "pictures", None):
        return
    if new.tags is None:
        new.add_tags()
    new.tags.clear()
    for key, value in old.tags or ():
        if loudness_changed and key.lower().startswith(_LOUDNESS):
            continue
        if key.lower() not in ("encoder", "encoder_options"):
            new.tags.append((key, value))
    if kinds == ("FLAC", "FLAC"):
        new.clear_pictures()
        for picture in old.pictures:
            new.add_picture(picture)
        if old.cuesheet is not None and new.cuesheet is None:
            new.cuesheet = old.cuesheet
            new.metadata_blocks.append(old.cuesheet)
    elif kinds[0] == "FLAC":
        from base64 import b64encode

        for picture in old.pictures:
            text = b64encode(picture.write()).decode("ascii")
            new.tags.append(("METADATA_BLOCK_PICTURE", text))
    new.save()


def _open(path: Path, kind: str) -> Any:
    return {
        "FLAC": lambda: _part("flac").FLAC(path),
        "VORBIS": lambda: _part("oggvorbis").OggVorbis(path),
        "OPUS": lambda: _part("oggopus").OggOpus(path),
    }[kind]()


def _part(name: str) -> Any:
    return import_module(f"mutagen.{name}")


def _copy_id3(source: Path, target: Path, kind: str, loudness_changed: bool) -> None:
    if kind == "AIFF":
        with reading_source():
            tags = _part("aiff").AIFF(source).tags
        if tags:
            new = _part("aiff").AIFF(target)
            if new.tags is None:
                new.add_tags()
            for frame in tags.values():
                new.tags.add(frame)
            new.save()
        return
    try:
        with reading_source():
            tags = _part("id3").ID3(source, translate=False)
    except _part("id3").ID3NoHeaderError:
        return
    if loudness_changed:
        for key in [k for k in tags if k[:4] in ("RVA2", "RGAD", "RVAD")]:
            del tags[key]
        for key in [k for k in tags if k.lower().startswith("txxx:replaygain")]:
            del tags[key]
    version = tags.version[1]
    if version not in (3, 4):
        tags.update_to_v24()
        version = 4
    tags.save(target, v2_version=version)
