"""The denoiser that is heard, and the one that takes its place while sound runs."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

import numpy as np

from .glide import Glide
from .ring import FloatArray

if TYPE_CHECKING:
    from ..engine import Denoiser
    from ..settings import Settings

PRIME_SECONDS: Final = 0.3
"""How long a new model hears the stream before it is heard."""


class Engines:
    """One denoiser, and while it is being replaced two.

    Parameters
    ----------
    denoiser
        To begin with.
    most
        Longest block that is ever processed.

    Attributes
    ----------
    heard : Denoiser
        The one whose output is played.
    newest : Denoiser
        The one to be heard in the end.
    """

    def __init__(self, denoiser: Denoiser, most: int) -> None:
        self.heard = self.newest = denoiser
        self._bad_before = 0
        # One that waits for its turn; one that has it.
        self._asked: deque[Denoiser] = deque(maxlen=1)
        self._successor: Denoiser | None = None
        self._priming = 0
        self._other: FloatArray = np.zeros((most, denoiser.channels), np.float32)
        self._turn = Glide(denoiser.params.hop, most)

    @property
    def settings(self) -> Settings:
        """What the user may change; assign a new object at any time."""
        return self.heard.settings

    @settings.setter
    def settings(self, settings: Settings) -> None:
        # In the order in which they move up, so that none is missed on its way.
        for denoiser in (self.newest, self._successor, self.heard):
            if denoiser is not None:
                denoiser.settings = settings

    @property
    def bad_samples(self) -> int:
        """Samples that were NaN, infinite or absurd, whoever counted them."""
        return self._bad_before + self.heard.bad_samples

    def succeed(self, denoiser: Denoiser) -> None:
        """Go over to another denoiser; see `LiveStream.succeed`."""
        denoiser.settings = self.newest.settings
        self.newest = denoiser
        self._asked.append(denoiser)

    def replace(self, denoiser: Denoiser) -> Denoiser:
        """Put another in the place of the one that is heard, and return that."""
        self._asked.clear()
        self._successor = None
        old, self.heard, self.newest = self.heard, denoiser, denoiser
        return old

    def restart(self) -> None:
        """Forget the stream; who waits for its turn is heard from now on."""
        self._asked.clear()
        if self.heard is not self.newest:
            self._take_over(self.newest)
        self.heard.reset()

    def process(self, dirty: FloatArray, clean: FloatArray) -> None:
        """Denoise a block, with a new denoiser beside the old one while it takes over.

        Parameters
        ----------
        dirty, clean
            Shape (n, channels); may be the same.
        """
        new = self._successor or self._next_successor()
        if new is None:
            self.heard.process(dirty, out=clean)
            return
        other = self._other[: len(dirty)]
        new.process(dirty, out=other)
        self.heard.process(dirty, out=clean)
        if self._priming > 0:
            self._priming -= len(dirty)
            return
        # Both are the same voice, in step, so weights that sum to 1 keep its level.
        other -= clean
        other *= self._turn.towards(1.0, len(dirty))
        clean += other
        if self._turn.value == 1.0:
            self._take_over(new)

    def _next_successor(self) -> Denoiser | None:
        """Give its turn to who waits for it; this thread alone decides when."""
        if not self._asked:
            return None
        new = self._successor = self._asked.popleft()
        self._priming = int(PRIME_SECONDS * new.sample_rate)
        self._turn.start(0.0)
        return new

    def _take_over(self, new: Denoiser) -> None:
        # Both have heard the last moment, whose bad samples count once.
        self._bad_before += self.heard.bad_samples - new.bad_samples
        new.meter, self.heard.meter = self.heard.meter, None
        self.heard, self._successor = new, None
