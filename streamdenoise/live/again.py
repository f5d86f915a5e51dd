"""Finding a device again that was lost, among those that are there now."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from ..errors import DeviceError
from .devices import Device, Kind, find_device, same_device

__all__ = ["AwayError", "find_again"]

_CARD: Final = re.compile(r"\(hw:\d+,")
"""In ALSA's names, the number of the card: another one when it is plugged in again."""


class AwayError(DeviceError):
    """The device is not there: no more than was said when it was lost."""


def find_again(
    last: Device,
    spec: str | int | None,
    kind: Kind,
    devices: Sequence[Device],
    known: Sequence[Device],
) -> Device:
    """Find the device that was lost; its number may be another now.

    Parameters
    ----------
    last
        The device.
    spec
        As a person named it.
    kind
        Which direction it must have.
    devices
        Those that are there.
    known
        Those that were there when it was opened: none of them is it.

    Raises
    ------
    AwayError
        If it is not there.
    DeviceError
        If more than one fits.
    """
    if spec is not None:
        for device in devices:
            if same_device(device, last) and device.channels(kind):
                return device
        if str(spec).strip().isdecimal():
            # Another device may have got the number meanwhile; it is not the one meant.
            return _renumbered(last, kind, devices, known)
    try:
        return find_device(spec, kind, devices)
    except DeviceError as error:
        words = str(spec or "").casefold().replace(",", " ").split()
        if spec is not None and any(
            all(word in f"{d.name} {d.host_api}".casefold() for word in words)
            for d in devices
            if d.channels(kind)
        ):
            raise
        raise AwayError(str(error)) from None


def _renumbered(
    last: Device, kind: Kind, devices: Sequence[Device], known: Sequence[Device]
) -> Device:
    """Find the one device that is new, and `last` but for the number of its card."""
    plain = _CARD.sub("(hw:,", last.name)
    found = [
        device
        for device in devices
        if _CARD.sub("(hw:,", device.name) == plain
        and device.host_api == last.host_api
        and device.channels(kind) == last.channels(kind)
    ]
    if len(found) == 1 and not any(same_device(found[0], d) for d in known):
        return found[0]
    raise AwayError(f"{last.label} is not there")
