"""Seeking the shortest buffer of the devices that runs without xruns."""

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
    steps
        Steps taken up the ladder.
    """

    def __init__(self, asked: float | str) -> None:
        self.auto = asked == "auto"
        self.setting: float | str = "low" if self.auto else asked
        self.steps = 0
        self._opened = self._excused = 0.0
        self._seen = 0
        self._times: deque[float] = deque(maxlen=STEADY_COUNT)
        self._said = False

    def opened(self, now: float, xruns: int) -> None:
        """Note that devices were opened, with so many xruns before."""
        self._opened = self._excused = now
        self._seen = xruns
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
        often = (
            len(self._times) == STEADY_COUNT and now - self._times[0] < TRIAL_SECONDS
        )
        if now - self._opened < TRIAL_SECONDS or often:
            return self._step_up(latency)
        return False

    def _step_up(self, latency: float) -> bool:
        above = [s for s in longer(latency) if s != self.setting]
        if isinstance(self.setting, float):
            above = [s for s in above if s > float(self.setting)]
        if self.steps >= MOST_STEPS or not above:
            return False
        self.steps += 1
        self.setting = above[0]
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
