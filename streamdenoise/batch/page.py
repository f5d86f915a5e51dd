"""The page of a batch: before and after of each file, what lost most first."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..audio.parts import leftovers
from ..errors import StreamDenoiseError
from ..show.report import Entry, Report, Track
from .urls import is_remote

if TYPE_CHECKING:
    from .work import Options, Outcome

__all__ = ["BatchReport", "is_batch_report"]

_TITLE: Final = "What was taken away"


class BatchReport:
    """A `Report` that takes the outcomes of a batch.

    Parameters
    ----------
    path
        The page.
    options
        Of the batch.
    root
        Folder of the results, which is made if the page is to lie in it; or empty.
    resume
        Remove what a killed run left of the page.

    Attributes
    ----------
    path
    """

    def __init__(
        self, path: Path, options: Options, *, root: str = "", resume: bool = False
    ) -> None:
        from ..model import find_model

        self.path = path
        if root and not is_remote(root):
            # What cannot be made is told when the page is opened.
            with contextlib.suppress(OSError, ValueError):
                folder = Path(os.path.abspath(path)).parent  # noqa: PTH100
                if folder.is_relative_to(os.path.abspath(root)):  # noqa: PTH100
                    folder.mkdir(parents=True, exist_ok=True)
        if resume:
            for part in leftovers(path):
                with contextlib.suppress(OSError):
                    part.unlink()
        name = find_model(options.model)[1].name
        strength = options.settings.strength_db
        limit = "no limit" if strength is None else f"at most {strength:g} dB"
        self._report = Report(
            path,
            _TITLE,
            f"Model {name}, strength: {limit}.",
            force=True,  # whether it may be replaced was found out before
        )

    def add(self, outcome: Outcome) -> None:
        """Add a file that is done, now or before."""
        result = outcome.result
        source, output = outcome.job.source, outcome.output
        self._report.add(
            Entry(
                source,
                float(result.get("removed") or 0.0),
                [Track("before", source), Track("after", output)],
                _figures(result),
                [str(note) for note in result.get("notes", ())],
                outcome.thumbnail or _drawn_again(source, output),
            )
        )

    def __enter__(self) -> BatchReport:
        return self

    def __exit__(self, *raised: Any) -> None:
        self._report.__exit__(*raised)


def is_batch_report(path: Path) -> bool:
    """Tell whether a file is a page of an earlier batch, by its title."""
    try:
        with path.open("rb") as page:
            return f"<title>{_TITLE}</title>".encode() in page.read(1024)
    except OSError:
        return False


def _figures(result: dict[str, Any]) -> list[tuple[str, str]]:
    def db(key: str) -> str:
        return f"{result.get(key) or 0.0:.1f}"

    if not result:
        return []
    return [
        ("removed", f"{db('removed')} dB"),
        ("level", f"{db('level_before')} → {db('level_after')} dBFS"),
        ("noise floor", f"{db('noise_floor_before')} → {db('noise_floor_after')} dBFS"),
        ("duration", f"{result.get('seconds') or 0.0:.1f} s"),
        ("rate", f"{result.get('sample_rate')} Hz"),
        ("channels", str(result.get("channels"))),
    ]


def _drawn_again(source: str, output: str) -> bytes:
    """Draw a file that was done in an earlier run, from before and after."""
    from ..audio.file import open_reader
    from ..show.sketch import Sketches

    if is_remote(source) or is_remote(output):
        return b""
    pair = Sketches()
    try:
        for path, push in ((source, pair.before), (output, pair.after)):
            with open_reader(path, "first") as reader:
                for block in reader.tracks[0]:
                    push(block, reader.info.sample_rate)
        return pair.thumbnail()
    except (StreamDenoiseError, OSError, ValueError):
        return b""
