"""Seeking the shortest buffer of the devices that runs without xruns.

Up by one xrun in the first seconds of a buffer that is on trial, and by several at
once later. Down by one step where the devices are opened again anyway, after a loss or
after sleep, if there was a long calm before: going down makes no gap of its own. Where
that was too early, the next calm must be twice as long.
"""

from __future__ import annotations

from collections import deque
from typing import Final

LADDER: Final = (0.01, 0.02, 0.03, 0.05, 0.08, 0.12, 0.2, 0.3)
"""Buffers in seconds, after the ``"low"`` that a device proposes itself."""

MOST_STEPS: Final = 4
"""After so many steps up it is left as it is: the cause is another one."""

TRIAL_SECONDS: Final = 10.0
"""A buffer that runs so long without an xrun is kept."""

GRACE_SECONDS: Final = 1.0
"""Devices that have just opened, or a machine that stood still, may have xruns."""

STEADY_COUNT: Final = 3
"""So many xruns within a trial's length show that a kept buffer is too short."""

CALM_SECONDS: Final = 1800.0
"""Sound without an xrun after which a shorter buffer is tried at the next reopening."""


def longer(latency: float) -> tuple[float, ...]:
    """Return the rungs of the `LADDER` that are clearly above a latency in seconds."""
    return tuple(rung for rung in LADDER if rung > 1.2 * latency)


class LatencySeeker:
    """Decides which latency is asked of the devices; knows no device.

    Parameters
    ----------
    asked
        ``"auto"``, or what is to be kept: seconds, ``"low"`` or ``"high"``.

    Attributes
    ----------
    setting
        To open the devices with: ``"low"`` first if automatic.
    """

    def __init__(self, asked: float | str) -> None:
        self.auto = asked == "auto"
        self.setting: float | str = "low" if self.auto else asked
        self._below: list[float | str] = []
        self._opened = self._excused = 0.0
        self._trial = True
        self._seen = 0
        self._times: deque[float] = deque(maxlen=STEADY_COUNT)
        self._said = False
        self._calm_since = self._calm = 0.0
        self._patience = CALM_SECONDS
        self._lowered = False

    @property
    def steps(self) -> int:
        """Steps up the ladder that `setting` is above the lowest."""
        return len(self._below)

    def opened(self, now: float, xruns: int) -> None:
        """Note that `setting` goes on trial, with so many xruns before."""
        self._calm_since = now
        self._begin(now, xruns, trial=True)

    def lost(self, now: float) -> None:
        """Note that the devices are away, and will be opened with `setting`.

        That is a step lower if there was a long calm.
        """
        self._calm = now - self._calm_since
        if self._below and self._calm >= self._patience:
            self.setting = self._below.pop()
            self._lowered, self._calm = True, 0.0

    def reopened(self, now: float, xruns: int) -> None:
        """Note that they are back after `lost`, which is no trial.

        A machine that wakes up, or a device that has been plugged in, may have an xrun
        that no buffer would have spared. The calm before goes on.
        """
        self._calm_since = now - self._calm
        self._begin(now, xruns, trial=False)

    def _begin(self, now: float, xruns: int, *, trial: bool) -> None:
        self._opened = self._excused = now
        self._seen, self._trial = xruns, trial
        self._times.clear()

    def excuse(self, now: float) -> None:
        """Note that the machine stood still: xruns of this moment prove nothing."""
        self._excused = now

    def look(self, now: float, xruns: int, latency: float) -> bool:
        """Return whether the devices are to be opened again with `setting`.

        Parameters
        ----------
        now
            In seconds.
        xruns
            Count of all kinds so far.
        latency
            The longer one of both devices, as they report it, in seconds.
        """
        new, self._seen = xruns > self._seen, xruns
        if not new or not self.auto or now - self._excused < GRACE_SECONDS:
            return False
        self._times.append(now)
        self._calm_since = now
        often = (
            len(self._times) == STEADY_COUNT and now - self._times[0] < TRIAL_SECONDS
        )
        early = self._trial and now - self._opened < TRIAL_SECONDS
        if early or often:
            return self._step_up(latency)
        return False

    def _step_up(self, latency: float) -> bool:
        above = [s for s in longer(latency) if s != self.setting]
        if isinstance(self.setting, float):
            above = [s for s in above if s > float(self.setting)]
        if self.steps >= MOST_STEPS or not above:
            return False
        self._below.append(self.setting)
        self.setting = above[0]
        if self._lowered:
            self._patience *= 2
            self._lowered = False
        self._said = False
        return True

    def sentence(self, now: float) -> str | None:
        """Return, once for each time that it climbed, what was found and is certain."""
        settled = now - self._opened >= TRIAL_SECONDS or self.steps >= MOST_STEPS
        if self._said or not self.steps or not settled:
            return None
        self._said = True
        return (
            f"there were xruns, so the buffer of the devices was raised to "
            f"{1000 * float(self.setting):.0f} ms; to begin with it next time, type "
            f"--latency {self.setting:g}"
        )
