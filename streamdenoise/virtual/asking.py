"""A connection to the sound server on which questions are asked and orders given.

Through libpulse, the client library of PulseAudio, which PipeWire answers as well. Each
connection has a loop of its own, which only the thread that made it turns.
"""

from __future__ import annotations

import ctypes
import sys
import time
from collections.abc import Callable
from ctypes import POINTER, c_int, c_uint32, c_void_p
from typing import Any, Final, TypeVar

from ..closing import Closing
from ..errors import DeviceError
from ..hush import quiet_stderr
from ..live.pulse import libpulse as pa

__all__ = [
    "Asking",
    "NoLibraryError",
    "NoServerError",
    "RefusedError",
    "library_or_error",
]

ANSWER_SECONDS: Final = 10.0
"""How long a server has for each answer."""

_TURN_SECONDS: Final = 0.1
_RUNNING: Final = 0
_DONE: Final = 1

_SUCCESS: Final = ctypes.CFUNCTYPE(None, c_void_p, c_int, c_void_p)
_INDEX: Final = ctypes.CFUNCTYPE(None, c_void_p, c_uint32, c_void_p)

_T = TypeVar("_T")


class NoServerError(DeviceError):
    """No sound server answers, or there is no library to ask it with."""


class NoLibraryError(NoServerError):
    """There is nothing to ask a sound server with."""


class RefusedError(DeviceError):
    """The sound server does not do what it was told."""


def library_or_error() -> Any:
    """Return libpulse.

    Raises
    ------
    NoLibraryError
        If it is not there; says what to install.
    """
    try:
        return pa.load_libpulse()
    except (OSError, AttributeError):
        pass
    if sys.platform in ("darwin", "win32"):
        raise NoLibraryError(
            "PulseAudio and PipeWire are sound servers of Linux; for what to do here, "
            "type: streamdenoise virtual-mic recipe"
        )
    raise NoLibraryError(
        "a sound server is reached through its client library libpulse, which is not "
        "installed, or not for this Python; type: sudo apt install libpulse0 (Fedora: "
        "sudo dnf install pulseaudio-libs, Arch: sudo pacman -S libpulse)"
    )


class Asking(Closing):
    """A connection, made at once; a context manager.

    Raises
    ------
    NoServerError
        If no server answers.
    """

    def __init__(self) -> None:
        self._lib = library_or_error()
        self._loop: int | None = None
        self._context: int | None = None
        self._kept: list[Any] = []
        self._raised: BaseException | None = None
        try:
            with quiet_stderr():  # where the library says what we say below
                self._connect()
        except BaseException:
            self.close()
            raise

    def _connect(self) -> None:
        lib = self._lib
        self._loop, self._context = pa.new_context(lib, "streamdenoise")
        if not self._context:
            raise NoServerError("no more files can be opened; close other programs")
        if lib.pa_context_connect(self._context, None, 0, None) < 0:
            raise self._gone()
        ends = (pa.CONTEXT_READY, *pa.FAILED_CONTEXT)
        self._turn_until(lambda: lib.pa_context_get_state(self._context) in ends)
        if lib.pa_context_get_state(self._context) != pa.CONTEXT_READY:
            raise self._gone()

    # Questions and orders -----------------------------------------------------------

    def listed(
        self, name: str, layout: type[Any], read: Callable[[Any, Any], _T]
    ) -> list[_T]:
        """Call a function of the library that lists something.

        Parameters
        ----------
        name
            Of the function.
        layout
            Structure that it hands over for each.
        read
            Makes of library and structure what is returned.

        Raises
        ------
        NoServerError, RefusedError
            As their names say.
        """
        found: list[_T] = []
        failed: list[int] = []
        take = self._reader(read, found)

        def each(_context: int, info: Any, end: int, _data: int | None) -> None:
            if end < 0:
                failed.append(end)
            elif not end:
                take(info.contents)

        kind = ctypes.CFUNCTYPE(None, c_void_p, POINTER(layout), c_int, c_void_p)
        self._see_through(name, kind(each))
        if failed:
            raise self._refused("to tell what it has")
        return found

    def told(self, name: str, layout: type[Any], read: Callable[[Any, Any], _T]) -> _T:
        """Call a function of the library that tells one thing; see `listed`."""
        found: list[_T] = []
        take = self._reader(read, found)

        def one(_context: int, info: Any, _data: int | None) -> None:
            if info:
                take(info.contents)

        kind = ctypes.CFUNCTYPE(None, c_void_p, POINTER(layout), c_void_p)
        self._see_through(name, kind(one))
        if not found:
            raise self._refused("to tell what it is")
        return found[0]

    def _reader(
        self, read: Callable[[Any, Any], _T], found: list[_T]
    ) -> Callable[[Any], None]:
        """Return what reads a structure into a list, called by the library."""

        def take(info: Any) -> None:
            try:
                found.append(read(self._lib, info))
            except BaseException as error:  # Ctrl-C, say: C would pass over it
                self._raised = error

        return take

    def order(self, what: str, name: str, *words: Any) -> None:
        """Call a function of the library that does something, or fails.

        Parameters
        ----------
        what
            What is done, for the sentence, such as ``"to move a stream"``.
        name
            Of the function.
        words
            Its arguments.

        Raises
        ------
        NoServerError, RefusedError
            As their names say.
        """
        results: list[int] = []
        back = _SUCCESS(lambda _context, success, _data: results.append(success))
        self._see_through(name, *words, back)
        if not any(results):
            raise self._refused(what)

    def numbered(self, what: str, name: str, *words: Any) -> int:
        """Call a function that makes something, and return its number; see `order`."""
        results: list[int] = []
        back = _INDEX(lambda _context, index, _data: results.append(index))
        self._see_through(name, *words, back)
        if results[-1:] in ([], [pa.DEFAULT]):
            raise self._refused(what)
        return results[-1]

    def _see_through(self, name: str, *words: Any) -> None:
        lib = self._lib
        self._kept = [words]  # until the server has called back, or never will
        operation = getattr(lib, name)(self._context, *words, None)
        if not operation:
            raise self._refused(f"to answer to {name}")
        try:
            state = lib.pa_operation_get_state
            self._turn_until(lambda: state(operation) != _RUNNING)
            if self._raised is not None:
                raise self._raised
            if state(operation) != _DONE:
                raise self._gone()
        finally:
            lib.pa_operation_unref(operation)

    def _turn_until(self, done: Callable[[], bool]) -> None:
        until = time.monotonic() + ANSWER_SECONDS
        while not done():
            left = min(until - time.monotonic(), _TURN_SECONDS)
            if left <= 0.0:
                raise NoServerError(
                    "the sound server did not answer within "
                    f"{ANSWER_SECONDS:.0f} s; start it again with: systemctl --user "
                    "restart pipewire-pulse (or: pulseaudio -k)"
                )
            if not pa.turn(self._lib, self._loop, left):
                raise self._gone()

    # Errors and the end -------------------------------------------------------------

    @property
    def _reason(self) -> str:
        return pa.error_text(self._lib, self._lib.pa_context_errno(self._context))

    def _gone(self) -> NoServerError:
        return NoServerError(
            f"no sound server (PulseAudio or PipeWire) answers here ({self._reason}); "
            "start one with: systemctl --user start pipewire-pulse, or: pulseaudio "
            "--start"
        )

    def _refused(self, what: str) -> DeviceError:
        if self._lib.pa_context_get_state(self._context) != pa.CONTEXT_READY:
            return self._gone()
        return RefusedError(f"the sound server refuses {what}: {self._reason}")

    def close(self) -> None:
        """End it; may be called twice."""
        pa.free_context(self._lib, self._loop, self._context)
        self._loop = self._context = self._raised = None
        self._kept.clear()
