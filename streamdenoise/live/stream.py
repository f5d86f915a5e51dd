"""Live sound through the engine: what runs inside the audio callbacks.

`LiveStream` knows no device. PortAudio, or a test, hands it blocks of any size; it
runs the same `Denoiser` as files do, fills the output, records, and counts. Nothing in
it prints, waits, locks or grows. `session` opens the devices around it.

Duplex:  input + output of one clock -> `process_callback`.
Split:   input -> `input_callback` -> `Bridge` -> `output_callback` -> output.
"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from ..meters import BandMeter, Shares
from .bridge import Bridge
from .delays import DelayMeter
from .engines import Engines
from .glide import Glide
from .realtime import raise_priority
from .reblock import Reblocker
from .ring import FloatArray
from .spread import gather, spread

if TYPE_CHECKING:
    from ..engine import Denoiser
    from ..meters import Meter
    from ..settings import Settings
    from .recorder import Recorder

SLICE_BLOCKS: Final = 8
"""Blocks worked on at once; longer ones from a device are cut, so buffers are small."""

SETTLE_SECONDS: Final = 0.25
"""Sound after which xruns count: devices that are starting report one each."""

_LOAD_SMOOTHING: Final = 0.02

XRUN_KINDS: Final = (
    "input overflow",
    "input underflow",
    "output underflow",
    "output overflow",
    "buffer underrun",
    "buffer overrun",
)
"""What can go wrong: four that the device tells, two of the buffer between clocks."""

_FLAGS: Final = tuple((kind, kind.replace(" ", "_")) for kind in XRUN_KINDS[:4])


class LiveStream:
    """The processing core of live sound: blocks of any size in, the same out.

    Parameters
    ----------
    denoiser
        Made for the device's rate, best with ``block=denoiser.params.hop`` and the
        device asked for that block size. If the device gives other sizes all the
        same, the core re-blocks, once a hop later than before.
    bridge
        Between the two callbacks of a split stream; may be set until it starts.
    recorder
        Gets what is played.

    Attributes
    ----------
    error
        The first exception of the engine inside a callback, or None. From then on the
        output is the input as it is, and silence where there is none.
    callbacks, pulls
        Calls so far, of the input side if split, and of the output side.
    late
        Callbacks that took longer than the sound that they brought.
    load
        Time in the callback over the time of its sound, smoothed; 1 is the limit.
    shares
        The same of every callback so far.
    delays
        How long sound waits in the devices, as they tell.
    reblocked
        Whether the device broke the block size that the denoiser was promised.
    muted
        Play silence; set it at any time, it fades over a hop.
    bands
        Levels by band, see `BandMeter`.
    fresh
        Whether the next callback is the first of its thread.
    priority
        What the system granted to the audio threads: ``"real-time"``, ``"raised"`` or
        ``"normal"``.
    """

    def __init__(
        self,
        denoiser: Denoiser,
        *,
        bridge: Bridge | None = None,
        recorder: Recorder | None = None,
    ) -> None:
        self.bridge = bridge
        self.recorder = recorder
        self.error: Exception | None = None
        self.callbacks = 0
        self.pulls = 0
        self.late = 0
        self.load = 0.0
        self.shares = Shares()
        self.delays = DelayMeter()
        self.reblocked = False
        self.priority = "normal"
        self.fresh = True
        self._pulling = False
        self.frames_in = 0
        self.muted = False
        self.bands = BandMeter(denoiser.sample_rate)
        rate, hop = denoiser.sample_rate, denoiser.params.hop
        self._rate, self._settled = rate, int(SETTLE_SECONDS * rate)
        self._block = denoiser.block or 1
        self._slice = SLICE_BLOCKS * max(self._block, hop)
        shape = (self._slice, denoiser.channels)
        self._dirty: FloatArray = np.zeros(shape, np.float32)
        self._clean: FloatArray = np.zeros(shape, np.float32)
        self._pulled: FloatArray = np.zeros(shape, np.float32)
        self._engines = Engines(denoiser, self._slice)
        self._volume = Glide(hop, self._slice, 1.0)
        self._reblocker = Reblocker(self._block, denoiser.channels, self._slice)
        self._flags = dict.fromkeys(XRUN_KINDS, 0)
        self.dropped_before = self.inserted_before = self.grown_before = 0
        self.bad_before = 0

    @property
    def denoiser(self) -> Denoiser:
        """The engine that is heard."""
        return self._engines.heard

    @property
    def meter(self) -> Meter | None:
        """Levels and step times, as the engine counts them."""
        return self.denoiser.meter

    @property
    def settings(self) -> Settings:
        """What the user may change; assign a new object at any time."""
        return self._engines.settings

    @settings.setter
    def settings(self, settings: Settings) -> None:
        self._engines.settings = settings

    @property
    def model_name(self) -> str:
        """Name of the model that is heard, or is about to be."""
        return self._engines.newest.model.card.name

    def succeed(self, denoiser: Denoiser) -> None:
        """Go over to another denoiser of the same rate, channels, block and latency.

        It hears the stream for a moment first, so that its memory is filled, and is
        then cross-faded in over a hop. One that is taking over finishes that first; of
        those that wait behind it only the newest has its turn.

        Call it from another thread than the callbacks' one. Keep the denoiser that is
        heard, and all that were handed in, until `succeeding` is false: the audio
        thread should not be the one to free them.
        """
        self._engines.succeed(denoiser)

    def replace(self, denoiser: Denoiser) -> Denoiser:
        """Put another denoiser in the place of the one that is heard, and return that.

        Without a cross-fade, and for all that follows: `restart` keeps it. One that
        waits to take over is forgotten. While no stream runs.

        Parameters
        ----------
        denoiser
            Of the same rate, channels and block.
        """
        return self._engines.replace(denoiser)

    @property
    def succeeding(self) -> bool:
        """Whether a new denoiser waits to take over."""
        return self._engines.heard is not self._engines.newest

    def restart(self) -> None:
        """Forget the stream but no counter; for new devices, while none runs."""
        self._engines.restart()
        self._reblocker.reset()
        self.delays.restart()
        self.frames_in = 0
        self.reblocked = False
        self._pulling = False
        self.fresh = True

    @property
    def engine_latency(self) -> float:
        """Seconds that the core adds behind the collected hop."""
        samples = self.denoiser.latency_samples
        samples += self._reblocker.latency if self.reblocked else 0
        if self.denoiser.block is None:
            # 2 hops - 1: the first of them is the hop that is collected.
            samples -= self.denoiser.params.hop - 1
        return samples / self._rate

    def connect(self, bridge: Bridge | None) -> None:
        """Put another bridge in place, or none, while no stream runs.

        What the last one counted is kept.
        """
        old, self.bridge = self.bridge, bridge
        if old is not None:
            self._flags["buffer underrun"] += old.underruns
            self._flags["buffer overrun"] += old.overruns + old.refused
            self.dropped_before += old.lost_frames
            self.inserted_before += old.inserted
            self.grown_before += old.grown

    def inherit(self, other: LiveStream) -> None:
        """Take over the counters and orders of a core for another rate."""
        other.connect(None)
        self._flags = dict(other._flags)
        self.dropped_before = other.dropped_before
        self.inserted_before = other.inserted_before
        self.grown_before = other.grown_before
        self.bad_before = other.bad_samples
        self.callbacks, self.pulls = other.callbacks, other.pulls
        self.late, self.load, self.shares = other.late, other.load, other.shares
        self.muted = other.muted

    @property
    def dropped(self) -> int:
        """Frames that were not played since the start."""
        return self.dropped_before + (self.bridge.lost_frames if self.bridge else 0)

    @property
    def inserted(self) -> int:
        """Frames of silence that were played because nothing had come in time."""
        return self.inserted_before + (self.bridge.inserted if self.bridge else 0)

    @property
    def bad_samples(self) -> int:
        """Samples since the start that were NaN, infinite or absurd."""
        return self.bad_before + self._engines.bad_samples

    def xruns(self) -> dict[str, int]:
        """Return how often each of `XRUN_KINDS` happened."""
        counts = dict(self._flags)
        bridge = self.bridge
        if bridge is not None:
            counts["buffer underrun"] += bridge.underruns
            counts["buffer overrun"] += bridge.overruns + bridge.refused
        return counts

    def shortages(self) -> int:
        """Count the xruns that a longer buffer of the devices would have prevented.

        Audio that was dropped is not among them, nor is what the bridge has answered
        by holding more back.
        """
        xruns, bridge = self.xruns(), self.bridge
        count = sum(xruns.values()) - xruns["buffer overrun"]
        return count - self.grown_before - (bridge.grown if bridge else 0)

    def process_callback(
        self,
        indata: NDArray[Any],
        outdata: NDArray[Any],
        frames: int,
        time: Any,
        status: Any,
    ) -> None:
        """Denoise `indata` into `outdata`, both (frames, channels of the device)."""
        began = perf_counter()
        self._begin(time, status)
        self.delays.played(time)
        for start in range(0, frames, self._slice):
            stop = min(start + self._slice, frames)
            dirty = self._take(indata[start:stop])
            spread(self._enhance(dirty), outdata[start:stop])
        self._account(began, frames)

    def input_callback(
        self, indata: NDArray[Any], frames: int, time: Any, status: Any
    ) -> None:
        """Denoise `indata` and hand it to the bridge."""
        began = perf_counter()
        self._begin(time, status)
        for start in range(0, frames, self._slice):
            stop = min(start + self._slice, frames)
            clean = self._enhance(self._take(indata[start:stop]))
            if self.bridge is not None:
                self.bridge.push(clean)
        self._account(began, frames)

    def output_callback(
        self, outdata: NDArray[Any], frames: int, time: Any, status: Any
    ) -> None:
        """Fill `outdata` from the bridge."""
        if not self._pulling:
            self._pulling = True
            raise_priority()
        self.delays.played(time)
        self.pulls += 1
        if status:
            self._count(status)
        if self.bridge is None:
            outdata.fill(0)
            return
        if status and status.output_underflow:
            self.bridge.stumbled()
        for start in range(0, frames, self._slice):
            stop = min(start + self._slice, frames)
            pulled = self._pulled[: stop - start]
            self.bridge.pull(pulled)
            spread(pulled, outdata[start:stop])

    def _begin(self, time: Any, status: Any) -> None:
        """Note what a callback that brings input tells besides the sound."""
        if self.fresh:
            self.fresh = False
            self.priority = raise_priority()
        if status:
            self._count(status)
        self.delays.heard(time)

    def _take(self, indata: NDArray[Any]) -> FloatArray:
        """Copy the channels that are wanted out of the device's memory."""
        dirty = self._dirty[: len(indata)]
        gather(indata, dirty)
        return dirty

    def _enhance(self, dirty: FloatArray) -> FloatArray:
        """Return the clean block; the block itself once anything has failed."""
        clean = self._clean[: len(dirty)]
        if self.error is None:
            try:
                if self.reblocked or len(dirty) % self._block:
                    self.reblocked = True
                    self._reblocker.push(dirty, clean, self._engines.process)
                else:
                    self._engines.process(dirty, clean)
            except Exception as error:  # nobody else sees what a callback raises
                self.error = error
        if self.error is not None:
            clean[:] = dirty
        # Mute holds whatever else has failed.
        goal = 0.0 if self.muted else 1.0
        if self._volume.value != 1.0 or goal != 1.0:
            clean *= self._volume.towards(goal, len(clean))
        self.bands.push(dirty, clean)
        recorder = self.recorder  # the main thread may take it away
        if recorder is not None and self.error is None:
            recorder.push(clean)
        return clean

    def _count(self, status: Any) -> None:
        if self.frames_in < self._settled:
            return
        for kind, flag in _FLAGS:
            if getattr(status, flag):
                self._flags[kind] += 1

    def _account(self, began: float, frames: int) -> None:
        self.callbacks += 1
        self.frames_in += frames
        if frames:
            share = (perf_counter() - began) * self._rate / frames
            self.late += share > 1.0
            self.shares.add(share)
            self.load += _LOAD_SMOOTHING * (share - self.load)
