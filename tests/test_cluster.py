"""``streamdenoise file --cluster`` on a real scheduler with real worker processes."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from streamdenoise.batch.file import denoise_file
from streamdenoise.batch.journal import JOURNAL
from tests.clitools import ROOT, model_arg, process, run, write_noise

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("distributed") is None,
    reason="distributed is not installed: pip install 'streamdenoise[cluster]'",
)
__all__ = ["model_arg"]

WAIT = 120


def is_installed() -> bool:
    """Whether every Python here has the package, wherever it is started."""
    done = subprocess.run(
        [sys.executable, "-c", "import streamdenoise"],
        cwd="/",
        env={**os.environ, "PYTHONPATH": ""},
        capture_output=True,
    )
    return done.returncode == 0


class Dask:
    """A scheduler and its workers, each a process of its own."""

    def __init__(self, folder: Path, env=None) -> None:
        self.folder = folder
        self.workers: list[subprocess.Popen] = []
        options = ("--port", "0", "--dashboard-address", "127.0.0.1:0")
        self.scheduler = self.start("scheduler", *options, env=env)
        found = self.line(self.scheduler, r"Scheduler at:\s+(tcp://\S+)")
        self.address = found.replace("0.0.0.0", "127.0.0.1")

    def start(self, *args, env=None, before=()) -> subprocess.Popen:
        env = {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), **(env or {})}
        return subprocess.Popen(
            [*before, sys.executable, "-m", "dask", *args],
            env={**os.environ, **env},
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def line(self, program: subprocess.Popen, pattern: str) -> str:
        for line in program.stderr:
            found = re.search(pattern, line)
            if found:
                # Read on, lest the pipe fills up.
                threading.Thread(target=program.stderr.read, daemon=True).start()
                return found[1] if found.groups() else line
        raise AssertionError(f"{program.args} ended before it said {pattern}")

    def add_worker(self, *args, **how) -> subprocess.Popen:
        options = ("--nthreads", "1", "--no-nanny", "--no-dashboard")
        worker = self.start("worker", self.address, *options, *args, **how)
        self.workers.append(worker)
        self.line(worker, "Registered to:")
        return worker

    def drop(self, worker: subprocess.Popen) -> None:
        self.workers.remove(worker)
        end(worker)

    def close(self) -> None:
        for program in [*self.workers, self.scheduler]:
            end(program)


def end(program: subprocess.Popen) -> None:
    program.terminate()
    try:
        program.wait(15)
    except subprocess.TimeoutExpired:
        program.kill()
        program.wait()


@pytest.fixture(scope="module")
def dask(tmp_path_factory):
    """Return a scheduler with two workers."""
    with contextlib.closing(Dask(tmp_path_factory.mktemp("dask"))) as made:
        made.add_worker()
        made.add_worker()
        yield made


def told(result):
    return [json.loads(line) for line in result.stdout.splitlines()]


def everything(folder: Path) -> list[str]:
    """Return all files below a folder, hidden ones too, but for the journal."""
    files = (p for p in folder.rglob("*") if p.name != JOURNAL)
    return sorted(p.relative_to(folder).as_posix() for p in files)


def talks(folder: Path, count: int, samples: int) -> Path:
    """Write some files of noise, all different."""
    folder.mkdir()
    for i in range(count):
        write_noise(folder / f"{i}.wav", samples + i)
    return folder


def test_cluster_is_what_one_process_gives(tmp_path, dask, model_arg):
    """Bit for bit, with figures, journal and ``--resume`` as here."""
    source = talks(tmp_path / "in", 3, 20000)
    (source / "bad.wav").write_bytes(b"no sound")
    args = ("file", source, "--model", model_arg, "--json")
    here = run(*args, "-o", tmp_path / "here")
    there = run(*args, "-o", tmp_path / "there", "--cluster", dask.address)
    assert here.exit_code == there.exit_code == 1, there.output
    assert everything(tmp_path / "there") == ["0.wav", "1.wav", "2.wav"]
    for name in everything(tmp_path / "here"):
        one, two = (tmp_path / d / name for d in ("here", "there"))
        assert one.read_bytes() == two.read_bytes()

    def figures(result):
        skip = ("elapsed", "times_real_time", "output")
        lines = [
            {k: v for k, v in line.items() if k not in skip} for line in told(result)
        ]
        return sorted(lines, key=json.dumps)

    assert figures(here) == figures(there)
    (source / "bad.wav").unlink()
    (tmp_path / "there" / "1.wav").unlink()
    again = run(*args, "-o", tmp_path / "there", "--cluster", dask.address, "--resume")
    assert again.exit_code == 0, again.output
    assert sorted(line["status"] for line in told(again)[:-1]) == [
        "done",
        "skipped",
        "skipped",
    ]


def test_existing_results_stay(tmp_path, dask, model_arg):
    """What is there needs --force, as on one computer."""
    source = talks(tmp_path / "in", 2, 4000)
    out = tmp_path / "out"
    out.mkdir()
    (out / "0.wav").write_bytes(b"mine")
    args = ("file", source, "-o", out, "--model", model_arg, "--cluster", dask.address)
    result = run(*args)
    assert result.exit_code == 1 and "exists already" in result.stderr
    assert (out / "0.wav").read_bytes() == b"mine"
    assert everything(out) == ["0.wav", "1.wav"]
    assert run(*args, "--force").exit_code == 0
    assert sf.info(out / "0.wav").frames == 4000


@pytest.mark.parametrize("how", [(), ("--two-pass",), ("--loudness", "keep")])
def test_pieces_that_follow_are_the_whole(tmp_path, dask, model_arg, how):
    """Bit for bit the file of one process, whoever did its pieces; no leftovers."""
    if "--loudness" in how:
        pytest.importorskip("pyloudnorm", reason="needs the extra [loudness]")
    (tmp_path / "in").mkdir()
    for name in ("a", "b"):
        write_noise(tmp_path / "in" / f"{name}.flac", 200 * 16000, 16000, channels=2)
    args = ("file", tmp_path / "in", "--model", model_arg, *how)
    split = ("--cluster", dask.address, "--split", "1")
    assert run(*args, "-o", tmp_path / "here").exit_code == 0
    result = run(*args, "-o", tmp_path / "there", *split)
    assert result.exit_code == 0, result.output
    assert everything(tmp_path / "there") == ["a.flac", "b.flac"]
    for name in everything(tmp_path / "here"):
        one, two = (tmp_path / d / name for d in ("here", "there"))
        assert one.read_bytes() == two.read_bytes()


def test_a_lost_worker_costs_a_piece(tmp_path, dask, model_arg):
    """Another goes on from the state of the piece before: not a sample is different."""
    from distributed import Client

    source = write_noise(tmp_path / "a.wav", 1200 * 16000, 16000)
    out = tmp_path / "b.wav"
    split = ("--cluster", dask.address, "--split", "4")
    args = (str(source), "-o", str(out), "--model", model_arg)
    with Client(dask.address, set_as_default=False) as client:
        program = process("file", *args, *split)
        deadline = time.monotonic() + WAIT
        # The second piece is under way: the first lies in the hidden folder.
        while not list(tmp_path.glob(".streamdenoise-*.tmp/0-0.f32")):
            assert program.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
        while not (busy := [a for a, of in client.processing().items() if of]):
            assert program.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
        port = int(busy[0].rsplit(":", 1)[1])
        pids = client.run(os.getpid)
        victim = next(pid for a, pid in pids.items() if a.endswith(f":{port}"))
    worker = next(one for one in dask.workers if one.pid == victim)
    worker.send_signal(signal.SIGKILL)
    dask.drop(worker)
    dask.add_worker()
    _, stderr = program.communicate(timeout=WAIT)
    assert program.returncode == 0, stderr
    denoise_file(source, tmp_path / "c.wav", model_arg)
    assert out.read_bytes() == (tmp_path / "c.wav").read_bytes()
    assert everything(tmp_path) == ["a.wav", "b.wav", "c.wav"]


def test_pieces_apart(tmp_path, dask, model_arg):
    """Its length, its figures, no leftovers."""
    source = write_noise(tmp_path / "a.flac", 130 * 8000, 8000)
    args = ("file", source, "--model", model_arg, "--json")
    split = ("--cluster", dask.address, "--split", "1", "--apart")
    result = run(*args, "-o", tmp_path / "out" / "b.flac", *split)
    assert result.exit_code == 1 and "create it first" in result.stderr
    (tmp_path / "out").mkdir()
    result = run(*args, "-o", tmp_path / "out" / "b.flac", *split)
    assert result.exit_code == 0, result.output
    assert everything(tmp_path / "out") == ["b.flac"]
    told_of = told(result)[0]
    assert (told_of["frames"], told_of["sample_rate"]) == (130 * 8000, 8000)
    assert told_of["output"] == str(tmp_path / "out" / "b.flac")


@pytest.mark.parametrize("apart", [(), ("--apart",)])
def test_a_broken_piece_is_no_loss(tmp_path, dask, model_arg, apart):
    """What cannot be done in pieces is done whole: with the same result and note."""
    source = write_noise(tmp_path / "a.flac", 400 * 8000, 8000)
    data = bytearray(source.read_bytes())
    begin = len(data) // 4
    data[begin : begin + 100_000] = bytes(100_000)
    source.write_bytes(data)
    args = ("file", source, "--model", model_arg, "--json")
    here = run(*args, "-o", tmp_path / "here.wav")
    split = ("--cluster", dask.address, "--split", "1", *apart)
    there = run(*args, "-o", tmp_path / "there.wav", *split)
    assert here.exit_code == there.exit_code == 0, there.output
    assert told(here)[0]["notes"] == told(there)[0]["notes"] != []
    one, two = (tmp_path / name for name in ("here.wav", "there.wav"))
    assert one.read_bytes() == two.read_bytes()
    assert everything(tmp_path) == ["a.flac", "here.wav", "there.wav"]


def test_a_lost_worker_costs_nothing(tmp_path, dask, model_arg):
    """Its files go to another; each result is right, and written once."""
    from distributed import Client

    source = talks(tmp_path / "in", 6, 16000 * 30)
    victim = dask.add_worker("--name", "victim")
    out = tmp_path / "out"
    program = process(
        *("file", str(source), "-o", str(out), "--model", model_arg, "--json"),
        *("--cluster", dask.address),
    )
    with Client(dask.address, set_as_default=False) as client:
        deadline = time.monotonic() + WAIT
        address = next(
            a
            for a, told_of in client.scheduler_info(n_workers=-1)["workers"].items()
            if told_of["name"] == "victim"
        )
        while not client.processing().get(address):
            assert program.poll() is None and time.monotonic() < deadline
            time.sleep(0.02)
        victim.send_signal(signal.SIGKILL)
    dask.drop(victim)
    stdout, stderr = program.communicate(timeout=WAIT)
    assert program.returncode == 0, stderr
    lines = [json.loads(line) for line in stdout.splitlines()]
    assert sorted(Path(line["input"]).name for line in lines[:-1]) == sorted(
        everything(source)
    )
    assert everything(out) == everything(source)
    for path in source.iterdir():
        denoise_file(path, tmp_path / "one.wav", model_arg, force=True)
        one, two = (sf.read(p)[0] for p in (tmp_path / "one.wav", out / path.name))
        assert np.array_equal(one, two)


def test_interrupted_run_leaves_nothing_and_goes_on(tmp_path, dask, model_arg):
    """SIGINT cancels what is under way; ``--resume`` does the rest."""
    source = talks(tmp_path / "in", 6, 16000 * 20)
    out = tmp_path / "out"
    args = ("file", str(source), "-o", str(out), "--model", model_arg, "--json")
    program = process(*args, "--cluster", dask.address)
    first = program.stdout.readline()
    assert json.loads(first)["status"] == "done"
    program.send_signal(signal.SIGINT)
    _, stderr = program.communicate(timeout=WAIT)
    assert program.returncode == 130 and b"interrupted" in stderr
    assert b"Traceback" not in stderr
    kept = everything(out)
    assert kept and all(re.fullmatch(r"\d\.wav", name) for name in kept)
    result = run(*args, "--cluster", dask.address, "--resume")
    assert result.exit_code == 0, result.output
    assert everything(out) == everything(source)


def test_a_lost_scheduler_is_one_sentence(tmp_path, tmp_path_factory, model_arg):
    """The run ends, says so, and leaves nothing half-done."""
    source = talks(tmp_path / "in", 6, 16000 * 20)
    out = tmp_path / "out"
    with contextlib.closing(Dask(tmp_path_factory.mktemp("lost"))) as dask:
        dask.add_worker("--death-timeout", "1")
        args = ("file", str(source), "-o", str(out), "--model", model_arg, "--json")
        program = process(*args, "--cluster", dask.address)
        assert program.stdout.readline()
        dask.scheduler.kill()
        _, stderr = program.communicate(timeout=WAIT)
    assert program.returncode == 3, stderr
    assert b"connection to the scheduler was lost" in stderr
    assert all(re.fullmatch(r"\d\.wav", name) for name in everything(out))


def test_no_scheduler_no_workers(tmp_path, tmp_path_factory, model_arg, monkeypatch):
    """One sentence each, and nothing touched."""
    from streamdenoise.batch import clustercheck

    source = write_noise(tmp_path / "a.wav")
    monkeypatch.setattr(clustercheck, "_CONNECT_SECONDS", 2)
    monkeypatch.setattr(clustercheck, "_WORKER_SECONDS", 1)
    for address in ("tcp://127.0.0.1:9", "127.0.0.1:9", "nonsense://x"):
        result = run("file", source, "--cluster", address)
        assert result.exit_code == 3 and "no Dask scheduler answers" in result.stderr
    with contextlib.closing(Dask(tmp_path_factory.mktemp("empty"))) as dask:
        result = run("file", source, "--cluster", dask.address)
        assert result.exit_code == 3 and "has no workers" in result.stderr
    assert everything(tmp_path) == ["a.wav"]


@pytest.fixture(params=["silent", "web"])
def stranger(request):
    """Return the port of a server that speaks something else, or nothing."""
    answer = b"HTTP/1.1 400 Bad Request\r\n\r\n" if request.param == "web" else b""
    with socket.create_server(("127.0.0.1", 0)) as server:
        held = []

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    held.append(server.accept()[0])
                    held[-1].sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        for one in held:
            one.close()


def test_server_of_another_kind_is_one_sentence(tmp_path, stranger):
    """It is not waited for without end, and Dask's finalizers say nothing."""
    address = f"127.0.0.1:{stranger}"
    code = "from streamdenoise.batch import clustercheck as c; c._CONNECT_SECONDS = 3"
    source = write_noise(tmp_path / "a.wav")
    for given in (address, "foo", "http://x"):
        child = process("file", source, "--cluster", given, code=code)
        _, err = child.communicate(timeout=15)
        lines = err.decode().splitlines()
        assert child.returncode == 3 and len(lines) == 1, err
        assert "no Dask scheduler answers" in lines[0]


def test_workers_that_do_not_fit(tmp_path, tmp_path_factory, model_arg):
    """Another version, no streamdenoise at all: found before anything is done."""
    source = write_noise(tmp_path / "a.wav")
    preload = tmp_path / "older.py"
    preload.write_text("import streamdenoise\nstreamdenoise.__version__ = '0.0.1'\n")
    with contextlib.closing(Dask(tmp_path_factory.mktemp("odd"))) as dask:
        older = dask.add_worker("--preload", str(preload))
        result = run("file", source, "--cluster", dask.address)
        assert result.exit_code == 3, result.output
        assert "has streamdenoise 0.0.1" in result.stderr
        dask.drop(older)
        if not is_installed():
            dask.add_worker(env={"PYTHONPATH": ""})
            result = run("file", source, "--cluster", dask.address)
            assert result.exit_code == 3, result.output
            assert "cannot run streamdenoise" in result.stderr
    assert not (tmp_path / "a.denoised.wav").exists()


def test_scheduler_without_streamdenoise(tmp_path, tmp_path_factory, model_arg):
    """It unpacks tasks, so it needs the package too; one sentence, nothing done."""
    if is_installed():
        pytest.skip("streamdenoise is installed, so every scheduler has it")
    source = write_noise(tmp_path / "a.wav")
    folder = tmp_path_factory.mktemp("bare")
    with contextlib.closing(Dask(folder, env={"PYTHONPATH": ""})) as dask:
        dask.add_worker()
        result = run("file", source, "--cluster", dask.address)
    assert result.exit_code == 3, result.output
    assert "the scheduler cannot load streamdenoise" in result.stderr
    assert everything(tmp_path) == ["a.wav"]


def test_worker_without_credentials(tmp_path, tmp_path_factory, model_arg):
    """The failure says that it was a worker, which one, and what it lacks."""
    pytest.importorskip("s3fs", reason="needs the extra [remote]")
    nothing = {
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
    with contextlib.closing(Dask(tmp_path_factory.mktemp("poor"))) as dask:
        dask.add_worker(env=nothing)
        args = ("file", "s3://bucket/a.wav", "-o", tmp_path / "b.wav")
        result = run(*args, "--model", model_arg, "--cluster", dask.address)
    assert result.exit_code == 1, result.output
    assert "cannot be reached by worker tcp://" in result.stderr
    assert "set them there" in result.stderr


def test_worker_that_does_not_see_the_file(tmp_path, tmp_path_factory, model_arg):
    """A worker with another file system in that place: one sentence that says so."""
    folder = tmp_path / "in"
    folder.mkdir()
    blind = ["unshare", "--mount", "sh", "-c"]
    hide = 'mount -t tmpfs none "$0" && exec "$@"'
    if (
        shutil.which("unshare") is None
        or subprocess.run(
            [*blind, "mount -t tmpfs none " + str(folder)], capture_output=True
        ).returncode
    ):
        pytest.skip("needs the right to mount a file system (unshare --mount)")
    (folder / "deep").mkdir()
    source = write_noise(folder / "deep" / "a.wav")
    with contextlib.closing(Dask(tmp_path_factory.mktemp("blind"))) as dask:
        dask.add_worker(before=[*blind, hide, str(folder)])
        result = run(
            "file", source, "-o", tmp_path / "b.wav", "--cluster", dask.address
        )
    assert result.exit_code == 3, result.output
    assert "does not see" in result.stderr and str(folder) in result.stderr
    assert "s3://" in result.stderr


def test_local_cluster(tmp_path, model_arg):
    """``--cluster local`` needs no scheduler; --jobs is its size."""
    source = talks(tmp_path / "in", 2, 8000)
    program = process(
        *("file", str(source), "-o", str(tmp_path / "out"), "--model", model_arg),
        *("--cluster", "local", "-j", "2"),
    )
    _, stderr = program.communicate(timeout=WAIT)
    assert program.returncode == 0, stderr
    assert everything(tmp_path / "out") == ["0.wav", "1.wav"]


def test_options_that_need_each_other(tmp_path):
    """--split without a cluster, --jobs for a foreign one, --apart without --split."""
    source = write_noise(tmp_path / "a.wav")
    assert run("file", source, "--split", "5").exit_code == 2
    result = run("file", source, "--cluster", "local", "--apart")
    assert result.exit_code == 2 and "--split 30" in result.stderr
    result = run("file", source, "--cluster", "tcp://h:1", "-j", "4")
    assert result.exit_code == 2 and "--jobs" in result.stderr
