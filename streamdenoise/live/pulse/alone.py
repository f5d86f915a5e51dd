"""What stands in for sounddevice where PortAudio is not installed: it has no device.

Those of the sound server need no more than libpulse, which every desktop has.
"""

from __future__ import annotations

from types import ModuleType, SimpleNamespace
from typing import Any

from ..portaudio import INVALID_DEVICE

__all__ = ["NoPortAudio", "server_alone"]


class NoPortAudio(ModuleType):
    """As much of sounddevice as is asked of it when it knows no device.

    Attributes
    ----------
    PortAudioError
        Class of the exceptions.
    default
        With `device`, a pair of numbers: none.
    """

    class PortAudioError(Exception):
        """Stands for sounddevice's."""

    def __init__(self) -> None:
        super().__init__("streamdenoise.live.pulse.alone", __doc__)
        self.default = SimpleNamespace(device=(-1, -1))

    def query_hostapis(self) -> tuple[()]:
        """Return none."""
        return ()

    def query_devices(self, device: Any = None, kind: str | None = None) -> tuple[()]:
        """Return none.

        Raises
        ------
        PortAudioError
            If one is asked for.
        """
        if device is not None or kind is not None:
            self._refuse()
        return ()

    def _refuse(self, *_words: Any, **_wishes: Any) -> Any:
        raise self.PortAudioError("PortAudio is not installed", INVALID_DEVICE)

    check_input_settings = check_output_settings = _refuse
    Stream = InputStream = OutputStream = _refuse


def server_alone() -> NoPortAudio:
    """Return what stands in for sounddevice, if a sound server answers.

    Raises
    ------
    RuntimeMissingError
        If none does, or it is not to be reached this way; says what live sound needs
        then, as the beginning of a sentence.
    """
    from ...errors import DeviceError, RuntimeMissingError
    from ...virtual import soundserver
    from ...virtual.asking import NoLibraryError
    from .way import can_go_native, is_wanted

    sound, needed = NoPortAudio(), "live sound needs the PortAudio library"
    if not is_wanted():
        raise RuntimeMissingError(needed)
    try:
        soundserver.server()
        if can_go_native(sound):
            return sound
    except NoLibraryError:
        needed = (
            "live sound needs libpulse where PulseAudio or PipeWire runs (sudo apt "
            "install libpulse0), or else the PortAudio library"
        )
    except DeviceError:
        needed = f"no sound server answers, and without one {needed}"
    raise RuntimeMissingError(needed)
