"""Whether what is played comes back into the input."""

from __future__ import annotations

from typing import Final

from .devices import Device

__all__ = ["loudspeaker_advice"]

_SPEAKER_WORDS: Final = ("speaker", "lautsprecher", "haut-parleur", "altavo")
_BUILT_IN_WORDS: Final = ("built-in", "builtin", "internal", "macbook", "laptop")
_HEAD_WORDS: Final = ("headphone", "headset", "earphone", "airpods", "buds", "kopfh")


def loudspeaker_advice(source: Device, sink: Device) -> str | None:
    """Return a sentence if the output is a loudspeaker that the microphone hears.

    A sound server knows what most devices are; elsewhere names are all that there is
    to go by.
    """
    source, sink = source.real("input"), sink.real("output")
    if source.is_monitor:
        return _loop(source, sink)
    if not _is_loudspeaker(source, sink):
        return None
    return (
        f"{sink.label} looks like a loudspeaker beside the microphone, which would "
        "hear itself and howl: wear headphones, or choose another device with --output"
    )


def _loop(source: Device, sink: Device) -> str | None:
    """Return a sentence if the input is what the output plays."""
    if source.server_name != f"{sink.server_name}.monitor":
        return None
    return (
        f"the input is what {sink.label} plays, and will be played there again and "
        "again; choose another device with --output"
    )


def _on_head(device: Device) -> bool:
    if device.form:  # a card with a socket for headphones may be called after both
        return device.form == "headphones"
    return any(word in device.name.casefold() for word in _HEAD_WORDS)


def _is_loudspeaker(source: Device, sink: Device) -> bool:
    if _on_head(source) or _on_head(sink):
        return False
    into, out = source.name.casefold(), sink.name.casefold()
    if sink.form or sink.port:
        return sink.form == "loudspeaker"
    built_in = all(any(w in name for w in _BUILT_IN_WORDS) for name in (into, out))
    return built_in or any(word in out for word in _SPEAKER_WORDS)
