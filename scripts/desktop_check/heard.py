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


def likeness(heard: np.ndarray, wanted: np.ndarray) -> float:
    """Return the correlation where `wanted` lies best in `heard`."""
    if len(heard) < len(wanted):
        return 0.0
    if not heard.any():
        return 0.0
    at = int(np.argmax(fftconvolve(heard, wanted[::-1], "valid")))
    return float(np.corrcoef(heard[at : at + len(wanted)], wanted)[0, 1])


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
    print(likeness(heard, denoise(noisy, rate, model)), likeness(heard, noisy))


if __name__ == "__main__":
    main(*sys.argv[1:])
