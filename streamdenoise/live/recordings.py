"""The recordings of a session, one after the other."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from pathlib import Path

from ..errors import OutputError, StreamDenoiseError
from .recorder import Recorder
from .stream import LiveStream

__all__ = ["Recordings"]


class Recordings:
    """Begins and ends recordings of what a core plays.

    Parameters
    ----------
    channels
        Samples in a frame.
    warn
        Called with a sentence when something is odd.

    Attributes
    ----------
    made : list of Recorder
        All of them, the newest last.
    """

    def __init__(self, channels: int, warn: Callable[[str], None]) -> None:
        self._channels, self._warn = channels, warn
        self.made: list[Recorder] = []
        self._now: Recorder | None = None
        self._told: Recorder | None = None
        self._asked: tuple[Path, bool] | None = None

    @property
    def path(self) -> Path | None:
        """File that is being recorded, or None; None too once the writing failed."""
        now = self._now
        return None if now is None or now.error else now.path

    def record(self, core: LiveStream, path: Path | None, force: bool) -> None:
        """Finish the recording that runs, and begin another one unless `path` is None.

        Parameters
        ----------
        core
            What is recorded.
        path
            File to make.
        force
            Replace it if it is there.

        Raises
        ------
        OutputError
            If the last recording is not whole, or the new one cannot be made.
        """
        self._asked = None if path is None else (path, force)
        self._change(core, path, force)

    def go_over(self, old: LiveStream, core: LiveStream) -> None:
        """Go on at the rate of another core, in another file beside the first."""
        now, old.recorder = self._now, None
        if now is None or now.error is not None or self._asked is None:
            return
        path, force = self._asked
        try:
            self._change(core, _beside(path, core.denoiser.sample_rate), force)
        except StreamDenoiseError as error:
            self._warn(f"{error}; live sound goes on")

    def say_stopped(self) -> None:
        """Say of each recording once that it has stopped by itself."""
        now = self._now
        if now is None or now.error is None or now is self._told:
            return
        self._told = now
        self._warn(f"{now.trouble}; live sound goes on")

    def close(self) -> None:
        """Finish the recording that runs; may be called twice, by any thread.

        Raises
        ------
        OutputError
            If it is not whole.
        """
        now = self._now
        if now is not None:
            now.close()

    def _change(self, core: LiveStream, path: Path | None, force: bool) -> None:
        old, self._now = self._now, None
        core.recorder = None
        try:
            if old is not None:
                old.close()
        except OutputError:
            if path is None or old is not self._told:
                raise
        finally:
            if path is not None:
                rate = core.denoiser.sample_rate
                new = Recorder(path, rate, self._channels, force=force)
                for note in new.notes:
                    self._warn(note)
                self.made.append(new)
                self._now = core.recorder = new


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
