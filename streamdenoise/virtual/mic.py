"""A virtual microphone: a source of the sound server that carries denoised sound.

``live --virtual-mic`` does this::

    with VirtualMic.create() as mic:
        options = LiveOptions(output=mic.route(warn), played=1)
        with LiveSession(options, warn=warn) as session:
            session.run(...)        # once it plays: mic.check(warn)
                                    # while it waits for devices: mic.restore(warn)

Works on PulseAudio and on PipeWire; `parts` makes and finds the halves.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from typing import Any, Final

from ..closing import Closing
from ..errors import DeviceError
from ..live.devices import list_devices
from . import DEFAULT_NAME, soundserver
from .absence import Absence
from .found import Found, carriers, find_all, is_ours, remove_stale, taken
from .owner import Owner
from .parts import KEPT, keep_defaults, make, slug_of
from .route import SINK_VARIABLE, SOURCE_VARIABLE, Fed, Variables, bring, door
from .soundserver import Entry

__all__ = ["RATE", "VirtualMic"]

RATE: Final = 48_000
"""In Hz; what calls run at."""

Warn = Callable[[str], None]


def _silent(sentence: str) -> None:
    """Say nothing."""


class VirtualMic(Closing):
    """A virtual microphone that is there; made by `create`; a context manager.

    Attributes
    ----------
    name
        As it was asked for.
    sink_name
        The sink that live must play into; see `route`.
    source_name
        The microphone, as ``parec --device=`` takes it.
    description
        What call programs and browsers call it.
    kept
        Whether it stays when `close` is called.
    """

    def __init__(self, found: Found, rate: int, kept: bool) -> None:
        assert found.sink is not None and found.source is not None
        self.name = found.name
        self.sink_name = found.sink.name
        self.source_name = found.source.name
        self.description = found.description
        self.kept = kept
        self._rate = rate
        self._variables = Variables()
        self._chosen: Entry | None = None
        self._absence = Absence()
        self._fed = Fed(found.sink.name)

    @classmethod
    def create(
        cls,
        name: str = DEFAULT_NAME,
        description: str | None = None,
        rate: int | None = None,
        *,
        keep: bool = False,
    ) -> VirtualMic:
        """Make a microphone, or take the one that is there already.

        Parameters
        ----------
        name
            Tells several apart.
        description
            What people see; by default made from the name.
        rate
            In Hz; None: 48000. Programs may ask for any other.
        keep
            Leave it on the server until it is removed by command, or the server ends.
            One that was kept before stays kept.

        Raises
        ------
        DeviceError
            If no sound server answers, it refuses, or another process has a
            microphone of this name.
        """
        slug = slug_of(name)
        rate = RATE if rate is None else rate
        remove_stale()
        before = soundserver.server()
        there = next((f for f in find_all() if f.name == slug), None)
        if there is not None and there.state == "broken":
            there.remove()
            there = None
        if there is None:
            owner = KEPT if keep else str(Owner.here())
            there = make(slug, description or _description(name), rate, owner)
            keep_defaults(before, there)
        elif there.owner not in (None, Owner.here()):
            raise taken(there)
        return cls(there, rate, there.owner is None)

    @property
    def chose_input(self) -> bool:
        """Whether `route` had to choose the input, which is looked after here then."""
        return self._chosen is not None

    def route(self, warn: Warn = _silent, sd: Any = None) -> str:
        """Send what this process plays into the microphone; call before streams open.

        PortAudio does not list the sinks of a sound server, only doors to it, and what
        comes through a door goes to the default sink. The server's client library
        takes another one from the environment when a stream is opened, so that is set,
        until `close`. Should the default input be this microphone, which would hear
        itself, the input is set to another source as well.

        Parameters
        ----------
        warn
            Called with a sentence when the input is not the default one.
        sd
            The sounddevice module, or what stands in for it.

        Returns
        -------
        str
            Name of the output device to open.

        Raises
        ------
        DeviceError
            If PortAudio has no door to the server, or the microphone could hear only
            itself.
        """
        name = door(list_devices(sd))
        self._variables.set(SINK_VARIABLE, self.sink_name)
        sources = soundserver.entries("sources")
        wanted = os.environ.get(SOURCE_VARIABLE) or soundserver.server().default_source
        if wanted in carriers(sources, self.source_name, self.sink_name):
            other = self._other_source(sources)
            warn(
                f"the default microphone is '{self.description}' itself, which would "
                f"hear itself; the input is '{other.known_as}' instead"
            )
            self._choose(other)
        return name

    def check(self, warn: Warn = _silent) -> None:
        """See that it is there and gets our sound; mend both if not.

        For the main thread, whenever devices have been opened. Where the output went
        through a door that does not heed the environment (PipeWire's ALSA device), the
        stream is moved.

        Raises
        ------
        DeviceError
            If no server answers, or it refuses.
        """
        self.restore(warn)
        source = os.environ.get(SOURCE_VARIABLE) or None
        if self._absence.noted:  # it runs without: there is nothing to wait for
            source = None
            self._absence.forget()
        bring(self.sink_name, source)
        self._mend_input(warn)

    def mend(self, warn: Warn = _silent) -> None:
        """See that it is there and gets our sound, once a device has gone.

        A sink that goes takes no stream with it: the server moves ours elsewhere, to a
        loudspeaker most likely, and tells nobody.

        Raises
        ------
        DeviceError
            If no server answers, or it refuses.
        """
        self.restore(warn)
        if self._fed.mend():
            warn(
                f"what is denoised was moved away from '{self.description}'; it is "
                "back, as a call hears nothing otherwise"
            )
        self._mend_input(warn)

    def restore(self, warn: Warn = _silent) -> None:
        """Make it anew if it is gone: a server that was started again forgets it.

        Also for the time in which devices are waited for: once `route` was called,
        none opens without the microphone, nor without the input that it may have
        chosen. One that stays away has been unplugged, and another is chosen.

        Raises
        ------
        DeviceError
            If no server answers, or it refuses.
        """
        there = next((f for f in find_all() if f.name == self.name), None)
        if there is None or there.state == "broken":
            before = soundserver.server()
            owner = KEPT if self.kept else str(Owner.here())
            if there is not None:
                there.remove()
            keep_defaults(before, make(self.name, self.description, self._rate, owner))
            self._fed = Fed(self.sink_name)
            warn(f"the virtual microphone '{self.description}' was gone; it is back")
        self._choose_again(warn)

    def _choose_again(self, warn: Warn) -> None:
        """Take another input if the one that `route` chose stays away."""
        if self._chosen is None:
            return
        sources = soundserver.entries("sources")
        if not self._absence.lasts(any(e.name == self._chosen.name for e in sources)):
            return
        gone, other = self._chosen, self._other_source(sources)
        self._choose(other)
        warn(
            f"the microphone '{gone.known_as}' is gone; the input is "
            f"'{other.known_as}' instead"
        )

    def _mend_input(self, warn: Warn) -> None:
        """Move our recording stream away if it records the microphone itself."""
        sources = soundserver.entries("sources")
        if self._chosen is None and not self._real(sources):
            return  # `Places` waits for one
        loops = carriers(sources, self.source_name, self.sink_name)
        ours = {e.index for e in sources if e.name in loops}
        for stream in soundserver.streams_of("source-outputs", os.getpid()):
            if stream.attached in ours:
                other = self._other_source(sources)
                soundserver.move("source-outputs", stream.index, other.name)
                warn(
                    f"the input was '{self.description}' itself, which hears itself; "
                    f"it is '{other.known_as}' now"
                )

    def _real(self, sources: list[Entry]) -> list[Entry]:
        """Return the sources that are microphones, and not what is played or made."""
        loops = carriers(sources, self.source_name, self.sink_name)
        real = (e for e in sources if not (e.is_monitor or is_ours(e)))
        return [e for e in real if e.name not in loops]

    def _other_source(self, sources: list[Entry]) -> Entry:
        """Return a real microphone."""
        others = self._real(sources)
        if not others:
            raise DeviceError(
                f"the only microphone here is '{self.description}' itself; connect "
                "one, or name what to denoise with: streamdenoise live --virtual-mic "
                "--input NAME (streamdenoise devices lists them)"
            )
        return others[0]

    def close(self) -> None:
        """Restore the environment, and remove the microphone unless it is kept."""
        self._variables.close()
        if not self.kept:
            with contextlib.suppress(soundserver.NoServerError):  # it went with that
                self.remove()

    def remove(self) -> None:
        """Take it off the server; may be called twice.

        Raises
        ------
        DeviceError
            If no server answers.
        """
        for found in find_all():
            if found.name == self.name:
                found.remove()

    def _choose(self, source: Entry) -> None:
        self._chosen = source
        self._absence.forget()
        self._variables.set(SOURCE_VARIABLE, source.name)


def _description(name: str) -> str:
    return "Denoised microphone" if name == DEFAULT_NAME else f"{name} (denoised)"
