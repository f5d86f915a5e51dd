"""Where a user's files are: the home folder, and this program's folder for settings."""

from __future__ import annotations

import os
import sys
from pathlib import Path

__all__ = ["home_folder", "user_folder"]


def home_folder() -> Path | None:
    """Return the home folder; None for a user without one, as in many containers."""
    try:
        return Path.home()
    except RuntimeError:
        return None


def user_folder() -> Path | None:
    """Return the folder of this program for the user's settings; None without home."""
    if sys.platform == "win32":
        named, parts = os.environ.get("APPDATA"), ("AppData", "Roaming")
    elif sys.platform == "darwin":
        named, parts = None, ("Library", "Application Support")
    else:
        named, parts = os.environ.get("XDG_CONFIG_HOME"), (".config",)
    home = None if named else home_folder()
    base = Path(named) if named else home and home.joinpath(*parts)
    return base and base / "streamdenoise"
