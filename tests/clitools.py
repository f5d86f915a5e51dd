"""What the tests of the command line share: a model, sound files, a real process."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from click.testing import CliRunner, Result

from streamdenoise import StreamDenoiseError
from streamdenoise.audio.file import (
    OutputFormat,
    open_reader,
    open_writer,
    output_format,
)
from streamdenoise.cli import cli
from streamdenoise.model import find_model

__all__ = [
    "ROOT",
    "copy_sound",
    "model_arg",
    "noise",
    "process",
    "run",
    "wav_bytes",
    "write_noise",
]

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def model_arg(request: pytest.FixtureRequest) -> str:
    """What to give to ``--model``: the default model, or the tiny one without it."""
    try:
        return find_model()[1].name
    except StreamDenoiseError:
        return str(request.getfixturevalue("tiny_model_path"))


def run(*args: Any, **extra: Any) -> Result:
    """Run the command line in this process."""
    return CliRunner().invoke(cli, [os.fsdecode(arg) for arg in args], **extra)


def process(*args: Any, code: str = "", **extra: Any) -> subprocess.Popen[bytes]:
    """Start the command line as a program of its own, after `code`."""
    program = f"{code}\nfrom streamdenoise.cli import main\nmain()"
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    return subprocess.Popen(
        [sys.executable, "-c", program, *args],
        env=env,
        **{**pipes, "stderr": subprocess.PIPE, **extra},
    )


def noise(n: int, channels: int = 1, level: float = 0.1) -> np.ndarray:
    """Return noise of shape (n, channels), the same in every run."""
    x = level * np.random.default_rng(5).standard_normal((n, channels))
    return x.clip(-1.0, 0.99).astype(np.float32)


def write_noise(path: Path, n: int = 4000, rate: int = 16000, **how: Any) -> Path:
    """Write a file of noise; `how` goes to soundfile."""
    channels = how.pop("channels", 1)
    sf.write(path, noise(n, channels), rate, **how)
    return path


def copy_sound(source: Path, target: Path) -> tuple[OutputFormat, list[str]]:
    """Copy sound as `file` does; return what was written, and what is to be said."""
    with open_reader(source) as reader:
        output = output_format(reader.info, target, explicit=True)
        with open_writer(output, reader) as writer:
            for block in reader:
                writer.write(block)
    return output, writer.notes


def wav_bytes(
    data: bytes = b"\1\2" * 2000,
    *,
    rate: int = 16000,
    channels: int = 1,
    bits: int = 16,
    code: int = 1,
    declared: int | None = None,
    riff: int | None = None,
) -> bytes:
    """Return a WAV file whose header says what one likes."""
    align = channels * bits // 8
    declared = len(data) if declared is None else declared
    return (
        b"RIFF"
        + struct.pack("<I", 36 + len(data) if riff is None else riff)
        + b"WAVEfmt "
        + struct.pack("<IHHII", 16, code, channels, rate, rate * align & 0xFFFFFFFF)
        + struct.pack("<HH", align & 0xFFFF, bits)
        + b"data"
        + struct.pack("<I", declared)
        + data
    )
