"""``streamdenoise pipe`` as a program between two others."""

from __future__ import annotations

import os
import signal
import subprocess

import numpy as np
import pytest

from streamdenoise import denoise
from tests.clitools import model_arg, noise, process, run, wav_bytes

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
    assert run("pipe", "--channels", "64", input=b"").exit_code == 2


@pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals")
def test_terminal_as_input_is_explained(model_arg):
    """Who forgets the source gets an example, not a program that hangs."""
    master, slave = os.openpty()
    child = process("pipe", stdin=slave, stdout=subprocess.PIPE)
    assert child.wait(60) == 2
    assert b"arecord" in child.stderr.read()
    os.close(master)
    os.close(slave)
