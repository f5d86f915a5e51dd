"""Noticing that devices of the sound server come and go, without asking it.

When a sink is removed, the server moves what plays into it to another one, and no
program is told: what was meant for a call would come out of the loudspeaker. So the
server is asked once to tell of such events, on a connection that stays.
"""

from __future__ import annotations

import time
from typing import Any, Final

from ..closing import Closing
from ..live.pulse import libpulse as pa
from .asking import NoServerError, library_or_error

__all__ = ["DeviceEvents"]

PAUSE_SECONDS: Final = 5.0
"""After the server's end, until it is looked for again."""

_SINK, _SOURCE, _SERVER = 0, 1, 7
_MASK: Final = 1 << _SINK | 1 << _SOURCE | 1 << _SERVER
_FACILITY: Final = 0x0F
_TYPE: Final = 0x30
_CHANGE: Final = 0x10
_NO_AUTOSPAWN: Final = 0x01


class DeviceEvents(Closing):
    """Says whether a device has come or gone, or another is the default."""

    def __init__(self) -> None:
        self._lib: Any = None
        self._loop: int | None = None
        self._context: int | None = None
        self._again = 0.0
        self._asked = self._seen = self._missed = False
        self._kept: list[Any] = []
        try:
            self._lib = library_or_error()
        except NoServerError:
            self._again = float("inf")
        self._start()

    def seen(self) -> bool:
        """Return whether one has, since this was last asked; never waits.

        True as well once a server answers again, as what went meanwhile nobody told.
        """
        if self._loop is None:
            if time.monotonic() < self._again:
                return False
            self._start()
            return False
        while self._lib.pa_mainloop_iterate(self._loop, 0, None) > 0:
            pass
        state = self._lib.pa_context_get_state(self._context)
        if state in pa.FAILED_CONTEXT:  # the server has gone, or never was there
            self._end()
        elif state == pa.CONTEXT_READY and not self._asked:
            self._ask()
        seen, self._seen = self._seen, False
        return seen

    def _start(self) -> None:
        if self._lib is None:
            return
        self._loop, self._context = pa.new_context(self._lib, "streamdenoise")
        self._asked = self._seen = False
        if not self._context or (
            self._lib.pa_context_connect(self._context, None, _NO_AUTOSPAWN, None) < 0
        ):
            self._end()

    def _ask(self) -> None:
        event = pa.Event(self._take)
        self._kept = [event]
        self._lib.pa_context_set_subscribe_callback(self._context, event, None)
        operation = self._lib.pa_context_subscribe(self._context, _MASK, None, None)
        if operation:
            self._lib.pa_operation_unref(operation)
        self._asked = True
        self._seen, self._missed = self._missed, False

    def _take(self, _context: int, event: int, _number: int, _data: int | None) -> None:
        changed = event & _TYPE == _CHANGE
        # Of a device only that it comes or goes; of the server, its defaults.
        if changed == (event & _FACILITY == _SERVER):
            self._seen = True

    def close(self) -> None:
        """End the connection; may be called twice."""
        self._end()
        self._again = float("inf")

    def _end(self) -> None:
        pa.free_context(self._lib, self._loop, self._context)
        self._loop = self._context = None
        self._kept.clear()
        self._missed = True
        self._again = time.monotonic() + PAUSE_SECONDS
