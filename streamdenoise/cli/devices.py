"""``streamdenoise devices``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ..errors import EXIT_ENVIRONMENT
from ..names import shown
from .options import json_option
from .printing import columns, fail, print_json, say, write

if TYPE_CHECKING:
    from ..live.devices import Device

__all__ = ["devices"]


@click.command(short_help="List the sound devices.")
@json_option
def devices(as_json: bool) -> None:
    """List the sound devices, the rates they take, and which are the defaults.

    --input and --output of the command live take the number, or part of the name.
    Those of a sound server (PulseAudio, PipeWire) have names only.

    \b
    streamdenoise live --input usb --output headphones
    streamdenoise live --input 3
    """  # noqa: D301
    from ..errors import DeviceError
    from ..live.devices import find_device, list_devices

    # What we made ourselves is for other programs.
    found = [d for d in list_devices(probe=True) if d.form != "virtual"]
    if as_json:
        print_json([device.as_dict() for device in found])
    elif found:
        _print(found)
    if not found:
        try:
            find_device(None, "input", found)
        except DeviceError as error:
            fail(str(error))
        raise click.exceptions.Exit(EXIT_ENVIRONMENT)


def _print(found: list[Device]) -> None:
    """Print PortAudio's devices, and those of the sound server below them."""
    head = ["", "N", "NAME", "HOST API", "IN", "OUT", "RATE", "LATENCY", "TAKES"]
    rows = [_row(device) for device in found if not device.server_name]
    for line in columns([head, *rows], "lrllrrrrl"):
        write(line)
    # What is played is there as well, and would make the list twice as long.
    served = [d for d in found if d.server_name and not d.is_monitor]
    if served:
        write("")
        head = ["", f"BY {served[0].host_api.upper()}", "ITS NAME", "IN", "OUT", "RATE"]
        for line in columns([head, *map(_served_row, served)], "lllrrr"):
            write(line)
    say(
        "\ni: default input, o: default output. Rates in Hz, the lowest latency in "
        "and out in ms.\nUse one with: streamdenoise live --input N --output N, or "
        "part of the name in place of N"
    )
    if served:
        say("What a device plays can be an input too: --input ITS_NAME.monitor")


def _served_row(device: Device) -> list[str]:
    name = device.name
    if device.port.casefold() not in name.casefold():
        name += f" ({device.port})"
    return [
        _marks(device),
        shown(name),
        shown(device.server_name),
        str(device.inputs or "-"),
        str(device.outputs or "-"),
        str(device.default_rate),
    ]


def _marks(device: Device) -> str:
    return ("i" if device.default_input else "") + (
        "o" if device.default_output else ""
    )


def _row(device: Device) -> list[str]:
    latencies = [
        f"{1000 * seconds:.0f}" if channels else "-"
        for channels, seconds in (
            (device.inputs, device.latency_in),
            (device.outputs, device.latency_out),
        )
    ]
    rates = " ".join(str(rate) for rate in device.rates or ())
    return [
        _marks(device),
        str(device.index),
        shown(device.name),
        shown(device.host_api),
        str(device.inputs or "-"),
        str(device.outputs or "-"),
        str(device.default_rate),
        "/".join(latencies),
        rates or "none (in use?)",
    ]
