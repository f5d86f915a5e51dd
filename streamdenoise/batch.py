"""Whole files: read, denoise, write, and say what changed.

The same `Denoiser` as live, fed with large blocks. Its lag is cut off at the start
and flushed at the end, so that a result lies sample for sample on its input.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .audiofile import (
    AudioInfo,
    AudioReader,
    AudioWriter,
    check_target,
    output_format,
)
from .errors import EXIT_USAGE, ModelError, OutputError
from .levels import LevelMeter
from .names import shown
from .settings import Settings

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .model import StepModel
    from .offline import WholeModel

__all__ = [
    "FileResult",
    "PlanError",
    "default_target",
    "denoise_file",
    "load_any",
    "plan_targets",
]

Progress = Callable[[int, int], None]
"""Called with the samples per channel done so far, and all there are."""


class PlanError(OutputError):
    """Inputs and outputs do not fit together; nothing was touched."""

    exit_code = EXIT_USAGE


@dataclass(frozen=True)
class FileResult:
    """What became of one file.

    Attributes
    ----------
    input, output
        Paths.
    seconds
        Duration of the audio.
    sample_rate, channels, frames
        The same in input and output; frames are samples per channel.
    format, subtype
        What was written, in libsndfile's words.
    level_before, level_after
        RMS level in dBFS.
    noise_floor_before, noise_floor_after
        Level of the quietest tenth in dBFS.
    elapsed
        Seconds it took, reading and writing included.
    notes
        What was odd, a sentence each.
    """

    input: str
    output: str
    seconds: float
    sample_rate: int
    channels: int
    frames: int
    format: str
    subtype: str
    level_before: float
    level_after: float
    noise_floor_before: float
    noise_floor_after: float
    elapsed: float
    notes: tuple[str, ...] = ()

    @property
    def noise_floor_drop(self) -> float:
        """How far the noise floor went down, in dB."""
        return self.noise_floor_before - self.noise_floor_after

    @property
    def times_real_time(self) -> float:
        """Seconds of audio per second of work."""
        return self.seconds / self.elapsed if self.elapsed > 0 else 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values for JSON, rounded to what is meant."""
        values = asdict(self)
        values["noise_floor_drop"] = self.noise_floor_drop
        values["times_real_time"] = self.times_real_time
        for key, value in values.items():
            if isinstance(value, float):
                values[key] = round(value, 6 if key in ("seconds", "elapsed") else 2)
        values["input"], values["output"] = shown(self.input), shown(self.output)
        values["notes"] = list(self.notes)
        return values


def load_any(name_or_path: str | Path | None = None) -> StepModel | WholeModel:
    """Load a model for files: one for streams, or one that needs the whole file.

    Raises
    ------
    ModelError, RuntimeMissingError
        As for `model.load_model`.
    """
    from .model import find_model, load_model
    from .offline import load_whole

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


def default_target(source: Path) -> Path:
    """Return ``NAME.denoised.EXT`` beside `source`."""
    return source.with_name(f"{source.stem}.denoised{source.suffix}")


def plan_targets(
    sources: Iterable[Path], output: Path | None, *, into_folder: bool | None = None
) -> list[tuple[Path, Path]]:
    """Decide where each result goes, before anything is read.

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
    names = list(sources)
    if into_folder is None:
        into_folder = output is not None and (len(names) > 1 or _is_folder(output))
    if output is not None and into_folder and os.path.isfile(output):  # noqa: PTH113
        raise PlanError(
            f"-o {shown(output)} is a file, but {len(names)} inputs need a folder; "
            "name a folder"
        )
    plan: list[tuple[Path, Path]] = []
    for source in names:
        if output is None:
            target = default_target(source)
        else:
            target = output / source.name if into_folder else output
        plan.append((source, target))
    inputs = {_identity(source): source for source in names}
    taken: dict[str, Path] = {}
    for source, target in plan:
        key = _identity(target)
        if key in inputs:
            raise PlanError(
                f"the result of {shown(source)} would replace the input "
                f"{shown(inputs[key])}; choose another name or folder with -o"
            )
        if key in taken:
            raise PlanError(
                f"{shown(taken[key])} and {shown(source)} would both become "
                f"{shown(target)}; denoise them one by one with -o, or drop one"
            )
        taken[key] = source
    return plan


def _is_folder(path: Path) -> bool:
    # Path.is_dir raises for a name that is too long; this one just says no.
    return os.path.isdir(path)  # noqa: PTH112


def _identity(path: Path) -> str:
    """Return one text for all the names of a file, links included."""
    try:
        return os.path.normcase(path.resolve())
    except (OSError, RuntimeError, ValueError):
        return os.path.normcase(path.absolute())


def denoise_file(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    model: StepModel | WholeModel | str | Path | None = None,
    settings: Settings | None = None,
    *,
    force: bool = False,
    explicit: bool = True,
    progress: Progress | None = None,
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
        A person chose the extension of `target`; see `audiowrite.output_format`.
    progress
        Called after each block.

    Returns
    -------
    FileResult

    Raises
    ------
    AudioFormatError, OutputError, ModelError, RuntimeMissingError
        Each with a sentence for a person. No partial file is left.
    """
    begin = time.perf_counter()
    source, target = Path(source), Path(target)
    plan_targets([source], target, into_folder=False)
    with AudioReader(source) as reader:
        info = reader.info
        output = output_format(info, target, explicit=explicit)
        check_target(output.path, force=force)
        if model is None or isinstance(model, (str, Path)):
            model = load_any(model)
        rate, channels = info.sample_rate, info.channels
        before, after = LevelMeter(rate, channels), LevelMeter(rate, channels)
        with AudioWriter(
            output, rate, channels, force=force, tags=reader.tags()
        ) as writer:
            blocks = _metered(reader, before, progress, info.frames)
            for clean in _denoised(blocks, model, settings or Settings(), info):
                after.push(clean)
                writer.write(clean)
    notes = [*reader.notes, *([output.note] if output.note else [])]
    return FileResult(
        input=str(source),
        output=str(output.path),
        seconds=reader.position / rate,
        sample_rate=rate,
        channels=channels,
        frames=reader.position,
        format=output.format,
        subtype=output.subtype,
        level_before=before.level,
        level_after=after.level,
        noise_floor_before=before.noise_floor,
        noise_floor_after=after.noise_floor,
        elapsed=time.perf_counter() - begin,
        notes=tuple(notes),
    )


def _metered(
    reader: AudioReader, meter: LevelMeter, progress: Progress | None, total: int
) -> Iterator[NDArray[np.float32]]:
    for block in reader:
        meter.push(block)
        yield block
        if progress is not None:
            progress(reader.position, max(total, reader.position))


def _denoised(
    blocks: Iterable[NDArray[np.float32]],
    model: StepModel | WholeModel,
    settings: Settings,
    info: AudioInfo,
) -> Iterator[NDArray[np.float32]]:
    """Yield the denoised signal in blocks of shape (n, channels), without lag."""
    from .engine import Denoiser
    from .offline import WholeModel, denoise_whole

    if isinstance(model, WholeModel):
        # It hears the end before it does the beginning, so here memory does grow.
        parts = [block.copy() for block in blocks]
        yield denoise_whole(np.concatenate(parts), info.sample_rate, model, settings)
        return
    engine = Denoiser(model, info.sample_rate, info.channels, settings, bulk=True)
    lag = engine.latency_samples
    for block in blocks:
        clean = engine.process(block)
        late = min(lag, len(clean))
        lag -= late
        yield clean[late:]
    # An input shorter than the lag has nothing out yet; the flush holds it all.
    yield engine.flush().reshape(-1, info.channels)[lag:]
