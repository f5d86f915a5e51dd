"""What differs between two recordings: levels, spectra, and their `likeness`.

Both are read in blocks; memory does not grow with their length.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ..audio.file import open_reader
from ..audio.levels import LevelMeter
from .likeness import find_lag, si_sdr, start_of
from .sketch import Sketch

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Band", "Comparison", "Recording", "compare"]

_FLOOR: Final = 1e-13


@dataclass(frozen=True)
class Recording:
    """One of the two.

    Attributes
    ----------
    path
        The file.
    sample_rate, channels, frames, seconds
        Its form; frames are samples per channel.
    level, peak, noise_floor
        RMS, largest sample and level of the quietest tenth, in dBFS.
    """

    path: str
    sample_rate: int
    channels: int
    frames: int
    seconds: float
    level: float
    peak: float
    noise_floor: float


@dataclass(frozen=True)
class Band:
    """Mean levels of an octave, in dB re a full-scale sine.

    Attributes
    ----------
    hz
        Its middle.
    a, b
        Levels of the two.
    """

    hz: float
    a: float
    b: float

    @property
    def difference(self) -> float:
        """How much louder B is, in dB."""
        return self.b - self.a


@dataclass(frozen=True)
class Comparison:
    """Two recordings side by side.

    Attributes
    ----------
    a, b
        The recordings.
    bands
        Octaves that both have.
    lag
        Samples that B is behind A; None if rates or lengths differ, or one is silent.
    si_sdr
        SI-SDR of B with A as reference, in dB, B moved by `lag`; None as for `lag`.
    picture
        A PNG of both spectrograms on the same axes, up to the lower of the highest
        frequencies and as long as the longer one, and of the level of A less that of
        B over time where rates and lengths are the same; empty unless it was asked
        for.
    """

    a: Recording
    b: Recording
    bands: tuple[Band, ...]
    lag: int | None
    si_sdr: float | None
    picture: bytes = b""

    def as_dict(self) -> dict[str, Any]:
        """Return everything but the picture as plain values for JSON."""
        sides: dict[str, Any] = {}
        for name, one in (("a", self.a), ("b", self.b)):
            values = asdict(one)
            values["path"] = str(one.path)
            sides[name] = {
                k: round(v, 4) if isinstance(v, float) else v for k, v in values.items()
            }
        bands = [
            {
                "hz": band.hz,
                "a": round(band.a, 2),
                "b": round(band.b, 2),
                "difference": round(band.difference, 2),
            }
            for band in self.bands
        ]
        return {**sides, "bands": bands, "lag": self.lag, "si_sdr": self.si_sdr}


def compare(a: str | Path, b: str | Path, *, picture: bool = False) -> Comparison:
    """Compare two recordings.

    Parameters
    ----------
    a, b
        Sound files. Rates, lengths and channels may differ; then lag and SI-SDR are
        left out, or channels averaged.
    picture
        Draw both.

    Returns
    -------
    Comparison

    Raises
    ------
    AudioFormatError
        If one of them cannot be read.
    """
    one, sketch_a = _hear(Path(a))
    two, sketch_b = _hear(Path(b))
    same = one.sample_rate == two.sample_rate and one.frames == two.frames
    lag, score = None, None
    if same:
        rate = one.sample_rate
        lag = find_lag(start_of(Path(a), rate), start_of(Path(b), rate), rate)
        if lag is not None:
            score = si_sdr(Path(a), Path(b), lag)
    return Comparison(
        one,
        two,
        _bands(sketch_a, sketch_b, one.sample_rate, two.sample_rate),
        lag,
        score,
        _picture((sketch_a, one), (sketch_b, two), same=same) if picture else b"",
    )


def _hear(path: Path) -> tuple[Recording, Sketch]:
    with open_reader(path, "first") as reader:
        info = reader.info
        sketch = Sketch(info.sample_rate)
        meter = LevelMeter(info.sample_rate, info.channels)
        for block in reader:
            meter.push(block)
            sketch.push(block)
        frames = reader.position
    peak = 20.0 * math.log10(meter.peak) if meter.peak > 1e-6 else -120.0
    return (
        Recording(
            str(path),
            info.sample_rate,
            info.channels,
            frames,
            frames / info.sample_rate,
            meter.level,
            peak,
            meter.noise_floor,
        ),
        sketch,
    )


def _bands(a: Sketch, b: Sketch, rate_a: int, rate_b: int) -> tuple[Band, ...]:
    bands = []
    top = min(rate_a, rate_b) / 2
    for middle in (63.0, 125.0, 250.0, 500.0, 1000.0, 2000.0, 4000.0, 8000.0):
        low, high = middle / math.sqrt(2), middle * math.sqrt(2)
        if low >= top:
            break
        levels = [_octave(s, low, min(high, top)) for s in (a, b)]
        bands.append(Band(middle, *levels))
    return tuple(bands)


def _octave(sketch: Sketch, low: float, high: float) -> float:
    power = sketch.powers().mean(axis=0, dtype=np.float64)
    hz = np.arange(len(power)) * sketch.bin_hz
    inside = (hz >= low) & (hz < high)
    return 10.0 * math.log10(float(power[inside].sum()) + _FLOOR)


def _picture(
    a: tuple[Sketch, Recording], b: tuple[Sketch, Recording], *, same: bool
) -> bytes:
    from .picture import draw
    from .png import png

    curve = None
    if same:
        sums = [s.powers().sum(axis=1, dtype=np.float64) + _FLOOR for s, _ in (a, b)]
        size = min(map(len, sums))
        values = 10.0 * np.log10(sums[0][:size] / sums[1][:size])
        curve = ("level A - B", values)
    top_hz = min(sketch.top_hz for sketch, _ in (a, b))
    seconds = max(recording.seconds for _, recording in (a, b))
    panels = [
        (name, _cropped(sketch, top_hz))
        for name, (sketch, _) in zip("AB", (a, b), strict=True)
    ]
    spans = [one.seconds / seconds if seconds else 1.0 for _, one in (a, b)]
    return png(*draw(panels, seconds, top_hz, curve, spans))


def _cropped(sketch: Sketch, top_hz: float) -> NDArray[np.float64]:
    """Return levels up to a frequency; row 0 is the highest."""
    return sketch.levels()[-(int(top_hz / sketch.bin_hz + 0.5) + 1) :]
