"""A result that appears under its name complete, or not at all.

Whoever writes does so into a temporary file in the folder of the target, which gets
its name at the end: an error, a full disk or Ctrl-C leaves nothing half-done behind.
While it is written it is locked, so that what a killed program left can be told from
what another one is at work on.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from ..errors import OutputError
from ..locks import hold
from ..names import shown
from .parts import short_name

__all__ = [
    "PartFile",
    "SourceLost",
    "check_target",
    "failure",
    "reading_source",
    "write_whole",
]


class SourceLost(Exception):
    """What a result is made from cannot be read any more; the result is sound."""


@contextlib.contextmanager
def reading_source() -> Iterator[None]:
    """Tell errors of the input from those of the result, which are OSErrors too.

    Raises
    ------
    SourceLost
        In place of an OSError, or of an error that has one as its cause.
    """
    try:
        yield
    except Exception as error:
        for one in (error, error.__cause__, error.__context__):
            if isinstance(one, OSError):
                raise SourceLost(one.strerror or str(one)) from error
        raise


def check_target(path: Path, *, force: bool) -> None:
    """Refuse a target that must not be written.

    Parameters
    ----------
    path
        Where a file is to be put.
    force
        Whether an existing regular file may be replaced.

    Raises
    ------
    OutputError
        If it is a folder, a device or a pipe, or exists and `force` is false.
    """
    name = shown(path)
    try:
        if path.is_dir():
            raise OutputError(f"cannot write {name}: it is a folder; name a file in it")
        if path.exists() and not path.is_file():
            raise OutputError(
                f"cannot write {name}: it is no regular file; for a stream use: "
                "streamdenoise pipe"
            )
        if not force and os.path.lexists(path):
            raise OutputError(
                f"{name} exists already; add --force to replace it, or choose another "
                "name with -o"
            )
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise OutputError(f"cannot write {name}: {reason}") from error


class PartFile:
    """A temporary file beside a target, and its way to the target's name.

    Parameters
    ----------
    target
        Where the result is to be.
    force
        Replace what is there.
    spare
        Replace by `force` only what was there at the beginning, not what another
        program has put there, or changed, meanwhile.

    Attributes
    ----------
    path
        The temporary file, empty at first.
    more
        Further temporary files, to be removed with it whatever comes.

    Raises
    ------
    OutputError
        If the target exists and `force` is false, is no regular file, or nothing can
        be written beside it.
    """

    def __init__(
        self, target: Path, *, force: bool = False, spare: bool = False
    ) -> None:
        self.target, self._force = target, force
        self._spare, self._before = spare, _state(target)
        check_target(target, force=force)
        self.more: list[Path] = []
        self._held: list[int] = []
        self.path = self._create(".part")

    def another(self) -> Path:
        """Return a further temporary file, empty, that never gets a name."""
        path = self._create(".tmp")
        self.more.append(path)
        return path

    def _create(self, suffix: str) -> Path:
        name = f".{short_name(self.target.name)}.{secrets.token_hex(4)}{suffix}"
        path = self.target.parent / name
        try:
            # Created here and not by a library: never through somebody's link, and
            # a missing permission comes as an exact error.
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        except (OSError, ValueError) as error:
            raise self.failure(error) from error
        held = hold(path)
        self._held += [] if held is None else [held]
        return path

    def place(self) -> None:
        """Give the temporary file the target's name.

        Raises
        ------
        OutputError
            If the target has appeared meanwhile, or the file system refuses.
        """
        self._remove_more()
        try:
            self._place(self.target)
        except OSError as error:
            raise self.failure(error) from error
        self.release()

    def _place(self, target: Path) -> None:
        known = self._before is not None and self._before == _state(target)
        if self._force and (known or not self._spare):
            check_target(target, force=True)
            self.path.replace(target)
            return
        try:
            # A link fails where a file has appeared meanwhile; a rename would
            # replace it.
            os.link(self.path, target)
        except FileExistsError:
            check_target(target, force=False)
            raise
        except OSError:  # no hard links here, such as on FAT
            check_target(target, force=False)
            self.path.replace(target)
        else:
            self.path.unlink()

    def discard(self) -> None:
        """Remove the temporary file; the target is as it was."""
        self._remove_more()
        with contextlib.suppress(OSError):
            self.path.unlink()
        self.release()

    def release(self) -> None:
        """Give up the locks, and leave the temporary file where it is."""
        while self._held:
            with contextlib.suppress(OSError):
                os.close(self._held.pop())

    def _remove_more(self) -> None:
        while self.more:
            with contextlib.suppress(OSError):
                self.more.pop().unlink()

    def failure(self, error: BaseException | None) -> OutputError:
        """Say why writing failed: see `failure`."""
        return failure(self.target, error)


def _state(path: Path) -> tuple[int, ...] | None:
    """Return what tells a file from another, and from itself once it has changed."""
    try:
        known = path.lstat()
    except (OSError, ValueError):
        return None
    return known.st_dev, known.st_ino, known.st_size, known.st_mtime_ns


def write_whole(target: Path, content: bytes, *, force: bool = False) -> None:
    """Write a small file so that it appears complete or not at all.

    Parameters
    ----------
    target
        Where it is to be.
    content
        All of it.
    force
        Replace what is there.

    Raises
    ------
    OutputError
        As `PartFile`, and if it cannot be written.
    """
    part = PartFile(target, force=force)
    try:
        part.path.write_bytes(content)
        part.place()
    except OSError as error:
        raise part.failure(error) from error
    finally:
        part.discard()


def failure(target: Path, error: BaseException | None) -> OutputError:
    """Say why nothing could be written under a name.

    Parameters
    ----------
    target
        Where the result was to be.
    error
        What was raised; None where a library only said that it failed.
    """
    folder = target.parent
    if isinstance(error, FileNotFoundError) and not folder.is_dir():
        why = f"there is no folder {shown(folder)}; create it first"
    elif isinstance(error, FileNotFoundError) and error.filename is not None:
        why = f"{shown(os.fsdecode(error.filename))} is not there any more"
    elif isinstance(error, NotADirectoryError):
        why = f"{shown(folder)} is no folder"
    elif isinstance(error, PermissionError):
        why = f"no permission to write in {shown(folder)}; choose another with -o"
    elif isinstance(error, OSError) and error.errno not in _FULL:
        why = error.strerror or str(error)
    elif isinstance(error, ValueError):
        why = str(error)
    elif _free_bytes(folder) < 1 << 20:
        why = "the disk is full; free some space or choose another folder with -o"
    else:
        why = (
            "the file system refused more data (is the disk full, or is there a "
            "limit on file sizes?)"
        )
    name = shown(target)
    return OutputError(f"cannot write {name}: {why}; nothing was left behind")


# Windows knows no EDQUOT.
_FULL = (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC))


def _free_bytes(folder: Path) -> int:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return 1 << 62
