"""Recordings at addresses, on a real web server and a real S3 server."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path, PurePosixPath

import pytest
import soundfile as sf

from streamdenoise import OutputError, StreamDenoiseError
from streamdenoise.batch.plan import Job
from streamdenoise.batch.remote import Remote
from streamdenoise.batch.staging import Staging
from streamdenoise.batch.urls import is_remote, relative_place, url_join, url_name
from streamdenoise.batch.work import Work
from streamdenoise.batch.workplace import clean_workplaces, workplace
from tests.clitools import model_arg, run, write_noise

__all__ = ["model_arg"]


@pytest.fixture
def web(tmp_path):
    """Serve a folder; yield it, the address, and faults to be made."""
    pytest.importorskip("fsspec", reason="needs the extra [remote]")
    pytest.importorskip("aiohttp", reason="needs the extra [remote]")
    folder = tmp_path / "web"
    folder.mkdir()
    faults: list[int] = []
    asked: list[str] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(folder))

        def do_GET(self):
            asked.append(self.path)
            if faults:
                self.send_error(faults.pop())
            else:
                super().do_GET()

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}", faults, asked
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="session")
def s3_server():
    """Start moto's S3 server as a process of its own."""
    for package in ("fsspec", "s3fs", "moto", "flask"):
        pytest.importorskip(package, reason="needs the extra [remote] and moto[server]")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    code = "from moto.server import main; main()"
    server = subprocess.Popen(
        [sys.executable, "-c", code, "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 60
    while True:
        with contextlib.suppress(OSError):
            urllib.request.urlopen(url + "/moto-api/").close()
            break
        assert time.monotonic() < deadline and server.poll() is None
        time.sleep(0.1)
    yield url
    server.terminate()
    server.wait()


@pytest.fixture
def bucket(s3_server, monkeypatch, tmp_path):
    """Return a client and the address of an empty bucket."""
    import s3fs

    for name, value in {
        "AWS_ENDPOINT_URL": s3_server,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "XDG_STATE_HOME": str(tmp_path / "state"),
    }.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    client = s3fs.S3FileSystem(use_listings_cache=False)
    name = f"b{os.urandom(6).hex()}"
    client.mkdir(name)
    yield client, f"s3://{name}"
    s3fs.S3FileSystem.clear_instance_cache()


def told(result):
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_from_the_web(tmp_path, web, model_arg):
    """The name of the address is kept; the result lies on its input."""
    folder, url, _, _ = web
    write_noise(folder / "a talk.flac", 9000, 44100)
    args = ("file", f"{url}/a%20talk.flac?v=1", "-o", f"{tmp_path}/out/", "--json")
    result = run(*args, "--model", model_arg)
    assert result.exit_code == 0, result.output
    assert sf.info(tmp_path / "out" / "a talk.flac").frames == 9000
    assert told(result)[0]["input"].startswith(url)
    assert (
        list(Path(tempfile.gettempdir()).glob(f"streamdenoise-{os.getpid()}-*")) == []
    )


def test_web_needs_a_place_for_the_result(web, model_arg):
    """Nothing lies beside an address; and web servers are not written to."""
    _, url, _, _ = web
    assert run("file", f"{url}/a.wav").exit_code == 2
    result = run("file", f"{url}/a.wav", "-o", f"{url}/b.wav", "--model", model_arg)
    assert result.exit_code == 1 and "only read from" in result.stderr


def test_missing_and_faulty(tmp_path, web):
    """404 at once; 500 and 503 are tried again, a few times."""
    folder, url, faults, asked = web
    write_noise(folder / "a.wav")
    waits: list[float] = []
    remote = Remote(waits.append)
    with pytest.raises(StreamDenoiseError, match="does not exist"):
        remote.fetch(f"{url}/none.wav", tmp_path)
    assert waits == []
    faults[:] = [503, 500]
    path = remote.fetch(f"{url}/a.wav", tmp_path)
    assert path.read_bytes() == (folder / "a.wav").read_bytes() and len(waits) == 2
    faults[:] = [500] * 99
    asked.clear()
    with pytest.raises(StreamDenoiseError, match=r"cannot be reached.*500"):
        remote.fetch(f"{url}/a.wav", tmp_path)
    assert len(waits) == 5 and waits[-1] == 2.0


def test_nobody_there(tmp_path):
    """A closed port is one sentence."""
    pytest.importorskip("aiohttp", reason="needs the extra [remote]")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}/a.wav"
    with pytest.raises(StreamDenoiseError, match="cannot be reached") as caught:
        Remote(lambda seconds: None).fetch(url, tmp_path)
    assert "\n" not in str(caught.value)


def test_bucket_to_bucket(tmp_path, bucket, model_arg):
    """A tree in a store, in two processes; then --resume has nothing to do."""
    client, url = bucket
    for name in ("in/a.wav", "in/d/b.flac", "in/d/x.txt"):
        path = write_noise(tmp_path / ("x" + name[-5:].replace("txt", "wav")), 9000)
        client.put_file(str(path), f"{url}/{name}")
    args = ("file", "-r", f"{url}/in/", "-o", f"{url}/out", "--model", model_arg)
    result = run(*args, "--json", "-j", "2", "--plot")
    assert result.exit_code == 0, result.output
    names = sorted(n.split("/", 2)[2] for n in client.find(f"{url}/out"))
    assert names == ["a.wav", "a.wav.png", "d/b.flac", "d/b.flac.png"]
    client.get_file(f"{url}/out/d/b.flac", str(tmp_path / "got.flac"))
    assert sf.info(tmp_path / "got.flac").frames == 9000
    again = run(*args, "--json")
    assert again.exit_code == 1 and "--force" in again.stderr
    resumed = run(*args, "--json", "--resume")
    assert [f["status"] for f in told(resumed)[:-1]] == ["skipped", "skipped"]
    client.put_file(str(write_noise(tmp_path / "new.wav", 5000)), f"{url}/in/a.wav")
    resumed = run(*args, "--json", "--resume")
    assert [f["status"] for f in told(resumed)[:-1]] == ["skipped", "done"]


def test_bucket_to_folder_and_back(tmp_path, bucket, model_arg):
    """One object, a pattern, a local file into the store."""
    client, url = bucket
    client.put_file(str(write_noise(tmp_path / "l.wav", 9000)), f"{url}/p/a.wav")
    client.put_file(str(tmp_path / "l.wav"), f"{url}/p/b.wav")
    model = ("--model", model_arg)
    out = tmp_path / "out"
    assert run("file", f"{url}/p/*.wav", "-o", out, *model).exit_code == 0
    assert sorted(p.name for p in out.glob("[!.]*")) == ["a.wav", "b.wav"]
    assert run("file", out / "a.wav", "-o", f"{url}/q/c.flac", *model).exit_code == 0
    assert client.exists(f"{url}/q/c.flac")
    missing = run("file", f"{url}/p/none.wav", "-o", tmp_path / "n.wav", *model)
    assert missing.exit_code == 1 and "does not exist" in missing.stderr


def test_picture_in_the_way_and_long_names(tmp_path, bucket, model_arg):
    """Pictures of others stay; a name that no file could have is kept whole."""
    client, url = bucket
    long = "x" * 150
    path = str(write_noise(tmp_path / "l.wav", 9000))
    for name in ("a", f"{long}1", f"{long}2"):
        client.put_file(path, f"{url}/in/{name}.wav")
    client.pipe_file(f"{url}/out/a.wav.png", b"mine")
    args = ("file", f"{url}/in/", "-o", f"{url}/out/", "--model", model_arg)
    result = run(*args, "--json", "--plot")
    assert result.exit_code == 1 and "a.wav.png exists already" in result.stderr
    assert client.cat_file(f"{url}/out/a.wav.png") == b"mine"
    names = sorted(n.split("/", 2)[2] for n in client.find(f"{url}/out"))
    both = [f"{long}{i}.wav{end}" for i in (1, 2) for end in ("", ".png")]
    assert names == ["a.wav.png", *both]
    assert told(result)[1]["plot"] == f"{url}/out/{long}1.wav.png"


def test_sentences_name_the_address(tmp_path, bucket, model_arg):
    """Not the temporary file that stands for it."""
    client, url = bucket
    client.pipe_file(f"{url}/a.wav", b"no sound")
    client.put_file(str(write_noise(tmp_path / "l.wav")), f"{url}/b.wav")
    for source, target in (("a.wav", tmp_path / "x.wav"), ("b.wav", f"{url}/c.xyz")):
        result = run("file", f"{url}/{source}", "-o", target, "--model", model_arg)
        code = 2 if source == "b.wav" else 1  # an extension that nobody knows
        assert result.exit_code == code and url in result.stderr
        assert "streamdenoise-" not in result.stderr, result.stderr


def test_resume_on_another_computer(tmp_path, bucket, model_arg, monkeypatch):
    """What was sent tells itself whether it is right; what others put there stays."""
    client, url = bucket
    path = str(write_noise(tmp_path / "l.wav", 9000))
    for name in ("a.wav", "b.wav", "c.wav"):
        client.put_file(path, f"{url}/in/{name}")
    args = ("file", f"{url}/in/", "-o", f"{url}/out", "--model", model_arg, "--json")
    assert run(*args).exit_code == 0

    def resumed(place, *more):
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / place))
        planned = told(run(*args, *more, "--resume", "--dry-run"))
        result = run(*args, *more, "--resume")
        assert not any("Traceback" in line for line in result.stderr.splitlines())
        does = [line["do"] for line in planned]
        return does, [line["status"] for line in told(result)[:-1]], result.stderr

    assert resumed("two")[:2] == (3 * ["skip"], 3 * ["skipped"])
    # A new input; a result that somebody else has replaced; other settings for all.
    client.put_file(str(write_noise(tmp_path / "n.wav", 5000)), f"{url}/in/a.wav")
    client.pipe_file(f"{url}/out/b.wav", b"mine")
    does, status, said = resumed("three")
    assert does == ["replace", "exists", "skip"]
    assert sorted(status) == ["done", "failed", "skipped"]
    assert str(tmp_path / "three") in said and "--force" in said
    does, status, _ = resumed("four", "--strength", "6", "--plot")
    assert does == ["replace", "exists", "replace"]
    assert client.cat_file(f"{url}/out/b.wav") == b"mine"
    # Pictures that are lacking are drawn, and ours are replaced.
    client.rm_file(f"{url}/out/a.wav.png")
    does, status, _ = resumed("five", "--strength", "6", "--plot")
    assert does == ["replace", "exists", "skip"] and "done" in status


@pytest.mark.parametrize("force", [(), ("--force",)])
def test_missing_bucket_is_said_before_the_work(tmp_path, bucket, model_arg, force):
    """It is the bucket that is not there, not the result that is to be made."""
    path = write_noise(tmp_path / "a.wav")
    target = "s3://there-is-no-such-bucket/x.wav"
    result = run("file", path, "-o", target, "--model", model_arg, *force)
    assert result.exit_code == 1
    assert "there is no bucket there-is-no-such-bucket" in result.stderr


@pytest.fixture
def forbidding(bucket, monkeypatch):
    """Serve a store that does not say what is there; yield what it was sent."""
    import s3fs

    sent: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_error(403)

        do_HEAD = do_GET

        def do_PUT(self):
            sent.append(self.path)
            self.send_error(403)

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("AWS_ENDPOINT_URL", address)
    s3fs.S3FileSystem.clear_instance_cache()
    yield sent
    server.shutdown()
    thread.join()
    server.server_close()


def test_nothing_is_written_where_nobody_says_what_is_there(
    tmp_path, forbidding, model_arg
):
    """A check that fails is no leave to write; --force is."""
    path = write_noise(tmp_path / "a.wav")
    args = ("file", path, "-o", "s3://bucket/a.wav", "--model", model_arg)
    result = run(*args, "--resume")
    assert result.exit_code == 1 and forbidding == []
    assert "cannot tell" in result.stderr and "--force" in result.stderr
    assert run(*args, "--force").exit_code == 1
    assert len(forbidding) == 1 and "a.wav" in forbidding[0]


def test_a_cluster_looks_before_it_writes(bucket):
    """Its workers replace what they find, so it is asked before they begin."""
    client, url = bucket
    client.pipe_file(f"{url}/a.wav", b"mine")
    client.pipe_file(f"{url}/b.wav.png", b"mine")
    staging = Staging(False, plot=True)
    for name in ("a", "b"):
        with pytest.raises(OutputError, match="exists already"):
            staging.staged(Work(0, Job("x.wav", f"{url}/{name}.wav")))
    assert staging.staged(Work(0, Job("x.wav", f"{url}/c.wav"))).force


def test_names_in_a_store_cannot_lead_out_of_the_folder(tmp_path, bucket, model_arg):
    """A key with ``..`` in it is refused; nothing appears outside of -o."""
    client, url = bucket
    path = str(write_noise(tmp_path / "l.wav"))
    name = url.split("://")[1]
    client.call_s3("put_object", Bucket=name, Key="p/../../x.wav", Body=b"abc")
    client.put_file(path, f"{url}/p/ok.wav")
    out = tmp_path / "deep" / "out"
    result = run("file", "-r", f"{url}/p/", "-o", out, "--model", model_arg)
    assert result.exit_code == 1 and "leads out of" in result.stderr
    assert not out.exists()


def test_places():
    """What an object is called decides where it goes, but never outside."""
    for text in ("../a", "a/../../b", "..", "", "/", "a\0b"):
        assert relative_place(text) is None
    assert relative_place("/a//./b.wav") == PurePosixPath("a/b.wav")
    assert is_remote("S3://b/k") and not is_remote("s3:/b") and not is_remote("c:/a")
    assert url_name("https://h/a%2Fb/c%20d.wav?x=/y") == "c d.wav"
    assert (
        url_name("s3://bucket/a/b?.wav") == "b?.wav" and url_name("s3://bucket") == ""
    )
    assert url_join("s3://b/", PurePosixPath("a/b")) == "s3://b/a/b"


def aged(folder: Path) -> Path:
    """Make a folder look as if it were no new one."""
    then = time.time() - 3600
    os.utime(folder, (then, then))
    return folder


@pytest.mark.skipif(os.name != "posix", reason="there are no locks to ask")
def test_folders_of_killed_runs_are_removed(monkeypatch, tmp_path):
    """Those that nobody holds any more; ours, new ones and strangers' stay."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for name in ("streamdenoise-7-abc_1", "streamdenoise-notes-1"):
        (tmp_path / name).mkdir()
        aged(tmp_path / name)
    (tmp_path / "streamdenoise-8-new").mkdir()
    with workplace() as mine:
        aged(mine)
        assert clean_workplaces() == 1 and mine.is_dir()
    left = sorted(p.name for p in tmp_path.iterdir())
    assert left == ["streamdenoise-8-new", "streamdenoise-notes-1"]


@pytest.mark.skipif(os.name != "posix", reason="there are no locks to ask")
def test_folders_of_processes_unknown_here_stay(monkeypatch, tmp_path):
    """As those in other containers: a number that nobody has here tells nothing."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    number = os.getpid()
    with monkeypatch.context() as patch:
        patch.setattr(os, "getpid", lambda: gone.pid)
        stack = contextlib.ExitStack()
        theirs = stack.enter_context(workplace())
    assert str(gone.pid) in theirs.name and os.getpid() == number
    with stack:
        (theirs / "big.wav").write_bytes(b"x")
        assert clean_workplaces() == 0
        aged(theirs)
        assert clean_workplaces() == 0 and (theirs / "big.wav").exists()
    assert not theirs.exists()
