"""The ends of a pipe: bytes as they come, and as they can be got rid of."""

from __future__ import annotations

import io
import os
import select
import time
from collections.abc import Callable
from typing import Any, BinaryIO, Final

from .errors import OutputError

__all__ = ["ByteReader", "position", "write"]

_WAIT_SECONDS: Final = 0.1
_NAP_SECONDS: Final = 0.001


class ByteReader:
    """Bytes of a stream as they come, with the first ones looked at beforehand.

    Parameters
    ----------
    source
        Buffered or not, waiting or not.
    stopped
        Asked now and then; the stream is over once it says so.
    """

    def __init__(self, source: BinaryIO, stopped: Callable[[], bool] | None) -> None:
        self._source = source
        self._stopped = stopped or (lambda: False)
        # A read that waits cannot be stopped, and `read1` of a source that does not
        # wait takes "nothing yet" for the end: both are asked before.
        self._asks = stopped is not None or not _waits(source)
        self._ahead = b""
        # `read` of a buffered stream waits until it has all; `read1` takes what is
        # there, which is what keeps a live pipe live.
        self._some: Callable[[int], bytes | None] = getattr(
            source, "read1", source.read
        )

    def peek(self, size: int) -> bytes:
        """Return the first `size` bytes, fewer at the end, and keep them."""
        while len(self._ahead) < size:
            part = self._next(size - len(self._ahead))
            if not part:
                break
            self._ahead += part
        return self._ahead[:size]

    def read(self, size: int, /) -> bytes:
        """Return at least one byte and at most `size`, nothing at the end."""
        if self._ahead:
            part, self._ahead = self._ahead[:size], self._ahead[size:]
            return part
        return self._next(size)

    def _next(self, size: int) -> bytes:
        while not self._stopped():
            if self._asks and not _is_ready(self._source, to_write=False):
                continue
            part = self._some(size)
            if part is not None:
                return part
            # Nothing yet, and no end either: it is asked from now on. The nap is for
            # those that cannot be asked.
            self._asks = True
            time.sleep(_NAP_SECONDS)
        return b""


def _waits(source: BinaryIO) -> bool:
    """Tell whether a read waits until something is there."""
    try:
        return os.get_blocking(source.fileno())
    except (OSError, ValueError, AttributeError):
        return True


def _is_ready(stream: Any, *, to_write: bool) -> bool:
    """Wait a moment for a stream; true at once where nobody can tell."""
    ours = [stream]
    try:
        if to_write:
            found = select.select([], ours, [], _WAIT_SECONDS)
        else:
            found = select.select(ours, [], [], _WAIT_SECONDS)
    except (OSError, ValueError, TypeError):
        return True  # no file, or a pipe of Windows
    return any(found)


def write(sink: BinaryIO, data: bytes) -> None:
    """Write all of `data`, and see to it that nothing of it waits in a buffer.

    Raises
    ------
    BrokenPipeError
        If nobody reads any more.
    OutputError
        If the system refuses for another reason.
    """
    try:
        _write_all(sink, data)
        sink.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(
            f"cannot write to standard output: {error.strerror}"
        ) from error


def _write_all(sink: BinaryIO, data: bytes) -> None:
    """Write all of `data`, also where a write may take a part of it, or nothing."""
    raw: Any = sink
    if isinstance(sink, io.BufferedWriter):
        # Past its buffer: what waits in it would hold up the end of the program.
        sink.flush()
        raw = sink.raw
    if not isinstance(raw, io.RawIOBase):
        raw.write(data)
        return
    rest = memoryview(data)
    while rest:
        count = raw.write(rest)
        if count is None:  # a non-blocking one that is full
            time.sleep(_NAP_SECONDS)
            _is_ready(raw, to_write=True)
        else:
            rest = rest[count:]


def position(sink: BinaryIO) -> int | None:
    """Return where `sink` is, if what is written now can be written again later."""
    try:
        if not sink.seekable():
            return None
        return None if _appends(sink) else sink.tell()
    except (OSError, AttributeError):
        return None


def _appends(sink: BinaryIO) -> bool:
    # With `>>` every write goes to the end, wherever one seeks.
    try:
        import fcntl

        return bool(fcntl.fcntl(sink.fileno(), fcntl.F_GETFL) & os.O_APPEND)
    except (ImportError, OSError):
        return False
