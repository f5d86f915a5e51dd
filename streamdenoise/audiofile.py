"""Sound files: `audioread` takes them apart, `audiowrite` puts them together."""

from .audioread import MAX_CHANNELS, AudioInfo, AudioReader, check_stream
from .audiowrite import AudioWriter, OutputFormat, check_target, output_format

__all__ = [
    "MAX_CHANNELS",
    "AudioInfo",
    "AudioReader",
    "AudioWriter",
    "OutputFormat",
    "check_stream",
    "check_target",
    "output_format",
]
