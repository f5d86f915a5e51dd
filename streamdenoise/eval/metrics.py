"""Measures of speech quality; every one returns a finite number or raises.

All of them take a clean reference and an estimate: two mono float arrays of equal
length at one sample rate, aligned to the sample (`align` does that). What cannot be
measured (silence as a reference, too little speech) raises `AudioFormatError`: a
score that quietly becomes NaN would spoil every mean it enters.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt

from streamdenoise.audio import levels
from streamdenoise.constants import GRID_RATE
from streamdenoise.errors import AudioFormatError, RuntimeMissingError
from streamdenoise.stft import StftParams
from streamdenoise.windows import windows

Audio = npt.NDArray[np.floating[Any]]
Wave = npt.NDArray[np.float64]

SI_SDR_LIMIT = 100.0
"""SI-SDR is held within plus and minus this many dB."""

_SILENCE = 1e-12


def checked_pair(reference: Audio, estimate: Audio) -> tuple[Wave, Wave]:
    """Return both signals as float64, or say what is wrong with them.

    Raises
    ------
    AudioFormatError
        If they are not mono, empty, of unequal length, or not finite, or if the
        reference is silent.
    """
    clean = np.asarray(reference, np.float64)
    other = np.asarray(estimate, np.float64)
    if clean.ndim != 1 or other.ndim != 1:
        raise AudioFormatError(
            f"cannot score arrays of shape {clean.shape} and {other.shape}: "
            "give mono signals, one channel at a time"
        )
    if clean.size != other.size or clean.size == 0:
        raise AudioFormatError(
            f"cannot score {other.size} samples against {clean.size}: "
            "the two must be equally long and not empty"
        )
    if not (np.isfinite(clean).all() and np.isfinite(other).all()):
        raise AudioFormatError("cannot score a signal that holds NaN or infinity")
    if float(np.mean(clean**2)) < _SILENCE:
        raise AudioFormatError("cannot score against a reference that is silent")
    return clean, other


def si_sdr(reference: Audio, estimate: Audio) -> float:
    """Scale-invariant signal-to-distortion ratio in dB; higher is better.

    Le Roux et al., "SDR - half-baked or well done?", ICASSP 2019, equation 4, with
    the means removed.

    Returns
    -------
    float
        From -100 to 100 dB. A silent estimate gives -100, a scaled copy 100.
    """
    clean, other = checked_pair(reference, estimate)
    ratio = levels.si_sdr(other, clean)
    return float(np.clip(ratio, -SI_SDR_LIMIT, SI_SDR_LIMIT))


def pesq_wb(reference: Audio, estimate: Audio, sample_rate: int = GRID_RATE) -> float:
    """Wide-band PESQ, ITU-T P.862.2, 1.04 to 4.64 MOS-LQO; higher is better.

    Parameters
    ----------
    reference, estimate
        At least 0.25 s. PESQ levels both itself.
    sample_rate
        16000, the only rate that P.862.2 knows.

    Raises
    ------
    AudioFormatError
        If PESQ finds no utterance in one of the two, or gives no finite score.
    RuntimeMissingError
        If the package ``pesq`` is not installed.
    """
    clean, other = checked_pair(reference, estimate)
    if sample_rate != GRID_RATE:
        raise AudioFormatError(
            f"wide-band PESQ works at {GRID_RATE} Hz, not at {sample_rate}: "
            "resample both signals first"
        )
    try:
        import pesq
    except ImportError as error:
        raise RuntimeMissingError(
            "PESQ needs the package pesq: pip install 'streamdenoise[eval]'"
        ) from error
    # The C code sees nothing of its own accord in an all-zero signal but NaN.
    if not np.any(other):
        raise AudioFormatError("PESQ cannot score an estimate that is all zeros")
    try:
        score = float(
            pesq.pesq(
                sample_rate,
                clean.astype(np.float32),
                other.astype(np.float32),
                "wb",
            )
        )
    except (pesq.PesqError, ValueError) as error:
        raise AudioFormatError(f"PESQ cannot score this pair: {error}") from error
    if not np.isfinite(score):
        raise AudioFormatError("PESQ gives no finite score for this pair")
    return score


def stoi(
    reference: Audio,
    estimate: Audio,
    sample_rate: int = GRID_RATE,
    *,
    extended: bool = False,
) -> float:
    """Short-time objective intelligibility, about 0 to 1; higher is better.

    Taal et al., IEEE TASLP 19(7), 2011; with `extended` the ESTOI of Jensen and
    Taal, IEEE TASLP 24(11), 2016, which also hears modulated noise.

    Raises
    ------
    AudioFormatError
        If less than about 0.4 s of the reference is speech.
    RuntimeMissingError
        If the package ``pystoi`` is not installed.
    """
    clean, other = checked_pair(reference, estimate)
    try:
        import pystoi
    except ImportError as error:
        raise RuntimeMissingError(
            "STOI needs the package pystoi: pip install 'streamdenoise[eval]'"
        ) from error
    with warnings.catch_warnings():
        # pystoi warns and returns 1e-5 where it has nothing to measure.
        warnings.simplefilter("error", RuntimeWarning)
        try:
            score = float(pystoi.stoi(clean, other, sample_rate, extended=extended))
        except (RuntimeWarning, ValueError) as error:
            raise AudioFormatError(f"STOI cannot score this pair: {error}") from error
    if not np.isfinite(score):
        raise AudioFormatError("STOI gives no finite score for this pair")
    return score


def power_frames(
    x: Audio, sample_rate: int, band: tuple[float, float] | None = None
) -> Wave:
    """Return the short-time power spectrum on the 8 ms grid.

    Parameters
    ----------
    x
        Mono signal.
    sample_rate
        In Hz.
    band
        Lowest and highest frequency in Hz; None keeps all bins.

    Returns
    -------
    float64 array of shape (frames, bins)
        Frames that lie wholly inside the signal; one at least, zero-padded.
    """
    params = StftParams.for_rate(sample_rate)
    window = windows(params.win, params.synthesis_win, params.hop)[0]
    padded = np.asarray(x, np.float64)
    if padded.size < params.win:
        padded = np.pad(padded, (0, params.win - padded.size))
    frames = np.lib.stride_tricks.sliding_window_view(padded, params.win)
    spectra = np.fft.rfft(frames[:: params.hop] * window)
    power: Wave = np.abs(spectra) ** 2
    if band is None:
        return power
    hz = np.arange(params.bins) * sample_rate / params.win
    return power[:, (hz >= band[0]) & (hz <= band[1])]


def log_spectral_distance(
    reference: Audio,
    estimate: Audio,
    sample_rate: int = GRID_RATE,
    *,
    band: tuple[float, float] | None = None,
    floor_db: float = 60.0,
) -> float:
    """Log-spectral distance in dB: 0 for equal spectra; lower is better.

    The root of the mean over bins of the squared difference of the log power
    spectra, averaged over frames (Gray and Markel, IEEE TASSP 24(5), 1976).

    Parameters
    ----------
    reference, estimate
        Bring them to one level first (`match_level`).
    band
        Lowest and highest frequency in Hz that counts; None counts all.
    floor_db
        Both spectra are lifted to this far below the reference's loudest bin in the
        band, so that inaudible bins do not rule the result.
    """
    clean, other = checked_pair(reference, estimate)
    power = [power_frames(x, sample_rate, band) for x in (clean, other)]
    floor = float(power[0].max(initial=0.0)) * 10.0 ** (-floor_db / 10.0)
    if power[0].shape[1] == 0 or floor <= 0.0:
        raise AudioFormatError(
            f"no log-spectral distance in the band {band} at {sample_rate} Hz: "
            "the reference has nothing there"
        )
    left, right = (10.0 * np.log10(np.maximum(p, floor)) for p in power)
    return float(np.mean(np.sqrt(np.mean((left - right) ** 2, axis=1))))


def match_level(reference: Audio, estimate: Audio) -> Wave:
    """Scale the estimate by the factor that brings it nearest to the reference.

    The factor is the least-squares one, so that what is left of the noise does not
    push the speech down, as matching the RMS would.

    Raises
    ------
    AudioFormatError
        If the estimate holds nothing of the reference (silent or unrelated).
    """
    clean, other = checked_pair(reference, estimate)
    energy = float(np.dot(other, other))
    factor = float(np.dot(clean, other)) / energy if energy > 0.0 else 0.0
    if factor <= 0.0:
        raise AudioFormatError(
            "cannot match levels: the estimate holds nothing of the reference"
        )
    return other * factor


def lag(reference: Audio, estimate: Audio, max_lag: int) -> int:
    """Return by how many samples the estimate comes late.

    The peak of the cross-correlation, computed by FFT.

    Parameters
    ----------
    reference, estimate
        Mono signals; here they may differ in length.
    max_lag
        Farthest lag, to either side, that is considered.

    Returns
    -------
    int
        Negative if the estimate comes early.
    """
    clean = np.asarray(reference, np.float64)
    other = np.asarray(estimate, np.float64)
    if clean.ndim != 1 or other.ndim != 1 or min(clean.size, other.size) == 0:
        raise AudioFormatError("give two mono signals that are not empty")
    size = 1 << (clean.size + other.size + max_lag).bit_length()
    product = np.fft.rfft(other, size) * np.conj(np.fft.rfft(clean, size))
    around = np.fft.irfft(product, size)
    lags = np.arange(-max_lag, max_lag + 1)
    return int(lags[np.argmax(around[lags])])


def align(reference: Audio, estimate: Audio, max_lag: int) -> tuple[Wave, Wave, int]:
    """Shift the estimate back by its lag and cut both to what they share.

    Returns
    -------
    reference, estimate : float64 arrays of equal length
    lag : int
        Samples by which the estimate came late.
    """
    late = lag(reference, estimate, max_lag)
    clean = np.asarray(reference, np.float64)[max(-late, 0) :]
    other = np.asarray(estimate, np.float64)[max(late, 0) :]
    size = min(clean.size, other.size)
    return clean[:size], other[:size], late
