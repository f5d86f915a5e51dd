"""Finding inputs."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from streamdenoise import StreamDenoiseError
from streamdenoise.audio.avencoders import MUXERS
from streamdenoise.batch.collect import collect
from streamdenoise.batch.kinds import VIDEO
from streamdenoise.batch.listed import names_from
from streamdenoise.batch.plan import Found, PlanError, make_jobs

posix = pytest.mark.skipif(os.name != "posix", reason="POSIX names and links")


def tree(top: Path, *names: str) -> Path:
    for name in names:
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return top


def test_files_of_cameras_are_found_in_folders():
    """Every container that can be written by name is also looked for."""
    assert MUXERS.keys() <= VIDEO


@pytest.mark.parametrize("there", [True, False])
def test_typescript_is_no_transport_stream(tmp_path, monkeypatch, there):
    """Of two things that are called .ts one has sound; without PyAV that is said."""
    monkeypatch.setattr("streamdenoise.batch.kinds.find_spec", lambda name: there)
    packet = b"\x47" + bytes(187)
    for name, content in (("a.ts", 9 * packet), ("b.ts", b"let x = 1;\n" * 99)):
        (tmp_path / name).write_bytes(content)
    tree(tmp_path, "c.mts", "d.wav")
    found = collect([str(tmp_path)])
    assert places(found.found) == (["a.ts", "d.wav"] if there else ["d.wav"])
    assert len(found.notes) == (0 if there else 1)


def places(found: list[Found]) -> list[str]:
    return [str(one.relative) for one in found]


def test_folder_keeps_its_structure(tmp_path):
    """Sound files only, sorted, hidden ones left alone; deeper with --recursive."""
    top = tree(
        tmp_path / "t", "b.wav", "a.FLAC", "x.txt", ".h.wav", "d/e/c.mp3", ".g/a.wav"
    )
    assert places(collect([str(top)]).found) == ["a.FLAC", "b.wav"]
    deep = collect([str(top)], recursive=True)
    assert places(deep.found) == ["a.FLAC", "b.wav", "d/e/c.mp3"]


def test_several_inputs_keep_the_names_of_their_folders(tmp_path):
    """Two folders with equal names in them do not meet."""
    tree(tmp_path, "a/x.wav", "b/x.wav", "y.wav")
    names = [str(tmp_path / n) for n in ("a", "b", "y.wav")]
    found = collect(names).found
    assert places(found) == ["a/x.wav", "b/x.wav", "y.wav"]
    jobs = make_jobs(found, "out")
    assert [Path(j.target) for j in jobs] == [
        Path("out/a/x.wav"),
        Path("out/b/x.wav"),
        Path("out/y.wav"),
    ]


@posix
def test_loops_of_links_end(tmp_path):
    """A folder that holds a link to itself or its parent is searched once."""
    top = tree(tmp_path / "t", "a.wav", "d/b.wav")
    (top / "d" / "up").symlink_to(top)
    (top / "self").symlink_to(top)
    (top / "dead.wav").symlink_to(top / "nothing")
    (top / "ring.wav").symlink_to(top / "ring.wav")
    assert places(collect([str(top)], recursive=True).found) == ["a.wav", "d/b.wav"]


@posix
def test_patterns_look_into_each_folder_once(tmp_path, monkeypatch):
    """Two links that lead back would else be 2 ** 40 folders; linked ones are found."""
    top = tree(tmp_path / "t", "a.wav", "d/b.wav", "d/.h/c.wav", "d/e/f/b.wav")
    (top / "d" / "up").symlink_to(top)
    (top / "d" / "e" / "up").symlink_to(top)
    tree(tmp_path / "other", "g.wav")
    (top / "link").symlink_to(tmp_path / "other")
    monkeypatch.chdir(tmp_path)
    every = ["a.wav", "d/b.wav", "d/e/f/b.wav", "link/g.wav"]
    for pattern, wanted in (
        ("t/**/*.wav", every),
        ("t/**/**/*.wav", every),
        (f"{tmp_path}/t/**", every),
        ("t/**/e/**/*.wav", ["d/e/f/b.wav"]),
        ("t/d/**/b.wav", ["b.wav", "e/f/b.wav"]),
        ("**/g.wav", ["other/g.wav"]),
    ):
        found = [p for p in places(collect([pattern]).found) if "/up/" not in f"/{p}"]
        assert found == wanted, pattern


@posix
def test_depth_is_no_matter(tmp_path):
    """Folders nested deeper than Python's stack."""
    here, top = Path.cwd(), tmp_path / "t"
    tree(top, "a.wav")
    os.chdir(top)
    try:
        for _ in range(1200):
            Path("d").mkdir()
            os.chdir("d")
        os.chdir(here)
        assert places(collect([str(top)], recursive=True).found) == ["a.wav"]
    finally:
        os.chdir(here)
        # Python's own way of removing it would not get to the bottom.
        subprocess.run(["rm", "-rf", str(top)], check=True)


@pytest.mark.skipif(sys.platform != "linux", reason="names of any bytes")
def test_names_of_any_bytes(tmp_path):
    """Newlines and bytes that are no text pass through folders and lists."""
    raw = [b"new\nline.wav", b"\xff\xfe.wav", b"-o.wav"]
    for name in raw:
        (tmp_path / os.fsdecode(name)).touch()
    found = collect([str(tmp_path)]).found
    assert {os.fsencode(Path(one.source).name) for one in found} == set(raw)
    listed = list(names_from(io.BytesIO(b"\0".join(raw) + b"\0"), null=True))
    assert [os.fsencode(name) for name in listed] == raw


def test_list_of_lines():
    """Empty lines and a missing last newline do no harm, nor does length."""
    text = b"a.wav\r\n\nb c.wav\nd.wav"
    assert list(names_from(io.BytesIO(text))) == ["a.wav", "b c.wav", "d.wav"]
    many = [f"{i:050d}.wav" for i in range(5000)]
    assert list(names_from(io.BytesIO("\n".join(many).encode()))) == many


def test_list_keeps_relative_folders():
    """As ``find`` prints them; what is absolute or leads up keeps its name only."""
    found = collect([], listed=["./a/x.wav", "b/x.wav", "../c/y.wav", "/d/z.wav"])
    assert places(found.found) == ["a/x.wav", "b/x.wav", "y.wav", "z.wav"]


def test_output_inside_the_input_is_not_searched(tmp_path):
    """A second run does not denoise what the first one made, by any of its names."""
    top = tree(tmp_path / "t", "a.wav", "out/a.wav", "d/b.wav")
    for output in (top / "out", top / "d" / ".." / "out"):
        found = collect([str(top)], recursive=True, output=str(output))
        assert sorted(places(found.found)) == ["a.wav", "d/b.wav"]
    pattern = collect([f"{top}/**/*.wav"], output=str(top / "out"))
    assert places(pattern.found) == ["a.wav", "d/b.wav"]


def test_results_beside_their_inputs_are_not_inputs(tmp_path):
    """Without -o: NAME.denoised.EXT is passed over if NAME.EXT is there."""
    top = tree(tmp_path, "a.wav", "a.denoised.wav", "b.denoised.wav")
    found = collect([str(top)])
    assert places(found.found) == ["a.wav", "b.denoised.wav"]
    assert "earlier run" in found.notes[0]


def test_results_are_not_inputs_of_a_pattern_either(tmp_path):
    """The same rule as for folders; if nothing else fits, that is said."""
    tree(tmp_path, "a.wav", "a.denoised.wav", "b.denoised.wav")
    found = collect([f"{tmp_path}/*.wav"])
    assert places(found.found) == ["a.wav", "b.denoised.wav"] and found.many
    with pytest.raises(StreamDenoiseError, match="earlier run"):
        collect([f"{tmp_path}/a.*d.wav"])
    named = collect([f"{tmp_path}/a.*d.wav"], output="out")
    assert places(named.found) == ["a.denoised.wav"]


def test_output_that_is_the_input(tmp_path):
    """The folder has sound files; what is wrong is where their results would go."""
    top = tree(tmp_path / "t", "a.wav", "d/b.wav")
    with pytest.raises(PlanError, match="would replace its files"):
        collect([str(top)], output=f"{top}/d/..")


def test_pattern(tmp_path):
    """For shells that do not expand; ``**`` keeps what lies below."""
    tree(tmp_path, "a.wav", "b.wav", "d/e/c.wav", "[x].wav")
    assert places(collect([f"{tmp_path}/?.wav"]).found) == ["a.wav", "b.wav"]
    deep = places(collect([f"{tmp_path}/d/**/*.wav"]).found)
    assert deep == ["e/c.wav"]
    # A file of that very name is meant, not a pattern.
    assert places(collect([f"{tmp_path}/[x].wav"]).found) == ["[x].wav"]
    with pytest.raises(StreamDenoiseError, match="no file fits"):
        collect([f"{tmp_path}/*.mp3"])


def test_empty_folder(tmp_path):
    """Nothing to do is said, with what to type."""
    tree(tmp_path, "d/a.wav", "b.txt")
    with pytest.raises(StreamDenoiseError, match="--recursive"):
        collect([str(tmp_path)])


def test_two_inputs_of_one_result(tmp_path):
    """Nothing is touched; the sentence names both."""
    found = collect([], listed=["/a/x.wav", "/b/x.wav"])
    with pytest.raises(PlanError, match="would both become"):
        make_jobs(found.found, str(tmp_path))


def test_wav_instead_is_refused_where_it_would_meet_another():
    """a.m4a may become a.wav, unless a.wav or a.wma are there too."""
    names = ["a.m4a", "b.m4a", "b.wav", "c.m4a", "c.wma"]
    jobs = make_jobs(collect([], listed=names).found, "out")
    assert [j.source for j in jobs if j.substitute] == ["a.m4a", "b.wav"]


@posix
def test_links_to_one_file_are_one_result(tmp_path):
    """A target that is a link to an input would write over the input."""
    tree(tmp_path, "in/a.wav", "out/none")
    (tmp_path / "out" / "a.wav").symlink_to(tmp_path / "in" / "a.wav")
    found = collect([str(tmp_path / "in" / "a.wav")]).found
    with pytest.raises(PlanError, match="would replace the input"):
        make_jobs(found, str(tmp_path / "out"), into_folder=True)


def test_many_files_are_planned_fast(tmp_path):
    """The work for a file does not grow with their number (it would take hours)."""
    names = [f"d{i % 100}/{i}.wav" for i in range(50_000)]
    jobs = make_jobs(collect([], listed=names).found, str(tmp_path))
    assert len(jobs) == 50_000
