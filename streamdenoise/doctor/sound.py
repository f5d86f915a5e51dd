"""Checks of the sound server and the devices."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import DeviceError, RuntimeMissingError, StreamDenoiseError
from .check import Check, State

if TYPE_CHECKING:
    from ..live.devices import Device, Kind
    from ..virtual.found import Found

__all__ = ["default_source", "devices", "left_overs", "server"]

_CARDS = Path("/proc/asound/cards")
_NOT_ASKED = "no sound server that can be asked"
_NATIVE = {"darwin": "Core Audio", "win32": "Windows audio"}


def server(cards: Path = _CARDS) -> Check:
    """Look for PulseAudio or PipeWire, or ALSA alone."""
    from ..live.pulse.way import reached_by
    from ..virtual import soundserver
    from ..virtual.asking import NoLibraryError

    name = "sound server"
    if sys.platform in _NATIVE:
        return Check(name, "ok", _NATIVE[sys.platform])
    try:
        found = soundserver.server()
    except NoLibraryError as error:
        # No sign that none runs: PortAudio may reach it without that.
        return Check(
            name,
            "warn",
            "cannot be asked without its library libpulse: live may work, virtual-mic "
            "does not",
            str(error).rpartition("; type: ")[2],
            {"kind": "unknown"},
        )
    except DeviceError as error:
        if _has_card(cards):
            return Check(
                name,
                "warn",
                "none answers, ALSA alone: live works, virtual-mic does not",
                str(error).rpartition("; ")[2],
                {"kind": "ALSA"},
            )
        said, _, fix = str(error).rpartition("; ")
        return Check(name, "fail", f"{said}, and there is no sound card", fix)
    details = {
        "kind": found.name,
        "version": found.version,
        "default_sink": found.default_sink,
        "default_source": found.default_source,
        "reached_by": reached_by(),
    }
    said = f"{found.name} {found.version}, reached by {details['reached_by']}"
    return Check(name, "ok", said, details=details)


def _has_card(cards: Path) -> bool:
    try:
        text = cards.read_text(errors="replace")
    except OSError:
        return False
    return "[" in text


def default_source(asked: str | int | None = None) -> Check:
    """See whether the microphone of the server that live takes is one, and is open.

    Parameters
    ----------
    asked
        As for live; None: the default one.
    """
    from ..virtual import soundserver
    from ..virtual.found import is_ours

    name = "default microphone" if asked is None else "microphone"
    try:
        wanted = soundserver.server().default_source
        if asked is not None:
            wanted = _served(asked)
        found = next(
            (e for e in soundserver.entries("sources") if e.name == wanted), None
        )
    except soundserver.NoServerError:
        return Check(name, "skip", _NOT_ASKED)
    except StreamDenoiseError:
        return Check(name, "skip", "none is found by that name")
    if not wanted and asked is not None:
        return Check(name, "skip", "it is none of the sound server's")
    if found is None:
        return Check(
            name,
            "warn",
            "the sound server has none",
            "connect a microphone, or name one: streamdenoise live --input NAME "
            "(streamdenoise devices lists them)",
        )
    details = {
        "name": found.name,
        "description": found.description,
        "muted": found.muted,
    }
    choose = (
        "choose another in the system's sound settings, or type: streamdenoise live "
        "--input NAME (streamdenoise devices lists them)"
    )
    if is_ours(found):
        said = f"'{found.known_as}' is our own virtual microphone"
        return Check(name, "warn", f"{said}, which hears itself", choose, details)
    if found.muted:
        fix = f"unmute it in the sound settings; pactl set-source-mute {found.name} 0"
        return Check(name, "warn", f"'{found.known_as}' is muted", fix, details)
    if found.is_monitor and asked is None:
        said = f"'{found.known_as}' is what a loudspeaker plays, no microphone"
        return Check(name, "warn", said, choose, details)
    return Check(name, "ok", found.known_as, details=details)


def _served(asked: str | int) -> str:
    """Return the server's name of an input that was asked for; empty if it has none."""
    from ..live.devices import find_device, list_devices

    return find_device(asked, "input", list_devices()).real("input").server_name


def devices(kind: Kind, wanted: str | int | None = None) -> Check:
    """Find the device that live would open in one direction, and the rates it takes.

    Parameters
    ----------
    kind
        Direction.
    wanted
        As for live.
    """
    from ..hush import quiet_stderr
    from ..live.devices import candidate_rates, find_device, list_devices, refusal
    from ..live.holders import HeldError
    from ..live.portaudio import load_sounddevice

    try:
        sd = load_sounddevice()
        listed = list_devices(sd)
        device = find_device(wanted, kind, listed)
        with quiet_stderr():
            rates = [
                rate
                for rate in sorted(candidate_rates(device, device))
                if refusal(sd, device, kind, rate, 1) is None
                or refusal(sd, device, kind, rate, min(2, device.channels(kind)))
                is None
            ]
    except RuntimeMissingError:
        return Check(kind, "skip", "no PortAudio to ask")
    except StreamDenoiseError as error:
        said, _, fix = str(error).partition("; ")
        if fix.startswith(("there are: ", f"{kind} devices")):
            fix = f"choose another with --{kind}; {fix}"
        # Live works then, so well that it runs already.
        ours = isinstance(error, HeldError) and error.ours
        state: State = "warn" if ours else "fail"
        return Check(kind, state, said, fix or "streamdenoise devices")
    details = {
        "device": device.as_dict(),
        "rates": rates,
        "all": [_brief(each) for each in listed if each.channels(kind)],
    }
    if not rates:
        return Check(
            kind,
            "fail",
            f"{device.label} takes no rate: it is busy, or gone",
            f"close programs that use it, or choose another with --{kind}: "
            "streamdenoise devices",
            details,
        )
    shown = ", ".join(f"{rate / 1000:g}" for rate in rates)
    label = device.real(kind).label  # what a default leads to
    return Check(kind, "ok", f"{label}, {shown} kHz", details=details)


def _brief(device: Device) -> str:
    return f"{device.label}, {device.inputs} in, {device.outputs} out"


def left_overs() -> Check:
    """Look for virtual microphones whose process is gone, or that are half there."""
    from ..virtual.found import find_all

    name = "virtual microphones"
    try:
        found = find_all()
    except DeviceError:
        return Check(name, "skip", _NOT_ASKED)
    details = {each.name: each.state for each in found}
    bad = [each for each in found if each.state in ("left over", "broken")]
    if bad:
        said = ", ".join(f"{each.name} is {each.state}" for each in bad)
        return Check(name, "warn", said, _removal(bad), details)
    shown = ", ".join(f"{each.name} ({each.state})" for each in found) or "none"
    return Check(name, "ok", shown, details=details)


def _removal(bad: Sequence[Found]) -> str:
    """Return what takes these away, and no microphone of a call that runs."""
    # The list removes what was left over; what is broken, it only shows.
    words = ["streamdenoise virtual-mic list"] if any(b.stale for b in bad) else []
    words += [
        f"streamdenoise virtual-mic remove --name {each.name}"
        for each in bad
        if not each.stale
    ]
    return "; ".join(words)
