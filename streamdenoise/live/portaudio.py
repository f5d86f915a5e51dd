"""PortAudio by sounddevice: loading it, explaining its errors."""

from __future__ import annotations

import contextlib
import re
import sys
from types import ModuleType
from typing import Any, Final

from ..errors import DeviceError, RuntimeMissingError
from ..hush import quiet_stderr
from .behind import server_trouble

# PortAudio's error numbers, as its header names them.
INVALID_CHANNELS: Final = -9998
INVALID_RATE: Final = -9997
INVALID_DEVICE: Final = -9996
DEVICE_UNAVAILABLE: Final = -9985


def load_sounddevice() -> ModuleType:
    """Return the sounddevice module, with PortAudio ready.

    Where PortAudio is not installed and a sound server runs that needs none, it is
    what stands in for sounddevice.

    Raises
    ------
    RuntimeMissingError
        If sounddevice or PortAudio is not installed; says what to install.
    """
    try:
        with quiet_stderr():
            import sounddevice
    except ImportError as error:
        raise RuntimeMissingError(
            "live sound needs the Python package sounddevice, which is not installed; "
            "install it with: pip install sounddevice"
        ) from error
    except OSError as error:
        from .pulse.alone import server_alone

        try:
            return server_alone()
        except RuntimeMissingError as needs:
            raise RuntimeMissingError(
                f"{needs}, which was not found ({error}); install it with: "
                f"{_portaudio_command()}"
            ) from error
    module: ModuleType = sounddevice
    return module


def _portaudio_command() -> str:
    if sys.platform == "darwin":
        return "brew install portaudio"
    if sys.platform == "win32":
        return "pip install --force-reinstall sounddevice"
    return (
        "sudo apt install libportaudio2 (Debian, Ubuntu, Raspberry Pi OS), sudo dnf "
        "install portaudio (Fedora), or sudo pacman -S portaudio (Arch)"
    )


def reinitialise(sd: Any) -> None:
    """Start PortAudio anew: it looks for devices only then.

    All streams of this process must be closed.
    """
    with quiet_stderr():
        for step in ("_terminate", "_initialize"):
            with contextlib.suppress(sd.PortAudioError):
                getattr(sd, step, lambda: None)()


def explain(error: Exception, what: str, rate: int | None = None) -> DeviceError:
    """Turn a PortAudio error into one sentence that says what to do.

    Not for the audio thread: a sound server that is behind the device is asked.

    Parameters
    ----------
    error
        What sounddevice raised; its second argument is PortAudio's number.
    what
        The device or devices, for the sentence.
    rate
        The rate in Hz that was tried.
    """
    code, what = error_code(error), _once(what)
    text = str(error.args[0]) if error.args else type(error).__name__
    if code == DEVICE_UNAVAILABLE or "busy" in text.casefold():
        return DeviceError(
            f"{what} is in use by another program; close that program{_who_uses()}, "
            "or choose another device (streamdenoise devices lists them)"
        )
    if code == INVALID_RATE:
        tried = f" of {rate} Hz" if rate else ""
        return DeviceError(
            f"{what} refuses the sample rate{tried}; leave --rate out, or see the "
            "rates it takes with: streamdenoise devices"
        )
    if code == INVALID_CHANNELS:
        return DeviceError(
            f"{what} refuses this number of channels; try --channels 1 or 2, or see "
            "how many it has with: streamdenoise devices"
        )
    trouble = server_trouble(what)
    if trouble:
        return DeviceError(f"{what} cannot be opened: {trouble}")
    if code == INVALID_DEVICE:
        return DeviceError(
            f"{what} is not there any more; list the devices again with: "
            "streamdenoise devices"
        )
    return DeviceError(
        f"{what} cannot be opened ({text}); choose another device (streamdenoise "
        "devices lists them), or try --latency 0.1"
    )


def _once(what: str) -> str:
    """Return a pair as one device, where both sides are the same."""
    same = re.fullmatch(r"(?:the pair )?(.+) (?:or|and) (.+)", what)
    return same[1] if same and same[1] == same[2] else what


def _who_uses() -> str:
    """Say how to find the program that holds a sound card, where that is known."""
    if sys.platform == "linux":
        return " (find it with: fuser -v /dev/snd/*)"
    return ""


def error_code(error: BaseException) -> int | None:
    """PortAudio's number of an error, or None."""
    args = error.args
    return args[1] if len(args) > 1 and isinstance(args[1], int) else None
