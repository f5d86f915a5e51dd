"""Sound devices: list them, find one by part of its name, see which rates it takes.

The sounddevice module is handed in, or loaded by `portaudio` when first needed.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal, cast

from ..constants import MAX_RATE, MIN_RATE
from ..errors import DeviceError
from ..hush import quiet_stderr
from .holders import ROOT, HeldError, held_error
from .naming import has_words, listed, meant, near, words_of
from .portaudio import load_sounddevice
from .pulse.way import can_go_native, goes_native

Kind = Literal["input", "output"]
Form = Literal["", "loudspeaker", "headphones", "monitor", "virtual"]

COMMON_RATES: Final = (
    48_000,
    44_100,
    32_000,
    16_000,
    96_000,
    88_200,
    24_000,
    22_050,
    192_000,
    8_000,
)
"""Rates in Hz that devices are asked for, the likeliest first."""

SOUND_SERVERS: Final = ("pulse", "pipewire", "default", "sysdefault")
"""ALSA names behind which a sound server or a plugin stands, not a card."""

_ONE_CLOCK_APIS: Final = ("JACK Audio Connection Kit", "ASIO")


@dataclass(frozen=True)
class Device:
    """A sound device as PortAudio sees it, or one of the sound server behind that.

    Attributes
    ----------
    index
        What `--input` and `--output` take as a number; it may change when devices
        come and go. Of a server's device: that of the door to the server.
    name, host_api
        As PortAudio says them; a server's description, and what server it is.
    inputs, outputs
        Most channels in each direction; 0: none.
    default_rate
        In Hz, as the device prefers it.
    latency_in, latency_out
        What PortAudio suggests as low latency, in seconds.
    default_input, default_output
        Whether it is taken when no device is named.
    api_input, api_output
        Whether its host API takes it when only the API is named.
    rates
        Rates in Hz that were tried and taken; None if nothing was tried.
    server_name
        What the sound server calls it; empty for a device of PortAudio's own.
    port
        What the server says is in use of it, such as ``"Headphones"``.
    form
        What it is, where the server knows. A ``"monitor"`` is what a sink plays, and
        ``"virtual"`` is what this program made.
    behind
        Of a door to the server: the input and the output that it leads to by now.
    """

    index: int
    name: str
    host_api: str
    inputs: int
    outputs: int
    default_rate: int
    latency_in: float
    latency_out: float
    default_input: bool = False
    default_output: bool = False
    api_input: bool = False
    api_output: bool = False
    rates: tuple[int, ...] | None = None
    server_name: str = ""
    port: str = ""
    form: Form = ""
    behind: tuple[Device | None, Device | None] = (None, None)

    @property
    def label(self) -> str:
        """Name for a person: index, name and host API."""
        number = "" if self.server_name else f"{self.index} "
        return f"{number}{self.name} ({self.host_api})"

    @property
    def known_as(self) -> str:
        """All in which the words that name it are looked for, in lower case."""
        # "Audio" is a part of many names, and is not to find all of PulseAudio's.
        api = () if self.server_name else (self.host_api,)
        return " ".join((self.name, self.server_name, self.port, *api)).casefold()

    @property
    def is_monitor(self) -> bool:
        """Whether it is no microphone, but what is played."""
        return self.form == "monitor"

    @property
    def is_server(self) -> bool:
        """Whether a sound server stands behind it, which converts every rate."""
        door = self.host_api == "ALSA" and self.name in SOUND_SERVERS
        return door or bool(self.server_name) or any(self.behind)

    def real(self, kind: Kind) -> Device:
        """Return the device behind a door; of others, and where unknown, itself."""
        return self.behind[kind == "output"] or self

    def channels(self, kind: Kind) -> int:
        """Most channels in one direction."""
        return self.inputs if kind == "input" else self.outputs

    def is_default(self, kind: Kind) -> bool:
        """Whether it is the default of one direction."""
        return self.default_input if kind == "input" else self.default_output

    def as_dict(self) -> dict[str, Any]:
        """All of it in plain types, for JSON."""
        plain = asdict(replace(self, behind=(None, None)))
        del plain["behind"]
        if self.server_name:
            plain["index"] = None  # there is none to name it by
            kind = "source" if self.inputs else "sink"
            plain |= {
                "description": self.name,
                "kind": "monitor" if self.is_monitor else kind,
            }
        return plain


def list_devices(sd: Any = None, *, probe: bool = False) -> list[Device]:
    """List the sound devices.

    Parameters
    ----------
    sd
        The sounddevice module, or what stands in for it.
    probe
        Ask each device which of `COMMON_RATES` it takes. This may take a while where
        there are many.

    Returns
    -------
    list of Device
        In PortAudio's order, then those of the sound server; may be empty.

    Raises
    ------
    RuntimeMissingError
        If PortAudio is not installed.
    """
    sd = load_sounddevice() if sd is None else sd
    with quiet_stderr():
        apis = sd.query_hostapis()
        found = []
        default = _defaults(sd)
        for index, raw in enumerate(sd.query_devices()):
            api = apis[raw["hostapi"]]
            device = Device(
                index=index,
                name=str(raw["name"]),
                host_api=str(api["name"]),
                inputs=int(raw["max_input_channels"]),
                outputs=int(raw["max_output_channels"]),
                default_rate=round(raw["default_samplerate"]),
                latency_in=float(raw["default_low_input_latency"]),
                latency_out=float(raw["default_low_output_latency"]),
                default_input=index == default[0],
                default_output=index == default[1],
                api_input=index == api.get("default_input_device", -1),
                api_output=index == api.get("default_output_device", -1),
            )
            if probe:
                device = _with_rates(sd, device)
            found.append(device)
    native = can_go_native(sd)
    if native or any(device.is_server for device in found):
        from ..virtual.named import with_served

        return with_served(found, native=native)
    return found


def _defaults(sd: Any) -> tuple[int, int]:
    """Return the indices of the default devices, -1 where there is none."""
    pair = sd.default.device
    chosen = []
    for at, kind in enumerate(("input", "output")):
        index = pair[at]
        if not isinstance(index, int) or index < 0:
            try:
                index = int(sd.query_devices(kind=kind)["index"])
            except (sd.PortAudioError, ValueError, KeyError):
                index = -1
        chosen.append(index)
    return chosen[0], chosen[1]


def _with_rates(sd: Any, device: Device) -> Device:
    kinds: tuple[Kind, ...] = ("input", "output")
    rates = sorted({*COMMON_RATES, device.default_rate})
    taken = [
        rate
        for rate in rates
        if MIN_RATE <= rate <= MAX_RATE
        and all(
            refusal(sd, device, kind, rate, min(2, device.channels(kind))) is None
            for kind in kinds
            if device.channels(kind)
        )
    ]
    return replace(device, rates=tuple(taken))


def refusal(
    sd: Any, device: Device, kind: Kind, rate: int, channels: int
) -> Exception | None:
    """Ask a device whether it takes a rate in Hz; return the error if it does not."""
    if goes_native(sd, device):
        return None  # a sound server converts what it is given
    check = sd.check_input_settings if kind == "input" else sd.check_output_settings
    try:
        check(device=device.index, channels=channels, samplerate=rate, dtype="float32")
    except (sd.PortAudioError, ValueError) as error:
        # Without its traceback, which leads to whoever keeps the error: a cycle.
        return cast(Exception, error.with_traceback(None))
    return None


def candidate_rates(
    source: Device, sink: Device, wanted: int | None = None
) -> list[int]:
    """Return the rates to try for two devices, in order.

    The rate that was asked for comes first, then the one that both prefer, then the
    input's, the output's, and `COMMON_RATES`. A sound server has no rate of its own
    in PortAudio's eyes, so there the order is `COMMON_RATES`.
    """
    preferred = [] if wanted is None else [wanted]
    preferred += [d.default_rate for d in (source, sink) if not d.is_server]
    order = dict.fromkeys([*preferred, *COMMON_RATES])
    return [rate for rate in order if MIN_RATE <= rate <= MAX_RATE]


def find_device(
    spec: str | int | None,
    kind: Kind,
    devices: Sequence[Device],
    root: Path = ROOT,
) -> Device:
    """Find the device that a person means.

    Parameters
    ----------
    spec
        An index; or words that all occur in the name or host API, in any case; or
        None for the default. A whole name wins over a part of one. A device that
        several host APIs offer is taken from the quickest of them; of a host API that
        is named alone, its default device is taken.
    kind
        Which direction it must have.
    devices
        From `list_devices`.
    root
        Where ``proc`` is, which tells who holds a card that is not in the list.

    Raises
    ------
    DeviceError
        If there is none, or more than one; lists those that match in part.
    HeldError
        If there is none because another program has it.
    """
    usable = [d for d in devices if d.channels(kind) and d.form != "virtual"]
    own = [d for d in usable if not d.server_name]
    if not own:
        raise _held(kind, (), root) or DeviceError(_nothing_here(kind, devices))
    if spec is None:
        return next((d for d in own if d.is_default(kind)), own[0])
    text = str(spec).strip()
    if text.isdecimal():
        return _by_index(int(text), kind, devices, own)
    found = meant(text, kind, usable)
    if len(found) == 1:
        return found[0]
    if found:
        number = "" if all(d.server_name for d in found) else ", or the number"
        raise DeviceError(
            f"'{text}' fits {len(found)} {kind} devices: {listed(found)}; give more of "
            f"the name{number}"
        )
    raise _held(kind, words_of(text), root) or DeviceError(
        _unknown(text, kind, devices, usable)
    )


def _unknown(
    text: str, kind: Kind, devices: Sequence[Device], usable: Sequence[Device]
) -> str:
    """Say that nothing has this name, and what is nearest."""
    words = words_of(text)
    # A virtual microphone before what its sink plays.
    for device in sorted(devices, key=lambda d: d.server_name.endswith(".monitor")):
        if not device.channels(kind) or not has_words(device, words):
            continue
        if device.form == "virtual":
            return _not_ours(device, kind)
        if device.is_monitor:
            return (
                f"no input device is called '{text}'; for what is played there, type: "
                f"--input {device.server_name}"
            )
    usable = [d for d in usable if not d.is_monitor]
    alike = near(words, usable)
    if alike:
        return (
            f"no {kind} device is called '{text}'; those that match in part: "
            f"{listed(alike)}; all are listed by: streamdenoise devices"
        )
    # The server's first: the others are many, and few of them are of use then.
    usable.sort(key=lambda d: not d.server_name)
    return f"no {kind} device is called '{text}'; there are: {listed(usable)}"


def _not_ours(device: Device, kind: Kind) -> str:
    if kind == "input":
        return (
            f"'{device.name}' is a virtual device of streamdenoise, which would hear "
            "itself; choose a microphone with --input (streamdenoise devices lists "
            "them)"
        )
    return (
        f"'{device.name}' is a virtual device of streamdenoise; to play into a virtual "
        "microphone, type --virtual-mic instead of --output"
    )


def _held(kind: Kind, words: Sequence[str], root: Path) -> HeldError | None:
    """Return an error that says who holds a device with these words in its name."""
    return held_error(kind, words, root) if sys.platform == "linux" else None


def _by_index(
    index: int, kind: Kind, devices: Sequence[Device], usable: Sequence[Device]
) -> Device:
    for device in devices:
        if device.index == index and not device.server_name:
            if device.channels(kind):
                return device
            raise DeviceError(
                f"device {device.label} has no {kind} channels; {kind} devices are: "
                f"{listed(usable)}"
            )
    raise DeviceError(f"there is no device {index}; {kind} devices: {listed(usable)}")


def _nothing_here(kind: Kind, devices: Sequence[Device]) -> str:
    have = f"only {listed(devices)}" if devices else "no sound device at all"
    advice = {
        "linux": "is a sound server running (PulseAudio or PipeWire), and may "
        "you use the sound card (is 'audio' in what 'groups' prints)?",
        "darwin": "allow the terminal to use the microphone in System Settings, "
        "Privacy.",
        "win32": "allow desktop apps to use the microphone in Settings, Privacy.",
    }.get(sys.platform, "is one connected?")
    return (
        f"no {kind} devices were found, {have}; {advice} List again with: "
        "streamdenoise devices"
    )


def one_clock(source: Device, sink: Device) -> bool:
    """Whether two directions surely run on one clock, so that one stream serves both.

    So it is for one card, JACK and ASIO. A sound server moves each direction in its
    own time even where both are called the same.
    """
    if source.host_api != sink.host_api:
        return False
    if source.host_api in _ONE_CLOCK_APIS:
        return True
    return source.index == sink.index and not source.is_server


def same_device(one: Device, other: Device) -> bool:
    """Whether two entries, of lists made at different times, are one device."""
    first, second = ((d.name, d.host_api, d.server_name) for d in (one, other))
    return first == second
