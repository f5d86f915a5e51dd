"""The journal of a batch."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from streamdenoise import OutputError
from streamdenoise.audio.parts import leftovers, part_files, short_name
from streamdenoise.audio.target import PartFile
from streamdenoise.batch.journal import JOURNAL, Journal, job_key
from tests.clitools import ROOT


@pytest.fixture
def path(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"abc")
    return tmp_path / JOURNAL


def test_what_is_done_stays_done(path):
    """Another process finds result and figures; another key or a change do not fit."""
    with Journal(path) as journal:
        journal.begin("a.wav", "k")
        assert not journal.is_done("a.wav", "k") and journal.owns("a.wav")
        journal.done("a.wav", "k", "a.wav", {"seconds": 1.5})
    with Journal(path) as journal:
        assert journal.is_done("a.wav", "k")
        assert journal.result("a.wav") == {"seconds": 1.5}
        assert not journal.is_done("a.wav", "other") and journal.owns("a.wav")
        path.with_name("a.wav").write_bytes(b"changed by hand")
        assert not journal.is_done("a.wav", "k") and not journal.owns("a.wav")
        path.with_name("a.wav").unlink()
        assert not journal.is_done("a.wav", "k")


def test_a_failure_gives_nothing_away_and_takes_nothing(path):
    """What failed is not ours afterwards; what was done under that name before is."""
    with Journal(path) as journal:
        journal.begin("a.wav", "k")
        journal.failed("a.wav", "k")
        assert not journal.owns("a.wav") and journal.cut_off() == []
        journal.begin("a.wav", "k")
        journal.done("a.wav", "k", "a.wav", {"plot": "a.wav.png"})
        for _ in range(2):
            journal.begin("a.wav", "new")
        journal.failed("a.wav", "new")
    with Journal(path) as journal:
        assert journal.is_done("a.wav", "k") and journal.owns_plot("a.wav")
        path.with_name("a.wav").write_bytes(b"changed by hand")
        assert not journal.owns("a.wav") and not journal.owns_plot("a.wav")


def test_every_cut_of_the_file_can_be_read(path):
    """Wherever a kill tears the last line, the lines before count, and new ones too."""
    names = ["new\nline.wav", "\udcff.wav", "a.wav"]
    with Journal(path) as journal:
        for name in names:
            journal.begin(name, "k")
            journal.done(name, "k", "a.wav", {})
    content = path.read_bytes()
    lines = content.split(b"\n")[:-1]
    for cut in range(len(content)):
        path.write_bytes(content[:cut])
        with Journal(path) as journal:
            whole = sum(content[:cut].count(line + b"\n") for line in lines[1::2])
            assert sum(journal.is_done(name, "k") for name in names) >= whole
            journal.begin("z.wav", "k")
            journal.done("z.wav", "k", "a.wav", {"x": 1})
            assert journal.result("z.wav") == {"x": 1}
        with Journal(path) as journal:
            assert journal.is_done("z.wav", "k")
            assert sum(journal.is_done(name, "k") for name in names) >= whole


@pytest.mark.parametrize(
    "line", [b"", b"null", b"[]", b"{}", b'{"v":1}', b"\xff\0", b"[" * 9999, b'{"v":2}']
)
def test_strange_lines_are_passed_over(path, line):
    """Nothing in the file can stop a batch."""
    path.write_bytes(line + b"\n")
    with Journal(path) as journal:
        assert not journal.is_done("a.wav", "k") and not journal.owns("a.wav")


def test_only_appended(path):
    """What was written is never changed."""
    with Journal(path) as journal:
        journal.begin("a.wav", "k")
    first = path.read_bytes()
    with Journal(path) as journal:
        journal.done("a.wav", "k", "a.wav", {})
    assert path.read_bytes().startswith(first)
    assert all(json.loads(line)["v"] == 1 for line in path.read_bytes().splitlines())


@pytest.mark.skipif(os.name != "posix", reason="a lock that a kill gives up")
def test_one_batch_at_a_time(path):
    """A second process is refused, until the first is gone, even if by a kill."""
    code = (
        "import sys, pathlib; from streamdenoise.batch.journal import Journal\n"
        "j = Journal(pathlib.Path(sys.argv[1])); print('held', flush=True)\n"
        "sys.stdin.read()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(path)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert child.stdout.readline() == b"held\n"
    with pytest.raises(OutputError, match="another streamdenoise"):
        Journal(path)
    child.kill()
    child.communicate()
    Journal(path).close()


@pytest.mark.skipif(os.name != "posix", reason="POSIX links")
def test_not_through_a_link(tmp_path):
    """A link in its place does not make us write elsewhere."""
    (tmp_path / "mine").write_text("")
    (tmp_path / JOURNAL).symlink_to(tmp_path / "mine")
    with pytest.raises(OutputError):
        Journal(tmp_path / JOURNAL)


def test_key_tells_inputs_and_settings_apart():
    """Whatever differs makes another key; order of keys does not."""
    keys = {
        job_key({"input": name, "stamp": stamp}, {"strength": strength})
        for name in ("a", "\udcff")
        for stamp in (None, [1, 2])
        for strength in (None, 6.0)
    }
    assert len(keys) == 8
    assert job_key({"a": 1, "b": 2}, {}) == job_key({"b": 2, "a": 1}, {})


def test_leftovers_are_those_of_that_result(tmp_path):
    """By name, with eight digits; what is not ours is not named."""
    ours = [
        ".a*.wav.0123abcd.part",
        ".a*.wav.0123abcd.tmp",
        ".a*.wav.00000000.mp4.part",
    ]
    others = [".a*.wav.xyz.part", "a*.wav", ".ab.wav.0123abcd.part", ".a*.wav.part"]
    for name in ours + others:
        (tmp_path / name).touch()
    (tmp_path / ".a*.wav.99999999.part").mkdir()
    found = leftovers(tmp_path / "a*.wav")
    assert sorted(p.name for p in found) == sorted(ours)


@pytest.mark.skipif(os.name != "posix", reason="locks of POSIX")
def test_what_somebody_is_at_work_on_is_no_leftover(tmp_path):
    """Two runs may write beside each other; neither takes the other's file away."""
    target = tmp_path / "talk.wav"
    part = PartFile(target)
    more = part.another()
    assert sorted(part_files(target)) == sorted([part.path, more])
    assert leftovers(target) == []
    part.release()
    assert sorted(leftovers(target)) == sorted([part.path, more])
    part.place()
    assert [path.name for path in tmp_path.iterdir()] == ["talk.wav"]


def test_long_names_have_temporary_files_of_their_own(tmp_path):
    """Also where a letter has four bytes; and two names with one beginning differ."""
    for name in ("\U0001f3a4" * 60 + ".wav", "a" * 250):
        part = PartFile(tmp_path / name)
        other = PartFile(tmp_path / (name[:-1] + "x"))
        assert len(os.fsencode(part.path.name)) <= 143
        assert part_files(part.target) == [part.path]
        assert part_files(other.target) == [other.path]
        part.place()
        other.discard()
    assert short_name("talk.wav") == "talk.wav"
