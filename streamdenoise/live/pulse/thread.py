"""A connection to the sound server with one stream on it, and the thread serving it.

Everything of libpulse is called in that thread, but for what wakes it, so that nothing
is locked while sound runs. It is a thread of Python's, which stays known to the
interpreter: one of the library's own would be introduced to it anew for each block.
"""

from __future__ import annotations

import threading
import time
from typing import Any, Final

from ..portaudio import INVALID_DEVICE
from . import libpulse as pa

__all__ = ["Served"]

OPENS_SECONDS: Final = 5.0
"""How long a server has to open a stream."""

_ENDS_SECONDS: Final = 2.0
_ERROR: Final = -9999
_LOOK_SECONDS: Final = 0.002
_IDLE_SECONDS: Final = 0.02


class Served:
    """A stream of the server in a thread of its own; subclasses say of which kind.

    Parameters
    ----------
    library
        From `libpulse.load_libpulse`.
    error
        Class of the exceptions: ``sounddevice.PortAudioError``, or what has its
        arguments, a text and a number.
    name
        What the server calls this program, in lists of who plays and records.

    Attributes
    ----------
    active
        Whether blocks come and go.
    """

    def __init__(self, library: Any, error: type[Exception], name: str) -> None:
        self.active = False
        self._lib, self._error, self._name = library, error, name
        self._loop: int | None = None
        self._loop_lock = threading.Lock()
        self._context: int | None = None
        self._stream: int | None = None
        self._callbacks: list[Any] = []
        self._trouble: Exception | None = None
        self._opened = threading.Event()
        self._go = self._over = self._end = False
        self._thread = threading.Thread(target=self._run, name="sound", daemon=True)

    # Of the caller's thread ---------------------------------------------------------

    def open(self) -> None:
        """Open it, corked.

        Raises
        ------
        Exception
            Of the class that was given, if the server refuses or does not answer.
        """
        self._thread.start()
        try:
            in_time = self._opened.wait(OPENS_SECONDS + _ENDS_SECONDS)
        except BaseException:  # Ctrl-C: nobody gets what could be closed
            self.close()
            raise
        trouble, self._trouble = self._trouble, None
        if trouble is None and not in_time:
            trouble = self._error("the sound server does not answer", _ERROR)
        if trouble is not None:
            self.close()
            raise trouble

    def start(self) -> None:
        """Let blocks come and go.

        Raises
        ------
        Exception
            Of the class that was given, if the server has ended the stream.
        """
        self.active = self._go = True
        # Looked at afterwards: it may have ended in between.
        if self._over or self._end:
            self.active = False
            raise self._error("the sound server has ended the stream", _ERROR)
        self._wake()

    def abort(self) -> None:
        """Stop; what is queued is not played out."""
        self.active = False

    def close(self) -> None:
        """End the stream and its connection; may be called twice."""
        self.active = False
        self._end = True
        if self._thread.is_alive():
            self._wake()
            self._thread.join(_ENDS_SECONDS)

    def _wake(self) -> None:
        # Its thread may be about to free the loop, and the pipe in it.
        with self._loop_lock:
            if self._loop:
                self._lib.pa_mainloop_wakeup(self._loop)

    # Of the stream's own thread -----------------------------------------------------

    def _run(self) -> None:
        try:
            try:
                self._connect()
            except Exception as error:  # it is raised in the caller's thread
                self._trouble = error
            finally:
                self._opened.set()
            while self._loop and not self._end:
                self._serve()
        finally:
            self.active = False
            self._free()

    def _serve(self) -> None:
        lib, loop = self._lib, self._loop
        # Not without end: what wakes the loop is lost if it comes a moment too early.
        if not pa.turn(lib, loop, _IDLE_SECONDS):
            self._over, self.active = True, False
            time.sleep(_LOOK_SECONDS)
        if self._go and not (self._over or self._end):
            self._go = False
            self._prepare()
            operation = lib.pa_stream_cork(self._stream, 0, None, None)
            if operation:
                lib.pa_operation_unref(operation)

    def _connect(self) -> None:
        lib, until = self._lib, time.monotonic() + OPENS_SECONDS
        self._loop, self._context = pa.new_context(lib, self._name)
        if not self._loop:
            raise self._error("no more files can be opened", _ERROR)
        if not self._context:
            raise self._error("no connection to the sound server", _ERROR)
        if lib.pa_context_connect(self._context, None, 0, None) < 0:
            raise self._failed()
        self._wait(lib.pa_context_get_state, self._context, _CONTEXT, until)
        self._stream = self._make(self._context)
        if not self._stream:
            raise self._failed()
        ended = pa.Notice(self._look)
        self._callbacks += [ended, *self._hang(self._stream)]
        lib.pa_stream_set_state_callback(self._stream, ended, None)
        if self._join(self._stream) < 0:
            raise self._failed()
        self._wait(lib.pa_stream_get_state, self._stream, _STREAM, until)
        self._got(lib.pa_stream_get_buffer_attr(self._stream).contents)

    def _wait(
        self, state_of: Any, what: int, goals: tuple[int, tuple[int, ...]], until: float
    ) -> None:
        """Serve until the server has opened it, but not for ever."""
        ready, failed = goals
        while not self._end:
            while self._lib.pa_mainloop_iterate(self._loop, 0, None) > 0:
                pass
            state = state_of(what)
            if state == ready:
                return
            if state in failed:
                raise self._failed()
            if time.monotonic() > until:
                raise self._error(
                    f"the sound server has not answered for {OPENS_SECONDS:.0f} s",
                    _ERROR,
                )
            time.sleep(_LOOK_SECONDS)

    def _failed(self) -> Exception:
        number = self._lib.pa_context_errno(self._context)
        code = INVALID_DEVICE if number == pa.NO_ENTITY else _ERROR
        return self._error(pa.error_text(self._lib, number), code)

    def _look(self, stream: int, _data: int | None) -> None:
        """Notice that the server has ended the stream, or its device has gone."""
        if self._lib.pa_stream_get_state(stream) in pa.FAILED_STREAM:
            self._over, self.active = True, False

    def _free(self) -> None:
        """Give all back to the library, in order."""
        lib = self._lib
        if self._stream:
            lib.pa_stream_disconnect(self._stream)
            lib.pa_stream_unref(self._stream)
        if self._context:
            lib.pa_context_disconnect(self._context)
            lib.pa_context_unref(self._context)
        with self._loop_lock:
            loop, self._loop = self._loop, None
        if loop:
            lib.pa_mainloop_free(loop)
        self._stream = self._context = None
        self._callbacks.clear()  # which lead back here

    # Of a kind of stream ------------------------------------------------------------

    def _make(self, context: int) -> int | None:
        """Make the stream."""
        raise NotImplementedError

    def _hang(self, stream: int) -> list[Any]:
        """Set its callbacks, and return them to be kept."""
        raise NotImplementedError

    def _join(self, stream: int) -> int:
        """Connect it with its device; negative if the server refuses at once."""
        raise NotImplementedError

    def _got(self, sizes: pa.BufferAttr) -> None:
        """Take note of the buffers that the server has given it."""
        raise NotImplementedError

    def _prepare(self) -> None:
        """Do what has to be done before the first block."""


_CONTEXT: Final = (pa.CONTEXT_READY, pa.FAILED_CONTEXT)
_STREAM: Final = (pa.STREAM_READY, pa.FAILED_STREAM)
