"""Opens sound devices around a `LiveStream`, keeps it running, and takes orders."""

from __future__ import annotations

import itertools
import math
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ..engine import Denoiser
from ..errors import ModelError, OutputError, StreamDenoiseError
from ..meters import Meter
from ..model import StepModel, load_model
from ..settings import Settings
from .devices import Device, Kind
from .latency import Latency
from .opening import make_bridge, warm_up
from .portaudio import load_sounddevice
from .realtime import realtime
from .recorder import Recorder
from .stream import LiveStream
from .summary import Status, advice, summarise
from .supervise import Supervisor

__all__ = ["LiveOptions", "LiveSession", "Status", "make_bridge", "realtime"]

TICK_SECONDS: Final = 0.1
"""Pause between two looks of the main thread at the counters."""

DEADLINE_SHARE: Final = 0.3
"""Most of a hop that nine steps of ten may take at the start without a warning."""


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
        To begin with; change them later through `LiveSession.settings`.
    rate
        In Hz; None: what the devices prefer.
    channels, link_channels
        How many; denoised each by itself, or with one gain for all of them.
    heard, played
        Channels with which input and output open if they can; None: `channels`. Where
        a stream and a device of a sound server differ in them, the server sums them up
        in its own way: PipeWire makes stereo that becomes mono 3 dB louder.
    latency
        Asked of each device: seconds, ``"low"``, ``"high"``, or ``"auto"``: the
        shortest that runs without xruns for ten seconds.
    record, force
        File for what is played, and whether it may be replaced.
    reinitialise
        Whether PortAudio may be started anew to find a device that was lost. That
        ends all streams of the process: say no if there are others.
    """

    input: str | int | None = None
    output: str | int | None = None
    model: str | Path | None = None
    settings: Settings = field(default_factory=Settings)
    rate: int | None = None
    channels: int = 1
    link_channels: bool = False
    heard: int | None = None
    played: int = 2
    latency: float | str = "auto"
    record: Path | None = None
    force: bool = False
    reinitialise: bool = True


class LiveSession:
    """Live sound from one device to another; a context manager.

    `run` belongs to one thread. Everything else may be called from any thread, while
    it runs or not.

    Parameters
    ----------
    options
        What is asked for.
    sd
        The sounddevice module, or what stands in for it.
    warn
        Called in the thread of `run` with a sentence when something is odd.

    Attributes
    ----------
    options : LiveOptions
    bands
        Whether the statuses that `run` hands to `tick` have levels by band, which are
        most of the work for them.

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
        self.bands = True
        self._sd = load_sounddevice() if sd is None else sd
        self._warn = warn
        self._lock = threading.RLock()
        self._stop = False
        self._core: LiveStream | None = None
        self._settings = options.settings
        self._recorders: list[Recorder] = []
        self._recorder: Recorder | None = None
        self._told: Recorder | None = None
        self._asked: tuple[Path, bool] | None = None
        self._began = self._ended = self._usual = 0.0
        self._retired: list[Denoiser] = []
        self._model: StepModel | None = None
        self._moved_to: dict[Kind, str] = {}
        self._devices = Supervisor(
            self._sd, options, warn, self._core_for, self._take_on
        )
        try:
            if options.record is not None:
                self.record(options.record, options.force)
        except BaseException:
            self.close()
            raise

    # Devices ------------------------------------------------------------------------

    @property
    def core(self) -> LiveStream:
        """What runs in the callbacks."""
        return self._devices.core if self._core is None else self._core

    @property
    def source(self) -> Device:
        """Where sound comes from."""
        return self._devices.source

    @property
    def sink(self) -> Device:
        """Where it is played."""
        return self._devices.sink

    @property
    def names(self) -> tuple[str, str]:
        """What people call the input and the output by now."""
        source = self._moved_to.get("input") or self.source.real("input").name
        return source, self._moved_to.get("output") or self.sink.real("output").name

    def moved_to(self, kind: Kind, name: str) -> None:
        """Take note of where a sound server has a stream, for `names`."""
        self._moved_to[kind] = name

    @property
    def rate(self) -> int:
        """What the devices run at, in Hz."""
        return self.core.denoiser.sample_rate

    @property
    def duplex(self) -> bool:
        """Whether one stream serves both directions."""
        return self.core.bridge is None

    def _core_for(self, rate: int) -> LiveStream:
        """Return the core that there is, or another for a rate that it does not have.

        It is none of ours before its devices have opened, see `_take_on`.
        """
        with self._lock:
            old = self._core
            if old is not None and old.denoiser.sample_rate == rate:
                old.restart()
                return old
            if self._model is None:
                self._model = load_model(self.options.model)
            denoiser = self._denoiser(self._model, rate, self._settings)
            self._usual = warm_up(denoiser)
            return LiveStream(denoiser)

    def _take_on(self, core: LiveStream) -> None:
        """Go on with a core whose devices have opened, before they start."""
        with self._lock:
            old, self._core = self._core, core
            if old is core:
                return
            self._say_slow(core)
            if old is not None:
                core.inherit(old)
                self._record_on(old)

    def _say_slow(self, core: LiveStream) -> None:
        """Say it if the core that was made last is too slow for this machine."""
        usual, deadline = self._usual, core.denoiser.params.hop / self.rate
        if usual > DEADLINE_SHARE * deadline:
            self._warn(
                f"a step takes {1000 * usual:.1f} ms of the "
                f"{1000 * deadline:.1f} ms that it may: expect xruns; close other "
                "programs, or choose a smaller --model"
            )

    def _record_on(self, old: LiveStream) -> None:
        """Go on recording at another rate, in another file beside the first."""
        recorder, old.recorder = self._recorder, None
        if recorder is None or recorder.error is not None or self._asked is None:
            return
        path, force = self._asked
        try:
            self._record(_beside(path, self.rate), force)
        except StreamDenoiseError as error:
            self._warn(f"{error}; live sound goes on")

    def _denoiser(self, model: StepModel, rate: int, settings: Settings) -> Denoiser:
        hop = model.card.stft(rate).hop
        channels = self.options.channels
        return Denoiser(
            model,
            rate,
            channels,
            settings,
            hop,
            meter=Meter(),
            link_channels=self.options.link_channels,
        )

    def hold(self, why: str) -> None:
        """Wait with closed devices until this is called with an empty text.

        For whoever knows that what would open is not what was asked for.

        Parameters
        ----------
        why
            The reason, as the beginning of a sentence.
        """
        self._devices.held = why

    def moves(self) -> int:
        """Return how often a sound server has moved what is open, if it tells."""
        return self._devices.streams.moves

    # Orders -------------------------------------------------------------------------

    @property
    def settings(self) -> Settings:
        """Strength, mix, bypass and removed; assign a new object to change them."""
        return self.core.settings

    @settings.setter
    def settings(self, settings: Settings) -> None:
        with self._lock:
            self._settings = self.core.settings = settings

    @property
    def muted(self) -> bool:
        """Whether silence is played; a change fades over a hop."""
        return self.core.muted

    @muted.setter
    def muted(self, muted: bool) -> None:
        self.core.muted = muted

    @property
    def recording(self) -> Path | None:
        """File that is being recorded, or None; None too once the writing failed."""
        recorder = self._recorder
        return None if recorder is None or recorder.error else recorder.path

    def record(self, path: Path | None, force: bool = False) -> None:
        """Begin to record what is played, or end it with None.

        A recording that runs is finished first. One that stopped by itself, and of
        which `warn` has told, does not stand in the way of a new one.

        Parameters
        ----------
        path
            File to make.
        force
            Replace it if it is there.

        Raises
        ------
        OutputError
            If the last recording is not whole, or the new one cannot be made.
        """
        with self._lock:
            self._asked = None if path is None else (path, force)
            self._record(path, force)

    def _record(self, path: Path | None, force: bool) -> None:
        old, self._recorder = self._recorder, None
        self.core.recorder = None
        try:
            if old is not None:
                old.close()
        except OutputError:
            if path is None or old is not self._told:
                raise
        finally:
            if path is not None:
                channels = self.options.channels
                new = Recorder(path, self.rate, channels, force=force)
                for note in new.notes:
                    self._warn(note)
                self._recorders.append(new)
                self._recorder = self.core.recorder = new

    @property
    def model_name(self) -> str:
        """Name of the model that is heard, or is about to be."""
        return self.core.model_name

    def use_model(self, name: str | Path | None) -> None:
        """Change over to another model while sound runs.

        It is loaded and warmed up in the calling thread, hears the stream for a
        moment, and is cross-faded in. The delay does not change.

        Parameters
        ----------
        name
            Name or path; None for the default.

        Raises
        ------
        ModelError
            If it is not found, is damaged, or has another delay than this one.
        """
        model = load_model(name)
        with self._lock:
            core = self.core
            new = self._denoiser(model, self.rate, core.settings)
            old = core.denoiser
            if (new.params.hop, new.latency_samples) != (
                old.params.hop,
                old.latency_samples,
            ):
                raise ModelError(
                    f"model '{model.card.name}' has another delay than the one that "
                    "runs, so it cannot follow it; end this and start with --model "
                    f"{model.card.name}"
                )
            warm_up(new)
            new.meter = None
            # Kept until all is over, lest the audio thread has to free one.
            self._retired += [core.denoiser, new]
            core.succeed(new)
            self._model = model
            if not self._devices.streams.active:
                core.restart()

    def stop(self) -> None:
        """Ask `run` to return."""
        self._stop = True

    # Running ------------------------------------------------------------------------

    def run(
        self,
        duration: float | None = None,
        stopped: Callable[[], bool] = lambda: False,
        tick: Callable[[Status], None] = lambda status: None,
    ) -> None:
        """Play until `duration` seconds are over, or `stopped` or `stop` say so.

        Parameters
        ----------
        duration
            In seconds; None: no end.
        stopped, tick
            Called about ten times a second in this thread.

        Raises
        ------
        DeviceError
            If the devices do not start, or are away when the time is over. Until then
            they are waited for.
        StreamDenoiseError
            If the engine failed inside a callback; the dry input went on until now.
        """
        with realtime():
            self._began = self._ended = time.monotonic()
            try:
                self._devices.start()
                self._watch(duration, stopped, tick)
            finally:
                self._ended = time.monotonic()
                self._devices.close()

    def _watch(
        self,
        duration: float | None,
        stopped: Callable[[], bool],
        tick: Callable[[Status], None],
    ) -> None:
        while not (self._stop or stopped()):
            now = time.monotonic()
            left = math.inf if duration is None else self._began + duration - now
            if left <= 0:
                if self._devices.state != "running":
                    raise self._devices.gone()
                return
            time.sleep(min(TICK_SECONDS, left))
            if self.core.error is not None:
                raise _engine_failed(self.core.error) from self.core.error
            with self._lock:
                if not self.core.succeeding:
                    self._retired.clear()
                self._devices.look()
            self._say_stopped()
            tick(self.status(self.bands))

    def _say_stopped(self) -> None:
        """Say of each recording once that it has stopped by itself."""
        recorder = self._recorder
        if recorder is None or recorder.error is None or recorder is self._told:
            return
        self._told = recorder
        self._warn(f"{recorder.trouble}; live sound goes on")

    def status(self, bands: bool = True) -> Status:
        """Return the numbers of this moment, with levels by band or without."""
        core = self.core
        meter = core.meter
        seconds = time.monotonic() - self._began if self._began else 0.0
        levels = (-120.0, -120.0, 0.0)
        if meter is not None:
            heard = -120.0 if core.muted else meter.level_out
            levels = (meter.level_in, heard, meter.reduction)
        bridge = core.bridge
        if bridge is not None and self._devices.state == "running":
            # What is above the limit will be dropped rather than waited for.
            core.delays.looked(min(bridge.fill, bridge.limit) / self.rate)
        xruns, latency = core.xruns(), self.latency()
        longest = max(self._devices.streams.latencies)
        bands_in, bands_out = core.bands.levels() if bands else ((), ())
        return Status(
            seconds,
            *levels,
            core.load,
            xruns,
            latency=latency.total,
            buffer=latency.buffer,
            bands_in=bands_in,
            bands_out=bands_out,
            muted=core.muted,
            recording=self.recording,
            model=self.model_name,
            state=self._devices.state,
            advice=advice(xruns, seconds, longest, core.load),
            drift=bridge.drift if bridge else 0.0,
            openings=self._devices.openings,
        )

    def latency(self) -> Latency:
        """Return the latency as a sum of its parts."""
        core, delays = self.core, self.core.delays
        hop = core.denoiser.params.hop / self.rate
        into, out = self._devices.streams.latencies
        if delays.known:
            # The age of a block's first sample has the collected hop in it.
            into, out = max(0.0, delays.age - hop), delays.ahead
        held = 0.0
        if core.bridge is not None:
            held = delays.held or core.bridge.target / self.rate
        return Latency(into, hop, core.engine_latency, held, out)

    def summary(self) -> dict[str, Any]:
        """Return all that is known of the session in plain types; seconds and dB."""
        return summarise(
            self.core,
            self.latency(),
            self._recorders,
            seconds=self._ended - self._began,
            sample_rate=self.rate,
            channels=self.options.channels,
            model=self.model_name,
            input=self.source.real("input").as_dict(),
            output=self.sink.real("output").as_dict(),
            asked_latency=self._devices.seeker.setting,
            device_latency=max(self._devices.streams.latencies),
            losses=self._devices.losses,
            drift_ppm=1e6 * self.core.bridge.drift if self.core.bridge else 0.0,
        )

    # Ending -------------------------------------------------------------------------

    def close(self) -> None:
        """Close devices and recording; may be called twice.

        Raises
        ------
        OutputError
            If the recording is not whole.
        """
        self._devices.close()
        self.keep_recording()

    def keep_recording(self) -> None:
        """Finish the recording, if there is one, whatever becomes of the devices.

        Any thread may do it, for the one that closes them may hang in a driver.

        Raises
        ------
        OutputError
            If it is not whole.
        """
        recorder = self._recorder
        if recorder is not None:
            recorder.close()

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


def _beside(path: Path, rate: int) -> Path:
    """Return a free name for what follows `path` at another rate.

    Devices may go to and fro between two rates: no part replaces another.
    """
    for number in itertools.count(1):
        more = f"-{number}" if number > 1 else ""
        name = path.with_name(f"{path.stem}-{rate}{more}{path.suffix}")
        if not os.path.lexists(name):
            break
    return name


def _engine_failed(error: Exception) -> StreamDenoiseError:
    if isinstance(error, StreamDenoiseError):
        return error
    return StreamDenoiseError(
        f"the engine failed while running ({type(error).__name__}: {error}), and the "
        "input was passed on as it is; please report this with the command that you "
        "typed"
    )
