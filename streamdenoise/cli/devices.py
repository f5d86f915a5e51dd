"""``streamdenoise devices``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ..errors import EXIT_ENVIRONMENT
from ..names import shown
from .common import columns, fail, json_option, print_json, say, write

if TYPE_CHECKING:
    from ..live.devices import Device

__all__ = ["devices"]


@click.command(short_help="List the sound devices.")
@json_option
def devices(as_json: bool) -> None:
    """List the sound devices, the rates they take, and which are the defaults.

    --input and --output of the command live take the number, or part of the name.

    \b
    streamdenoise live --input usb --output 3
    """  # noqa: D301
    from ..errors import DeviceError
    from ..live.devices import find_device, list_devices

    found = list_devices(probe=True)
    if as_json:
        print_json([device.as_dict() for device in found])
    elif found:
        head = ["", "N", "NAME", "HOST API", "IN", "OUT", "RATE", "LATENCY", "TAKES"]
        for line in columns([head, *map(_row, found)], "lrllrrrrl"):
            write(line)
        say(
            "\ni: default input, o: default output. Rates in Hz, the lowest latency in "
            "and out in ms.\nUse one with: streamdenoise live --input N --output N"
        )
    if not found:
        try:
            find_device(None, "input", found)
        except DeviceError as error:
            fail(str(error))
        raise click.exceptions.Exit(EXIT_ENVIRONMENT)


def _row(device: Device) -> list[str]:
    marks = ("i" if device.default_input else "") + (
        "o" if device.default_output else ""
    )
    latencies = [
        f"{1000 * seconds:.0f}" if channels else "-"
        for channels, seconds in (
            (device.inputs, device.latency_in),
            (device.outputs, device.latency_out),
        )
    ]
    rates = " ".join(str(rate) for rate in device.rates or ())
    return [
        marks,
        str(device.index),
        shown(device.name),
        shown(device.host_api),
        str(device.inputs or "-"),
        str(device.outputs or "-"),
        str(device.default_rate),
        "/".join(latencies),
        rates or "none (in use?)",
    ]
