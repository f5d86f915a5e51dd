"""``streamdenoise pipe`` as a program between two others."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import soundfile as sf

from streamdenoise import denoise
from tests.clitools import ROOT, model_arg, noise, process, run, wav_bytes

__all__ = ["model_arg"]


@pytest.mark.parametrize("linked", [False, True])
def test_raw_stream_equals_the_function(model_arg, linked):
    """Bytes in, bytes out: the same as `denoise` gives, to the rounding of 16 bits."""
    x = (noise(20001, 2) * 32767).astype("<i2")
    args = ("--rate", "48000", "--channels", "2", "--format", "s16le")
    args += ("--link-channels",) if linked else ()
    child = process("pipe", *args, "--model", model_arg)
    out, err = child.communicate(x.tobytes(), timeout=120)
    assert child.returncode == 0 and b"streamdenoise:" not in err
    y = np.frombuffer(out, "<i2").reshape(-1, 2)
    model = model_arg
    sound = x.astype(np.float32) / 32768
    expected = denoise(sound, 48000, model, link_channels=linked) * 32768
    assert np.abs(y - expected).max() < 1.0


def test_wav_through_two_pipes(model_arg):
    """What comes out can go into the next one."""
    raw = wav_bytes(b"\0\1" * 8000, declared=0xFFFFFFFF)
    first = process("pipe", "--model", model_arg)
    second = process("pipe", "--model", model_arg, stdin=first.stdout)
    first.stdout.close()
    first.stdin.write(raw)
    first.stdin.close()
    out = second.stdout.read()
    assert first.wait(60) == second.wait(60) == 0
    assert out[:4] == b"RIFF" and len(out) == len(raw)


def test_reader_that_goes_away_ends_it_quietly(model_arg):
    """``| head`` is no error: exit code 0 and not a word."""
    child = process("pipe", "--model", model_arg)
    child.stdin.write(bytes(20000))
    child.stdin.flush()
    child.stdout.read(10)
    child.stdout.close()
    try:
        for _ in range(100):
            child.stdin.write(bytes(10000))
        child.stdin.close()
    except BrokenPipeError:
        pass
    assert child.wait(60) == 0
    assert b"streamdenoise:" not in child.stderr.read()


@pytest.mark.skipif(os.name != "posix", reason="POSIX signals")
def test_ctrl_c_is_130(model_arg):
    """Ctrl-C ends it at once, without a traceback."""
    child = process("pipe", "--model", model_arg)
    child.stdin.write(bytes(20000))
    child.stdin.flush()
    child.stdout.read(10)
    child.send_signal(signal.SIGINT)
    assert child.wait(60) == 130
    assert b"Traceback" not in child.stderr.read()


def test_a_live_source_is_not_waited_for(model_arg):
    """Sound comes out while the source is still open."""
    child = process("pipe", "--model", model_arg)
    child.stdin.write(bytes(2 * 128 * 10))
    child.stdin.flush()
    # 10 hops went in; all but the last one are out by then.
    assert len(child.stdout.read(2 * 128 * 9)) == 2 * 128 * 9
    child.stdin.close()
    assert len(child.stdout.read()) == 2 * 128
    assert child.wait(60) == 0


def test_nothing_on_standard_input(model_arg):
    """An empty stream is said, and is no success."""
    result = run("pipe", "--model", model_arg, input=b"")
    assert result.exit_code == 1 and "nothing arrived" in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    "args", [("--rate", "0"), ("--rate", "1000000"), ("--channels", "0")]
)
def test_impossible_options(args):
    """Rates and channels that nothing can have are wrong usage."""
    assert run("pipe", *args, input=b"").exit_code == 2
    assert run("pipe", "--channels", "65", input=b"").exit_code == 2


@pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals")
def test_terminal_as_input_is_explained(model_arg):
    """Who forgets the source gets an example, not a program that hangs."""
    master, slave = os.openpty()
    child = process("pipe", stdin=slave, stdout=subprocess.PIPE)
    assert child.wait(60) == 2
    assert b"arecord" in child.stderr.read()
    os.close(master)
    os.close(slave)


@pytest.mark.skipif(os.name != "posix", reason="POSIX signals")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_interruption_finishes_what_came(tmp_path, model_arg, name):
    """All that came by then is in the file, and its header tells the true length."""
    raw = wav_bytes(b"\0\1" * 8100, declared=0xFFFFFFFF)
    path = tmp_path / "talk.wav"
    with path.open("wb") as file:
        child = process("pipe", "--model", model_arg, stdout=file)
    child.stdin.write(raw)
    child.stdin.flush()
    deadline = time.monotonic() + 60
    while path.stat().st_size < 15000 and time.monotonic() < deadline:
        time.sleep(0.05)
    child.send_signal(getattr(signal, name))
    assert child.wait(60) == 130
    assert child.stderr.read().endswith(b"streamdenoise: interrupted\n")
    child.stdin.close()
    assert sf.info(path).frames == 8100 and path.stat().st_size == len(raw)


@pytest.mark.skipif(os.name != "posix", reason="POSIX signals")
def test_second_signal_ends_at_once(model_arg):
    """Also where the listener takes nothing, so that nothing can be finished."""
    child = process("pipe", "--model", model_arg)
    os.set_blocking(child.stdin.fileno(), False)
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:  # until both pipes are full
        with contextlib.suppress(BlockingIOError):
            os.write(child.stdin.fileno(), bytes(4096))
        time.sleep(0.005)
    child.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert child.poll() is None
    child.send_signal(signal.SIGINT)
    assert child.wait(20) == 130
    child.communicate()


@pytest.mark.skipif(os.name != "posix", reason="pipes that do not wait")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_streams_that_do_not_wait_lose_nothing(model_arg, unbuffered):
    """Neither a source with pauses nor a slow listener costs a byte."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": unbuffered}
    theirs_in, ours_in = os.pipe()
    ours_out, theirs_out = os.pipe()
    for end in (theirs_in, theirs_out):
        os.set_blocking(end, False)
    pipes = {"stdin": theirs_in, "stdout": theirs_out, "env": env}
    child = subprocess.Popen(
        [sys.executable, "-m", "streamdenoise", "pipe", "--model", model_arg], **pipes
    )
    os.close(theirs_in)
    os.close(theirs_out)

    def feed() -> None:
        for _ in range(4):
            os.write(ours_in, bytes(60000))
            time.sleep(0.5)
        os.close(ours_in)

    feeder = threading.Thread(target=feed, daemon=True)
    feeder.start()
    time.sleep(3)
    got = 0
    while part := os.read(ours_out, 65536):
        got += len(part)
    os.close(ours_out)
    feeder.join(10)
    assert child.wait(60) == 0 and got == 4 * 60000


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="POSIX signals")
def test_pause_of_the_program_loses_nothing(model_arg):
    """Ctrl-Z and fg cut a write short; what is left of it is written."""
    data = bytes(160_000)
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    args = [sys.executable, "-m", "streamdenoise", "pipe", "--model", model_arg]
    child = subprocess.Popen(
        args, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env
    )
    feeder = threading.Thread(
        target=lambda: (child.stdin.write(data), child.stdin.close()), daemon=True
    )
    feeder.start()
    out = child.stdout.fileno()
    got = len(os.read(out, 5000))
    time.sleep(2)  # the pipe is full again
    got += len(os.read(out, 5000))
    time.sleep(0.3)
    child.send_signal(signal.SIGSTOP)
    time.sleep(0.3)
    child.send_signal(signal.SIGCONT)
    while part := os.read(out, 65536):
        got += len(part)
    assert child.wait(60) == 0 and got == len(data)
    feeder.join(10)


@pytest.mark.skipif(os.name != "posix", reason="shells that close a descriptor")
@pytest.mark.parametrize(("closed", "name"), [("<&-", "input"), (">&-", "output")])
def test_a_closed_stream_is_a_sentence(closed, name):
    """Who closes one end hears which, and what to connect."""
    line = f'exec "$0" -m streamdenoise pipe {closed}'
    done = subprocess.run(
        ["sh", "-c", line, sys.executable],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert f"standard {name} is closed; connect it, such as" in done.stderr
