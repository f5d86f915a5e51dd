"""A long recording, denoised by the command."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from .sound import Day
from .watch import ROOT, memory_mib, peak_mib, say

__all__ = ["file"]


def file(asked: argparse.Namespace) -> dict[str, Any]:
    """Denoise a long recording with the command, and watch its memory."""
    import soundfile

    day = Day(asked.rate)
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "long.wav", Path(folder) / "clean.wav"
        with soundfile.SoundFile(source, "w", asked.rate, 1, "PCM_16") as sink:
            for minute in range(60 * asked.hours):
                sink.write(np.clip(day.minute(minute), -1.0, 1.0))
        size = source.stat().st_size
        say(f"{size / 1e9:.2f} GB written; denoising")
        words = [sys.executable, "-m", "streamdenoise", "file", str(source)]
        words += ["-o", str(target)]
        words += ["--model", asked.model] if asked.model else []
        began = time.monotonic()
        nowhere = subprocess.DEVNULL
        process = subprocess.Popen(words, cwd=ROOT, stdout=nowhere, stderr=nowhere)
        seen, most = [], 0.0
        while process.poll() is None:
            time.sleep(2.0)
            try:
                seen.append(memory_mib(process.pid))
                most = max(most, peak_mib(process.pid))
            except (OSError, ValueError, IndexError):
                break
        process.wait()
        wall = time.monotonic() - began
        times = os.times()
        frames = soundfile.info(target).frames if target.exists() else 0
    seen = [value for value in seen if value > 0.0]
    tenths = [seen[len(seen) * i // 10] for i in range(1, 10)] if seen else []
    return {
        "part": "file",
        "rate": asked.rate,
        "hours_of_sound": asked.hours,
        "bytes": size,
        "exit_code": process.returncode,
        "frames_out": frames,
        "whole": frames == 3600 * asked.hours * asked.rate,
        "memory_mib_by_tenth": tenths,
        "peak_memory_mib": most,
        "cpu_seconds": times.children_user + times.children_system,
        "wall_seconds": wall,
    }
