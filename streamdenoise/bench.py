"""How fast the engine is on this machine, live and on files."""

from __future__ import annotations

import statistics
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .engine import Denoiser
from .meters import Meter

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .model import StepModel

__all__ = ["BenchResult", "bench"]

_FILE_BLOCK = 1 << 16


@dataclass(frozen=True)
class BenchResult:
    """What one model costs at one sample rate, one channel.

    Attributes
    ----------
    model, quantisation
        Name and kind of weights.
    runtime
        Package that runs the model.
    sample_rate
        In Hz.
    audio_seconds, passes
        Sound of one pass, and how many passes were timed.
    hop_seconds
        Time there is for one hop.
    live_cpu
        CPU seconds per second of audio in blocks of one hop; median of the passes.
    file_cpu
        The same in large blocks, as for files; without reading and writing.
    file_times_real_time
        Seconds of audio per second of waiting in large blocks; median.
    p50, p99, p999, max
        Seconds of waiting for one hop, over the hops of all passes.
    p999_cpu
        CPU seconds that 99.9 % of the hops stay under: what `p999` is on a machine
        that has nothing else to do.
    share_fft, share_model, share_rest
        Parts of the time of a live hop; they add up to 1. FFT includes windows and
        overlap-add; rest is high band, settings, checks and copies.
    """

    model: str
    quantisation: str
    runtime: str
    sample_rate: int
    audio_seconds: float
    passes: int
    hop_seconds: float
    live_cpu: float
    file_cpu: float
    file_times_real_time: float
    p50: float
    p99: float
    p999: float
    max: float
    p999_cpu: float
    share_fft: float
    share_model: float
    share_rest: float

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values for JSON."""
        return asdict(self)


def bench(
    model: StepModel, sample_rate: int = 16_000, seconds: float = 10.0, passes: int = 5
) -> BenchResult:
    """Time a model live and on files, on noise with pauses.

    CPU time is that of the process, so that another busy program disturbs little;
    the times of single hops are what a caller waits, disturbances included.

    Parameters
    ----------
    model
        A loaded model.
    sample_rate
        In Hz.
    seconds
        Sound of one pass.
    passes
        Timed passes; one more is run before, to warm up.

    Returns
    -------
    BenchResult
    """
    hop = model.card.stft(sample_rate).hop
    sound = _sound(round(seconds * sample_rate / hop) * hop, sample_rate)
    audio = len(sound) / sample_rate
    meter = Meter(remember=len(sound) // hop)
    live = Denoiser(model, sample_rate, block=hop, meter=meter)
    bulk = Denoiser(model, sample_rate, bulk=True)
    _live_pass(live, sound, hop)
    _file_pass(bulk, sound)
    meter.clear()
    hops, hops_cpu = [], []
    live_cpu, file_cpu, file_wall = [], [], []
    for _ in range(passes):
        begin = time.process_time()
        times, times_cpu = _live_pass(live, sound, hop)
        hops.append(times)
        hops_cpu.append(times_cpu)
        live_cpu.append((time.process_time() - begin) / audio)
        begin, waited = time.process_time(), time.perf_counter()
        _file_pass(bulk, sound)
        file_cpu.append((time.process_time() - begin) / audio)
        file_wall.append((time.perf_counter() - waited) / audio)
    times = np.concatenate(hops)
    p50, p99, p999 = (float(v) for v in np.percentile(times, (50, 99, 99.9)))
    total = float(times.sum())
    fft = (meter.analysis_seconds + meter.synthesis_seconds) / total
    share = meter.model_seconds / total
    return BenchResult(
        model=model.card.name,
        quantisation=model.card.quantisation,
        runtime=model.runtime,
        sample_rate=sample_rate,
        audio_seconds=audio,
        passes=passes,
        hop_seconds=hop / sample_rate,
        live_cpu=statistics.median(live_cpu),
        file_cpu=statistics.median(file_cpu),
        file_times_real_time=1.0 / statistics.median(file_wall),
        p50=p50,
        p99=p99,
        p999=p999,
        max=float(times.max()),
        p999_cpu=float(np.percentile(np.concatenate(hops_cpu), 99.9)),
        share_fft=fft,
        share_model=share,
        share_rest=1.0 - fft - share,
    )


def _sound(n: int, sample_rate: int) -> NDArray[np.float32]:
    """Return noise that swells and pauses at the pace of syllables."""
    noise = np.random.default_rng(0).standard_normal(n).astype(np.float32)
    t = np.arange(n, dtype=np.float32) / np.float32(sample_rate)
    swell = np.clip(np.sin(2 * np.pi * 2.5 * t), 0.01, 1.0)
    noise *= np.float32(0.1) * swell
    return noise


def _live_pass(
    denoiser: Denoiser, sound: NDArray[np.float32], hop: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Run hop by hop; return the seconds that each took, waiting and CPU."""
    out = np.empty(hop, np.float32)
    times, times_cpu = np.empty((2, len(sound) // hop))
    clock, clock_cpu = time.perf_counter, time.thread_time
    for i in range(len(times)):
        block = sound[i * hop : (i + 1) * hop]
        begin_cpu, begin = clock_cpu(), clock()
        denoiser.process(block, out)
        times[i] = clock() - begin
        times_cpu[i] = clock_cpu() - begin_cpu
    return times, times_cpu


def _file_pass(denoiser: Denoiser, sound: NDArray[np.float32]) -> None:
    for at in range(0, len(sound), _FILE_BLOCK):
        denoiser.process(sound[at : at + _FILE_BLOCK])
