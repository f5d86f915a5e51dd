"""Everything that a person touches while a session runs: keys, socket, view.

`Desk` is called between two looks at the counters, in the thread that runs the session.
No sound goes through that. Keys, socket and view never wait; what is done when sound
begins, or while devices are waited for, may ask a sound server, and then they all wait
for its answer: a moment, or as long as `virtual.asking` gives a server that hangs.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

from ..closing import Closing
from ..errors import StreamDenoiseError
from ..names import shown
from .client import supported
from .commands import Controls
from .keys import KEYS, Keyboard
from .server import ControlServer
from .words import ControlError, parse

if TYPE_CHECKING:
    from ..live.session import LiveSession, Status
    from .view import View

__all__ = ["Desk"]

AGAIN_SECONDS: Final = 1.0
"""Time after which what was done when sound began is done again."""


class Desk(Closing):
    """Joins keys, control socket and view to a session; a context manager.

    Parameters
    ----------
    session
        Open, running or not.
    view
        What shows it.
    name
        By which the socket can be chosen.
    resumed
        Called when sound runs for the first time, and when devices have been opened
        again; and a second later once more, for what comes late.
    always
        Called each time.
    waiting
        Called once a second while devices are waited for.
    """

    def __init__(
        self,
        session: LiveSession,
        view: View,
        name: str = "live",
        resumed: Callable[[], None] = lambda: None,
        always: Callable[[], None] = lambda: None,
        waiting: Callable[[], None] = lambda: None,
    ) -> None:
        self.controls = Controls(session)
        self._view = view
        self._resumed, self._always, self._waiting = resumed, always, waiting
        self._openings = 0
        self._again_at: float | None = None
        self._wait_at, self._complaint = 0.0, ""
        self._keyboard = Keyboard(view.clear)
        self._server: ControlServer | None = None
        self._stack = contextlib.ExitStack()
        if supported():
            try:
                self._server = self._stack.enter_context(
                    ControlServer(self._answer, name)
                )
            except StreamDenoiseError as error:
                view.sentence(str(error))
        session.bands = False  # the view that shows them sees to them itself
        view.attach(session, self._keyboard.works)

    def __enter__(self) -> Desk:
        """Take the terminal."""
        self._stack.callback(self._view.clear)
        self._stack.enter_context(self._keyboard)
        return self

    def close(self) -> None:
        """Put the terminal back, clear the view, close the socket; maybe twice."""
        self._stack.close()

    def __call__(self, status: Status) -> None:
        """Do what was asked for, and show `status`."""
        self._follow(status)
        for key in self._keyboard.read():
            self._press(key)
        if self._server is not None:
            self._server.poll()
        self._view(status)

    def _follow(self, status: Status) -> None:
        now, running = time.monotonic(), status.state == "running"
        began = running and status.openings != self._openings
        late = running and self._again_at is not None and now >= self._again_at
        if began or late:
            self._openings = status.openings
            self._again_at = now + AGAIN_SECONDS if began else None
            with self._told():
                self._resumed()
        if not running and now >= self._wait_at:
            self._wait()
        with self._told():
            self._always()

    def _wait(self) -> None:
        """Do what may bring the devices back; what hinders it is said once."""
        try:
            self._waiting()
            self._complaint = ""
        except (StreamDenoiseError, OSError) as error:
            if str(error) != self._complaint:
                self._complaint = str(error)
                self._view.sentence(self._complaint)
        # Counted from its end: it may have waited for an answer.
        self._wait_at = time.monotonic() + AGAIN_SECONDS

    def _press(self, key: str) -> None:
        if key in ("?", "h"):
            self._view.help()
        elif key in KEYS:
            with self._told():
                self._view.note(self.controls.do(KEYS[key]))

    def _answer(self, words: list[str]) -> dict[str, Any]:
        """Answer a request that came through the socket."""
        command = parse(words)
        text = self.controls.apply(command)
        if command.verb == "status":
            return {"text": text, "status": self.controls.status()}
        self._view.note(text)
        return {"text": text}

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Say what went wrong; the sound goes on."""
        try:
            yield
        except ControlError as error:
            self._view.note(str(error))
        except StreamDenoiseError as error:
            self._view.sentence(str(error))
        except OSError as error:  # the working folder is gone, say
            self._view.sentence(f"that failed ({shown(str(error))}); sound goes on")
