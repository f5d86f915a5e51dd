"""The page to listen to."""

from __future__ import annotations

import re
import tracemalloc
from html.parser import HTMLParser
from urllib.parse import unquote_to_bytes

import pytest

from streamdenoise import OutputError
from streamdenoise.show.report import Entry, Report, Track
from tests.clitools import write_noise


class Page(HTMLParser):
    """Collects tags, and checks that every one is closed."""

    VOID = ("meta", "img", "input")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def all(self, tag):
        return [attrs for name, attrs in self.seen if name == tag]


def test_entries_are_sorted(tmp_path):
    """What lost most comes first, in whatever order it came in; links are relative."""
    page = tmp_path / "r.html"
    with Report(page, "T", embed_bytes=0) as report:
        for key in (3.0, -1.0, 20.0):
            tracks = [
                Track(n, tmp_path / "s" / f"{key} #.wav") for n in ("a", "b", "c")
            ]
            report.add(Entry(f"k{key}", key, tracks, [("removed", f"{key} dB")]))
    seen = Page(page.read_text(encoding="utf-8"))
    assert [a["data-name"] for a in seen.all("article")] == ["k20.0", "k3.0", "k-1.0"]
    assert seen.all("audio")[0]["src"] == "s/20.0%20%23.wav"
    assert len(seen.all("audio")) == 9


def test_small_sounds_are_inside_until_there_are_many(tmp_path):
    """The page alone can be sent around, and does not grow without end."""
    path = write_noise(tmp_path / "a.wav", 4000)
    with Report(tmp_path / "r.html", "T", embed_total=20_000) as report:
        for key in range(4):
            report.add(Entry("x", -key, [Track("one", path)]))
    sources = [a["src"] for a in Page((tmp_path / "r.html").read_text()).all("audio")]
    assert [s.startswith("data:audio/wav;base64,") for s in sources] == [
        True,
        True,
        False,
        False,
    ]
    assert sources[2] == "./a.wav"


def test_names_cannot_break_the_page(tmp_path):
    """Neither tags, quotes, undecodable bytes nor a scheme in front."""
    raw = b'javascript:"><script>alert(1)</script>\xff\n.wav'
    name = raw.decode("utf-8", "surrogateescape")
    with Report(tmp_path / "r.html", name, name) as report:
        report.add(Entry(name, 1.0, [Track(name, name)], [(name, name)], [name]))
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "<script>alert" not in text
    source = Page(text).all("audio")[0]["src"]
    assert source.startswith(("./", "../", "/")) and ":" not in source
    assert unquote_to_bytes(source).endswith(raw.rsplit(b"/", 1)[-1])


def test_addresses(tmp_path):
    """What a browser can play has a player, what it cannot is named."""
    tracks = [Track("a", "https://h/a.wav"), Track("b", "s3://b/a.wav")]
    with Report(tmp_path / "r.html", "T") as report:
        report.add(Entry("x", 1.0, tracks))
    seen = Page((tmp_path / "r.html").read_text())
    assert [a["src"] for a in seen.all("audio")] == ["https://h/a.wav"]
    assert len(seen.all("code")) == 1


def test_page_needs_nothing_from_outside(tmp_path):
    """No address is asked for by itself: it works without a net, and tells nobody."""
    with Report(tmp_path / "r.html", "T") as report:
        report.add(Entry("x", 1.0, [], picture=b"\x89PNG"))
    assert not re.search(r"https?://", (tmp_path / "r.html").read_text())


def test_memory_is_a_few_bytes_for_each(tmp_path):
    """Entries are written as they come."""
    tracemalloc.start()
    with Report(tmp_path / "r.html", "T") as report:
        for i in range(5000):
            report.add(
                Entry("x" * 99, float(i), [Track("a", "a.wav")], picture=bytes(3000))
            )
        peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_000_000 and (tmp_path / "r.html").stat().st_size > 15_000_000


def test_all_or_nothing(tmp_path):
    """An error leaves no page and no temporary file; Ctrl-C leaves a page."""
    page = tmp_path / "r.html"
    for error, there in ((RuntimeError, False), (KeyboardInterrupt, True)):
        with pytest.raises(error), Report(page, "T") as report:
            report.add(Entry("x", 1.0, []))
            raise error
        assert page.exists() is there
        assert [p for p in tmp_path.iterdir() if p != page] == []
    with pytest.raises(OutputError, match="--force"):
        Report(page, "T")
    with pytest.raises(OutputError, match="no folder"):
        Report(tmp_path / "no" / "r.html", "T")
