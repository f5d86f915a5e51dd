"""Run inside: play noisy speech, record what comes out, compare with `denoise`.

    python heard.py MODEL SINK SOURCE

Prints the correlation of what was heard with what `denoise` gives, and with the noisy
recording itself.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from importlib.resources import files
from pathlib import Path

import numpy as np
import soundfile
from scipy.signal import fftconvolve

from streamdenoise import denoise


def likeness(heard: np.ndarray, wanted: np.ndarray, rate: int) -> float:
    """Return the median correlation of half seconds of `wanted`, each where it fits.

    A gap, as a busy machine has it, moves what follows but does not change it.
    """
    size = rate // 2
    if len(heard) < size or not heard.any():
        return 0.0
    found = []
    for begin in range(0, len(wanted) - size + 1, size):
        piece = wanted[begin : begin + size]
        at = int(np.argmax(fftconvolve(heard, piece[::-1], "valid")))
        part = heard[at : at + size]
        if part.any() and piece.any():
            found.append(float(np.corrcoef(part, piece)[0, 1]))
    return float(np.median(found)) if found else 0.0


def main(model: str, sink: str, source: str) -> None:
    """Play into `sink`, record `source`."""
    clip = files("streamdenoise") / "assets" / "demo-noisy.flac"
    noisy, rate = soundfile.read(str(clip), dtype="float32")
    with tempfile.TemporaryDirectory() as folder:
        talk, out = Path(folder, "talk.wav"), Path(folder, "out.raw")
        soundfile.write(talk, noisy, rate)
        # A short buffer: what lies in a long one is lost when the recorder ends.
        form = ["--format=float32le", f"--rate={rate}", "--channels=1"]
        form.append("--latency-msec=20")
        with (
            out.open("wb") as file,
            subprocess.Popen(["parec", "-d", source, *form], stdout=file) as recorder,
        ):
            time.sleep(0.5)
            subprocess.run(["paplay", "-d", sink, str(talk)], check=True)
            time.sleep(1.0)
            recorder.terminate()
        heard = np.fromfile(out, np.float32)
    clean = denoise(noisy, rate, model)
    print(likeness(heard, clean, rate), likeness(heard, noisy, rate))


if __name__ == "__main__":
    main(*sys.argv[1:])
