"""Microphones and loudspeakers that exist in the sound server only."""

from typing import Final

DEFAULT_NAME: Final = "streamdenoise"
"""Name of the microphone when none is given."""
