"""Which devices are reached through libpulse, and how a stream on one is opened."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from ..devices import Device, Kind

__all__ = [
    "can_go_native",
    "goes_native",
    "is_wanted",
    "open_native",
    "reached_by",
    "works_in_cycles",
]

VARIABLE: Final = "STREAMDENOISE_SOUND"
"""Of the environment: ``portaudio`` sends all sound through PortAudio."""

_TITLES: Final[dict[Kind, str]] = {"input": "to be denoised", "output": "denoised"}


def can_go_native(sd: Any) -> bool:
    """Whether libpulse is here, and nobody wants PortAudio in its place.

    Parameters
    ----------
    sd
        The sounddevice module; what stands in for it in a test has its own devices.
    """
    return isinstance(sd, ModuleType) and _library() is not None


def reached_by() -> str:
    """Return what carries the sound of a server, for a bug report."""
    library = _library()
    if library is None:
        return "PortAudio"
    return f"libpulse {library.pa_get_library_version().decode()}"


def is_wanted() -> bool:
    """Whether a sound server is to be reached without PortAudio on this system."""
    asked = os.environ.get(VARIABLE, "").strip().casefold()
    return sys.platform == "linux" and asked != "portaudio"


def _library() -> Any:
    """Return libpulse, or None where it is missing, not of use, or not wanted."""
    if not is_wanted():
        return None
    from .libpulse import load_libpulse

    try:
        return load_libpulse()
    except (OSError, AttributeError):
        return None


def goes_native(sd: Any, device: Device) -> bool:
    """Whether a device is one of a sound server that libpulse can reach.

    Parameters
    ----------
    sd
        The sounddevice module.
    device
        From `list_devices`.
    """
    # Behind a door is nothing where no server has answered.
    served = bool(device.server_name) or any(device.behind)
    return served and can_go_native(sd)


def works_in_cycles(device: Device, kind: Kind) -> bool:
    """Whether a device's server looks after all streams at once, in cycles.

    Parameters
    ----------
    device
        From `list_devices`.
    kind
        In which direction.
    """
    return device.real(kind).host_api == "PipeWire"


def open_native(
    sd: Any,
    device: Device,
    kind: Kind,
    *,
    samplerate: int,
    blocksize: int,
    channels: int,
    latency: float | str,
    callback: Callable[..., None],
    dtype: str = "float32",
) -> Any:
    """Open a stream on a device, or where the environment says, or the server.

    Parameters
    ----------
    sd
        The sounddevice module, whose exceptions are raised.
    device
        For which `goes_native` is true.
    kind
        In which direction.
    samplerate, blocksize, channels, latency, callback, dtype
        As sounddevice takes them; samples are ``"float32"`` always.

    Raises
    ------
    sounddevice.PortAudioError
        If the server refuses, or does not answer.
    """
    from ...virtual.route import VARIABLES, stream_name
    from .libpulse import load_libpulse
    from .streams import InputStream, OutputStream

    assert dtype == "float32"
    maker = InputStream if kind == "input" else OutputStream
    return maker(
        load_libpulse(),
        sd.PortAudioError,
        stream_name(),
        device=device.server_name or os.environ.get(VARIABLES[kind]) or None,
        samplerate=samplerate,
        blocksize=blocksize,
        channels=channels,
        latency=latency,
        callback=callback,
        title=_TITLES[kind],
        cycles=works_in_cycles(device, kind),
    )
