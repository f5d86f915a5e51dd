"""The demonstration: a noisy recording, cleaned, measured and drawn.

Without a recording of the person's own it takes the clip in ``assets``, which is
made by ``scripts/make-demo-clip``: a synthetic voice with modelled noise. There the
clean voice is known too, so the gain can be told in SI-SDR.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from .audio.file import AudioReader, AudioWriter, OutputFormat
from .audio.levels import si_sdr
from .audio.target import check_target, write_whole
from .batch.file import denoise_file, plan_targets
from .batch.result import FileResult
from .errors import OutputError
from .names import shown
from .show.picture import before_after
from .show.png import png

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .batch.file import Progress
    from .model import StepModel
    from .offline import WholeModel
    from .settings import Settings

__all__ = ["DemoResult", "run_demo"]

ASSETS: Final = Path(__file__).resolve().parent / "assets"
NOISY, CLEAN = "demo-noisy.flac", "demo-clean.flac"
_PICTURE_SECONDS: Final = 20.0


@dataclass(frozen=True)
class DemoResult:
    """Files that a demonstration made, and its figures.

    Attributes
    ----------
    before, after, picture
        Paths.
    result
        Levels, noise floors, duration and speed.
    si_sdr_before, si_sdr_after
        Against the clean voice in dB; None for a person's own recording.
    """

    before: Path
    after: Path
    picture: Path
    result: FileResult
    si_sdr_before: float | None
    si_sdr_after: float | None


def run_demo(
    source: Path | None = None,
    folder: Path = Path("demo-output"),
    model: StepModel | WholeModel | str | Path | None = None,
    settings: Settings | None = None,
    progress: Progress | None = None,
    *,
    force: bool = False,
) -> DemoResult:
    """Clean the clip or a recording, and save sound and picture.

    Parameters
    ----------
    source
        A recording; None takes the clip.
    folder
        Where ``NAME.before.wav``, ``NAME.after.wav`` and ``NAME.png`` go.
    model, settings, progress
        As for `batch.denoise_file`.
    force
        Replace those three if they are there; nothing else is ever touched.

    Returns
    -------
    DemoResult

    Raises
    ------
    StreamDenoiseError
        As for `batch.denoise_file`.
    """
    recording = ASSETS / NOISY if source is None else source
    name = "demo" if source is None else recording.stem
    before, after, picture = (
        folder / f"{name}{end}" for end in (".before.wav", ".after.wav", ".png")
    )
    for target in (before, after, picture):
        plan_targets([recording], target, into_folder=False)
        check_target(target, force=force)
    notes = _copy_as_wav(recording, before, folder, force)
    result = denoise_file(
        before, after, model, settings, force=force, progress=progress
    )
    rate = result.sample_rate
    noisy, clean = (_start(path, rate) for path in (before, after))
    drawn = png(*before_after(noisy, clean, rate))
    write_whole(picture, drawn, force=force)
    scores: list[float | None] = [None, None]
    if source is None:
        with AudioReader(ASSETS / CLEAN) as reader:
            truth = np.concatenate([block[:, 0].copy() for block in reader])
        scores = [si_sdr(x[: len(truth)], truth) for x in (noisy, clean)]
    merged = tuple(dict.fromkeys([*notes, *result.notes]))
    result = FileResult(**{**vars(result), "notes": merged})
    return DemoResult(before, after, picture, result, *scores)


def _copy_as_wav(source: Path, target: Path, folder: Path, force: bool) -> list[str]:
    """Save the recording as WAV, which everything plays; return what was odd."""
    with AudioReader(source) as reader:
        info = reader.info
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"cannot make the folder {shown(folder)}: {error.strerror}; choose "
                "another with -o"
            ) from error
        keep = info.subtype in ("PCM_24", "PCM_32", "FLOAT", "DOUBLE")
        output = OutputFormat("WAV", info.subtype if keep else "PCM_16", "FILE", target)
        form = info.sample_rate, info.channels
        with AudioWriter(output, *form, force=force) as writer:
            for block in reader:
                writer.write(block)
    return reader.notes


def _start(path: Path, sample_rate: int) -> NDArray[np.float32]:
    """Return the first seconds of a file as mono."""
    wanted = round(_PICTURE_SECONDS * sample_rate)
    parts, have = [], 0
    with AudioReader(path) as reader:
        for block in reader:
            parts.append(block.mean(axis=1))
            have += len(block)
            if have >= wanted:
                break
    return np.concatenate(parts)[:wanted]
