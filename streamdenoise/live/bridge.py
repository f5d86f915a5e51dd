"""The bridge between two clocks: how much to hold back, and what to do if it moves.

Small, steady differences are resampled away (`drift`, `resample`). What is far too
much is dropped where it is quiet, with a cross-fade; what is missing is silence that
fades in and out (`playout`). Nothing here waits, and nothing grows.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Final

from .drift import DriftController
from .playout import Playout
from .ring import FloatArray, Ring
from .turns import Turns

PIECE_SECONDS: Final = 0.04
"""Most that is dropped at once while there is time to wait for quiet places."""

PATIENCE_SECONDS: Final = 2.0
"""How long quiet places are waited for."""

PLENTY_SECONDS: Final = 0.25
"""More than this is not dropped bit by bit."""

SETTLE_SECONDS: Final = 3.0
"""Sound servers hand over by fits and starts at first; what is then too much is
dropped at once, and is nobody's failure."""

PAUSE_SECONDS: Final = 0.25
"""An input that was away for so long did not merely come late."""

MOST_GROWTHS: Final = 4
"""How often the target is raised after an underrun."""

CALM_SECONDS: Final = 300.0
"""After so long without an underrun less is held again, by as much as one underrun
added. Where that was too early, the next time is after twice as long."""

START_SECONDS: Final = 0.75
"""At first, and after the output has stumbled, hardly anything is held too much."""

START_SLACK_SECONDS: Final = 0.001
"""How far the lowest fill may then lie above the target."""

SLEW: Final = 2e-4
"""Most that the rate changes within a second."""

_STALE_SECONDS: Final = 0.06
_HELD_SMOOTHING: Final = 0.01


class Bridge:
    """Carries audio from an input clock to an output clock through a `Ring`.

    Holds about `target` frames back, so that neither side waits for the other. `pull`
    is the one place that decides how many frames are taken from the ring for those
    that are played:

    - As long as the fill stays where it was when it started, as many, bit by bit.
    - When it wanders, up to a tenth of a percent more or less, see `DriftController`.
    - When it exceeds `limit`, or has not once come near the target within `window`,
      the oldest frames are dropped down to the target, where it is quiet if that can
      be waited for.
    - When it runs out, silence is inserted until the target is held again.

    Parameters
    ----------
    target
        Frames left in the ring after a pull once it is running.
    limit
        Frames left after a pull from which on the oldest are dropped; more than
        `target`.
    channels
        Samples in a frame.
    capacity
        Frames that the ring can hold; by default three seconds, and four times
        `limit` at least.
    rate
        Frames per second.
    window
        Frames played over which the lowest fill is watched; by default a second.
    slack
        How far the lowest fill may lie above the target; by default half of it.
    steady
        Frames to hold at least, on average, while the rate is changed; by default the
        target.
    growth
        Frames by which target and limit are raised after an underrun, a few times, and
        lowered again once it has been calm for long.
    most
        Frames of a pull that are worked on at once.
    listen
        Seconds in which it finds out how much is pushed and pulled at once, before it
        starts; 0: one pull at a time. For what is more, more is held.
    burst
        Frames pushed at once for which the target is meant.
    clock
        Time in seconds.

    Attributes
    ----------
    underruns, overruns
        Times that silence had to be inserted, and that audio had to be dropped.
    inserted, dropped
        Frames so inserted and dropped. Silence before the first start is not counted.
    grown
        How many times the target is raised at present.
    controller : DriftController

    Raises
    ------
    ValueError
        If `target` and `limit` do not fit.
    """

    def __init__(
        self,
        target: int,
        limit: int,
        channels: int = 1,
        capacity: int | None = None,
        *,
        rate: int = 48_000,
        window: int | None = None,
        slack: int | None = None,
        steady: int | None = None,
        growth: int = 0,
        most: int = 4096,
        listen: float = 0.0,
        burst: int = 0,
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        if not 0 <= target < limit:
            raise ValueError(
                f"target {target} and limit {limit} do not fit: 0 <= target < limit"
            )
        self.target, self.limit, self.rate = target, limit, rate
        self.window = rate if window is None else window
        self.slack = target // 2 if slack is None else slack
        if capacity is None:
            capacity = max(4 * limit, 3 * rate)
        self.ring = Ring(capacity, channels)
        self.controller = DriftController(rate)
        self.controller.least = float(target if steady is None else steady)
        self.underruns = self.overruns = 0
        self.inserted = self.dropped = 0
        self.grown, self._growth = 0, growth
        self._to_grow, self._silent = False, 0
        self._calm, self._patience = 0, round(CALM_SECONDS * rate)
        self._shrunk = False
        self._clock = clock
        self._playout = Playout(self.ring, rate, most)
        self._brought, self._asked = Turns(rate, listen), Turns(rate, listen)
        self._burst, self._listening = burst, listen > 0.0
        self._running = self._started = False
        self._settled = self._excused = self._hasty = self._stumbled = False
        self._watched, self._lowest, self._played = 0, limit, 0
        self._owed = self._waited = 0
        self._held = float(target)
        self._fading_in = False
        # The producer's own counters: one writer for each attribute.
        self._pushed_at = 0.0
        self._refused = self._refused_frames = 0
        self._full = False

    @property
    def fill(self) -> int:
        """Frames waiting in the ring."""
        return self.ring.fill

    @property
    def held(self) -> float:
        """Frames that wait in the ring after a pull, on average."""
        return self._held

    @property
    def drift(self) -> float:
        """How much faster the input's clock runs, as measured; a ratio less 1."""
        return self.controller.drift

    @property
    def ratio(self) -> float:
        """Frames read for each one played at this moment."""
        return self._playout.resampler.ratio

    @property
    def refused(self) -> int:
        """Times that the ring became full, because nobody pulled."""
        return self._refused

    @property
    def lost_frames(self) -> int:
        """Frames that were not played: dropped, or refused by a full ring."""
        return self.dropped + self._refused_frames

    def push(self, block: FloatArray) -> None:
        """Hand in `block`, shape (n, channels); input side only."""
        missing = len(block) - self.ring.write(block)
        self._pushed_at = self._clock()
        if self._listening:
            self._brought.add(len(block), self._pushed_at)
        if missing:
            self._refused += not self._full
            self._refused_frames += missing
        self._full = missing > 0

    def pull(self, out: FloatArray) -> None:
        """Fill all of `out`, shape (n, channels); output side only."""
        most = self._playout.resampler.most
        for start in range(0, len(out), most):
            self._pull(out[start : start + most])

    def stumbled(self) -> None:
        """Note that the output had nothing to play for a moment; output side only.

        What came in meanwhile is too much, and no clock's fault.
        """
        if self._running:
            if not self._stumbled:
                self._watched = 0  # once, or many of them would keep it from its end
            self._stumbled, self._lowest = True, self.ring.capacity
            self.controller.relearn()

    def _pull(self, out: FloatArray) -> None:
        wanted = len(out)
        left = self.ring.fill - wanted
        if not self._running:
            spare = left - self._asked.add(wanted, self._clock())
            if self._listening and self._asked.known and self._brought.known:
                self._allow_for_turns(wanted)
            if spare >= self.target and self._to_grow:
                self._grow()
            if spare < self.target or self._listening:
                out.fill(0.0)
                if self._started:
                    self.inserted += wanted
                    self._silent += wanted
                return
            self._start(spare)
            left = self.ring.fill - wanted
        if self._owed == 0:
            self._measure(left, wanted)
            self._watch(left, wanted)
        self._choose_ratio(wanted)
        got = self._read(out)
        if self._fading_in:
            self._playout.fade_in(out[:got])
            self._fading_in = False
        if got < wanted:
            self._run_out(out, got)

    def _grow(self) -> None:
        """Hold more back, if that would have prevented the last underrun."""
        self._to_grow = False
        # After a longer pause nothing would have helped: something stood still.
        if self._silent < PAUSE_SECONDS * self.rate and self.grown < MOST_GROWTHS:
            self._change(1)

    def _change(self, steps: int) -> None:
        """Hold so many steps of growth more from now on."""
        frames = steps * self._growth
        self.grown += steps
        self.target += frames
        self.limit += frames
        self.controller.least += frames

    def _allow_for_turns(self, wanted: int) -> None:
        """Hold what the turns of both devices call for, now that they are known."""
        self._listening = False
        more = max(0, self._brought.most - self._burst)
        self.target += more
        more += max(0, self._asked.most - wanted)
        self.limit += more
        self.controller.least += more

    def _start(self, spare: int) -> None:
        # What came in before is too old, and nobody has heard anything yet.
        if not self._started and (self._asked.most or spare > self.limit):
            self.ring.skip(spare - self.target)
        self._fading_in = self._started
        self._running = self._started = True
        self._settle()

    def _settle(self) -> None:
        """Take the fill of now as what is to be held."""
        self._owed = self._waited = 0
        self._watched, self._lowest = 0, self.ring.capacity
        self.controller.relearn()

    def _measure(self, left: int, wanted: int) -> None:
        """Tell the controller the fill, as if the input came sample by sample."""
        since = min(max(self._clock() - self._pushed_at, 0.0), _STALE_SECONDS)
        fill = left - self._playout.resampler.phase + since * self.rate
        self.controller.observe(fill, wanted)
        self._held += _HELD_SMOOTHING * (left - self._held)

    def _watch(self, left: int, wanted: int) -> None:
        """Find out whether there is too much, which is then owed."""
        self._watched += wanted
        self._played += wanted
        self._lowest = min(self._lowest, left)
        steady = self._settled and not self._stumbled
        if left > self.limit:
            self._owe(left - self.target)
        elif self._watched >= (self.window if steady else self.window // 4):
            slack = self.slack
            if self._stumbled or self._played <= START_SECONDS * self.rate:
                # It starts in any phase of the input; what that held too much goes now.
                slack = min(slack, int(START_SLACK_SECONDS * self.rate))
            if self._lowest > self.target + slack:
                self._owe(self._lowest - self.target)
            elif self.grown:
                self._shrink()
            self._settled = self._played > SETTLE_SECONDS * self.rate
            self._calm += self._watched
            self._stumbled = False
            self._watched, self._lowest = 0, self.ring.capacity

    def _owe(self, frames: int) -> None:
        self._owed, self._waited = frames, 0
        # At the start the input is merely ahead; that is nobody's failure.
        self._excused = self._hasty = not self._settled
        # Where the output stumbled, that has been counted.
        self.overruns += self._settled and not self._stumbled

    def _shrink(self) -> None:
        """Hold less again after a long calm: what was amiss has passed."""
        if self._calm < self._patience:
            return
        self._change(-1)
        self._owed, self._waited = self._growth, 0
        self._excused, self._hasty = True, False
        self._calm, self._shrunk = 0, True

    def _choose_ratio(self, wanted: int) -> None:
        resampler, controller = self._playout.resampler, self.controller
        if controller.steering:
            step, most = controller.ratio - resampler.ratio, SLEW * wanted / self.rate
            resampler.ratio += min(max(step, -most), most)
        elif resampler.phase:
            resampler.land(wanted)
        else:
            resampler.ratio = 1.0

    def _read(self, out: FloatArray) -> int:
        """Read the ring into `out`; return for how many frames there was something."""
        playout = self._playout
        got = playout.read(out, *self._to_drop(len(out)))
        if not self.controller.steering:
            playout.resampler.landed()
        if playout.cut is None:
            self._settle()  # it has gone by itself: the input paused
        elif playout.cut:
            self.dropped += 0 if self._excused else playout.cut
            self._owed -= playout.cut
            if self._owed <= 0:
                self._settle()
                self._held = float(self.ring.fill)
        return got

    def _to_drop(self, wanted: int) -> tuple[int, bool]:
        """Return how much of what is owed may go now, and whether anywhere."""
        if not self._owed:
            return 0, False
        self._waited += wanted
        if self._hasty or self._waited >= PATIENCE_SECONDS * self.rate:
            return self._owed, True
        if self._owed > PLENTY_SECONDS * self.rate:
            return self._owed - int(PLENTY_SECONDS * self.rate) // 2, True
        return min(self._owed, int(PIECE_SECONDS * self.rate)), False

    def _run_out(self, out: FloatArray, got: int) -> None:
        """Fade out what there was, and insert silence."""
        self._playout.fade_out(out, got)
        self.inserted += len(out) - got
        self.underruns += 1
        early = self._shrunk and self._calm < self._patience
        calm = round(CALM_SECONDS * self.rate)
        self._patience = 2 * self._patience if early else calm
        self._calm, self._shrunk = 0, False
        self._to_grow, self._silent = self._growth > 0, len(out) - got
        self._running = False
        self._owed = 0
        self._playout.resampler.reset()
