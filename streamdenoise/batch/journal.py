"""What a batch has done so far, in a file that survives a kill.

One JSON object a line, only ever appended, by one process that holds a lock. A line
``begin`` is written before a result appears and ``done`` after, or ``failed`` where
none came; what began and has neither was cut off, so that its result or its temporary
file may be replaced. A last line that is torn is passed over.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from ..closing import Closing
from ..errors import OutputError
from ..names import shown

__all__ = ["JOURNAL", "Journal", "JournalHeldError", "job_key"]

JOURNAL: Final = ".streamdenoise.jsonl"
"""Name of the journal in the folder of the results."""

_VERSION: Final = 1


def job_key(source: Mapping[str, Any], how: Mapping[str, Any]) -> str:
    """Return a text that changes when the input or what is done with it changes.

    Parameters
    ----------
    source
        Name, size and time (or tag) of the input.
    how
        Settings, model and whatever else shapes the result; plain values.
    """
    text = json.dumps([source, how], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()


class JournalHeldError(OutputError):
    """Another process holds the journal."""


class _Done(NamedTuple):
    key: str
    written: str
    stamp: list[Any]
    offset: int


class Journal(Closing):
    """The journal of one folder of results.

    Parameters
    ----------
    path
        Its file; the folder must exist.
    stamp
        Returns what tells whether a result is as it was left, from its name as in
        the journal; None if it is gone. Size and time of a file beside the journal if
        not given.

    Raises
    ------
    JournalHeldError
        If another process holds it.
    OutputError
        If it cannot be written.
    """

    def __init__(
        self, path: Path, stamp: Callable[[str], list[Any] | None] | None = None
    ) -> None:
        self.path = path
        self._stamp = stamp or self._file_stamp
        # What is under way, with what was done under that name before.
        self._begun: dict[str, _Done | None] = {}
        self._done: dict[str, _Done] = {}
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND
            # Not through a link: nothing may be written elsewhere.
            flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
            self._fd = os.open(path, flags, 0o666)
        except OSError as error:
            raise self._error(error) from error
        try:
            self._lock()
            self._read()
        except BaseException:
            os.close(self._fd)
            raise

    def _lock(self) -> None:
        try:
            if os.name == "nt":
                import msvcrt

                msvcrt.locking(self._fd, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
            else:
                import fcntl

                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES, errno.EWOULDBLOCK):
                return  # a file system without locks, such as some network ones
            raise JournalHeldError(
                f"another streamdenoise writes into {shown(self.path.parent)} right "
                "now; wait until it is done, or choose another folder with -o"
            ) from error

    def _read(self) -> None:
        """Take in all lines; a torn last one is ended, so that the next is whole."""
        os.lseek(self._fd, 0, os.SEEK_SET)
        last, self._end = b"\n", 0
        with os.fdopen(os.dup(self._fd), "rb") as file:
            for line in file:
                last = line
                self._take(line, self._end)
                self._end += len(line)
        if not last.endswith(b"\n"):
            self._append(b"\n")

    def _take(self, line: bytes, offset: int) -> None:
        entry = _parsed(line)
        try:
            what, target, key = entry["what"], str(entry["output"]), str(entry["key"])
            if entry["v"] != _VERSION:
                return
            if what == "begin":
                before = self._begun.get(target)
                self._begun[target] = self._done.pop(target, before)
            elif what == "failed":
                before = self._begun.pop(target, None)
                if before is not None:
                    self._done[target] = before
            elif what == "done":
                self._begun.pop(target, None)
                written, stamp = str(entry["written"]), list(entry["stamp"])
                self._done[target] = _Done(key, written, stamp, offset)
        except (TypeError, KeyError):
            return

    def begin(self, target: str, key: str) -> None:
        """Note that `target` is about to be written."""
        self._write({"what": "begin", "output": target, "key": key})

    def failed(self, target: str, key: str) -> None:
        """Note that nothing was written; what was there before is there still."""
        self._write({"what": "failed", "output": target, "key": key})

    def done(
        self, target: str, key: str, written: str, result: Mapping[str, Any]
    ) -> None:
        """Note that it is there.

        Parameters
        ----------
        target
            As planned.
        key
            See `job_key`.
        written
            Where it is; another extension may have been taken.
        result
            Figures, plain values.
        """
        entry = {"what": "done", "output": target, "key": key, "written": written}
        stamp = self._stamp(written)
        self._write({**entry, "stamp": stamp, "result": dict(result)})

    def is_done(self, target: str, key: str) -> bool:
        """Tell whether a result is there, as it was left, and still right."""
        done = self._done.get(target)
        return done is not None and done.key == key and self._untouched(done)

    def written(self, target: str) -> str:
        """Return the name under which a result that is done was written."""
        return self._done[target].written

    def result(self, target: str) -> dict[str, Any]:
        """Return the figures of a result that is done; empty if they are lost."""
        done = self._done[target]
        with self.path.open("rb") as file:
            file.seek(done.offset)
            result = _parsed(file.readline()).get("result")
        return result if isinstance(result, dict) else {}

    def owns(self, target: str) -> bool:
        """Tell whether what lies at `target` is ours to replace.

        That is so if it was cut off, or is as we left it and the input has changed.
        """
        if target in self._begun:
            return True
        done = self._done.get(target)
        return done is not None and self._untouched(done)

    def owns_plot(self, target: str) -> bool:
        """Tell the same of the picture beside it."""
        if target in self._begun:
            return True
        return self.owns(target) and "plot" in self.result(target)

    def cut_off(self) -> list[str]:
        """Return the targets that were begun, and neither done nor failed."""
        return list(self._begun)

    def _untouched(self, done: _Done) -> bool:
        return self._stamp(done.written) == done.stamp

    def _file_stamp(self, name: str) -> list[Any] | None:
        try:
            status = os.stat(self.path.parent / name)  # noqa: PTH116
        except (OSError, ValueError):
            return None
        return [status.st_size, status.st_mtime_ns]

    def _write(self, entry: dict[str, Any]) -> None:
        # ASCII: undecodable bytes of names stand as escapes and come back the same.
        line = json.dumps({"v": _VERSION, **entry}, separators=(",", ":"))
        offset = self._end
        self._append(line.encode("ascii") + b"\n")
        self._take(line.encode("ascii"), offset)

    def _append(self, line: bytes) -> None:
        try:
            while line:
                count = os.write(self._fd, line)
                self._end += count
                line = line[count:]
        except OSError as error:
            raise self._error(error) from error

    def _error(self, error: OSError) -> OutputError:
        why = error.strerror or str(error)
        if error.errno == errno.ENOSPC:
            why = "the disk is full; free some space, then go on with --resume"
        return OutputError(f"cannot write the journal {shown(self.path)}: {why}")

    def close(self) -> None:
        """Close the file and give up the lock."""
        with contextlib.suppress(OSError):
            os.close(self._fd)


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return entry if isinstance(entry, dict) else {}
