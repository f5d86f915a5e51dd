"""``streamdenoise file`` on many files: processes, journals, and what may happen."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from streamdenoise.batch.journal import JOURNAL, Journal
from streamdenoise.batch.task import Denoise
from tests.clitools import ROOT, model_arg, process, run, write_noise

__all__ = ["model_arg"]

posix = pytest.mark.skipif(os.name != "posix", reason="POSIX signals, links, names")


@pytest.fixture
def talks(tmp_path):
    """Return a tree of sound files."""
    top = tmp_path / "talks"
    for name in ("a.wav", "d/b.flac", "d/e/c.wav"):
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_noise(path, 9000)
    return top


def told(result):
    return [json.loads(line) for line in result.stdout.splitlines()]


def made(folder: Path) -> list[str]:
    """Return all files below a folder, but for the journal."""
    files = (p for p in folder.rglob("*") if p.is_file() and p.name != JOURNAL)
    return sorted(p.relative_to(folder).as_posix() for p in files)


def test_tree_in_processes_is_what_one_file_gives(tmp_path, talks, model_arg):
    """Structure kept, and the samples do not depend on how the work was split."""
    for jobs, out in (("1", "one"), ("2", "two")):
        args = ("file", "-r", talks, "-o", tmp_path / out, "-j", jobs, "--json")
        result = run(*args, "--model", model_arg)
        assert result.exit_code == 0, result.output
        *files, summary = told(result)
        assert [f["status"] for f in files] == 3 * ["done"]
        assert summary["status"] == "summary" and summary["done"] == 3
    assert made(tmp_path / "one") == made(tmp_path / "two") == made(talks)
    for name in made(talks):
        one, two = (sf.read(tmp_path / out / name)[0] for out in ("one", "two"))
        assert np.array_equal(one, two) and len(one) == 9000


def test_list_on_standard_input(tmp_path, talks, model_arg):
    """``find -print0`` and a plain list."""
    names = [str(talks / n) for n in made(talks)]
    for end, flags in (("\0", ["-0"]), ("\n", [])):
        out = tmp_path / ("zero" if flags else "lines")
        args = ("file", *flags, "-", "-o", out, "--model", model_arg)
        result = run(*args, input=end.join(names))
        assert result.exit_code == 0, result.output
        assert made(out) == ["a.wav", "b.flac", "c.wav"]
    assert run("file", "-", input="").exit_code == 1
    assert run("file", "-0", talks).exit_code == 2


def test_failures_are_tabled_and_the_rest_is_done(tmp_path, talks, model_arg):
    """Exit code 1, the table names each; --fail-fast stops there."""
    (talks / "a.wav").write_bytes(b"no sound")
    (talks / "d" / "x.wav").write_bytes(b"")
    args = ("file", "-r", talks, "--model", model_arg)
    result = run(*args, "-o", tmp_path / "out")
    assert result.exit_code == 1 and made(tmp_path / "out") == ["d/b.flac", "d/e/c.wav"]
    table = result.stderr[result.stderr.index("2 of 4 files failed") :]
    assert "a.wav" in table and "x.wav" in table and "empty" in table
    result = run(*args, "-o", tmp_path / "fast", "--fail-fast")
    assert result.exit_code == 1 and made(tmp_path / "fast") == []
    assert "--fail-fast" in result.stderr


def test_resume_skips_what_is_done(tmp_path, talks, model_arg):
    """And does what is new, has changed, was lost, or would now sound otherwise."""
    out = tmp_path / "out"
    args = ("file", "-r", talks, "-o", out, "--model", model_arg, "--json", "--resume")

    def statuses(*extra):
        result = run(*args, *extra)
        assert result.exit_code == 0, result.output
        return sorted((f["status"], Path(f["input"]).name) for f in told(result)[:-1])

    assert [s for s, _ in statuses()] == 3 * ["done"]
    before = {n: (out / n).stat().st_mtime_ns for n in made(out)}
    assert [s for s, _ in statuses()] == 3 * ["skipped"]
    assert before == {n: (out / n).stat().st_mtime_ns for n in made(out)}
    write_noise(talks / "a.wav", 5000)
    write_noise(talks / "new.wav")
    (out / "d/b.flac").unlink()
    assert statuses() == [
        ("done", "a.wav"),
        ("done", "b.flac"),
        ("done", "new.wav"),
        ("skipped", "c.wav"),
    ]
    assert sf.info(out / "a.wav").frames == 5000
    assert [s for s, _ in statuses("--strength", "6")] == 4 * ["done"]
    assert [s for s, _ in statuses("--strength", "6")] == 4 * ["skipped"]


def test_resume_leaves_alone_what_others_put_there(tmp_path, talks, model_arg):
    """A result that was changed by hand, or was never ours, needs --force."""
    out = tmp_path / "out"
    out.mkdir()
    (out / "a.wav").write_bytes(b"mine")
    args = ("file", "-r", talks, "-o", out, "--model", model_arg, "--resume")
    for _ in range(2):
        result = run(*args)
        assert result.exit_code == 1 and "--force" in result.stderr
        assert (out / "a.wav").read_bytes() == b"mine"
    assert run(*args, "--force").exit_code == 0
    (out / "a.wav").write_bytes(b"mine again")
    assert run(*args).exit_code == 1
    assert (out / "a.wav").read_bytes() == b"mine again"


def test_resume_leaves_alone_what_others_put_where_it_failed(
    tmp_path, talks, model_arg
):
    """A job that failed wrote nothing, so that what lies there later is not ours."""
    out = tmp_path / "out"
    args = ("file", "-r", talks, "-o", out, "--model", model_arg, "--resume")
    (talks / "a.wav").write_bytes(b"no sound")
    assert run(*args).exit_code == 1
    (out / "a.wav").write_bytes(b"mine")
    write_noise(talks / "a.wav", 9000)
    result = run(*args)
    assert result.exit_code == 1 and "--force" in result.stderr
    assert (out / "a.wav").read_bytes() == b"mine"


def test_resume_replaces_its_own_after_a_failure(tmp_path, talks, model_arg):
    """An input that was broken for a while costs no --force."""
    out = tmp_path / "out"
    args = ("file", "-r", talks, "-o", out, "--model", model_arg, "--resume")
    assert run(*args).exit_code == 0
    (talks / "a.wav").write_bytes(b"no sound")
    assert run(*args).exit_code == 1
    write_noise(talks / "a.wav", 5000)
    assert run(*args).exit_code == 0
    assert sf.info(out / "a.wav").frames == 5000


def test_resume_of_results_beside_their_inputs(tmp_path, talks, model_arg):
    """Without -o too; and several runs may be at work in one folder."""
    write_noise(talks / "b.wav")
    args = ("file", talks / "a.wav", talks / "b.wav", "--model", model_arg, "--json")
    assert run(*args).exit_code == 0
    (talks / "b.denoised.wav").unlink()
    result = run(*args, "--resume")
    assert [f["status"] for f in told(result)[:-1]] == ["skipped", "done"]
    (talks / "b.denoised.wav").unlink()
    (talks / "a.denoised.wav").unlink()
    with Journal(talks / JOURNAL):
        assert run(*args).exit_code == 0
        result = run(*args, "--resume")
        assert result.exit_code == 1 and "another streamdenoise" in result.stderr


def test_a_folder_that_takes_no_journal_is_no_reason_to_give_up(tmp_path, model_arg):
    """What lies elsewhere is done, --resume or not."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write_noise(tmp_path / name / "a.wav")
    (tmp_path / "one" / JOURNAL).mkdir()
    result = run("file", "-r", tmp_path, "--resume", "--model", model_arg)
    assert result.exit_code == 0, result.stderr
    assert (tmp_path / "two" / "a.denoised.wav").exists()


def test_dry_run_does_nothing(tmp_path, talks, model_arg):
    """It tells what is new, done, or in the way."""
    out = tmp_path / "out"
    args = ("file", "-r", talks, "-o", out, "--model", model_arg)
    result = run(*args, "--dry-run")
    assert result.exit_code == 0 and not out.exists()
    assert len(result.stdout.splitlines()) == 3 and " -> " in result.stdout
    assert run(*args).exit_code == 0
    listing = {p: p.stat().st_mtime_ns for p in out.rglob("*")}
    assert "needs --force" in run(*args, "--dry-run").stdout
    write_noise(talks / "a.wav", 4000)
    result = run(*args, "--dry-run", "--resume", "--json")
    whats = {Path(f["input"]).name: f["do"] for f in told(result)}
    assert whats == {"a.wav": "replace", "b.flac": "skip", "c.wav": "skip"}
    assert listing == {p: p.stat().st_mtime_ns for p in out.rglob("*")}


@posix
def test_nothing_is_written_outside_of_the_output(tmp_path, talks, model_arg):
    """A link below -o that leads elsewhere is refused, for its files alone."""
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    out.mkdir()
    elsewhere.mkdir()
    (out / "d").symlink_to(elsewhere)
    before = made(talks)
    result = run("file", "-r", talks, "-o", out, "--model", model_arg)
    assert result.exit_code == 1 and "leads out of" in result.stderr
    assert made(out) == ["a.wav"] and list(elsewhere.iterdir()) == []
    assert made(talks) == before


def test_output_inside_the_input(tmp_path, talks, model_arg):
    """Twice in a row; the second run finds the same files as the first."""
    for extra in ([], ["--force"]):
        args = ("file", "-r", talks, "-o", talks / "clean", "--model", model_arg)
        assert run(*args, *extra).exit_code == 0
    inputs = [n for n in made(talks) if not n.startswith("clean")]
    assert made(talks / "clean") == inputs and len(inputs) == 3


@pytest.mark.skipif(sys.platform != "linux", reason="names of any bytes")
def test_names_of_any_bytes(tmp_path, model_arg):
    """Newline, escape, bytes that are no text: through processes, journal, JSON."""
    top, out = tmp_path / "in", tmp_path / "out"
    top.mkdir()
    raw = [b"new\nline.wav", b"\xff\xfe.wav", b"\x1b[31m.wav", b"-j.wav"]
    for name in raw:
        write_noise(tmp_path / "x.wav").rename(top / os.fsdecode(name))
    page = tmp_path / "r.html"
    args = ("file", top, "-o", out, "--model", model_arg, "-j", "2", "--report", page)
    inputs = {os.fsencode(top / os.fsdecode(name)) for name in raw}
    outputs = {os.fsencode(out / os.fsdecode(name)) for name in raw}

    def named(result, key):
        lines = [line for line in told(result) if line["status"] != "summary"]
        return {os.fsencode(line[key]) for line in lines}

    planned = run(*args, "--json", "--dry-run")
    result = run(*args, "--json")
    assert result.exit_code == 0, result.output
    names = {p.name for p in out.iterdir()} - {JOURNAL}
    assert {os.fsencode(n) for n in names} == set(raw)
    assert len(told(result)) == 5 and "\x1b" not in result.output
    for one in (planned, result):
        assert (named(one, "input"), named(one, "output")) == (inputs, outputs)
    result = run(*args, "--json", "--resume")
    assert [f["status"] for f in told(result)[:-1]] == 4 * ["skipped"]
    bad = top / os.fsdecode(raw[1])
    bad.write_bytes(b"no sound")
    result = run(*args, "--json", "--force")
    failed = [line for line in told(result) if line["status"] == "failed"]
    assert [line["input"] for line in failed] == [str(bad)]
    text = run(*args, "--force").stdout
    assert "new\\nline.wav" in text and "\x1b" not in text


# Ends that nobody planned -----------------------------------------------------------


def start_long(tmp_path, model_arg, *extra):
    """Start a batch of long files in two processes, and wait until it is at work."""
    top, out = tmp_path / "in", tmp_path / "out"
    top.mkdir(exist_ok=True)
    for i in range(2):
        write_noise(top / f"short{i}.wav", 8000)
    for i in range(2):
        if not (top / f"z{i}.wav").exists():
            write_noise(top / f"z{i}.wav", 16000 * 900)
    args = ("file", top, "-o", out, "-j", "2", "--model", model_arg, *extra)
    child = process(*args, start_new_session=True)
    wait_for(lambda: len(list(out.glob(".z*.part"))) == 2, child)
    return child, args, out


def parts(out: Path) -> list[Path]:
    return list(out.glob(".*.part"))


def wait_for(what, child=None):
    deadline = time.monotonic() + 120
    while not what():
        assert time.monotonic() < deadline, "it takes too long"
        assert child is None or child.poll() is None, child.communicate()
        time.sleep(0.02)


def group_of(child) -> list[int]:
    """Return the processes of a group, from /proc."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, group = stat.read_text().rpartition(")")[2].split()[:3]
            if int(group) == child.pid and state != "Z":
                found.append(int(stat.parent.name))
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
def test_kill_9_of_all_and_resume(tmp_path, model_arg):
    """What was done is kept, what was cut off is cleaned up and done."""
    child, args, out = start_long(tmp_path, model_arg)
    os.killpg(child.pid, signal.SIGKILL)
    child.communicate()
    left = parts(out)
    assert len(left) == 2 and made(out)[2:] == ["short0.wav", "short1.wav"]
    for i in range(2):
        write_noise(tmp_path / "in" / f"z{i}.wav", 9000)
    result = run(*args, "--resume", "--json")
    assert result.exit_code == 0, result.output
    statuses = {Path(f["input"]).name: f["status"] for f in told(result)[:-1]}
    assert statuses == {
        "short0.wav": "skipped",
        "short1.wav": "skipped",
        "z0.wav": "done",
        "z1.wav": "done",
    }
    assert parts(out) == []


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
def test_workers_do_not_outlive_their_parent(tmp_path, model_arg):
    """kill -9 of the first process alone: the others clean up and end."""
    child, _, out = start_long(tmp_path, model_arg)
    child.kill()
    child.communicate()
    wait_for(lambda: not group_of(child))
    assert parts(out) == [] and made(out) == ["short0.wav", "short1.wav"]


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_interruption(tmp_path, model_arg, name):
    """Ctrl-C and a closed terminal reach all, kill only the first; nothing is left."""
    number = getattr(signal, name)
    child, args, out = start_long(tmp_path, model_arg)
    if number == signal.SIGTERM:
        child.send_signal(number)
    else:
        os.killpg(child.pid, number)
    _, err = child.communicate(timeout=60)
    assert child.returncode == 130, err
    assert b"interrupted: 2 of 4" in err and b"Traceback" not in err
    assert parts(out) == []
    # Python's own tracker of resources ends when it sees that all others have.
    wait_for(lambda: not group_of(child))
    # What somebody puts where it stopped is not taken for ours.
    (out / "z0.wav").write_bytes(b"mine")
    for i in range(2):
        write_noise(tmp_path / "in" / f"z{i}.wav", 9000)
    assert run(*args, "--resume").exit_code == 1
    assert (out / "z0.wav").read_bytes() == b"mine"
    assert made(out) == ["short0.wav", "short1.wav", "z0.wav", "z1.wav"]


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
def test_worker_that_dies_costs_one_file(tmp_path, model_arg):
    """As when the system runs out of memory: the others are done, the table tells."""
    child, _, out = start_long(tmp_path, model_arg)
    workers = [p for p in group_of(child) if p != child.pid and is_worker(p)]
    assert len(workers) == 2
    os.kill(workers[0], signal.SIGKILL)
    _, err = child.communicate(timeout=300)
    assert child.returncode == 1 and b"SIGKILL" in err
    assert b"1 of 4 files failed" in err
    assert len(made(out)) == 3 and parts(out) == []


def is_worker(number: int) -> bool:
    command = Path(f"/proc/{number}/cmdline").read_bytes()
    return b"spawn_main" in command


FULL = """
set -e
mount -t tmpfs -o size=1500k tmpfs out
set +e
"$@"; echo "first: $?"
ls -A out; echo mid
mount -o remount,size=64m out
"$@" --resume; echo "second: $?"
ls -A out
"""


@pytest.mark.skipif(sys.platform != "linux", reason="a small disk is mounted")
def test_disk_full_half_way_and_resume(tmp_path, model_arg):
    """One sentence, no half file; and it goes on when there is room."""
    alone = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-rm"]
    test = [*alone, "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    if shutil.which("unshare") is None or subprocess.run(test, check=False).returncode:
        pytest.skip("this system does not let a test mount a small disk")
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    for i in range(8):
        write_noise(tmp_path / "in" / f"{i}.wav", 200_000)
    code = "from streamdenoise.cli import main; main()"
    args = [sys.executable, "-c", code, "file", "in", "-o", "out", "--model", model_arg]
    done = subprocess.run(
        [*alone, "sh", "-c", FULL, "sh", *args],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    first = done.stdout.split("first: 1\n")[1].split("mid")[0]
    second = done.stdout.split("second: 0\n")[1]
    assert ".part" not in first and "2.wav" in first and "7.wav" not in first
    assert second.split() == [JOURNAL, *(f"{i}.wav" for i in range(8))]
    assert "disk is full" in done.stderr and "--resume" in done.stderr
    assert done.stderr.count("cannot write") <= 2, done.stderr


@posix
def test_two_batches_in_one_folder(tmp_path, model_arg):
    """The second is refused and disturbs nothing."""
    child, args, out = start_long(tmp_path, model_arg)
    result = run(*args)
    assert result.exit_code == 1 and "another streamdenoise" in result.stderr
    assert len(parts(out)) == 2
    child.send_signal(signal.SIGINT)
    child.communicate(timeout=60)


# Pictures and the page --------------------------------------------------------------


def test_plot_and_report(tmp_path, talks, model_arg):
    """A picture beside each result; one page, complete after --resume too."""
    out, page = tmp_path / "out", tmp_path / "page.html"
    args = ("file", "-r", talks, "-o", out, "--model", model_arg)
    result = run(*args, "--plot", "--report", page, "-j", "2")
    assert result.exit_code == 0, result.output
    pictures = [n for n in made(out) if n.endswith(".png")]
    assert pictures == ["a.wav.png", "d/b.flac.png", "d/e/c.wav.png"]
    first = page.read_text(encoding="utf-8")
    assert first.count("<article") == 3 and first.count("<audio") == 6
    assert run(*args, "--report", page).exit_code == 1
    (out / "a.wav").unlink()
    result = run(*args, "--report", page, "--resume")
    assert result.exit_code == 0, result.output
    again = page.read_text(encoding="utf-8")
    assert again.count("<article") == again.count("data:image/png") == 3


def test_pictures_of_others_stay(tmp_path, talks, model_arg):
    """Where one is in the way, the sound is not written either; --resume or not."""
    out = tmp_path / "out"
    (out / "d").mkdir(parents=True)
    (out / "d/b.flac.png").write_bytes(b"mine")
    args = ("file", "-r", talks, "-o", out, "--model", model_arg)
    result = run(*args, "--plot")
    assert result.exit_code == 1 and "b.flac.png" in result.stderr
    assert "d/b.flac" not in made(out) and "d/e/c.wav.png" in made(out)
    assert run(*args, "--resume").exit_code == 0
    write_noise(talks / "d/b.flac", 5000)
    assert run(*args, "--resume", "--plot").exit_code == 1
    assert (out / "d/b.flac.png").read_bytes() == b"mine"
    assert sf.info(out / "d/b.flac").frames == 9000


def test_resume_draws_what_was_not_drawn(tmp_path, talks, model_arg):
    """A result without the picture that is asked for now is not done."""
    out = tmp_path / "out"
    args = ("file", "-r", talks, "-o", out, "--model", model_arg, "--json", "--resume")
    assert run(*args).exit_code == 0
    for status in ("done", "skipped"):
        result = run(*args, "--plot")
        assert [f["status"] for f in told(result)[:-1]] == 3 * [status]
        assert len([n for n in made(out) if n.endswith(".png")]) == 3


def test_resume_replaces_no_page_of_others(tmp_path, talks, model_arg):
    """Only a page of a batch; and what a killed run left of one goes."""
    out = tmp_path / "out"
    page = out / "pages" / "page.html"
    args = ("file", "-r", talks, "-o", out, "--model", model_arg, "--report", page)
    # The folder of the results is made by the run, and so is one in it.
    assert run(*args).exit_code == 0
    left = page.with_name(".page.html.0123abcd.part")
    left.touch()
    assert run(*args, "--resume").exit_code == 0 and not left.exists()
    page.write_text("<title>mine</title>")
    result = run(*args, "--resume")
    assert result.exit_code == 1 and "--force" in result.stderr
    assert page.read_text() == "<title>mine</title>"


@posix
@pytest.mark.parametrize("broken", [False, True])
def test_reader_that_goes_away(tmp_path, talks, model_arg, broken):
    """``| head -1`` costs the words, not the work; the exit code is that of it."""
    if broken:
        (talks / "d/e/c.wav").write_bytes(b"no sound")
    args = ("file", "-r", talks, "-o", tmp_path / "out", "--model", model_arg)
    ours, theirs = os.pipe()
    os.close(ours)
    with os.fdopen(theirs, "wb") as closed:
        pipes = {"stdout": closed} if broken else {"stdout": closed, "stderr": closed}
        child = process(*args, "--json", **pipes)
    _, err = child.communicate(timeout=120)
    assert child.returncode == int(broken)
    assert len(made(tmp_path / "out")) == 3 - broken
    assert not broken or b"1 of 3 files failed" in err


def test_report_is_never_a_sound_file(tmp_path, talks, model_arg):
    """A slip of the hand does not cost a recording."""
    args = ("file", talks / "a.wav", "--model", model_arg, "--report", talks / "a.wav")
    assert run(*args, "--force").exit_code == 2
    assert sf.info(talks / "a.wav").frames == 9000


@pytest.mark.skipif(sys.platform != "linux", reason="a terminal of its own")
def test_progress_on_a_terminal(tmp_path, model_arg):
    """One line: share, files, speed, time left."""
    import fcntl
    import pty
    import struct
    import termios

    top = tmp_path / "in"
    top.mkdir()
    for i in range(3):
        write_noise(top / f"{i}.wav", 16000 * 60)
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 25, 120, 0, 0))
    args = ("file", top, "-o", tmp_path / "out", "--model", model_arg)
    child = process(*args, stderr=theirs)
    os.close(theirs)
    seen = b""
    with contextlib.suppress(OSError):
        while chunk := os.read(ours, 1 << 16):
            seen += chunk
    child.communicate()
    assert child.returncode == 0
    assert b" left " in seen and b"2/3" in seen and b"%" in seen and b"x  " in seen


@pytest.mark.skipif(sys.platform != "linux", reason="a terminal of its own")
def test_terminal_that_goes_away(tmp_path, model_arg):
    """A batch that was disowned goes on without its line of progress."""
    import pty

    top = tmp_path / "in"
    top.mkdir()
    for i in range(3):
        write_noise(top / f"{i}.wav", 16000 * 60)
    ours, theirs = pty.openpty()
    args = ("file", top, "-o", tmp_path / "out", "--model", model_arg)
    code = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)"
    child = process(*args, code=code, stderr=theirs, start_new_session=True)
    os.close(theirs)
    seen = b""
    while b"[" not in seen:
        seen += os.read(ours, 4096)
    os.close(ours)
    out, _ = child.communicate(timeout=120)
    assert child.returncode == 0 and b"3 of 3 files were denoised" in out
    assert made(tmp_path / "out") == ["0.wav", "1.wav", "2.wav"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_full_disk_under_the_words(tmp_path, talks, model_arg, unbuffered, monkeypatch):
    """It costs the words, not the work, and is said once."""
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    args = ("file", "-r", talks, "-o", tmp_path / "out", "--model", model_arg)
    with open("/dev/full", "wb") as full:  # noqa: PTH123
        child = process(*args, stdout=full)
    _, err = child.communicate(timeout=120)
    assert child.returncode == 0 and made(tmp_path / "out") == made(talks)
    assert err.count(b"cannot write to standard output") == 1


@posix
@pytest.mark.parametrize("two", [("SIGINT", "SIGTERM"), ("SIGHUP", "SIGHUP")])
def test_two_signals_leave_nothing_of_one_file(tmp_path, model_arg, two):
    """Also of a single input, which has no journal."""
    source = write_noise(tmp_path / "a.wav", 16000 * 900)
    out = tmp_path / "out"
    out.mkdir()
    child = process("file", source, "-o", out, "--model", model_arg)
    wait_for(lambda: parts(out), child)
    time.sleep(0.3)
    for name in two:
        child.send_signal(getattr(signal, name))
    _, err = child.communicate(timeout=60)
    assert child.returncode == 130 and b"nothing half-done" in err
    assert list(out.iterdir()) == []


@pytest.mark.parametrize("before", [False, True])
def test_interruption_while_cleaning_up(tmp_path, monkeypatch, model_arg, before):
    """What the writer could not remove goes all the same, but nothing of others."""
    source, target = write_noise(tmp_path / "a.wav"), tmp_path / "b.wav"
    others, own = (tmp_path / f".b.wav.{n:08x}.part" for n in range(2))

    def cut_off(self, work, progress):
        own.touch()
        raise KeyboardInterrupt

    monkeypatch.setattr(Denoise, "run", cut_off)
    if before:
        others.touch()
    result = run("file", source, "-o", target, "--model", model_arg)
    assert result.exit_code == 130
    assert others.exists() if before else not own.exists()
