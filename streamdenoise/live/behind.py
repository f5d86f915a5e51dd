"""Why a device that leads to a sound server does not open: the server is asked.

PortAudio knows no more than that something failed. Nothing here is for the audio
thread: the server may take its time.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

from ..names import shown

if TYPE_CHECKING:
    from ..virtual.soundserver import Entry, Kind

__all__ = ["server_trouble"]

_SIDES: Final[tuple[tuple[Kind, str, str, str], ...]] = (
    ("sources", "source", "PULSE_SOURCE", "the output device"),
    ("sinks", "sink", "PULSE_SINK", "the input device"),
)
"""What the server calls a side, what names one, and what is only the other side."""


def server_trouble(what: str) -> str | None:
    """Return what the sound server lacks, and what to type; None if it lacks nothing.

    Parameters
    ----------
    what
        The devices that did not open, by their labels. None of them may be the
        server's: then it is not asked.
    """
    if not _leads_to_server(what):
        return None
    from ..virtual import soundserver
    from ..virtual.asking import NoLibraryError

    try:
        for kind, name, variable, other in _SIDES:
            if not what.startswith(other):
                text = _missing(name, variable, soundserver.entries(kind))
                if text:
                    return text
    except NoLibraryError:
        pass
    except soundserver.NoServerError:
        return (
            "the sound server does not answer; start it with: systemctl --user restart "
            "pipewire-pulse, or: pulseaudio --start"
        )
    except soundserver.RefusedError:
        pass
    return None


def _leads_to_server(what: str) -> bool:
    from .devices import SOUND_SERVERS  # which knows this module's user

    names = "|".join(SOUND_SERVERS)
    label = rf"\b\d+ ({names}) \(ALSA\)|\((PulseAudio|PipeWire)\)"
    return re.search(label, what) is not None


def _missing(name: str, variable: str, entries: list[Entry]) -> str:
    """Say it if the server lacks the one that is meant, or has none at all."""
    wanted, see = os.environ.get(variable, ""), "streamdenoise devices"
    there = {entry.name for entry in entries} | {str(entry.index) for entry in entries}
    # The server's own words for its defaults begin with @.
    if wanted and wanted not in there and not wanted.startswith("@"):
        return (
            f"the sound server has no {name} {shown(wanted)}, which {variable} names; "
            f"see what it has with: {see}, and set {variable} to one of them, or type: "
            f"unset {variable}"
        )
    if not entries:
        return (
            f"the sound server has no {name}; connect a device, and see what it has "
            f"with: {see}"
        )
    return ""
