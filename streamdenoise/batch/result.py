"""What became of one file: levels, loudness, times, and what was odd."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    pass

__all__ = ["FileResult"]


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
        RMS level in dBFS, of the input and of the file that was written.
    noise_floor_before, noise_floor_after
        Level of the quietest tenth in dBFS, of the same.
    elapsed
        Seconds it took, reading and writing included.
    gain
        What brought it to the loudness that was asked for, after denoising, in dB.
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
    gain: float = 0.0
    notes: tuple[str, ...] = ()

    @property
    def removed(self) -> float:
        """How far denoising took the level down, in dB."""
        return self.level_before - self.level_after + self.gain

    @property
    def noise_floor_drop(self) -> float:
        """How far denoising took the noise floor down, in dB."""
        return self.noise_floor_before - self.noise_floor_after + self.gain

    @property
    def times_real_time(self) -> float:
        """Seconds of audio per second of work."""
        return self.seconds / self.elapsed if self.elapsed > 0 else 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values for JSON, rounded to what is meant.

        Names are as the system has them, with bytes that are no text as surrogates:
        what reads the JSON finds the file under `os.fsencode` of them.
        """
        values = asdict(self)
        values["removed"] = self.removed
        values["noise_floor_drop"] = self.noise_floor_drop
        values["times_real_time"] = self.times_real_time
        for key, value in values.items():
            if isinstance(value, float):
                values[key] = round(value, 6 if key in ("seconds", "elapsed") else 2)
        values["notes"] = list(self.notes)
        return values
