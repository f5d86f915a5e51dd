"""Devices of the sound server, listed as if PortAudio knew them, and opened by name.

PortAudio lists doors to a sound server, and what comes through a door goes where the
environment says; see `route`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from ..errors import DeviceError
from ..live.devices import COMMON_RATES, Device, Form, Kind, find_device, list_devices
from ..live.pulse.libpulse import MOST_CHANNELS
from ..live.pulse.streams import LOW_SECONDS
from ..names import shown
from . import soundserver
from .found import is_ours, microphone_name
from .route import VARIABLES, Variables, door

__all__ = ["Chosen", "with_served"]

_DOORS: Final = ("pulse", "pipewire", "default")
_OWN_DOOR: Final = "default"
_HEAD: Final = ("headphone", "headset", "handset", "earphone", "earbud")
_CABLES: Final = ("line", "hdmi", "displayport", "iec958", "spdif", "digital")
_SPEAKER_FORMS: Final = ("speaker", "internal", "portable")


def with_served(devices: Sequence[Device], *, native: bool = False) -> list[Device]:
    """Return PortAudio's devices, and behind them those of the sound server.

    There are none more without a server, a library to ask it, or a door to it, nor
    where PortAudio lists them by itself.

    Parameters
    ----------
    devices
        Those of PortAudio; the doors among them learn what they lead to.
    native
        Whether a door is made where PortAudio has none, because it is not needed.
    """
    if any(d.host_api == "PulseAudio" for d in devices):
        return list(devices)
    try:
        server = soundserver.server()
        if native:
            devices = _native_doors(devices, server)
        name = door(list(devices))
        sinks, sources = soundserver.entries("sinks"), soundserver.entries("sources")
    except DeviceError:
        return list(devices)
    way = next(d for d in devices if d.name == name and d.outputs)
    inputs = _served(sources, "input", way, server)
    outputs = [
        replace(d, name=microphone_name(e, sources) or d.name)
        for d, e in zip(_served(sinks, "output", way, server), sinks, strict=True)
    ]
    ours = {d.server_name for d in outputs if d.form == "virtual"}
    inputs = [
        replace(d, form="virtual") if e.is_monitor and e.monitor in ours else d
        for d, e in zip(inputs, sources, strict=True)
    ]
    behind = _taken(inputs), _taken(outputs)
    return [
        *(replace(d, behind=behind) if _is_door(d) else d for d in devices),
        # Taken when none is named, if a door is.
        *(replace(d, default_input=_leads(devices, d, "input")) for d in inputs),
        *(replace(d, default_output=_leads(devices, d, "output")) for d in outputs),
    ]


def _served(
    entries: Sequence[soundserver.Entry],
    kind: Kind,
    way: Device,
    server: soundserver.Server,
) -> list[Device]:
    """Return sinks or sources as devices that are opened through a door."""
    default = server.default_source if kind == "input" else server.default_sink
    default = os.environ.get(VARIABLES[kind]) or default
    most = way.channels(kind)
    return [
        replace(
            way,
            name=entry.known_as,
            host_api=server.name,
            inputs=min(entry.channels or most, most) if kind == "input" else 0,
            outputs=min(entry.channels or most, most) if kind == "output" else 0,
            default_rate=entry.rate or way.default_rate,
            default_input=False,
            default_output=False,
            api_input=kind == "input" and entry.name == default,
            api_output=kind == "output" and entry.name == default,
            rates=None,
            server_name=entry.name,
            port=shown(entry.port[1]) if entry.port else "",
            form=_form(entry, kind),
        )
        for entry in entries
    ]


def _native_doors(
    devices: Sequence[Device], server: soundserver.Server
) -> list[Device]:
    """Return PortAudio's devices; doors are as near as libpulse makes them, or one."""
    into, out = LOW_SECONDS
    if not any(map(_is_door, devices)):
        devices = [*devices, _own_door(devices, server)]
    return [
        replace(d, latency_in=into, latency_out=out) if _is_door(d) else d
        for d in devices
    ]


def _own_door(devices: Sequence[Device], server: soundserver.Server) -> Device:
    """Return a door beside PortAudio's devices; taken where none of them is."""
    return Device(
        index=len(devices),
        name=_OWN_DOOR,
        host_api=server.name,
        inputs=MOST_CHANNELS,
        outputs=MOST_CHANNELS,
        default_rate=48_000,
        latency_in=0.0,
        latency_out=0.0,
        default_input=not any(d.default_input for d in devices),
        default_output=not any(d.default_output for d in devices),
        rates=tuple(sorted(COMMON_RATES)),
    )


def _is_door(device: Device) -> bool:
    own = device.name == _OWN_DOOR and not device.server_name
    return (device.host_api == "ALSA" or own) and device.name in _DOORS


def _taken(devices: Sequence[Device]) -> Device | None:
    """Return the default one."""
    return next((d for d in devices if d.api_input or d.api_output), None)


def _leads(devices: Sequence[Device], device: Device, kind: Kind) -> bool:
    """Whether a device is what the default door leads to."""
    through = any(d.is_default(kind) and _is_door(d) for d in devices)
    return through and (device.api_input or device.api_output)


def _form(entry: soundserver.Entry, kind: Kind) -> Form:
    """Return what a sink or source is; what is plugged in counts more than the card."""
    if is_ours(entry):
        return "virtual"
    if kind == "input" and entry.is_monitor:
        return "monitor"
    form = entry.properties.get("device.form_factor", "").casefold()
    port = " ".join(entry.port).casefold()
    for text in (port, f"{form} {entry.description}".casefold()):
        if any(word in text for word in _HEAD):
            return "headphones"
        if "speaker" in text and kind == "output":
            return "loudspeaker"
    # What hangs at a cable is elsewhere, though the card itself is built in.
    cable = any(word in port for word in _CABLES)
    loud = kind == "output" and form in _SPEAKER_FORMS and not cable
    return "loudspeaker" if loud else ""


class Chosen(Variables):
    """Where this process's streams go, kept in its environment until `close`.

    Attributes
    ----------
    found
        What `name` was asked for, by direction.
    """

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[Kind, Device] = {}

    def name(self, source: Any, sink: Any, sd: Any = None) -> None:
        """Have streams go to devices as a person named them; see `find_device`.

        Parameters
        ----------
        source, sink
            Names; None: what is there already stays.
        sd
            The sounddevice module, or what stands in for it.

        Raises
        ------
        DeviceError
            If a name means no device, or more than one.
        """
        wishes: tuple[tuple[Kind, Any], ...] = (("input", source), ("output", sink))
        if source is None and sink is None:
            return
        listed = list_devices(sd)
        for kind, wish in wishes:
            if wish is not None:
                self.found[kind] = find_device(wish, kind, listed)
                self.go(self.found[kind], kind)

    def go(self, device: Device, kind: Kind) -> None:
        """Have streams in one direction go to a device, if it is the server's."""
        if device.server_name:
            self.set(VARIABLES[kind], device.server_name)
