"""Where each result goes, decided before anything is read or written."""

from __future__ import annotations

import os
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from ..errors import EXIT_USAGE, OutputError
from ..names import shown
from .urls import is_remote, url_join, url_name

__all__ = [
    "Found",
    "Job",
    "PlanError",
    "default_target",
    "make_jobs",
    "plan_targets",
]

DENOISED: Final = ".denoised"
"""What the name of a result beside its input ends with, before the extension."""

REMOVED: Final = ".removed"
"""The same, where the result is what was taken away."""


class PlanError(OutputError):
    """Inputs and outputs do not fit together; nothing was touched."""

    exit_code = EXIT_USAGE


@dataclass(frozen=True)
class Found:
    """An input, and its place below an output folder.

    Attributes
    ----------
    source
        Path or address.
    relative
        Where the result lies below ``-o``; never absolute, no ``..`` in it.
    """

    source: str
    relative: PurePosixPath


@dataclass(frozen=True)
class Job:
    """One input and its result.

    Attributes
    ----------
    source, target
        Paths or addresses.
    root
        Folder or address that the result must not leave; empty where a person named
        the file itself, or it lies beside its input.
    substitute
        Whether another extension may be taken where the input's format cannot be
        written; not where that name is another job's.
    explicit
        A person chose the extension of `target`.
    """

    source: str
    target: str
    root: str = ""
    substitute: bool = True
    explicit: bool = False


def default_target(source: Path, ending: str = DENOISED) -> Path:
    """Return ``NAME.denoised.EXT`` beside `source`, or with another ending."""
    return source.with_name(f"{source.stem}{ending}{source.suffix}")


def plan_targets(
    sources: Iterable[Path], output: Path | None, *, into_folder: bool | None = None
) -> list[tuple[Path, Path]]:
    """Decide where the results of some files go.

    Parameters
    ----------
    sources
        Input files.
    output
        None for a name beside each input; a file for one input; a folder for
        several, which keep their names in it.
    into_folder
        Take `output` as a folder (True) or a file (False). None: a folder if there
        are several inputs or it is one already.

    Returns
    -------
    list of (Path, Path)
        Input and output. Folders are not created here.

    Raises
    ------
    PlanError
        If an output is its own input or another's, or two inputs go to one output.
    """
    found = [Found(str(path), PurePosixPath(path.name)) for path in sources]
    out = None if output is None else str(output)
    jobs = make_jobs(found, out, into_folder=into_folder)
    return [(Path(job.source), Path(job.target)) for job in jobs]


def make_jobs(
    found: Sequence[Found],
    output: str | None,
    *,
    into_folder: bool | None = None,
    ending: str = DENOISED,
) -> list[Job]:
    """Decide where the results of all inputs go; see `plan_targets`.

    Parameters
    ----------
    found
        Inputs, as `collect.collect` finds them.
    output
        Path or address, or None.
    into_folder
        As for `plan_targets`.
    ending
        Of the names of results beside their inputs.

    Returns
    -------
    list of Job
        One for each input, however often it was named.

    Raises
    ------
    PlanError
        As `plan_targets`, and if the result of an address has no place.
    """
    if into_folder is None:
        into_folder = output is not None and (len(found) > 1 or _is_folder(output))
    if output is not None and into_folder and os.path.isfile(output):  # noqa: PTH113
        raise PlanError(
            f"-o {shown(output)} is a file, but {len(found)} inputs need a folder; "
            "name a folder"
        )
    pairs = [(one, _target(one, output, into_folder, ending)) for one in found]
    identities = _Identities()
    inputs = {identities.of(one.source): one.source for one in found}
    taken: dict[str, str] = {}
    kept: list[tuple[Found, str]] = []
    for one, target in pairs:
        key = identities.of(target)
        if key in inputs:
            raise PlanError(
                f"the result of {shown(one.source)} would replace the input "
                f"{shown(inputs[key])}; choose another name or folder with -o"
            )
        if key in taken:
            if identities.of(taken[key]) == identities.of(one.source):
                continue  # named twice, such as in a list
            raise PlanError(
                f"{shown(taken[key])} and {shown(one.source)} would both become "
                f"{shown(target)}; denoise them one by one with -o, or drop one"
            )
        taken[key] = one.source
        kept.append((one, target))
    spare = Counter(_as_wav(key) for key in taken)
    return [
        Job(
            one.source,
            target,
            root=output if into_folder and output is not None else "",
            substitute=_is_free(key, taken, inputs, spare),
            explicit=output is not None and not into_folder,
        )
        for (one, target), key in zip(kept, taken, strict=True)
    ]


def _target(one: Found, output: str | None, into_folder: bool, ending: str) -> str:
    if output is None:
        if is_remote(one.source):
            raise PlanError(
                f"the result of {shown(one.source)} needs a place: name a file or "
                "folder with -o"
            )
        return str(default_target(Path(one.source), ending))
    if not into_folder:
        return output
    if is_remote(output):
        return url_join(output, one.relative)
    return str(Path(output, *one.relative.parts))


def _is_free(
    key: str, taken: dict[str, str], inputs: dict[str, str], spare: Counter[str]
) -> bool:
    """Tell whether a result may become a WAV file without meeting another's."""
    wav = _as_wav(key)
    if wav == key:
        return True
    return wav not in taken and wav not in inputs and spare[wav] == 1


def _as_wav(key: str) -> str:
    return os.path.splitext(key)[0] + ".wav"  # noqa: PTH122


def _is_folder(path: str) -> bool:
    # Path.is_dir raises for a name that is too long; this one just says no.
    if is_remote(path):
        return path.endswith("/") or not url_name(path)
    return os.path.isdir(path)  # noqa: PTH112


class _Identities:
    """One text for all the names of a file, links included."""

    def __init__(self) -> None:
        self._folders: dict[str, str] = {}

    def of(self, path: str) -> str:
        """Return that text; folders are resolved once each."""
        if is_remote(path):
            return path
        folder, name = os.path.split(path)
        if folder not in self._folders:
            self._folders[folder] = _real(folder or os.curdir)
        real = os.path.join(self._folders[folder], name)  # noqa: PTH118
        if name in ("", ".", "..") or os.path.islink(real):  # noqa: PTH114
            real = _real(real)
        if sys.platform == "darwin":
            # Most disks there take names that differ in case, or in how an accent is
            # put together, for one; `normcase` does not know it.
            return unicodedata.normalize("NFC", real).casefold()
        return os.path.normcase(real)


def _real(path: str) -> str:
    try:
        return os.path.realpath(path)
    except (OSError, ValueError):
        return os.path.abspath(path)  # noqa: PTH100
