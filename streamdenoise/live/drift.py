"""Holding the fill of a buffer between two clocks by a rate change nobody hears.

The fill is measured once for each block that is played, averaged over 0.1 s and
smoothed. For as long as it stays near where it began, nothing is changed at all: the
samples pass bit by bit. Only once it has left that range, a proportional-integral
controller holds it, and its integral is the measured difference of the clocks.
"""

from __future__ import annotations

from typing import Final

UPDATE_SECONDS: Final = 0.1
"""Measurements are averaged so long before one decision."""

LEARN_SECONDS: Final = 2.0
"""How long the fill is watched before it is known where to hold it."""

RANGE_SECONDS: Final = 0.003
"""How far the fill may wander before the rate is changed."""

MAX_SHIFT: Final = 9e-4
"""Largest rate change, below the tenth of a percent that anybody could hear."""

MAX_DRIFT: Final = 6e-4
"""Largest difference of two clocks that is believed."""

STRAIGHT: Final = 1.5
"""A clock takes twice as long for all of the range as for half of it; what takes less
than this many times as long is a machine that stumbled."""

SMOOTHING_SECONDS: Final = 2.0
JUMP_SECONDS: Final = 0.005
"""An average this far off is no drift: something stalled, or sound was lost."""

PATIENCE_SECONDS: Final = 3.0
"""After so long a jump is taken as it is, and the place to hold is learned anew."""

BANDWIDTH: Final = 0.04
"""Of the loop, in radians per second; critically damped."""

RELEASE_DRIFT: Final = 1e-6
RELEASE_RANGE: Final = 2e-4
RELEASE_SECONDS: Final = 10.0
"""So small a drift and error for so long means that the clocks agree."""


class DriftController:
    """Decides how many frames are read for each that is played.

    Parameters
    ----------
    rate
        Frames per second.

    Attributes
    ----------
    ratio
        Read over played; 1 exactly while nothing needs to be changed.
    drift
        How much faster the input's clock runs, as a ratio less 1; 0 until measured.
    steering
        Whether the rate is being controlled.
    least
        Frames to hold at least while it is, on average: what is held at the start may
        last for one phase of the two clocks, and they go through all of them.
    """

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._update_frames = UPDATE_SECONDS * rate
        self.steering = False
        self.least = 0.0
        self.drift = 0.0
        self.ratio = 1.0
        self.relearn()

    def relearn(self) -> None:
        """Take the fill of the next seconds as the one to hold; the drift is kept."""
        self._sum, self._count, self._frames = 0.0, 0, 0
        self._learned, self._learning, self._averages = 0.0, True, 0
        self._reference = self._smooth = 0.0
        self._elapsed = self._calm = self._jumped = self._halfway = 0.0
        self.ratio = 1.0 + self.drift if self.steering else 1.0

    @property
    def error(self) -> float:
        """How much too long the buffered sound is, in seconds, smoothed."""
        return (self._smooth - self._reference) / self._rate

    def observe(self, fill: float, frames: int) -> None:
        """Take one measurement.

        Parameters
        ----------
        fill
            Frames in the buffer.
        frames
            That are played with this block.
        """
        self._sum += fill
        self._count += 1
        self._frames += frames
        if self._frames < self._update_frames:
            return
        average, seconds = self._sum / self._count, self._frames / self._rate
        self._sum, self._count, self._frames = 0.0, 0, 0
        self._elapsed += seconds
        if self._learning:
            self._learn(average)
        elif self._follow(average, seconds):
            if self.steering:
                self._steer(seconds)
            else:
                self._suspect()

    def _learn(self, average: float) -> None:
        self._learned += average
        self._averages += 1
        if self._elapsed >= LEARN_SECONDS:
            self._reference = self._smooth = self._learned / self._averages
            self._learning, self._elapsed = False, 0.0

    def _follow(self, average: float, seconds: float) -> bool:
        """Smooth the averages; return whether this one was of use."""
        surprise = average - self._smooth
        if abs(surprise) > JUMP_SECONDS * self._rate:
            self._jumped += seconds
            if self._jumped >= PATIENCE_SECONDS:
                self.relearn()
            return False
        self._jumped = 0.0
        self._smooth += seconds / (SMOOTHING_SECONDS + seconds) * surprise
        return True

    def _suspect(self) -> None:
        """Begin to steer if the fill has wandered off as a clock would make it."""
        error, most = abs(self.error), RANGE_SECONDS
        if self.error < 0.0 and self._smooth < self.least:
            most *= 0.5  # there is not much to wander through
        if error < 0.5 * most:
            self._halfway = self._elapsed
        elif error > most:
            # It took this long to wander so far: that is the drift already.
            slope = self.error / self._elapsed
            straight = self._elapsed > STRAIGHT * self._halfway
            if straight and abs(slope) <= MAX_DRIFT:
                self.steering, self.drift, self._calm = True, slope, 0.0
            else:
                self.relearn()

    def _steer(self, seconds: float) -> None:
        self._reference = max(self._reference, self.least)
        error = self.error
        wanted = 2.0 * BANDWIDTH * error + self.drift
        shift = min(max(wanted, -MAX_SHIFT), MAX_SHIFT)
        if shift == wanted:  # no winding up while it can do no more
            self.drift += BANDWIDTH**2 * error * seconds
        self.ratio = 1.0 + shift
        calm = abs(self.drift) < RELEASE_DRIFT and abs(error) < RELEASE_RANGE
        self._calm = self._calm + seconds if calm else 0.0
        if self._calm >= RELEASE_SECONDS:
            self.steering, self.drift, self.ratio = False, 0.0, 1.0
            self._elapsed = self._halfway = 0.0
