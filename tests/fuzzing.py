"""Sound files with damaged headers, by number, and what becomes of them.

A file of a number is always the same. Each goes through reading and writing in a
process apart: a crash of a decoder or a hang is found, told, and stops nothing else.
Run as a program: ``python -m tests.fuzzing COUNT [FIRST]``.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

SOUND = {
    "wav": ("WAV", "PCM_16"),
    "wavex.wav": ("WAVEX", "PCM_24"),
    "float.wav": ("WAV", "FLOAT"),
    "adpcm.wav": ("WAV", "IMA_ADPCM"),
    "w64": ("W64", "PCM_16"),
    "rf64": ("RF64", "PCM_16"),
    "flac": ("FLAC", "PCM_16"),
    "ogg": ("OGG", "VORBIS"),
    "opus": ("OGG", "OPUS"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
    "caf": ("CAF", "PCM_16"),
    "alac.caf": ("CAF", "ALAC_16"),
    "au": ("AU", "PCM_16"),
    "aiff": ("AIFF", "PCM_16"),
}
CONTAINERS = {
    "mp4": ("mp4", "aac"),
    "m4a": ("ipod", "alac"),
    "mkv": ("matroska", "libopus"),
    "webm": ("webm", "libopus"),
    "aac": ("adts", "aac"),
    "avi": ("avi", "pcm_s16le"),
    "ts": ("mpegts", "mp2"),
    "wma": ("asf", "wmav2"),
}
PATIENCE = 30.0
"""Seconds after which a file counts as a hang."""


def seeds_in(folder: Path) -> list[Path]:
    """Write sound files of all kinds that can be made here."""
    import soundfile as sf

    from tests.clitools import write_noise

    made = []
    for ext, (container, subtype) in SOUND.items():
        if sf.check_format(container, subtype):
            path = folder / f"a.{ext}"
            made.append(
                write_noise(
                    path, 3000, 48000, format=container, subtype=subtype, channels=2
                )
            )
    try:
        import av  # noqa: F401
    except ImportError:
        return made
    from tests.media import Track, make_media

    for ext, (muxer, codec) in CONTAINERS.items():
        made.append(make_media(folder / f"a.{ext}", muxer, [Track(codec)], 6000))
    return made


def damaged(raw: bytes, rng: np.random.Generator) -> bytes:
    """Return a file cut short, lying, or with noise in its first bytes."""
    data = bytearray(raw)
    kind = rng.integers(0, 6)
    head = min(len(data), int(rng.choice([16, 64, 256, 1024])))
    if kind == 0:
        return bytes(data[: rng.integers(0, len(data))])
    if kind == 1:
        return bytes(data[:head]) + rng.bytes(int(rng.integers(0, 3000)))
    if kind == 2:  # numbers that are too large, negative, or none
        for _ in range(int(rng.integers(1, 5))):
            at = int(rng.integers(0, max(1, head - 4)))
            size = int(rng.choice([1, 2, 4, 8]))
            value = rng.choice([0, 0xFF, 0x7F, 0x80])
            data[at : at + size] = bytes([value]) * min(size, len(data) - at)
    elif kind == 3:  # single bits
        for at in rng.integers(0, head, int(rng.integers(1, 20))):
            data[at] ^= 1 << int(rng.integers(0, 8))
    elif kind == 4:  # bytes anywhere, as of a bad disk
        for at in rng.integers(0, len(data), int(rng.integers(1, 60))):
            data[at] = rng.integers(0, 256)
    else:  # parts moved or doubled
        a, b = sorted(rng.integers(0, head, 2).tolist())
        data[a:a] = data[a:b] * int(rng.integers(1, 4))
    return bytes(data)


def try_one(number: int, seeds: list[Path], folder: Path) -> str:
    """Take file `number` through reading and writing; return what became of it.

    Raises
    ------
    AssertionError
        If something is left behind, or is half done.
    """
    from streamdenoise import StreamDenoiseError
    from streamdenoise.audio.file import open_reader, open_writer, output_format

    rng = np.random.default_rng([20240611, number])
    seed = seeds[number % len(seeds)]
    source = folder / f"x.{seed.name.split('.', 1)[1]}"
    source.write_bytes(damaged(seed.read_bytes(), rng))
    target = folder / f"y{source.suffix}"
    ended = "done"
    try:
        with open_reader(source) as reader:
            output = output_format(reader.info, target, explicit=False)
            with open_writer(output, reader) as writer:
                for i, track in enumerate(reader.tracks):
                    for block in track:
                        assert np.isfinite(block).all()
                        writer.write(block, i)
    except StreamDenoiseError as error:
        ended = "refused"
        assert "\n" not in str(error) and len(str(error)) < 600, error
    left = sorted(p.name for p in folder.iterdir() if p != source)
    if ended == "refused":
        assert not left, left
    else:
        assert left == [output.path.name], left
        with open_reader(output.path) as reader:
            assert sum(len(block) for block in reader) > 0
        output.path.unlink()
    source.unlink()
    return ended


def work() -> None:
    """Do the numbers that come on stdin, one a line; the answers go to stdout."""
    import resource

    # A file that makes a decoder ask for everything is to fail, not the machine.
    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    seeds = [Path(p) for p in json.loads(sys.stdin.readline())]
    with tempfile.TemporaryDirectory() as name:
        for line in sys.stdin:
            for old in Path(name).iterdir():
                old.unlink()
            try:
                answer = try_one(int(line), seeds, Path(name))
            except BaseException as error:
                answer = f"failed: {type(error).__name__}: {error}"[:300]
            print(json.dumps(answer), file=out, flush=True)


@dataclass(frozen=True)
class Outcome:
    """What became of the file of a number: done, refused, failed, crashed or hung."""

    number: int
    kind: str
    seconds: float


class _Worker:
    def __init__(self, seeds: list[Path]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", "from tests.fuzzing import work; work()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=Path(__file__).resolve().parent.parent,
            env={**os.environ, "PYTHONPATH": ".", "OMP_NUM_THREADS": "1"},
        )
        self._answers: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()
        self._say(json.dumps([str(p) for p in seeds]))

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._answers.put(line)
        self._answers.put("")

    def _say(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def ask(self, number: int) -> str:
        try:
            self._say(str(number))
            answer = self._answers.get(timeout=PATIENCE)
        except queue.Empty:
            self.process.kill()
            self.process.wait()
            return "hung"
        except BrokenPipeError:
            answer = ""
        if answer:
            return str(json.loads(answer))
        return f"crashed: signal {-self.process.wait()}"


def fuzz(count: int, first: int = 0) -> Iterator[Outcome]:
    """Yield what becomes of `count` files."""
    with tempfile.TemporaryDirectory() as name:
        seeds = seeds_in(Path(name))
        worker = _Worker(seeds)
        for number in range(first, first + count):
            begin = time.monotonic()
            kind = worker.ask(number)
            yield Outcome(number, kind, time.monotonic() - begin)
            if kind.startswith(("crashed", "hung")):
                worker = _Worker(seeds)
        worker.process.kill()
        worker.process.wait()


def main() -> None:
    """Print a line per thousand files, every failure, and a sum."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    kinds: Counter[str] = Counter()
    begin = last = time.monotonic()
    for done, outcome in enumerate(fuzz(count, first), 1):
        kind = outcome.kind.split(":")[0]
        kinds[kind] += 1
        if kind not in ("done", "refused") or outcome.seconds > 10:
            print(f"file {outcome.number}: {outcome.kind} ({outcome.seconds:.1f} s)")
        if done % 1000 == 0 or done == count:
            now = time.monotonic()
            print(f"{done} files, {now - last:.0f} s; {dict(kinds)}", flush=True)
            last = now
    print(f"{count} files in {time.monotonic() - begin:.0f} s: {dict(kinds)}")
    bad = set(kinds) - {"done", "refused"}
    raise SystemExit(1 if bad else 0)


if __name__ == "__main__":
    main()
