"""Compares what live played, sample for sample, for scripts/soak --compare."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
from room import ROOT, PulseServer

__all__ = ["compare"]

ALIKE = 1e-5
"""Samples so near are the same but for the last bits of a model done in groups."""


class Ear:
    """Keeps what sessions hear, in room taken beforehand."""

    def __init__(self, seconds: float, rate: int) -> None:
        from streamdenoise.live.stream import LiveStream

        self._kept = np.zeros((int(seconds * rate), 1), np.float32)
        self._count = 0
        take = LiveStream._take

        def listen(core: Any, block: Any) -> Any:
            heard = take(core, block)
            end = min(self._count + len(heard), len(self._kept))
            self._kept[self._count : end] = heard[: end - self._count]
            self._count = end
            return heard

        LiveStream._take = listen  # type: ignore[method-assign]

    def heard(self) -> Any:
        """Return the samples so far."""
        return self._kept[: self._count, 0]


def differences(have: Any, wanted: Any) -> dict[str, Any]:
    """Compare two pieces of sound in place."""
    count = min(len(have), len(wanted))
    apart = np.abs(have[:count] - wanted[:count])
    unlike = np.flatnonzero(apart > ALIKE)
    return {
        "samples": count,
        "largest_difference": float(apart.max(initial=0.0)),
        "samples_apart": len(unlike),
        "first_apart": int(unlike[0]) if len(unlike) else None,
    }


def place(part: Any, whole: Any) -> int:
    """Return where `part` lies in `whole`."""
    from scipy.signal import fftconvolve

    return int(np.argmax(fftconvolve(whole, part[::-1], "valid")))


def compare(
    server: PulseServer, path: Path, latency: float, model: str | None, folder: Path
) -> Any:
    """Play a recording through a session; return how far the samples are apart."""
    import soundfile

    from streamdenoise.live.portaudio import quiet_stderr
    from streamdenoise.live.session import LiveOptions, LiveSession

    talk, rate = soundfile.read(path, dtype="float32", always_2d=True)
    seconds = len(talk) / rate
    ear = Ear(seconds + 30.0, rate)
    kept, input_, output = (folder / f"{name}.wav" for name in ("kept", "in", "out"))
    options = LiveOptions(latency=latency, model=model, rate=rate, record=kept)
    player = ["paplay", "--latency-msec=2000", "--device=room", str(path)]
    with (
        server.recording("ear.monitor", rate) as monitor,
        quiet_stderr(),
        LiveSession(options) as session,
    ):
        started = threading.Timer(2.0, lambda: subprocess.run(player, env=server.env))
        started.start()
        session.run(seconds + 7.0)
        started.join()
        summary = session.summary()
    played, _ = soundfile.read(kept, dtype="float32")
    soundfile.write(input_, ear.heard(), rate, subtype="FLOAT")
    words = [sys.executable, "-m", "streamdenoise", "file", str(input_)]
    words += ["-o", str(output), *(["--model", model] if model else [])]
    subprocess.run(words, cwd=ROOT, check=True, capture_output=True)
    wanted, _ = soundfile.read(output, dtype="float32")
    lag = round(summary["latency"]["window"] * rate)
    probe = slice(rate, 6 * rate)  # a place where all of them sound
    told: dict[str, Any] = {
        "seconds": seconds,
        "rate": rate,
        "model": summary["model"],
        "xruns": summary["xruns"],
        "drift_ppm": summary["drift_ppm"],
        "live_and_file": differences(played[lag:], wanted),
    }
    begun = slice(0, 20 * rate)  # what repeats itself later is not meant
    at = max(place(talk[probe, 0], ear.heard()[begun]) - probe.start, 0)
    told["heard_and_given"] = differences(ear.heard()[at:], talk[:, 0])
    sounding = played[at + lag :][: len(talk)]
    there = max(place(sounding[probe], monitor[0][begun]) - probe.start, 0)
    told["monitor_and_played"] = differences(monitor[0][there:], sounding)
    return told
