"""The denoiser: any blocks of samples in, as many clean ones out.

One hop goes ``Analysis -> model step -> high band -> settings -> Synthesis``, see
`channel.Channel`. Files, pipes and live sound all run through `Denoiser`, which is
why they give the same samples.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .channel import Channel, ChannelState, Spectrum
from .constants import MAX_CHANNELS
from .errors import AudioFormatError, ModelError
from .linked import LinkedGain, LinkState
from .meters import Meter
from .model import load_model
from .samples import INT16_SCALE, check_numbers, is_int16
from .settings import Settings
from .stepper import Model
from .stft import StftParams

Columns = Sequence[NDArray[Any]] | NDArray[Any]


@dataclass(frozen=True)
class State:
    """All that a `Denoiser` remembers of its stream, as copies.

    Made by `Denoiser.snapshot`. It fits every denoiser of the same model, sample rate,
    number of channels and promised block. Settings and counters are not part of it.
    """

    params: StftParams
    latency_samples: int
    waiting: int
    channels: tuple[ChannelState, ...]
    link: LinkState | None = None


class Denoiser:
    """A stream of sound made clean, block by block.

    Parameters
    ----------
    model
        A loaded model, which many denoisers may share within one thread, or the name
        or path of one; None loads the default model.
    sample_rate
        In Hz, a whole number from 8000 to 192000. Nothing is resampled.
    channels
        1 to 64. Each is denoised by itself, unless they are linked.
    settings
        What the user may change; assign a new object to `settings` at any time, from
        any thread.
    block
        Promise that every block has this many samples, or a multiple. It shortens the
        latency, most when it is a multiple of the hop. None promises nothing.
    bulk
        Let the model do many frames in one call where a block is long enough. It is
        for files: faster, and equal to the other way but for the last bits.
    meter
        Where to count; see `Meter`.
    link_channels
        Give all channels the same gains, so that nothing moves between them. The
        model then runs once, on a mix of them (see `linked`), and the work is little
        more than that of one channel.

    Attributes
    ----------
    settings : Settings
        Read once for each hop.
    meter : Meter or None

    Raises
    ------
    AudioFormatError
        If the rate or the number of channels is out of range.
    ModelError
        If the model cannot be loaded, or needs the whole recording at once.
    ValueError
        If `block` is no positive whole number.

    Notes
    -----
    After construction the hot path takes no memory that stays, if `process` is given
    `out`. Above 16 kHz, and with linked channels, a hop makes some arrays of the size
    of its frame, and gives them back. One denoiser belongs to one thread at a time.
    """

    def __init__(
        self,
        model: Model | str | Path | None = None,
        sample_rate: int = 16_000,
        channels: int = 1,
        settings: Settings | None = None,
        block: int | None = None,
        *,
        bulk: bool = False,
        meter: Meter | None = None,
        link_channels: bool = False,
    ) -> None:
        if not _is_whole(channels) or not 1 <= channels <= MAX_CHANNELS:
            raise AudioFormatError(
                f"cannot work on {channels} channels: give 1 to {MAX_CHANNELS}"
            )
        if block is not None and (not _is_whole(block) or block < 1):
            raise ValueError(
                f"block is {block}; give the number of samples that every block will "
                "have, or None if that varies"
            )
        if model is None or isinstance(model, (str, Path)):
            model = load_model(model)
        if not model.card.causal:
            raise ModelError(
                f"model '{model.card.name}' must hear the whole recording before it "
                "can say anything, so it cannot run on a stream; use 'streamdenoise "
                "file' with it, or choose another model"
            )
        self._params = params = model.card.stft(sample_rate)
        self._block, self._model = block, model
        self._group = max(model.group, 1) if bulk else 1
        self._step = 1 if block is None else math.gcd(block, params.hop)
        self._channels = [
            Channel(model, params, self._group) for _ in range(int(channels))
        ]
        self._link: LinkedGain | None = None
        # One channel has nothing to be linked with.
        if link_channels and channels > 1:
            self._link = LinkedGain(model, params, self._group)
        self.settings = Settings() if settings is None else settings
        self.meter = meter
        self._weighed: Settings | None = None
        self._weights = (0.0, 1.0)
        self.reset()

    @property
    def model(self) -> Model:
        """The model, to be shared with other denoisers."""
        return self._model

    @property
    def params(self) -> StftParams:
        """The grid at this sample rate: hop, window lengths, bins."""
        return self._params

    @property
    def sample_rate(self) -> int:
        """In Hz."""
        return self._params.sample_rate

    @property
    def channels(self) -> int:
        """Number of channels."""
        return len(self._channels)

    @property
    def block(self) -> int | None:
        """The block size that was promised, in samples."""
        return self._block

    @property
    def linked(self) -> bool:
        """Whether all channels get the same gains."""
        return self._link is not None

    @property
    def latency_samples(self) -> int:
        """How many samples the output is behind the input.

        The length of the synthesis window, less what every block is sure to bring:
        ``synthesis_win - gcd(block, hop)``.
        """
        return self._params.synthesis_win - self._step

    @property
    def latency(self) -> float:
        """`latency_samples` in seconds."""
        return self.latency_samples / self._params.sample_rate

    @property
    def bad_samples(self) -> int:
        """Samples so far that were NaN, infinite or absurd, and became silence."""
        return sum(channel.bad_samples for channel in self._channels)

    @property
    def bad_frames(self) -> int:
        """Frames so far for which the model gave nothing finite; now silence."""
        bad = 0 if self._link is None else self._link.bad_frames
        return bad + sum(channel.bad_frames for channel in self._channels)

    def reset(self) -> None:
        """Forget the stream, as if newly made; settings and counters stay."""
        for channel in self._channels:
            channel.reset()
        if self._link is not None:
            self._link.reset()
        self._waiting = 0
        # Zeros to hand out until the first hop is done.
        self._first, self._last = 0, self._params.hop - self._step

    def process(
        self, block: ArrayLike, out: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        """Take a block and return one of the same size, `latency_samples` behind.

        Parameters
        ----------
        block
            Shape (n,) for one channel, or (n, channels); n may be anything from 0 up
            unless a block was promised. Floating point with full scale 1, or int16.
            NaN, infinities and values beyond 1e9 are taken as silence, and counted.
        out
            Where to write, float32 of the same shape; a new array if None.

        Returns
        -------
        float32 array of the shape of `block`

        Raises
        ------
        AudioFormatError
            If the block has another shape or kind of number.
        ValueError
            If it breaks the promised block size, or `out` does not fit.
        """
        x = np.asarray(block)
        self._check(x)
        if out is None:
            out = np.empty(x.shape, np.float32)
        elif out.shape != x.shape or out.dtype != np.float32:
            raise ValueError(
                f"out has shape {out.shape} and type {out.dtype}; give a float32 array "
                f"of the block's shape {x.shape}"
            )
        self._advance(x, out)
        return out

    def flush(self) -> NDArray[np.float32]:
        """End the stream: return its last `latency_samples` samples, and reset."""
        one = len(self._channels) == 1
        length = self.latency_samples
        # Where a block is promised, the stream moves on by whole steps only.
        steps = -(-length // self._step) * self._step
        shape = (steps,) if one else (steps, len(self._channels))
        out = np.empty(shape, np.float32)
        self._advance(np.zeros(shape, np.float32), out)
        self.reset()
        return out[:length]

    def snapshot(self) -> State:
        """Return a copy of everything remembered, to go back to by `restore`."""
        return State(
            self._params,
            self.latency_samples,
            self._waiting,
            tuple(
                channel.snapshot(self._waiting, self._first, self._last)
                for channel in self._channels
            ),
            None if self._link is None else self._link.snapshot(),
        )

    def restore(self, state: State) -> None:
        """Go back to a snapshot, which may come from another denoiser.

        Raises
        ------
        ValueError
            If it comes from another model, rate, number of channels or block, or only
            one of the two has its channels linked.
        """
        if (
            state.params != self._params
            or state.latency_samples != self.latency_samples
            or len(state.channels) != len(self._channels)
            or not self._channels[0].fits(state.channels[0])
            or (state.link is None) is self.linked
        ):
            raise ValueError(
                "this state comes from another stream layout; restore it into a "
                "Denoiser of the same model, sample rate, channels and block"
            )
        for channel, saved in zip(self._channels, state.channels, strict=True):
            channel.restore(saved)
        if self._link is not None and state.link is not None:
            self._link.restore(state.link)
        self._waiting = state.waiting
        self._first, self._last = 0, state.channels[0].ready.size

    def _check(self, x: NDArray[Any]) -> None:
        channels = len(self._channels)
        if not (x.ndim == 1 and channels == 1) and not (
            x.ndim == 2 and x.shape[1] == channels
        ):
            wanted = "(n,) or (n, 1)" if channels == 1 else f"(n, {channels})"
            raise AudioFormatError(
                f"a block of shape {x.shape} does not fit a stream of {channels} "
                f"channel(s): give an array of shape {wanted}"
            )
        check_numbers(x, "a block")
        if self._block is not None and x.shape[0] % self._block:
            raise ValueError(
                f"a block of {x.shape[0]} samples breaks the promise of block="
                f"{self._block}: give {self._block} samples or a multiple, or make the "
                "Denoiser with block=None"
            )

    def _advance(self, x: NDArray[Any], out: NDArray[np.float32]) -> None:
        """Move the stream on by a block of any size that the latency allows."""
        hop, span, total = self._params.hop, self._group * self._params.hop, len(x)
        given, made = _columns(x), _columns(out)
        done = 0
        # NaN and overflow are looked for, found and counted; no warning is needed.
        with np.errstate(over="ignore", invalid="ignore"):
            while done < total:
                take = min(total - done, span - self._waiting)
                self._fill(given, done, take)
                if self._waiting == span:
                    self._work(made, done, take, self._group)
                elif self._waiting < hop:
                    self._hand_out(made, done, take)
                else:
                    self._work_singly(made, done, take)
                done += take

    def _work_singly(self, made: Columns, at: int, take: int) -> None:
        """Do the hops that wait when there are not enough for the model's `steps`."""
        hop, end = self._params.hop, at + take
        while self._waiting >= 2 * hop:
            part = min(self._last - self._first + hop, end - at)
            self._work(made, at, part, 1)
            at += part
        self._work(made, at, end - at, 1)

    def _fill(self, given: Columns, at: int, take: int) -> None:
        scale = is_int16(given[0])
        for column, channel in zip(given, self._channels, strict=True):
            room = channel.analysis.room(self._waiting, take)
            if scale:
                np.multiply(column[at : at + take], INT16_SCALE, out=room)
            else:
                room[:] = column[at : at + take]
        self._waiting += take

    def _work(self, made: Columns, at: int, take: int, hops: int) -> None:
        """Do some hops on all channels, then hand out `take` samples."""
        settings = self.settings
        if settings is not self._weighed:
            self._weights, self._weighed = settings.weights, settings
        dry, wet = self._weights
        left, size = self._last - self._first, hops * self._params.hop
        direct = left == 0 and take == size
        linked = None if self._link is None else self._analyse_all(self._link, hops)
        for i, channel in enumerate(self._channels):
            if linked is not None:
                samples = channel.scale(linked[0][i], linked[1])
            elif hops == 1:
                samples = channel.hop(dry, wet)
            else:
                samples = channel.hops(dry, wet)
            if direct:
                made[i][at : at + take] = samples.reshape(-1)
            else:
                ready = channel.ready
                ready[:left] = ready[self._first : self._last]
                ready[left : left + size] = samples.reshape(-1)
        self._waiting -= size
        if not direct:
            self._first, self._last = 0, left + size
            self._hand_out(made, at, take)
        if self.meter is not None:
            self._record(self.meter, hops)

    def _analyse_all(
        self, link: LinkedGain, hops: int
    ) -> tuple[list[Spectrum], Spectrum]:
        """Return the spectra of all channels, and the gains that they share."""
        spectra = [channel.analyse(hops) for channel in self._channels]
        return spectra, link.gains(spectra, *self._weights)

    def _hand_out(self, made: Columns, at: int, take: int) -> None:
        first = self._first
        for column, channel in zip(made, self._channels, strict=True):
            column[at : at + take] = channel.ready[first : first + take]
        self._first = first + take

    def _record(self, meter: Meter, hops: int) -> None:
        analysis = model = synthesis = total = power_in = power_out = 0.0
        bad_samples = bad_frames = 0
        for channel in self._channels:
            seconds = channel.seconds
            analysis += seconds[0]
            model += seconds[1]
            synthesis += seconds[2]
            total += seconds[3]
            power_in += channel.power_in
            power_out += channel.power_out
            bad_samples += channel.bad_samples
            bad_frames += channel.bad_frames
        if self._link is not None:
            model += self._link.seconds
            total += self._link.seconds
            bad_frames += self._link.bad_frames
        count = len(self._channels)
        meter.record(
            analysis, model, synthesis, total, power_in / count, power_out / count, hops
        )
        meter.bad_samples, meter.bad_frames = bad_samples, bad_frames


def _columns(x: NDArray[Any]) -> Columns:
    """Return the samples of each channel, to be read from or written to."""
    return (x,) if x.ndim == 1 else x.T


def _is_whole(value: object) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)
