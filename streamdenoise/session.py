"""Opens sound devices around a `LiveStream`, keeps it running, and sums it up."""

from __future__ import annotations

import contextlib
import gc
import math
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from .devices import (
    Device,
    Kind,
    candidate_rates,
    find_device,
    list_devices,
    one_clock,
    refusal,
)
from .engine import Denoiser
from .errors import DeviceError, StreamDenoiseError
from .live import Latency, LiveStream
from .meters import Meter
from .model import StepModel, load_model
from .portaudio import (
    INVALID_CHANNELS,
    INVALID_RATE,
    error_code,
    explain,
    load_sounddevice,
)
from .recorder import Recorder
from .ring import Bridge
from .settings import Settings

TICK_SECONDS: Final = 0.1
"""Pause between two looks of the main thread at the counters."""

DEADLINE_SHARE: Final = 0.3
"""Most of a hop that nine steps of ten may take at the start without a warning."""

SILENT_SECONDS: Final = 5.0
"""Time without a block from the input after which it is said."""

_WARM_UP_HOPS: Final = 64
_MEASURED_HOPS: Final = 256


@dataclass(frozen=True)
class LiveOptions:
    """What a person asks of live sound.

    Attributes
    ----------
    input, output
        Part of a name, an index, or None for the default.
    model
        Name or path; None for the default.
    settings
        To begin with; change them later through ``session.core.denoiser.settings``.
    rate
        In Hz; None: what the devices prefer.
    channels
        Denoised each by itself.
    latency
        Asked of each device: seconds, ``"low"`` or ``"high"``.
    record, force
        File for what is played, and whether it may be replaced.
    """

    input: str | int | None = None
    output: str | int | None = None
    model: str | Path | None = None
    settings: Settings = field(default_factory=Settings)
    rate: int | None = None
    channels: int = 1
    latency: float | str = "low"
    record: Path | None = None
    force: bool = False


@dataclass(frozen=True)
class Status:
    """What a meter shows; levels in dB below full scale."""

    seconds: float
    level_in: float
    level_out: float
    reduction: float
    load: float
    xruns: dict[str, int]

    @property
    def xrun_count(self) -> int:
        """All kinds together."""
        return sum(self.xruns.values())


class LiveSession:
    """Live sound from one device to another; a context manager.

    Parameters
    ----------
    options
        What is asked for.
    sd
        The sounddevice module, or what stands in for it.
    warn
        Called in the main thread with a sentence when something is odd.

    Attributes
    ----------
    core : LiveStream
    source, sink : Device
    rate : int
        In Hz, what the devices run at.

    Raises
    ------
    DeviceError
        If no device fits or it cannot be opened.
    ModelError, OutputError, RuntimeMissingError
        As their names say.
    """

    def __init__(
        self,
        options: LiveOptions,
        sd: Any = None,
        warn: Callable[[str], None] = lambda sentence: None,
    ) -> None:
        self.options = options
        self._sd = load_sounddevice() if sd is None else sd
        self._warn = warn
        devices = list_devices(self._sd)
        self.source = find_device(options.input, "input", devices)
        self.sink = find_device(options.output, "output", devices)
        self._model: StepModel = load_model(options.model)
        self._streams: list[Any] = []
        self._recorder: Recorder | None = None
        self._began = self._ended = 0.0
        self.rate = 0
        self.core: LiveStream
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    # Opening ------------------------------------------------------------------------

    @property
    def duplex(self) -> bool:
        """Whether one stream serves both directions."""
        return len(self._streams) == 1

    def _open(self) -> None:
        rates = candidate_rates(self.source, self.sink, self.options.rate)
        first: tuple[Exception, int, str] | None = None
        for rate in rates:
            what = ""
            try:
                for device, kind in self._ends():
                    what = f"the {kind} device {device.label}"
                    self._channels(device, kind, rate)
                what = f"the pair {self.source.label} and {self.sink.label}"
                self._open_at(rate)
            except self._sd.PortAudioError as error:
                self._close_streams()
                first = first or (error, rate, what)
                if error_code(error) == INVALID_RATE:
                    continue
                raise explain(error, what, rate) from error
            wanted = self.options.rate
            if wanted not in (None, rate):
                self._warn(f"the devices refuse {wanted} Hz; running at {rate} Hz")
            if self.options.record is not None:
                self._recorder = self.core.recorder = Recorder(
                    self.options.record,
                    rate,
                    self.options.channels,
                    force=self.options.force,
                )
            return
        if first is None:
            raise DeviceError("there is no rate to try; give one with --rate")
        cause, rate, what = first
        raise explain(cause, what, rate) from cause

    def _ends(self) -> list[tuple[Device, Kind]]:
        return [(self.source, "input"), (self.sink, "output")]

    def _channels(self, device: Device, kind: Kind, rate: int) -> int:
        """Return with how many channels a device opens at a rate in Hz."""
        most = device.channels(kind)
        wanted = self.options.channels if kind == "input" else 2
        first: Exception | None = None
        for channels in dict.fromkeys((min(wanted, most), min(2, most), 1, most)):
            error = refusal(self._sd, device, kind, rate, channels)
            if error is None:
                return channels
            first = first or error
            if error_code(error) != INVALID_CHANNELS:
                break
        assert first is not None
        raise first

    def _open_at(self, rate: int) -> None:
        sd, options = self._sd, self.options
        hop = self._model.card.stft(rate).hop
        denoiser = Denoiser(
            self._model, rate, options.channels, options.settings, hop, meter=Meter()
        )
        self._warm_up(denoiser, hop)
        self.core = core = LiveStream(denoiser)
        into, out = (self._channels(d, kind, rate) for d, kind in self._ends())
        common = {
            "samplerate": rate,
            "blocksize": hop,
            "dtype": "float32",
            "latency": options.latency,
        }
        if one_clock(self.source, self.sink):
            stream = sd.Stream(
                device=(self.source.index, self.sink.index),
                channels=(into, out),
                callback=core.process_callback,
                **common,
            )
            self._streams = [stream]
        else:
            first = sd.InputStream(
                device=self.source.index,
                channels=into,
                callback=core.input_callback,
                **common,
            )
            self._streams = [first]
            core.bridge = make_bridge(float(first.latency), rate, hop, options.channels)
            self._streams.append(
                sd.OutputStream(
                    device=self.sink.index,
                    channels=out,
                    callback=core.output_callback,
                    **common,
                )
            )
        self.rate = rate

    def _warm_up(self, denoiser: Denoiser, hop: int) -> None:
        """Run some steps, so that the first real one is not the slowest."""
        noise = np.random.default_rng(0).standard_normal((hop, denoiser.channels))
        block = (0.01 * noise).astype(np.float32)
        out = np.empty_like(block)
        meter = denoiser.meter
        for _ in range(_WARM_UP_HOPS + _MEASURED_HOPS):
            denoiser.process(block, out)
        denoiser.reset()
        if meter is None:
            return
        usual = float(np.percentile(meter.times()[_WARM_UP_HOPS:], 90))
        deadline = hop / denoiser.sample_rate
        if usual > DEADLINE_SHARE * deadline:
            self._warn(
                f"a step takes {1000 * usual:.1f} ms of the {1000 * deadline:.1f} ms "
                "that it may: expect xruns; close other programs, or choose a smaller "
                "--model"
            )
        meter.clear()

    # Running ------------------------------------------------------------------------

    def run(
        self,
        duration: float | None = None,
        stopped: Callable[[], bool] = lambda: False,
        tick: Callable[[Status], None] = lambda status: None,
    ) -> None:
        """Play until `duration` seconds are over or `stopped` says so.

        Parameters
        ----------
        duration
            In seconds; None: no end.
        stopped, tick
            Called about ten times a second in this thread.

        Raises
        ------
        DeviceError
            If a device goes away.
        StreamDenoiseError
            If the engine failed inside a callback; the dry input went on until now.
        """
        with realtime():
            self._began = self._ended = time.monotonic()
            try:
                for stream in self._streams:
                    stream.start()
            except self._sd.PortAudioError as error:
                what = f"{self.source.label} or {self.sink.label}"
                raise explain(error, what, self.rate) from error
            try:
                self._watch(duration, stopped, tick)
            finally:
                self._ended = time.monotonic()
                self._close_streams()

    def _watch(
        self,
        duration: float | None,
        stopped: Callable[[], bool],
        tick: Callable[[Status], None],
    ) -> None:
        core = self.core
        seen, seen_at, told, lost = -1, self._began, False, False
        while not stopped():
            now = time.monotonic()
            left = math.inf if duration is None else self._began + duration - now
            if left <= 0:
                return
            time.sleep(min(TICK_SECONDS, left))
            if core.error is not None:
                raise _engine_failed(core.error) from core.error
            if not all(stream.active for stream in self._streams):
                raise DeviceError(
                    f"the sound stopped: {self.source.label} or {self.sink.label} went "
                    "away or failed; connect it again, list the devices with: "
                    "streamdenoise devices"
                )
            if core.callbacks != seen:
                seen, seen_at, told = core.callbacks, now, False
            elif now - seen_at > SILENT_SECONDS and not told:
                told = True
                self._warn(
                    f"no sound has come from {self.source.label} for "
                    f"{SILENT_SECONDS:.0f} s; is it muted, suspended or unplugged?"
                )
            if self._recorder and self._recorder.error and not lost:
                lost = True
                self._warn(f"{self._recorder.trouble}; live sound goes on")
            tick(self.status())

    def status(self) -> Status:
        """Return the numbers of this moment."""
        meter = self.core.meter
        seconds = time.monotonic() - self._began if self._began else 0.0
        levels = (-120.0, -120.0, 0.0)
        if meter is not None:
            levels = (meter.level_in, meter.level_out, meter.reduction)
        return Status(seconds, *levels, self.core.load, self.core.xruns())

    # Ending -------------------------------------------------------------------------

    def close(self) -> None:
        """Close devices and recording; may be called twice.

        Raises
        ------
        OutputError
            If the recording is not whole.
        """
        self._close_streams()
        if self._recorder is not None:
            self._recorder.close()

    def _close_streams(self) -> None:
        # Latencies are asked for before: a closed stream forgets them.
        streams, self._streams = self._streams, []
        if streams:
            self._latencies = _device_latencies(streams)
        for stream in streams:
            with contextlib.suppress(self._sd.PortAudioError):
                # Not stop(): it would play out what is queued, and wait for it.
                stream.abort()
            with contextlib.suppress(self._sd.PortAudioError):
                stream.close()

    def __enter__(self) -> LiveSession:
        """Return itself; the devices are open already."""
        return self

    def __exit__(self, kind: Any, value: BaseException | None, trace: Any) -> None:
        """Close; an error in flight is not replaced by one of ours."""
        try:
            self.close()
        except StreamDenoiseError:
            if value is None:
                raise

    def latency(self) -> Latency:
        """Return the latency as a sum of its parts."""
        if self._streams:
            self._latencies = _device_latencies(self._streams)
        core = self.core
        held = core.bridge.target / self.rate if core.bridge else 0.0
        hop = core.denoiser.params.hop / self.rate
        device_in, device_out = self._latencies
        return Latency(device_in, hop, core.engine_latency, held, device_out)

    def summary(self) -> dict[str, Any]:
        """Return all that is known of the session in plain types; seconds and dB."""
        core, meter = self.core, self.core.meter
        latency = self.latency()
        times = meter.step_times() if meter is not None else None
        recorder = self._recorder
        return {
            "seconds": self._ended - self._began,
            "sample_rate": self.rate,
            "channels": core.denoiser.channels,
            "model": self._model.card.name,
            "input": self.source.as_dict(),
            "output": self.sink.as_dict(),
            "duplex": core.bridge is None,
            "latency": {
                **{k.replace(" ", "_"): v for k, v in latency.parts().items()},
                "total": latency.total,
            },
            "xruns": core.xruns(),
            "late_callbacks": core.late,
            "priority": core.priority,
            "dropped_samples": core.bridge.lost_frames if core.bridge else 0,
            "inserted_samples": core.bridge.inserted if core.bridge else 0,
            "bad_samples": core.denoiser.bad_samples,
            "load": core.load,
            "hop_seconds": core.denoiser.params.hop / self.rate,
            "step": None
            if times is None
            else {
                "count": times.count,
                "p50": times.p50,
                "p99": times.p99,
                "max": times.max,
            },
            "recorded": None
            if recorder is None
            else {
                "files": [str(path) for path in recorder.paths],
                "seconds": recorder.seconds,
                "lost_samples": recorder.lost,
                "whole": recorder.error is None,
            },
        }


def make_bridge(latency_in: float, rate: int, hop: int, channels: int) -> Bridge:
    """Make the bridge of a split stream.

    Parameters
    ----------
    latency_in
        Of the input device in seconds. Sound servers hand over about half of their
        buffer at once, so that much must be held back, and a hop for good measure.
    rate
        In Hz.
    hop
        In samples.
    channels
        Samples in a frame.
    """
    buffered = math.ceil(latency_in * rate)
    target = hop + math.ceil(buffered / 2 / hop) * hop
    limit = 2 * target + buffered + 4 * hop
    return Bridge(target, limit, channels, window=2 * rate, slack=hop)


@contextlib.contextmanager
def realtime() -> Iterator[None]:
    """Keep Python's pauses out of the audio callbacks while inside.

    What exists is frozen and the collector is off: the hot path makes no cycles. A
    thread that waits for the interpreter gets it within 1 ms instead of 5.
    """
    enabled, interval = gc.isenabled(), sys.getswitchinterval()
    gc.collect()
    gc.freeze()
    gc.disable()
    sys.setswitchinterval(0.001)
    try:
        yield
    finally:
        sys.setswitchinterval(interval)
        gc.unfreeze()
        if enabled:
            gc.enable()


def _device_latencies(streams: list[Any]) -> tuple[float, float]:
    if len(streams) == 1:
        both = streams[0].latency
        if isinstance(both, (int, float)):  # opening the second one failed
            return float(both), 0.0
        return float(both[0]), float(both[1])
    return float(streams[0].latency), float(streams[1].latency)


def _engine_failed(error: Exception) -> StreamDenoiseError:
    if isinstance(error, StreamDenoiseError):
        return error
    return StreamDenoiseError(
        f"the engine failed while running ({type(error).__name__}: {error}), and the "
        "input was passed on as it is; please report this with the command that you "
        "typed"
    )
