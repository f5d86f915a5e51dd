"""Keeping devices open: what is lost is waited for, opened again, and goes on."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import Any, Final, Protocol

from ..errors import DeviceError, StreamDenoiseError
from ..virtual.named import Chosen
from .again import AwayError, find_again
from .defaults import DefaultWatcher, watcher_for
from .devices import (
    Device,
    candidate_rates,
    find_device,
    list_devices,
)
from .howling import loudspeaker_advice
from .opening import Streams, labels, open_streams
from .portaudio import INVALID_DEVICE, error_code, explain, reinitialise
from .seek import LatencySeeker
from .stream import LiveStream
from .summary import State

SILENT_SECONDS: Final = 5.0
"""Time without a block from a device after which it counts as lost."""

STEADY_SECONDS: Final = 0.5
"""Sound that a device must give after its return before it counts as back."""

RETRY_SECONDS: Final = 1.0
"""Pause between two attempts to open what is lost."""

SLEPT_SECONDS: Final = 2.0
STOOD_SECONDS: Final = 0.5


class Wishes(Protocol):
    """The part of `LiveOptions` that concerns devices."""

    @property
    def input(self) -> str | int | None:
        """As a person named it."""

    @property
    def output(self) -> str | int | None:
        """As a person named it."""

    @property
    def rate(self) -> int | None:
        """In Hz."""

    @property
    def channels(self) -> int:
        """Denoised each by itself."""

    @property
    def heard(self) -> int | None:
        """Channels with which the input opens; None: as many."""

    @property
    def played(self) -> int:
        """Channels with which the output opens."""

    @property
    def latency(self) -> float | str:
        """Asked of each device."""

    @property
    def reinitialise(self) -> bool:
        """Whether PortAudio may be started anew."""


def clock_with_sleep() -> float:
    """Return seconds that go on while the machine sleeps, unlike monotonic ones."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return time.time() if boot is None else time.clock_gettime(boot)


class Supervisor:
    """Owns the devices of a session and what runs on them.

    Parameters
    ----------
    sd
        The sounddevice module.
    wishes
        What a person asked for.
    warn
        Called with a sentence when something is odd.
    core_for
        Gives the core for a rate: the one that there is, or another.
    take_on
        Called with the core that the devices have opened for, before they start.

    Attributes
    ----------
    source, sink : Device
    streams : Streams
    core : LiveStream
    state
        ``"running"`` or ``"waiting for device"``.
    seeker : LatencySeeker
    losses
        How often devices were lost.
    openings
        How often devices were opened.
    held
        Why they are to stay closed, though they may open; empty if they need not.

    Raises
    ------
    DeviceError
        If no device fits or it cannot be opened.
    """

    def __init__(
        self,
        sd: Any,
        wishes: Wishes,
        warn: Callable[[str], None],
        core_for: Callable[[int], LiveStream],
        take_on: Callable[[LiveStream], None],
    ) -> None:
        self._sd, self._wishes, self._warn = sd, wishes, warn
        self._core_for, self._take_on = core_for, take_on
        self.state: State = "running"
        self.seeker = LatencySeeker(wishes.latency)
        self.losses = self.openings = 0
        self.held = ""
        self._seen = (-1, -1)
        self._moved_at = self._lost_at = self._retry_at = self._looked_at = 0.0
        self._opened_at = self._asleep = 0.0
        self._heard = 0
        self._reason = ""
        self._told: set[str] = set()
        self._watcher: DefaultWatcher | None = None
        self._chosen = Chosen()
        try:
            self._open_first()
        except BaseException:
            self._chosen.close()
            raise
        # What a device came back with may be a stopgap, such as that of a headset in
        # a call: at each return this one is tried first.
        self._rate = wishes.rate or self.streams.rate
        self._ran = 0
        self._say_rate()
        advice = loudspeaker_advice(self.source, self.sink)
        if advice:
            warn(advice)

    def _open_first(self) -> None:
        wishes = self._wishes
        devices = self._known = list_devices(self._sd)
        self.source = find_device(wishes.input, "input", devices)
        self.sink = find_device(wishes.output, "output", devices)
        rates = candidate_rates(self.source, self.sink, wishes.rate)
        self.streams, self.core = self._opened(self.source, self.sink, rates)
        self._take_on(self.core)

    def _opened(
        self, source: Device, sink: Device, rates: list[int]
    ) -> tuple[Streams, LiveStream]:
        wishes = self._wishes
        self._chosen.go(source, "input")
        self._chosen.go(sink, "output")
        streams, core = open_streams(
            self._sd,
            source,
            sink,
            rates,
            self.seeker.setting,
            (wishes.heard or wishes.channels, wishes.played),
            self._core_for,
        )
        self.openings += 1
        self._say_heard(source, streams.heard)
        return streams, core

    def _say_heard(self, source: Device, heard: int) -> None:
        """Say it if some of the channels will be silent; mono goes to all of them."""
        last, self._heard = self._heard, heard
        wanted = self._wishes.channels
        if heard != last and 1 < heard < wanted:
            self._warn(
                f"{source.real('input').label} gives {heard} channels, so "
                f"{wanted - heard} of the {wanted} asked for are silent; type "
                f"--channels {heard}, or choose "
                "another device with --input"
            )

    def _say_rate(self) -> None:
        """Say it if the devices refuse the rate that is meant; once for each other."""
        last, self._ran = self._ran, self.streams.rate
        if self._ran not in (last, self._rate):
            self._warn(f"the devices refuse {self._rate} Hz; running at {self._ran} Hz")

    @property
    def pair(self) -> str:
        """Both devices, for a sentence."""
        return " or ".join(dict.fromkeys(labels(self.source, self.sink)))

    def start(self) -> None:
        """Start the devices that were opened.

        Raises
        ------
        DeviceError
            If one refuses.
        """
        self.streams.start(self._sd)
        now = time.monotonic()
        self._moved_at = self._looked_at = self._opened_at = now
        self._asleep = clock_with_sleep() - now
        self.seeker.opened(now, self.core.shortages())
        self._watcher = watcher_for(self.source, self.sink, self._wishes)

    def close(self) -> None:
        """Close all for good; may be called twice."""
        self._shut()
        self._chosen.close()
        watcher, self._watcher = self._watcher, None
        if watcher is not None:
            watcher.close()

    def _shut(self) -> None:
        self.streams.close(self._sd)

    def gone(self) -> DeviceError:
        """Return the error of a session that ends while it waits."""
        return DeviceError(
            f"the sound stopped: {self.pair} went away or failed, and did not come "
            "back; connect it again, list the devices with: streamdenoise devices"
        )

    # Looking ------------------------------------------------------------------------

    def look(self) -> None:
        """See whether all is well, and act if it is not; about ten times a second."""
        now = time.monotonic()
        slept = self._slept(now)
        stood = now - self._looked_at
        if stood > STOOD_SECONDS:
            self.seeker.excuse(now)
            # Nor does a device owe a block for the time in which nothing ran.
            self._moved_at = min(now, self._moved_at + stood)
        self._looked_at = now
        counts = (self.core.callbacks, self.core.pulls)
        moved = all(
            new != old or (self.core.bridge is None and side == 1)
            for side, (new, old) in enumerate(zip(counts, self._seen, strict=True))
        )
        if moved:
            self._seen, self._moved_at = counts, now
        if self.held:
            if self.streams.opened:
                self._say_lost(self.held)
                self._lose(now)
        elif not self.streams.opened:
            if now >= self._retry_at:
                self._try_again(now)
        elif slept:
            self._warn("the machine has slept; opening the devices again")
            self._lose(now)
        elif self._watcher is not None and self._watcher.changed():
            self._warn("the system has another default device now; going over to it")
            self._lose(now)
        elif not self.streams.active:
            self._say_lost(f"{self.pair} went away or failed")
            self._lose(now)
        elif now - self._moved_at > SILENT_SECONDS:
            self._say_lost(
                f"no sound has come through {self.pair} for {SILENT_SECONDS:.0f} s; is "
                "it muted, suspended or unplugged?"
            )
            self._lose(now)
        elif self.state != "running":
            if now - self._opened_at >= STEADY_SECONDS and moved:
                self._back(now)
        else:
            self._seek(now)

    def _slept(self, now: float) -> bool:
        asleep = clock_with_sleep() - now
        slept = asleep - self._asleep > SLEPT_SECONDS
        self._asleep = asleep
        return slept

    def _say_lost(self, what: str) -> None:
        if self.state == "running":
            end = "" if what.endswith("?") else "."
            self._warn(f"{what}{end} Waiting for it; Ctrl-C ends")

    def _lose(self, now: float) -> None:
        self._shut()
        if self.state == "running":
            self.state = "waiting for device"
            self.seeker.lost(now)
            self._reason = ""
            self._told.clear()
            self._lost_at = now
            self.losses += 1
        self._retry_at = now + RETRY_SECONDS / 2

    def _back(self, now: float) -> None:
        self.state = "running"
        self.seeker.reopened(now, self.core.shortages())
        pair = " -> ".join(labels(self.source, self.sink))
        self._warn(
            f"sound is back after {now - self._lost_at:.0f} s: {pair}, "
            f"{self.streams.rate} Hz"
        )
        self._say_rate()

    def _seek(self, now: float) -> None:
        latency = max(self.streams.latencies)
        if self.seeker.look(now, self.core.shortages(), latency):
            rate = self.streams.rate
            self._shut()
            try:
                self._renew(self.source, self.sink, [rate])
                self.seeker.opened(self._opened_at, self.core.shortages())
            except StreamDenoiseError:
                self._say_lost(f"{self.pair} did not open again with a longer buffer")
                self._lose(now)
        sentence = self.seeker.sentence(now)
        if sentence:
            self._warn(sentence)

    # Opening again ------------------------------------------------------------------

    def _try_again(self, now: float) -> None:
        self._retry_at = now + RETRY_SECONDS
        wishes = self._wishes
        # The collector is off while sound runs (`realtime`), and streams that are
        # opened and closed leave cycles behind. Now there is nothing to disturb.
        gc.collect()
        try:
            if wishes.reinitialise:
                reinitialise(self._sd)
            devices = list_devices(self._sd)
            known = self._known
            source = find_again(self.source, wishes.input, "input", devices, known)
            sink = find_again(self.sink, wishes.output, "output", devices, known)
            self._renew(source, sink, candidate_rates(source, sink, self._rate))
            self._known = devices
            self.seeker.reopened(self._opened_at, self.core.shortages())
        except (StreamDenoiseError, self._sd.PortAudioError) as error:
            self._shut()
            self._say_reason(error)

    def _say_reason(self, error: Exception) -> None:
        """Say why it does not open, once for each reason that lasts.

        What hinders it in the moment of its return, and no more a second later, is
        left out, and so is that it is not there.
        """
        cause = error.__cause__ or error
        if isinstance(error, AwayError) or error_code(cause) == INVALID_DEVICE:
            self._reason = ""
            return
        if not isinstance(error, StreamDenoiseError):
            error = explain(error, self.pair)
        last, self._reason = self._reason, str(error)
        if self._reason == last and last not in self._told:
            self._told.add(last)
            self._warn(f"still waiting: {last}")

    def _renew(self, source: Device, sink: Device, rates: list[int]) -> None:
        """Open and start; what had been counted goes on."""
        streams, core = self._opened(source, sink, rates)
        self.source, self.sink = source, sink
        self.streams, self.core = streams, core
        self._take_on(core)
        streams.start(self._sd)
        self._opened_at = self._moved_at = time.monotonic()
