"""One HTML page to listen to many recordings and find the odd ones.

The page needs nothing but a browser: style, script and pictures are in it, and so are
short sounds; longer ones are linked by relative paths, so that page and folder can be
moved together. Entries go to a temporary file as they come and are sorted at the end:
memory holds a few bytes for each.
"""

from __future__ import annotations

import base64
import os
import tempfile
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from types import TracebackType
from typing import Final
from urllib.parse import quote

from ..audio.target import PartFile
from ..batch.urls import is_remote, scheme_of
from ..errors import OutputError
from ..names import shown
from .around import HEAD, TAIL

__all__ = ["Entry", "Report", "Track"]

EMBED_BYTES: Final = 512 << 10
"""Sounds up to this size are put into the page."""

EMBED_TOTAL: Final = 48 << 20
"""So much sound is put into one page; browsers get slow with more."""

_MIME: Final = {
    "wav": "audio/wav",
    "wave": "audio/wav",
    "flac": "audio/flac",
    "mp3": "audio/mpeg",
    "ogg": "audio/ogg",
    "oga": "audio/ogg",
    "opus": "audio/ogg",
    "m4a": "audio/mp4",
    "webm": "audio/webm",
}


@dataclass(frozen=True)
class Track:
    """A sound to listen to.

    Attributes
    ----------
    name
        What it is, such as ``"before"``.
    source
        Path or address.
    """

    name: str
    source: str | os.PathLike[str]


@dataclass(frozen=True)
class Entry:
    """One recording, with any number of versions of it.

    Attributes
    ----------
    title
        Its name.
    key
        What entries are sorted by, largest first.
    tracks
        Players, in this order.
    figures
        Names and values, as they are to be read.
    notes
        Sentences about it.
    picture
        A PNG, or nothing.
    """

    title: str
    key: float
    tracks: Sequence[Track]
    figures: Sequence[tuple[str, str]] = ()
    notes: Sequence[str] = ()
    picture: bytes = b""


class Report:
    """Write a page, entry by entry; a context manager.

    Parameters
    ----------
    path
        The page; it appears when the report is closed, complete or not at all.
    title, intro
        Heading, and a sentence below it.
    key_name
        What the key of the entries is.
    force
        Replace a page that is there.
    embed_bytes, embed_total
        Sounds up to `embed_bytes` are put into the page until there are `embed_total`
        bytes of them; others are linked.

    Raises
    ------
    OutputError
        If the page cannot be written.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> page = pathlib.Path(tempfile.mkdtemp()) / "page.html"
    >>> with Report(page, "Two versions") as report:
    ...     report.add(Entry("talk", 3.0, [Track("noisy", "a.wav")], [("SNR", "3 dB")]))
    >>> "SNR" in page.read_text(encoding="utf-8")
    True
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        title: str,
        intro: str = "",
        *,
        key_name: str = "what was removed",
        force: bool = False,
        embed_bytes: int = EMBED_BYTES,
        embed_total: int = EMBED_TOTAL,
    ) -> None:
        self.path = Path(path)
        self._title, self._intro, self._key_name = title, intro, key_name
        self._embed_bytes, self._embed_left = embed_bytes, embed_total
        self._part = PartFile(self.path, force=force)
        try:
            self._spool = tempfile.TemporaryFile(dir=self.path.parent)  # noqa: SIM115
        except OSError as error:
            self._part.discard()
            raise self._part.failure(error) from error
        self._keys, self._sizes = array("d"), array("q")

    def add(self, entry: Entry) -> None:
        """Add a recording."""
        text = self._entry(entry).encode("utf-8", "backslashreplace")
        try:
            self._spool.write(text)
        except OSError as error:
            raise self._part.failure(error) from error
        self._keys.append(entry.key)
        self._sizes.append(len(text))

    def close(self) -> None:
        """Sort the entries, and put the page in place."""
        try:
            self._write()
            self._part.place()
        except OSError as error:
            raise self._part.failure(error) from error
        finally:
            self.discard()

    def discard(self) -> None:
        """Leave nothing behind."""
        self._spool.close()
        self._part.discard()

    def _write(self) -> None:
        starts, at = array("q"), 0
        for size in self._sizes:
            starts.append(at)
            at += size
        order = sorted(range(len(self._keys)), key=lambda i: -self._keys[i])
        title, intro = escape(self._title), escape(self._intro)
        head = HEAD.replace("@TITLE@", title).replace("@INTRO@", intro)
        head = head.replace("@COUNT@", str(len(order)))
        head = head.replace("@KEY@", escape(self._key_name))
        with self._part.path.open("wb") as page:
            page.write(head.encode("utf-8", "backslashreplace"))
            for i in order:
                self._spool.seek(starts[i])
                page.write(self._spool.read(self._sizes[i]))
            page.write(TAIL.encode())

    # One entry ----------------------------------------------------------------------

    def _entry(self, entry: Entry) -> str:
        title = escape(shown(entry.title))
        parts = [
            f'<article data-key="{entry.key:.3f}" data-name="{title}"><h2>{title}</h2>'
        ]
        if entry.picture:
            data = base64.b64encode(entry.picture).decode("ascii")
            parts.append(
                f'<img alt="spectrograms of {title}" loading="lazy" '
                f'src="data:image/png;base64,{data}">'
            )
        if entry.figures:
            cells = "".join(
                f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>"
                for name, value in entry.figures
            )
            parts.append(f"<dl>{cells}</dl>")
        parts.append('<div class="tracks">')
        parts += [self._player(title, track) for track in entry.tracks]
        parts.append("</div>")
        parts += [f'<p class="note">{escape(note)}</p>' for note in entry.notes]
        parts.append("</article>\n")
        return "".join(parts)

    def _player(self, title: str, track: Track) -> str:
        name = escape(track.name)
        source = self._source(os.fspath(track.source))
        if not source:
            where = escape(shown(track.source))
            return (
                f"<figure><figcaption>{name}</figcaption><code>{where}</code></figure>"
            )
        return (
            f"<figure><figcaption>{name}</figcaption>"
            f'<audio controls preload="none" aria-label="{name}: {title}" '
            f'src="{escape(source)}"></audio></figure>'
        )

    def _source(self, source: str) -> str:
        """Return what a player is given: data, a relative link, or nothing."""
        if is_remote(source):
            return source if scheme_of(source) in ("http", "https") else ""
        kind = os.path.splitext(source)[1][1:].lower()  # noqa: PTH122
        try:
            size = os.path.getsize(source)  # noqa: PTH202
            if kind in _MIME and size <= min(self._embed_bytes, self._embed_left):
                content = Path(source).read_bytes()
                self._embed_left -= len(content)
                data = base64.b64encode(content).decode("ascii")
                return f"data:{_MIME[kind]};base64,{data}"
        except (OSError, ValueError):
            pass
        try:
            link = os.path.relpath(source, self.path.parent)
        except ValueError:  # another drive
            return Path(source).absolute().as_uri()
        link = link.replace(os.sep, "/")
        return quote(os.fsencode(link if "/" in link else f"./{link}"))

    def __enter__(self) -> Report:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # What is there after Ctrl-C is worth seeing too.
        if kind is None or issubclass(kind, (KeyboardInterrupt, OutputError)):
            self.close()
        else:
            self.discard()
