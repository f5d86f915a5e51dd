"""What a denoiser must do besides good averages, as numbers.

Clean speech passes, word onsets survive, noise alone goes away and stays away, level
does not matter, silence stays silence, a click does not blow up. Inputs come from a
set of pairs: its ``clean`` and ``noise`` entries where it has such, else the clean side
of its pairs, and the difference of their sides, which is the noise alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from streamdenoise.constants import GRID_HOP, GRID_RATE
from streamdenoise.errors import AudioFormatError
from streamdenoise.eval import metrics
from streamdenoise.eval.pairs import load_pairs

Audio = npt.NDArray[np.float32]
Enhance = Callable[[Audio], Audio]

ONSET_SECONDS = 0.06
"""Length of what counts as the onset of a word."""

WORD_PAUSE_DB = 25.0
"""A word begins where sound was so far under the loudest frame. In recordings of rooms
few pauses are lower: with 35 dB, 46 clips of `dev` had two words that begin high."""

PAUSE_DB = 30.0
"""Where sound is so far under the loudest frame, nobody speaks: softer consonants are
louder than that."""

PAUSE_MARGIN = 0.05
"""Seconds around a frame that must be quiet as well for it to lie in a pause."""

LEVELS_DBFS = (-50.0, -40.0, -26.0, -12.0, -3.0)
"""Peak levels at which the same noisy speech is enhanced."""

LEVEL_CLIPS = 8
"""About so many clips are enough for `level_spread`."""

WAITED_SECONDS = 60
"""Noise alone before the speech that `after_waiting` compares."""

_WAITED_RMS = 0.01
"""Of that noise: -40 dBFS."""

_SIBILANT_BAND = (4000.0, 8000.0)
_SETTLED = GRID_RATE
_POWER_FLOOR = 1e-10


def behaviour(
    enhance: Enhance, folder: Path, *, limit: int | None = None
) -> dict[str, float]:
    """Measure all figures of this module.

    Parameters
    ----------
    enhance
        Maps a 16 kHz float32 signal to one of the same length, without lag.
    folder
        A set of pairs.
    limit
        Most clips for each figure; None takes all.

    Returns
    -------
    dict
        Figures by name:

        - ``clean_pesq_wb``, ``clean_si_sdr``: clean speech in, means;
        - ``onset_clean_db``, ``onset_noisy_db``: energy above 4 kHz in the first 60 ms
          of words, enhanced over clean, of clean and of noisy input, medians;
        - ``onset_noisy_quarter_db``, ``onset_words``: what a quarter of the words in
          noise lose more than, and from how many words all that is;
        - ``noise_reduction_db``, ``noise_reduction_worst_db``: what noise alone drops
          by after its first second, mean and least;
        - ``pause_reduction_db``, ``pause_seconds``: what noise drops by between words,
          mean over clips, and how long all pauses are together;
        - ``level_pesq_spread``, ``level_pesq_worst``: largest difference of PESQ
          between input levels from -50 to -3 dBFS (peak), of the mean over eight
          clips from all over the set, and of the worst of them;
        - ``waited_si_sdr_db``, ``waited_level_worst_db``: after a minute of white noise
          alone, change of the mean SI-SDR against a fresh stream, and the lowest level
          against that of a fresh stream;
        - ``silence_peak``: largest output sample for digital silence;
        - ``click_peak_ratio``: peak of the output over that of a lone click.
    """
    clean = list(_clean_speech(folder, limit))
    pairs = [pair.load() for pair in load_pairs(folder)[:limit]]
    figures = passed_speech(enhance, clean)
    passed = onset_energy(enhance, [(c, c) for c in clean])
    heard = onset_energy(enhance, pairs)
    figures["onset_clean_db"] = float(np.median(passed))
    figures["onset_noisy_db"] = float(np.median(heard))
    figures["onset_noisy_quarter_db"] = float(np.percentile(heard, 25))
    figures["onset_words"] = float(len(heard))
    figures |= noise_reduction(enhance, list(_noises(folder, limit)))
    figures |= pause_reduction(enhance, pairs)
    figures |= level_spread(enhance, pairs[:: -(-len(pairs) // LEVEL_CLIPS)])
    figures |= after_waiting(enhance, pairs)
    silence = enhance(np.zeros(2 * GRID_RATE, np.float32))
    figures["silence_peak"] = float(np.max(np.abs(silence)))
    click = np.zeros(GRID_RATE, np.float32)
    click[GRID_RATE // 2 : GRID_RATE // 2 + 4] = 0.9
    figures["click_peak_ratio"] = float(np.max(np.abs(enhance(click)))) / 0.9
    return figures


def _clean_speech(folder: Path, limit: int | None) -> Iterator[Audio]:
    pairs = load_pairs(folder, "clean") or load_pairs(folder)
    for pair in pairs[:limit]:
        yield pair.load()[1]


def _noises(folder: Path, limit: int | None) -> Iterator[Audio]:
    for pair in (load_pairs(folder, "noise") or load_pairs(folder))[:limit]:
        noisy, clean = pair.load()
        yield noisy - clean


def passed_speech(enhance: Enhance, speech: list[Audio]) -> dict[str, float]:
    """Return PESQ and SI-SDR of enhanced clean speech, means."""
    outputs = [(clean, enhance(clean)) for clean in speech]
    return {
        "clean_pesq_wb": float(np.mean([metrics.pesq_wb(*pair) for pair in outputs])),
        "clean_si_sdr": float(np.mean([metrics.si_sdr(*pair) for pair in outputs])),
    }


def noise_reduction(enhance: Enhance, noises: list[Audio]) -> dict[str, float]:
    """Return by how much noise alone drops after its first second, mean and worst."""
    drops = []
    for noise in noises:
        if noise.size <= _SETTLED + GRID_HOP:
            continue
        before = float(np.mean(noise[_SETTLED:].astype(np.float64) ** 2))
        after = float(np.mean(enhance(noise)[_SETTLED:].astype(np.float64) ** 2))
        if before > _POWER_FLOOR:
            drops.append(10 * np.log10(before / max(after, _POWER_FLOOR * 1e-6)))
    if not drops:
        raise AudioFormatError(
            "this set has no noise longer than one second to measure"
        )
    return {
        "noise_reduction_db": float(np.mean(drops)),
        "noise_reduction_worst_db": float(np.min(drops)),
    }


def pause_reduction(
    enhance: Enhance, pairs: list[tuple[Audio, Audio]]
) -> dict[str, float]:
    """Return by how much noise drops where nobody speaks, and for how long that is.

    That is where 50 ms before and after are quiet as well.

    Parameters
    ----------
    enhance
        The denoiser.
    pairs
        Input and clean reference of each clip.
    """
    margin = round(PAUSE_MARGIN * GRID_RATE / GRID_HOP)
    drops, frames = [], 0
    for noisy, clean in pairs:
        total = metrics.power_frames(clean, GRID_RATE).sum(axis=1)
        voiced = ~_quiet(total, PAUSE_DB)
        loud = np.convolve(voiced, np.ones(2 * margin + 1), "same") > 0.5
        before, after = (
            metrics.power_frames(x, GRID_RATE).sum(axis=1)[~loud].sum()
            for x in (noisy, enhance(noisy))
        )
        if before > _POWER_FLOOR:
            drops.append(10 * np.log10(before / max(after, _POWER_FLOOR * 1e-6)))
            frames += int(np.sum(~loud))
    if not drops:
        raise AudioFormatError("this set has no noise between words to measure")
    return {
        "pause_reduction_db": float(np.mean(drops)),
        "pause_seconds": frames * GRID_HOP / GRID_RATE,
    }


def _quiet(total: npt.NDArray[np.float64], under: float) -> npt.NDArray[np.bool_]:
    """Return for each frame's power whether it is so many dB under the loudest."""
    quiet: npt.NDArray[np.bool_] = total < total.max(initial=0.0) * 10 ** (-under / 10)
    return quiet


def after_waiting(
    enhance: Enhance, pairs: list[tuple[Audio, Audio]]
) -> dict[str, float]:
    """Compare noisy speech after a minute of noise alone with that of a fresh stream.

    Live sound is mostly nobody speaking, and a recurrent net may lose its way then.

    Returns
    -------
    dict
        ``waited_si_sdr_db``: change of the mean, negative if worse;
        ``waited_level_worst_db``: least level of a clip over that of a fresh stream.
    """
    rng = np.random.default_rng(1)
    wait = rng.standard_normal(WAITED_SECONDS * GRID_RATE) * _WAITED_RMS
    changes, levels = [], []
    for noisy, clean in pairs:
        fresh = enhance(noisy)
        whole = np.concatenate([wait.astype(np.float32), noisy])
        waited = enhance(whole)[wait.size :]
        changes.append(metrics.si_sdr(clean, waited) - metrics.si_sdr(clean, fresh))
        powers = [np.mean(x.astype(np.float64) ** 2) for x in (waited, fresh)]
        ratio = (powers[0] + _POWER_FLOOR) / (powers[1] + _POWER_FLOOR)
        levels.append(10 * np.log10(ratio))
    return {
        "waited_si_sdr_db": float(np.mean(changes)),
        "waited_level_worst_db": float(np.min(levels)),
    }


def onsets(clean: Audio) -> list[int]:
    """Return the frames of the 8 ms grid at which words begin with a high sound.

    A word begins where at least 100 ms lie more than `WORD_PAUSE_DB` under the loudest
    frame, and the next frame does not; it counts if its first 60 ms hold energy above
    4 kHz within 40 dB of the loudest frame.
    """
    total = metrics.power_frames(clean, GRID_RATE).sum(axis=1)
    high = metrics.power_frames(clean, GRID_RATE, _SIBILANT_BAND).sum(axis=1)
    quiet = _quiet(total, WORD_PAUSE_DB)
    pause, length = 13, _onset_frames()
    found = []
    for at in range(pause, total.size - length):
        begins = not quiet[at] and quiet[at - pause : at].all()
        if begins and high[at : at + length].mean() > total.max() * 10**-4.0:
            found.append(at)
    return found


def _onset_frames() -> int:
    return round(ONSET_SECONDS * GRID_RATE / GRID_HOP)


def onset_energy(enhance: Enhance, pairs: list[tuple[Audio, Audio]]) -> list[float]:
    """Return the energy above 4 kHz in word onsets, enhanced over clean, in dB.

    Parameters
    ----------
    enhance
        The denoiser.
    pairs
        Input and clean reference of each clip.

    Returns
    -------
    list of float
        Of each onset; negative where consonants are eaten.
    """
    ratios = []
    length = _onset_frames()
    for given, clean in pairs:
        starts = onsets(clean)
        if not starts:
            continue
        wanted = metrics.power_frames(clean, GRID_RATE, _SIBILANT_BAND).sum(axis=1)
        got = metrics.power_frames(enhance(given), GRID_RATE, _SIBILANT_BAND).sum(
            axis=1
        )
        for at in starts:
            ratio = got[at : at + length].sum() / wanted[at : at + length].sum()
            ratios.append(10 * np.log10(max(float(ratio), 1e-6)))
    if not ratios:
        raise AudioFormatError("this set has no word that begins with a high sound")
    return ratios


def level_spread(
    enhance: Enhance, pairs: list[tuple[Audio, Audio]]
) -> dict[str, float]:
    """Return the largest difference of PESQ between `LEVELS_DBFS`, mean and worst."""
    scores = []
    for level in LEVELS_DBFS:
        row = []
        for noisy, clean in pairs:
            factor = np.float32(10 ** (level / 20) / np.max(np.abs(noisy)))
            row.append(metrics.pesq_wb(clean, enhance(noisy * factor) / factor))
        scores.append(row)
    return {
        "level_pesq_spread": float(np.ptp(np.mean(scores, axis=1))),
        "level_pesq_worst": float(np.max(np.ptp(scores, axis=0))),
    }
