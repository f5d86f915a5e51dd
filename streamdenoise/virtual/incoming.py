"""The other direction of a call: what the others say, denoised as well.

A virtual loudspeaker, which the call program plays into, and a second live that carries
its sound, denoised, to the real loudspeaker. The monitor of the real one would not do:
its sound is heard already, and what is played there would come back.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from ..closing import Closing
from ..errors import DeviceError
from ..live.devices import list_devices
from . import DEFAULT_NAME, soundserver
from .absence import Absence
from .found import Found, find_all, is_ours, real_sink, remove_stale, taken
from .mic import RATE
from .owner import Owner
from .parts import keep_defaults, make_loudspeaker, slug_of
from .route import SINK_VARIABLE, SOURCE_VARIABLE, bring, door
from .second import WAITING, SecondLive

__all__ = ["Incoming"]

_TRIES: Final = 3
"""How often a second live that something has killed is started anew."""

_TOLD_AFTER: Final = 2
"""Answers in a row after which waiting is said: a device that returns is no news."""

Warn = Callable[[str], None]


class Incoming(Closing):
    """Denoises what other programs play; a context manager.

    Parameters
    ----------
    name
        Of the virtual loudspeaker; ``-incoming`` is put behind it.
    arguments
        Further words for the second ``live``, such as ``("--strength", "12")``.
    sd
        The sounddevice module, or what stands in for it.

    Attributes
    ----------
    description
        What call programs call the loudspeaker.
    sink_name
        The loudspeaker, as ``paplay --device=`` takes it.
    control_name
        By which ``streamdenoise ctl --name`` reaches the second live.
    output
        Description of the real loudspeaker.

    Raises
    ------
    DeviceError
        If no sound server answers, or it has no loudspeaker of its own.
    """

    def __init__(
        self,
        name: str = DEFAULT_NAME,
        arguments: Sequence[str] = (),
        sd: Any = None,
    ) -> None:
        # No longer than `slug_of` leaves a name, for `virtual-mic remove --name`.
        self.sink_name = f"{slug_of(name)[:55]}-incoming"
        self.control_name = "incoming"
        self.description = "Denoised loudspeaker"
        if name != DEFAULT_NAME:
            cut = re.sub(r"[^a-z0-9_.]", "_", self.sink_name)[-32:]
            self.control_name = cut.lstrip("_.")  # as `live --name` wants it
            self.description = f"{name} loudspeaker (denoised)"
        self._arguments = [*arguments]
        # As it is before the first live says in it where its own streams go.
        self._env = dict(os.environ)
        self._live: SecondLive | None = None
        self._crashes = self._waited = 0
        self._absence = Absence()
        before = soundserver.server()
        self._door = door(list_devices(sd))
        remove_stale()
        there = next((f for f in find_all() if f.name == self.sink_name), None)
        if there is not None:
            raise taken(there)
        real = real_sink(self._env.get(SINK_VARIABLE), before.default_sink)
        if real is None:
            raise DeviceError(
                "the sound server has no loudspeaker to play the others' voices on; "
                "connect one, and see: streamdenoise devices"
            )
        self._home, self._away = real, False
        self._sink, self.output = real.name, real.known_as
        made = self._make()
        try:
            keep_defaults(before, made)
            self._start()
        except BaseException:
            self.close()
            raise

    def _make(self) -> Found:
        owner = str(Owner.here())
        return make_loudspeaker(self.sink_name, self.description, RATE, owner)

    def _start(self) -> None:
        words = ["live", "--no-view", "--input", self._door, "--output", self._door]
        # Where its streams go is seen to from here.
        words += ["--tended", "--heard", "2", "--name", self.control_name]
        words += self._arguments
        env = {**self._env, SOURCE_VARIABLE: f"{self.sink_name}.monitor"}
        env[SINK_VARIABLE] = self._sink
        env["STREAMDENOISE_CONFIG"] = ""  # its flags are meant for the first live
        self._waited = 0
        self._live = SecondLive(words, env)

    @property
    def running(self) -> bool:
        """Whether the second live runs."""
        return self._live is not None and self._live.running

    def check(self, warn: Warn) -> None:
        """Look how the second live is; for each look at the counters.

        One that was killed is started anew, some times. That it has ended otherwise is
        said once, with the reason, and its loudspeaker is removed, so that the server
        gives the call another one. While it waits for a device, `restore` is called
        every few seconds, and nothing asks the server otherwise; that nobody is heard
        meanwhile is said once, and its end too.
        """
        live = self._live
        if live is None:
            return
        if not live.running:
            self._end()
            self._revive(live, warn)
            return
        state = live.news()
        if state is None:
            return
        if state == WAITING or self._absence.noted:
            with contextlib.suppress(DeviceError):  # asked again, and said below
                self.restore(warn)
        if self._live is live:
            self._note(state, warn)

    def _revive(self, live: SecondLive, warn: Warn) -> None:
        """Start anew what has crashed, but not for ever; else leave the call alone."""
        if live.crashed and self._crashes < _TRIES:
            self._crashes += 1
            self._start()
            warn(
                f"incoming sound stopped ({live.reason}); it was started anew, with "
                "the settings of the start"
            )
            return
        self._remove()
        warn(
            f"incoming sound is no longer denoised ({live.reason}); the call plays on "
            "another loudspeaker now, as it is; to denoise it, start live again"
        )

    def _note(self, state: str, warn: Warn) -> None:
        """Say that the second live waits, once that lasts, and that it plays again."""
        if state == WAITING:
            self._waited += 1
            if self._waited == _TOLD_AFTER:
                warn(
                    "the others are not heard: incoming sound waits for the "
                    f"loudspeaker '{self.output}', or for the sound server; connect "
                    "it, or choose another loudspeaker in the call"
                )
        elif state:
            if self._waited >= _TOLD_AFTER:
                warn(f"the others are heard again, on '{self.output}'")
            self._waited = 0

    def restore(self, warn: Warn) -> None:
        """Mend what is gone: our loudspeaker, and the real one behind it.

        A server that was started again has forgotten ours: it is made anew, and the
        second live waits for it. A real one that stays away has been unplugged: unless
        the server has moved the second live's stream to another one, that is started
        anew on the default one. Asks the server, so it is for moments in which that
        may have happened, not for each look.

        Raises
        ------
        DeviceError
            If no server answers, or it refuses.
        """
        if not self.running:
            return
        if not any(f.name == self.sink_name for f in find_all()):
            before = soundserver.server()
            keep_defaults(before, self._make())
            warn(f"the virtual loudspeaker '{self.description}' was gone; it is back")
        self._listen()
        self._follow(warn)

    def _listen(self) -> None:
        """Bring the second live's ear back to the loudspeaker.

        PipeWire moves a stream whose source has gone to another one, a microphone or
        what the second live itself plays, and does not always bring it back.
        """
        if self._live is not None:
            # Refused if the stream ends just then; a new one opens where it belongs.
            with contextlib.suppress(soundserver.RefusedError):
                bring(source=f"{self.sink_name}.monitor", process=self._live.pid)

    def _follow(self, warn: Warn) -> None:
        """See on which real loudspeaker the others are heard, and that it is one.

        One that is unplugged is left, by the server's doing or by ours, and gone back
        to when it is there again.
        """
        sinks = {entry.name: entry for entry in soundserver.entries("sinks")}
        if self._away and self._home.name in sinks:
            self._go_home(sinks[self._home.name], warn)
        if self._sink in sinks:
            self._absence.forget()
            return
        other = self._heard_on(sinks.values())
        if other is not None:  # the server has moved the stream
            self._absence.forget()
            if not self._away:
                self._away, self.output = True, other.known_as
                warn(f"{self._gone}; the others are heard on '{self.output}' now")
        elif self._absence.lasts(there=False):
            self._go_elsewhere(warn)

    @property
    def _gone(self) -> str:
        return f"the loudspeaker '{self._home.known_as}' is gone"

    def _heard_on(self, sinks: Iterable[soundserver.Entry]) -> soundserver.Entry | None:
        """Return the real loudspeaker that the second live plays on, if it does."""
        assert self._live is not None
        streams = soundserver.streams_of("sink-inputs", self._live.pid)
        places = {stream.attached for stream in streams}
        return next((e for e in sinks if e.index in places and not is_ours(e)), None)

    def _go_elsewhere(self, warn: Warn) -> None:
        """Start the second live anew on another loudspeaker, where there is one."""
        real = real_sink(soundserver.server().default_sink)
        if real is None:
            return
        self._away = True
        self._sink, self.output = real.name, real.known_as
        self._absence.forget()
        self._end()
        self._start()
        warn(
            f"{self._gone}; the others are heard on '{self.output}' now, with the "
            "settings of the start"
        )

    def _go_home(self, home: soundserver.Entry, warn: Warn) -> None:
        """Go back to the loudspeaker of the start, which is there again."""
        assert self._live is not None
        with contextlib.suppress(soundserver.RefusedError):  # the stream ends just then
            bring(sink=home.name, process=self._live.pid)
        # Servers take their time, or nothing plays yet: there will be another look.
        if self._heard_on([home]) is not None:
            self._away = False
            self._sink, self.output = home.name, home.known_as
            warn(f"the others are heard on '{self.output}' again")

    def _end(self) -> None:
        live, self._live = self._live, None
        if live is not None:
            live.close()

    def close(self) -> None:
        """End the second live, and remove the loudspeaker; may be called twice."""
        self._end()
        self._remove()

    def _remove(self) -> None:
        with contextlib.suppress(DeviceError):  # the server may be gone
            for found in find_all():
                if found.name == self.sink_name:
                    found.remove()
