"""Microphones and loudspeakers that exist in the sound server only."""
