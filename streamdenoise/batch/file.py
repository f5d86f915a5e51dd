"""Whole files: read, denoise, write, and say what changed.

The same `Denoiser` as live, fed with large blocks. Its lag is cut off at the start
and flushed at the end, so that a result lies sample for sample on its input.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..audio.file import (
    AudioInfo,
    AudioReader,
    AvTrack,
    check_target,
    open_reader,
    open_writer,
    output_format,
)
from ..audio.levels import SILENCE_DB, LevelMeter
from ..errors import AudioFormatError, ModelError, OutputError
from ..names import shown
from ..settings import Settings
from .cleaning import Cleaner
from .plan import PlanError, default_target, plan_targets
from .result import FileResult
from .urls import is_remote

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..model import StepModel
    from ..offline import WholeModel

__all__ = [
    "PlanError",
    "Tap",
    "default_target",
    "denoise_file",
    "load_any",
    "plan_targets",
]

Progress = Callable[[int, int], None]
"""Called with the samples per channel done so far, and all there are."""

Clean = Callable[
    [Iterable["NDArray[np.float32]"], AudioInfo], Iterator["NDArray[np.float32]"]
]
"""Makes clean blocks of noisy ones; see `cleaning.Cleaner`."""


class Tap(Protocol):
    """Hears what goes in and what comes out, such as to draw it."""

    def before(self, block: NDArray[np.float32], sample_rate: int) -> None:
        """Take in a block of the input, shape (n, channels)."""

    def after(self, block: NDArray[np.float32], sample_rate: int) -> None:
        """Take in a block of the result."""


def load_any(name_or_path: str | Path | None = None) -> StepModel | WholeModel:
    """Load a model for files: one for streams, or one that needs the whole file.

    Raises
    ------
    ModelError, RuntimeMissingError
        As for `model.load_model`.
    """
    from ..model import find_model, load_model
    from ..offline import load_whole

    _, card = find_model(name_or_path)
    if not card.causal:
        return load_whole(name_or_path)
    try:
        return load_model(name_or_path)
    except ModelError as error:
        # A file without a card does not say beforehand which kind it is.
        try:
            return load_whole(name_or_path)
        except ModelError:
            raise error from None


def denoise_file(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    model: StepModel | WholeModel | str | Path | None = None,
    settings: Settings | None = None,
    *,
    force: bool = False,
    explicit: bool = True,
    substitute: bool = True,
    link_channels: bool = False,
    loudness: float | str | None = None,
    two_pass: bool = False,
    progress: Progress | None = None,
    tap: Tap | None = None,
    clean: Clean | None = None,
    check: Callable[[Path], None] | None = None,
) -> FileResult:
    """Denoise one file into another.

    Memory does not grow with the length of the file. The result has its rate,
    channels and length, and lies on it without lag; container and sample format are
    kept where they can be written, unless the extension of `target` names others.

    Parameters
    ----------
    source, target
        Input file and result. `target` is written to a temporary file beside it and
        renamed at the end.
    model
        A loaded model, a name, or None for the default.
    settings
        Strength and the like; None for the defaults.
    force
        Replace an existing `target`.
    explicit
        A person chose the extension of `target`; see `audio.file.output_format`.
    substitute
        Another extension may be taken where the format of the input cannot be
        written and `explicit` is false.
    link_channels
        One gain for all channels, so that the stereo image does not move.
    loudness
        Bring the result to this loudness in LUFS, or ``"keep"`` that of the input.
    two_pass
        Hear it backwards too and take the mean: better, at a little more than twice
        the work.
    progress
        Called after each block.
    tap
        Is handed every block before and after.
    clean
        What makes clean blocks of noisy ones, in place of `model`, `settings`,
        `link_channels` and `two_pass`; as many samples as it is given.
    check
        Called with the place of the result before the work begins; what it raises
        ends it.

    Returns
    -------
    FileResult

    Raises
    ------
    AudioFormatError, OutputError, ModelError, RuntimeMissingError
        Each with a sentence for a person. No partial file is left.
    ValueError
        If `loudness` is none.
    """
    begin = time.perf_counter()
    _check_named(source, target, loudness)
    source, target = Path(source), Path(target)
    plan_targets([source], target, into_folder=False)
    with open_reader(source) as reader:
        info = reader.info
        output = output_format(info, target, explicit=explicit)
        if not substitute and output.path != target:
            raise OutputError(
                f"cannot write {shown(target)}: its format can only be read here, and "
                f"{shown(output.path)} is the result of another input; denoise it by "
                "itself with -o"
            )
        check_target(output.path, force=force)
        if check is not None:
            check(output.path)
        if clean is None:
            if model is None or isinstance(model, (str, Path)):
                model = load_any(model)
            clean = Cleaner(model, settings or Settings(), link_channels, two_pass)
        rate, channels = info.sample_rate, info.channels
        before, after = LevelMeter(rate, channels), LevelMeter(rate, channels)
        more: dict[str, Any] = {} if loudness is None else {"loudness": loudness}
        with open_writer(output, reader, force=force, **more) as writer:
            tracks: Sequence[AudioReader | AvTrack] = reader.tracks
            if output.backend != "PyAV":
                tracks = tracks[:1]
            for number, track in enumerate(tracks):
                # Figures and pictures are those of the first track.
                ears = _Ears(before, after, tap, rate) if number == 0 else None
                blocks = _heard(track, ears, progress)
                for block in clean(blocks, track.info):
                    if ears is not None:
                        ears.after(block)
                    writer.write(block, number)
    first = tracks[0]
    said = [note for track in tracks for note in track.notes]
    if len(tracks) < len(reader.tracks):
        said.append(
            f"it has {len(reader.tracks)} sound tracks, of which a sound file takes "
            "the first"
        )
    notes = [*reader.notes, *said, *([output.note] if output.note else [])]
    notes += writer.notes
    gain: float = getattr(writer, "gains", [0.0])[0]
    return FileResult(
        input=str(source),
        output=str(output.path),
        seconds=first.position / rate,
        sample_rate=rate,
        channels=channels,
        frames=first.position,
        format=output.format,
        subtype=output.subtype,
        level_before=before.level,
        level_after=_raised(after.level, gain),
        noise_floor_before=before.noise_floor,
        noise_floor_after=_raised(after.noise_floor, gain),
        elapsed=time.perf_counter() - begin,
        gain=gain,
        notes=tuple(dict.fromkeys(notes)),
    )


def _check_named(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    loudness: float | str | None,
) -> None:
    """Refuse what would be taken for something else further down."""
    for name in (source, target):
        if isinstance(name, str) and is_remote(name):
            raise AudioFormatError(
                f"{shown(name)} is an address, and only files can be named here; give "
                "it to the command: streamdenoise file"
            )
        if not os.fspath(name):
            raise AudioFormatError("a file has an empty name; give the names of both")
    if isinstance(loudness, str):
        fits = loudness == "keep"
    else:
        fits = loudness is None or -70.0 <= loudness <= 0.0
    if not fits:
        raise ValueError(
            f"loudness is {loudness}; give LUFS from -70 to 0, such as -16, or 'keep'"
        )


def _raised(level: float, gain: float) -> float:
    """Return a level in dBFS after a gain in dB; silence stays what it is."""
    return level if level <= SILENCE_DB else max(level + gain, SILENCE_DB)


@dataclass
class _Ears:
    """What listens to input and result."""

    meter_before: LevelMeter
    meter_after: LevelMeter
    tap: Tap | None
    rate: int

    def before(self, block: NDArray[np.float32]) -> None:
        self.meter_before.push(block)
        if self.tap is not None:
            self.tap.before(block, self.rate)

    def after(self, block: NDArray[np.float32]) -> None:
        self.meter_after.push(block)
        if self.tap is not None:
            self.tap.after(block, self.rate)


def _heard(
    track: AudioReader | AvTrack, ears: _Ears | None, progress: Progress | None
) -> Iterator[NDArray[np.float32]]:
    for block in track:
        if ears is not None:
            ears.before(block)
        yield block
        if progress is not None:
            progress(track.position, max(track.info.frames, track.position))
