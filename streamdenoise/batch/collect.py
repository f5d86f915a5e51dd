"""Finding inputs: files, folders, patterns and addresses."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from ..audio.sniff import is_container
from ..errors import AudioFormatError
from ..names import shown
from .folders import folder_id, folders_below
from .kinds import MAY_BE_TEXT, VIDEO, may_come_from, split_name, wanted_kinds
from .patterns import fixed_part, matching
from .plan import DENOISED, REMOVED, Found, PlanError
from .urls import is_remote, other_address, relative_place, scheme_of, url_name

if TYPE_CHECKING:
    from .remote import Remote

__all__ = ["Collected", "collect"]

_EARLIER: Final = "made by an earlier run"


@dataclass
class Collected:
    """What was found.

    Attributes
    ----------
    found
        Inputs in the order in which they were named, folders sorted by name.
    notes
        What was passed over, a sentence each.
    many
        An input stands for any number of files: a folder, a pattern or a list.
    """

    found: list[Found] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    many: bool = False


def collect(
    inputs: Iterable[str],
    *,
    recursive: bool = False,
    listed: Iterable[str] = (),
    output: str | None = None,
    remote: Callable[[], Remote] | None = None,
) -> Collected:
    """Find all inputs.

    A folder that is the only input puts its contents right below the output folder;
    beside others it keeps its own name there. Names of a list that are relative keep
    their folders, a pattern keeps those below its first wildcard.

    Parameters
    ----------
    inputs
        Names of files and folders, patterns (``*``, ``?``, ``[]``, ``**``) where no
        such file exists, and addresses.
    recursive
        Look into the folders in folders. Linked folders too, but each only once.
    listed
        Names of a list; files and addresses only.
    output
        An output folder that is not searched, should it lie among the inputs.
    remote
        Makes the client for addresses, when the first one comes up.

    Returns
    -------
    Collected

    Raises
    ------
    AudioFormatError
        If a folder or a pattern has no sound files.
    PlanError
        If the output folder is one of the inputs, a name is empty, or an address is
        of a kind that is not known.
    """
    names = list(inputs)
    search = _Search(recursive, output, own_results=output is None, remote=remote)
    for name in names:
        search.add(name, alone=len(names) == 1)
    for name in listed:
        search.add_listed(name)
    return search.result()


class _Search:
    def __init__(
        self,
        recursive: bool,
        output: str | None,
        *,
        own_results: bool,
        remote: Callable[[], Remote] | None,
    ) -> None:
        self._recursive = recursive
        self._output = output
        self._out_id = folder_id(output) if output else None
        self._own_results = own_results
        self._make_remote = remote
        self._remote: Remote | None = None
        self._found: list[Found] = []
        self._many = False
        self._passed: dict[str, int] = {}
        self._kinds = wanted_kinds()

    def result(self) -> Collected:
        notes = [
            f"{count} {'file was' if count == 1 else 'files were'} passed over: {why}"
            for why, count in self._passed.items()
        ]
        return Collected(self._found, notes, self._many)

    # One name each -----------------------------------------------------------------

    def add(self, name: str, *, alone: bool) -> None:
        if not name:
            raise PlanError(
                "one INPUT is an empty name: in a script its variable may not be set; "
                "name a file or a folder"
            )
        self._refuse_other(name)
        if is_remote(name):
            self._add_address(name, alone)
        elif os.path.isdir(name):  # noqa: PTH112
            self._add_folder(name, alone)
        elif not os.path.lexists(name) and glob.has_magic(name):
            self._add_pattern(name)
        else:
            place = os.path.basename(name) or "_"  # noqa: PTH119
            self._found.append(Found(name, PurePosixPath(place)))

    def add_listed(self, name: str) -> None:
        self._many = True
        self._refuse_other(name)
        if is_remote(name):
            self._found.append(Found(name, self._place(url_name(name), name)))
            return
        place = relative_place(os.path.splitdrive(name)[1])
        if place is None or os.path.isabs(name):  # noqa: PTH117
            place = PurePosixPath(os.path.basename(name) or "_")  # noqa: PTH119
        self._found.append(Found(name, place))

    def _refuse_other(self, name: str) -> None:
        why = other_address(name)
        if why:
            raise PlanError(why)

    # Folders -----------------------------------------------------------------------

    def _add_folder(self, name: str, alone: bool) -> None:
        self._many = True
        if self._out_id is not None and folder_id(name) == self._out_id:
            raise PlanError(
                f"the results of {shown(name)} would replace its files; name another "
                "folder with -o, such as one in it"
            )
        own = os.path.basename(os.path.abspath(name))  # noqa: PTH100, PTH119
        prefix = PurePosixPath() if alone or not own else PurePosixPath(own)
        before = len(self._found)
        self._walk(name, prefix)
        if len(self._found) > before:
            return
        hint = (
            "check the name"
            if self._recursive
            else "add --recursive to look into the folders in it, or name files"
        )
        raise AudioFormatError(
            f"{shown(name)} is a folder without sound files in it; {hint}"
        )

    def _walk(self, top: str, prefix: PurePosixPath) -> None:
        folders = folders_below(
            top, recursive=self._recursive, skipped=self._out_id, unread=self._unread
        )
        for _, place, entries in folders:
            for entry in entries:
                if self._wanted(entry):
                    self._found.append(Found(entry.path, prefix / place / entry.name))

    def _unread(self, folder: str, error: OSError) -> None:
        self._pass(f"{shown(folder)} cannot be read ({error.strerror})")

    def _wanted(self, entry: os.DirEntry[str]) -> bool:
        kind = split_name(entry.name)[1]
        if kind in MAY_BE_TEXT and not is_container(Path(entry.path)):
            return False
        if kind not in self._kinds:
            if kind in VIDEO:
                self._pass(f'.{kind} needs PyAV: pip install "streamdenoise[av]"')
            return False
        try:
            if not entry.is_file():  # a dangling link, a pipe
                return False
        except OSError:
            return False
        return not self._is_result(entry.path)

    def _is_result(self, name: str) -> bool:
        """Tell whether a file was made of another one here, and note it."""
        stem, kind = split_name(name)
        endings = [ending for ending in (DENOISED, REMOVED) if stem.endswith(ending)]
        if not self._own_results or not endings:
            return False
        original = stem[: -len(endings[0])]
        # The extension may have changed where the input's cannot be written.
        if any(os.path.exists(f"{original}.{k}") for k in may_come_from(kind)):  # noqa: PTH110
            self._pass(_EARLIER)
            return True
        return False

    def _pass(self, why: str) -> None:
        self._passed[why] = self._passed.get(why, 0) + 1

    # Patterns ----------------------------------------------------------------------

    def _add_pattern(self, pattern: str) -> None:
        self._many = True
        base = fixed_part(pattern)
        before = len(self._found)
        for name in matching(pattern):
            if os.path.isdir(name) or self._is_inside_output(name):  # noqa: PTH112
                continue
            if self._is_result(name):
                continue
            place = relative_place(os.path.relpath(name, base or os.curdir))
            self._found.append(Found(name, place or PurePosixPath("_")))
        if len(self._found) == before:
            if _EARLIER in self._passed:
                raise AudioFormatError(
                    f"what fits the pattern {shown(pattern)} are results of an earlier "
                    "run; to denoise them once more, name a folder with -o"
                )
            raise AudioFormatError(
                f"no file fits the pattern {shown(pattern)}; check it, and quote it so "
                "that the shell leaves it alone"
            )

    def _is_inside_output(self, name: str) -> bool:
        if self._output is None or is_remote(self._output):
            return False
        top = os.path.realpath(self._output)
        real = os.path.realpath(name)
        return real == top or real.startswith(top + os.sep)

    # Addresses ---------------------------------------------------------------------

    def _client(self) -> Remote:
        if self._remote is None:
            if self._make_remote is None:
                raise AudioFormatError("addresses cannot be opened here; name files")
            self._remote = self._make_remote()
        return self._remote

    def _add_address(self, url: str, alone: bool) -> None:
        many = scheme_of(url) not in ("http", "https") and (
            url.endswith("/") or glob.has_magic(url)
        )
        if not many:
            self._found.append(Found(url, self._place(url_name(url) or "_", url)))
            return
        self._many = True
        before = len(self._found)
        own = url_name(url.rstrip("/"))
        prefix = own + "/" if url.endswith("/") and own and not alone else ""
        for name, below in self._client().names(url, recursive=self._recursive):
            if split_name(name)[1] in self._kinds or glob.has_magic(url):
                self._found.append(Found(name, self._place(prefix + below, name)))
        if len(self._found) == before:
            raise AudioFormatError(
                f"there are no sound files at {shown(url)}; check the address, or add "
                "--recursive to look deeper"
            )

    def _place(self, text: str, url: str) -> PurePosixPath:
        place = relative_place(text)
        if place is None:
            raise AudioFormatError(
                f"{shown(url)} has a name that leads out of its folder; copy it under "
                "another name first"
            )
        return place
