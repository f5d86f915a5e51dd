"""Recordings: every format that is read and written, with its tags and tracks."""
