"""Sound devices: list them, find one by part of its name, see which rates it takes.

The sounddevice module is handed in, or loaded by `portaudio` when first needed.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any, Final, Literal, cast

from ..constants import MAX_RATE, MIN_RATE
from ..errors import DeviceError
from .holders import ROOT, HeldError, held_error
from .portaudio import load_sounddevice, quiet_stderr

Kind = Literal["input", "output"]

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
_API_RANK: Final = ("ASIO", "Windows WASAPI", "Windows DirectSound", "MME")

_SPEAKER_WORDS: Final = ("speaker", "lautsprecher", "haut-parleur", "altavo")
_BUILT_IN_WORDS: Final = ("built-in", "builtin", "internal", "macbook", "laptop")
_HEAD_WORDS: Final = ("headphone", "headset", "earphone", "airpods", "buds", "kopfh")


@dataclass(frozen=True)
class Device:
    """A sound device as PortAudio sees it.

    Attributes
    ----------
    index
        What `--input` and `--output` take as a number; it may change when devices
        come and go.
    name, host_api
        As PortAudio says them.
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

    @property
    def label(self) -> str:
        """Name for a person: index, name and host API."""
        return f"{self.index} {self.name} ({self.host_api})"

    @property
    def is_server(self) -> bool:
        """Whether a sound server stands behind it, which converts every rate."""
        return self.host_api == "ALSA" and self.name in SOUND_SERVERS

    def channels(self, kind: Kind) -> int:
        """Most channels in one direction."""
        return self.inputs if kind == "input" else self.outputs

    def is_default(self, kind: Kind) -> bool:
        """Whether it is the default of one direction."""
        return self.default_input if kind == "input" else self.default_output

    def as_dict(self) -> dict[str, Any]:
        """All of it in plain types, for JSON."""
        return asdict(self)


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
        In PortAudio's order; may be empty.

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
    usable = [d for d in devices if d.channels(kind)]
    if not usable:
        raise _held(kind, (), root) or DeviceError(_nothing_here(kind, devices))
    if spec is None:
        for device in usable:
            if device.is_default(kind):
                return device
        return usable[0]
    text = str(spec).strip()
    if text.isdecimal():
        return _by_index(int(text), kind, devices, usable)
    whole = [d for d in usable if d.name.casefold() == text.casefold()]
    words = text.casefold().replace(",", " ").split()
    found = whole or [
        d
        for d in usable
        if all(w in f"{d.name} {d.host_api}".casefold() for w in words)
    ]
    found = _api_default(words, kind, _best_api(found))
    if len(found) == 1:
        return found[0]
    if found:
        raise DeviceError(
            f"'{text}' fits {len(found)} {kind} devices: {_shown(found)}; give more of "
            "the name, or the number"
        )
    held = _held(kind, words, root)
    if held is not None:
        raise held
    near = _near(words, usable)
    if near:
        raise DeviceError(
            f"no {kind} device is called '{text}'; those that match in part: "
            f"{_shown(near)}; all are listed by: streamdenoise devices"
        )
    raise DeviceError(
        f"no {kind} device is called '{text}'; there are: {_shown(usable)}"
    )


def _held(kind: Kind, words: Sequence[str], root: Path) -> HeldError | None:
    """Return an error that says who holds a device with these words in its name."""
    return held_error(kind, words, root) if sys.platform == "linux" else None


def _by_index(
    index: int, kind: Kind, devices: Sequence[Device], usable: Sequence[Device]
) -> Device:
    for device in devices:
        if device.index == index:
            if device.channels(kind):
                return device
            raise DeviceError(
                f"device {device.label} has no {kind} channels; {kind} devices are: "
                f"{_shown(usable)}"
            )
    raise DeviceError(f"there is no device {index}; {kind} devices: {_shown(usable)}")


def _best_api(found: Sequence[Device]) -> list[Device]:
    """Of one device that several host APIs offer, keep the best ranked."""
    if len({d.host_api for d in found}) < len(found):
        return list(found)  # two from one API are two devices
    ranked = [d for d in found if d.host_api in _API_RANK]
    if len(ranked) < 2:
        return list(found)
    return [min(ranked, key=lambda d: _API_RANK.index(d.host_api))]


def _api_default(
    words: Sequence[str], kind: Kind, found: Sequence[Device]
) -> list[Device]:
    """Of all devices of one host API, which was named alone, keep its default."""
    apis = {d.host_api for d in found}
    if len(apis) == 1 and all(w in next(iter(apis)).casefold() for w in words):
        chosen = [d for d in found if (d.api_input, d.api_output)[kind == "output"]]
        return chosen or list(found)
    return list(found)


def _near(words: Sequence[str], usable: Sequence[Device]) -> list[Device]:
    """Devices with a word that contains one of `words`, or is spelt much like it."""

    def alike(word: str, other: str) -> bool:
        return word in other or SequenceMatcher(None, word, other).ratio() > 0.6

    return [
        d
        for d in usable
        if any(
            alike(word, other)
            for word in words
            for other in f"{d.name} {d.host_api}".casefold().split()
        )
    ]


def _shown(devices: Sequence[Device], most: int = 8) -> str:
    text = ", ".join(d.label for d in devices[:most])
    more = len(devices) - most
    return f"{text} and {more} more" if more > 0 else text


def _nothing_here(kind: Kind, devices: Sequence[Device]) -> str:
    have = f"only {_shown(devices)}" if devices else "no sound device at all"
    advice = {
        "linux": "is a sound server running (pulseaudio --check, pactl info), and may "
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
    return (one.name, one.host_api) == (other.name, other.host_api)


def loudspeaker_advice(source: Device, sink: Device) -> str | None:
    """Return a sentence if the output is a loudspeaker that the microphone hears.

    Names are all that there is to go by; a sound server says nothing, and gets none.
    """
    into, out = source.name.casefold(), sink.name.casefold()
    if any(word in out for word in _HEAD_WORDS):
        return None
    speaker = any(word in out for word in _SPEAKER_WORDS)
    built_in = any(w in into for w in _BUILT_IN_WORDS) and any(
        w in out for w in _BUILT_IN_WORDS
    )
    if not speaker and not built_in:
        return None
    if any(word in into for word in _HEAD_WORDS):
        return None
    return (
        f"{sink.label} looks like a loudspeaker beside the microphone, which would "
        "hear itself and howl: wear headphones, or choose another device with --output"
    )
