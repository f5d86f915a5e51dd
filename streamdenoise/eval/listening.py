"""A page for people who would rather hear and see than read figures."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile as sf

from streamdenoise.constants import GRID_RATE
from streamdenoise.eval.pairs import Pair, load_pairs
from streamdenoise.eval.reportcard import score
from streamdenoise.eval.systems import enhancer
from streamdenoise.show.picture import spectrogram, strip
from streamdenoise.show.png import png
from streamdenoise.show.report import Entry, Report, Track

Audio = npt.NDArray[np.float32]

_SHAPE = (64, 240)


def listening_page(
    data: Path,
    models: Sequence[str],
    page: Path,
    *,
    force: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Write one self-contained page with players and spectrograms for a set.

    Entries are sorted by what the first model gains in PESQ, so that both ends of the
    page are worth hearing: what it does best, and what it spoils.

    Parameters
    ----------
    data
        A folder with ``noisy`` and ``clean``, as for `load_pairs`.
    models
        Names or paths; each is a player between noisy and clean.
    page
        Where the HTML goes.
    force
        Replace a page that is there.
    progress
        Called with the number of recordings done, and of all.

    Raises
    ------
    AudioFormatError, ModelError, OutputError
        As their names say.
    """
    pairs = load_pairs(data)
    enhancers = [(Path(name).stem, enhancer(name)) for name in models]
    names = ", ".join(name for name, _ in enhancers)
    intro = (
        f"Noisy, {names}, clean: players and spectrograms (0 to 8 kHz, from top to "
        "bottom) in this order."
    )
    with (
        tempfile.TemporaryDirectory() as folder,
        Report(
            page,
            f"streamdenoise: {data.name}",
            intro,
            key_name="gain in PESQ",
            force=force,
        ) as report,
    ):
        for number, pair in enumerate(pairs):
            report.add(_entry(pair, enhancers, Path(folder)))
            progress(number + 1, len(pairs))


def _entry(
    pair: Pair, enhancers: list[tuple[str, Callable[[Audio], Audio]]], folder: Path
) -> Entry:
    noisy, clean = pair.load()
    versions = [("noisy", noisy), *((n, run(noisy)) for n, run in enhancers)]
    before = score(clean, noisy)
    scores = [before, *(score(clean, x) for _, x in versions[1:])]
    figures = [
        (
            f"{name}: PESQ, STOI, SI-SDR",
            f"{s['pesq_wb']:.2f}, {s['stoi']:.3f}, {s['si_sdr']:.1f} dB",
        )
        for (name, _), s in zip(versions, scores, strict=True)
    ]
    tracks, pictures = [], []
    for name, x in [*versions, ("clean", clean)]:
        path = folder / f"{name}.flac"
        sf.write(path, np.clip(x, -1.0, 1.0), GRID_RATE, subtype="PCM_16")
        tracks.append(Track(name, path))
        pictures.append(spectrogram(x, GRID_RATE, _SHAPE, GRID_RATE / 2))
    gain = scores[1]["pesq_wb"] - before["pesq_wb"] if enhancers else 0.0
    return Entry(
        pair.name, gain, tracks, figures, picture=png(*strip(pictures, _SHAPE))
    )
