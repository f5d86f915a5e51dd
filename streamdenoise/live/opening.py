"""Opening devices around a `LiveStream`: rates, channels, streams, the bridge."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import numpy as np

from ..engine import Denoiser
from ..errors import DeviceError
from .bridge import Bridge
from .devices import Device, Kind, one_clock, refusal
from .drift import RANGE_SECONDS
from .portaudio import INVALID_CHANNELS, INVALID_RATE, error_code, explain
from .pulse.way import goes_native, open_native, works_in_cycles
from .stream import SLICE_BLOCKS, LiveStream
from .turns import LISTEN_SECONDS

WARM_UP_HOPS = 64
MEASURED_HOPS = 256

PAIR_SECONDS = 0.048
"""Latency of a device from which on it hands over two hops at a time."""

LATE_SECONDS = 0.006
"""How late either side of two clocks may be; null sinks look every 5 ms."""

SHORT_SECONDS = 0.015
"""Latency below which a sound server is fed with half a hop at a time."""


@dataclass
class Streams:
    """Open streams of a pair of devices.

    Attributes
    ----------
    source, sink
        The devices.
    rate
        In Hz.
    opened
        One stream for both directions, or one for each; empty when closed.
    latencies
        Of input and output device in seconds, as they said last.
    heard
        Channels with which the input was opened.
    """

    source: Device
    sink: Device
    rate: int
    opened: list[Any] = field(default_factory=list)
    latencies: tuple[float, float] = (0.0, 0.0)
    heard: int = 0

    def measure(self) -> tuple[float, float]:
        """Ask the devices for their latencies, if they are open."""
        if self.opened:
            self.latencies = _latencies(self.opened)
        return self.latencies

    @property
    def active(self) -> bool:
        """Whether all of them run; one that cannot say so does not."""
        try:
            return bool(self.opened) and all(stream.active for stream in self.opened)
        except Exception:  # PortAudio has forgotten the stream
            return False

    @property
    def moves(self) -> int:
        """How often a server has moved them since they were opened, if it tells."""
        return sum(getattr(stream, "moves", 0) for stream in self.opened)

    def start(self, sd: Any) -> None:
        """Start what is open.

        Raises
        ------
        DeviceError
            If a device refuses.
        """
        try:
            for stream in self.opened:
                stream.start()
        except sd.PortAudioError as error:
            what = " or ".join(labels(self.source, self.sink))
            raise explain(error, what, self.rate) from error

    def close(self, sd: Any) -> None:
        """Close what is open; devices that are gone may complain in vain."""
        # Latencies are asked for before: a closed stream forgets them.
        with contextlib.suppress(sd.PortAudioError):
            self.measure()
        opened, self.opened = self.opened, []
        for stream in opened:
            with contextlib.suppress(sd.PortAudioError):
                # Not stop(): it would play out what is queued, and wait for it.
                stream.abort()
            with contextlib.suppress(sd.PortAudioError):
                stream.close()


def labels(source: Device, sink: Device) -> tuple[str, str]:
    """Return what a person calls two devices: those behind the doors to a server."""
    return source.real("input").label, sink.real("output").label


def open_streams(
    sd: Any,
    source: Device,
    sink: Device,
    rates: list[int],
    latency: float | str,
    channels: tuple[int, int],
    core_for: Callable[[int], LiveStream],
) -> tuple[Streams, LiveStream]:
    """Open two devices at the first rate that both take.

    Parameters
    ----------
    sd
        The sounddevice module.
    source, sink
        From `find_device`.
    rates
        To try, in Hz.
    latency
        Asked of each device: seconds, ``"low"`` or ``"high"``.
    channels
        With which input and output are to open, if they can.
    core_for
        Gives the core for a rate; it is called once the devices have agreed, which
        does not mean that they open: then it is called for the next rate.

    Returns
    -------
    streams : Streams
        Open, not started.
    core : LiveStream
        Theirs, with a bridge if there are two streams.

    Raises
    ------
    DeviceError
        If no rate fits, or a device does not open.
    """
    first: DeviceError | None = None
    for rate in rates:
        streams, what = Streams(source, sink, rate), ""
        try:
            counts = []
            for (device, kind), wanted in zip(
                _ends(source, sink), channels, strict=True
            ):
                what = f"the {kind} device {device.real(kind).label}"
                counts.append(_channels(sd, device, kind, rate, wanted))
            what = f"the pair {' and '.join(labels(source, sink))}"
            core = core_for(rate)
            _open(sd, streams, core, latency, counts[0], counts[1])
            streams.heard = counts[0]
            streams.measure()
            return streams, core
        except sd.PortAudioError as error:
            streams.close(sd)
            first = first or explain(error, what, rate)
            if error_code(error) != INVALID_RATE:
                raise explain(error, what, rate) from error
        except BaseException:
            streams.close(sd)
            raise
    try:
        raise first or DeviceError("there is no rate to try; give one with --rate")
    finally:
        # An error leads to this frame: kept in it, both would stay, for the collector
        # of cycles is off while sound runs.
        del first


def _ends(source: Device, sink: Device) -> list[tuple[Device, Kind]]:
    return [(source, "input"), (sink, "output")]


def _channels(sd: Any, device: Device, kind: Kind, rate: int, wanted: int) -> int:
    """Return with how many channels a device opens at a rate in Hz."""
    most = device.channels(kind)
    first: Exception | None = None
    for channels in dict.fromkeys((min(wanted, most), min(2, most), 1, most)):
        error = refusal(sd, device, kind, rate, channels)
        if error is None:
            return channels
        first = first or error
        if error_code(error) != INVALID_CHANNELS:
            break
    assert first is not None
    try:
        raise first
    finally:
        del first, error  # or they would keep this frame, and it them


def _open(
    sd: Any, streams: Streams, core: LiveStream, latency: Any, into: int, out: int
) -> None:
    hop = core.denoiser.params.hop
    block = hop * hops_at_once(latency)
    source, sink = streams.source, streams.sink
    common = {"samplerate": streams.rate, "dtype": "float32", "latency": latency}
    if one_clock(source, sink):
        core.connect(None)
        stream = sd.Stream(
            device=(source.index, sink.index),
            channels=(into, out),
            callback=core.process_callback,
            blocksize=block,
            **common,
        )
        streams.opened = [stream]
        return
    common["channels"], common["callback"] = into, core.input_callback
    first = one_way(sd, source, "input", blocksize=block, **common)
    streams.opened = [first]
    channels, burst = core.denoiser.channels, None
    if goes_native(sd, source):
        # As much as the server collects, or as the callback is given.
        got = round(first.latency * streams.rate)
        burst = got + block - math.gcd(got, block)
    if goes_native(sd, sink) and block == hop and hop % 2 == 0:
        # Cycles are shorter than a hop: blocks of it would wait for two of them.
        often = is_short(latency) or works_in_cycles(sink, "output")
        block = hop // 2 if often else hop
    core.connect(
        make_bridge(
            float(first.latency),
            streams.rate,
            hop,
            channels,
            block=block,
            burst=burst,
            listen=LISTEN_SECONDS,
        )
    )
    common["channels"], common["callback"] = out, core.output_callback
    streams.opened.append(one_way(sd, sink, "output", blocksize=block, **common))


def one_way(sd: Any, device: Device, kind: Kind, **wanted: Any) -> Any:
    """Open a stream in one direction: of the sound server, or of PortAudio.

    Parameters
    ----------
    sd
        The sounddevice module.
    device, kind
        From `find_device`.
    wanted
        As sounddevice takes it: channels, callback, samplerate, blocksize, dtype,
        latency.
    """
    if goes_native(sd, device):
        return open_native(sd, device, kind, **wanted)
    maker = sd.InputStream if kind == "input" else sd.OutputStream
    return maker(device=device.index, **wanted)


def is_short(latency: float | str) -> bool:
    """Whether so little is asked for, in seconds or a word, that half a hop counts."""
    return not isinstance(latency, str) and latency < SHORT_SECONDS


def hops_at_once(latency: float | str) -> int:
    """Return how many hops make a block of the device.

    Where much is buffered anyway, blocks of two hops cost no latency: they come out of
    the same buffer, half as often, and the second hop finds the model in the cache.

    Parameters
    ----------
    latency
        Asked of each device, in seconds or a word.
    """
    return 2 if not isinstance(latency, str) and latency >= PAIR_SECONDS else 1


def make_bridge(
    latency_in: float,
    rate: int,
    hop: int,
    channels: int,
    clock: Callable[[], float] = perf_counter,
    block: int | None = None,
    burst: int | None = None,
    listen: float = 0.0,
) -> Bridge:
    """Make the bridge of a split stream.

    Parameters
    ----------
    latency_in
        Of the input device in seconds.
    rate
        In Hz.
    hop
        In samples.
    channels
        Samples in a frame.
    clock
        Time in seconds.
    block
        What the output takes at once, in samples; by default a hop.
    burst
        How much more at most has been pushed at one moment than at another, against a
        steady flow, in samples. Half a buffer more than a hop by default, as sound
        servers hand over through PortAudio.
    listen
        See `Bridge`.
    """
    block = hop if block is None else block
    buffered = math.ceil(latency_in * rate)
    burst = hop + buffered // 2 if burst is None else burst
    # While the input is silent, whole blocks are taken, and then a hop is still left,
    # or a block if that is less.
    margin = min(block, hop)
    target = margin + math.ceil((burst - block) / block) * block
    limit = 2 * target + buffered + 4 * hop
    window = max(rate, 4 * buffered)
    # It may start again a block off that place, and the drift may move it from there.
    slack = max(block, hop) + math.ceil(2 * RANGE_SECONDS * rate)
    most = SLICE_BLOCKS * hop
    # Whoever comes last in a phase may be late besides.
    steady = target + block - margin + math.ceil(LATE_SECONDS * rate)
    return Bridge(
        target,
        limit,
        channels,
        rate=rate,
        window=window,
        slack=slack,
        steady=steady,
        growth=hop,
        most=most,
        listen=listen,
        burst=burst,
        clock=clock,
    )


def warm_up(denoiser: Denoiser) -> float:
    """Run some steps, so that the first real one is not the slowest.

    Returns
    -------
    float
        Time that nine steps of ten keep, in seconds; 0 without a meter.
    """
    hop = denoiser.params.hop
    noise = np.random.default_rng(0).standard_normal((hop, denoiser.channels))
    block = (0.01 * noise).astype(np.float32)
    out = np.empty_like(block)
    for _ in range(WARM_UP_HOPS + MEASURED_HOPS):
        denoiser.process(block, out)
    denoiser.reset()
    meter = denoiser.meter
    if meter is None:
        return 0.0
    usual = float(np.percentile(meter.times()[WARM_UP_HOPS:], 90))
    meter.clear()
    return usual


def _latencies(streams: list[Any]) -> tuple[float, float]:
    if len(streams) == 1:
        both = streams[0].latency
        if isinstance(both, (int, float)):  # opening the second one failed
            return float(both), 0.0
        return float(both[0]), float(both[1])
    return float(streams[0].latency), float(streams[1].latency)
