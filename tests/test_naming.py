"""A sound server's devices are named like PortAudio's, and told apart from them."""

from __future__ import annotations

import ctypes
from typing import Any

import pytest

from streamdenoise import DeviceError
from streamdenoise.live.devices import Device, find_device
from streamdenoise.live.howling import loudspeaker_advice
from streamdenoise.live.pulse.libpulse import DEFAULT, SampleSpec, load_libpulse
from streamdenoise.virtual import soundserver
from streamdenoise.virtual.infos import DeviceInfo, Port, read_device
from streamdenoise.virtual.named import with_served
from streamdenoise.virtual.soundserver import Entry, Server


def own(index: int, name: str, api: str = "ALSA", **more: Any) -> Device:
    return Device(index, name, api, 2, 2, 48_000, 0.01, 0.01, **more)


def served(name: str, server_name: str, **more: Any) -> Device:
    return own(0, name, "PulseAudio", server_name=server_name, **more)


DESK = [
    own(0, "pulse"),
    own(1, "default", default_input=True, default_output=True),
    own(2, "USB Audio: - (hw:1,0)"),
    own(3, "Yeti client", "JACK Audio Connection Kit"),
    served("USB Audio Mono", "alsa_input.usb-1", api_input=True),
    served("USB Audio Mono", "alsa_input.usb-2"),
    served("Built-in Audio Analog Stereo", "alsa_input.pci", port="Headset Microphone"),
    served("Yeti", "alsa_input.yeti"),
    served("Monitor of Built-in Audio Speakers", "spk.monitor", form="monitor"),
    served("Denoised microphone", "streamdenoise.mic", form="virtual"),
]


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        (None, "default"),
        ("2", "USB Audio: - (hw:1,0)"),
        ("pulse", "pulse"),
        ("PULS", "pulse"),
        ("built-in", "alsa_input.pci"),
        ("BUILT-IN pulseaudio", "alsa_input.pci"),
        ("headset", "alsa_input.pci"),
        ("alsa_input.usb-2", "alsa_input.usb-2"),
        ("alsa usb", "USB Audio: - (hw:1,0)"),
        ("hw:1", "USB Audio: - (hw:1,0)"),
        ("USB Audio: - (hw:1,0)", "USB Audio: - (hw:1,0)"),
        ("pulseaudio audio", None),
        ("audio", None),
        ("pulseaudio", "alsa_input.usb-1"),
        ("yeti", "alsa_input.yeti"),
        ("yet", "Yeti client"),
        ("monitor", "spk.monitor"),
        ("spk.monitor", "spk.monitor"),
        ("monitor speakers", "spk.monitor"),
    ],
)
def test_a_name_finds_what_a_person_expects(spec: str | None, name: str | None) -> None:
    """The server's before a card that it holds, the card where it is asked for."""
    if name is None:
        with pytest.raises(DeviceError, match="fits 3 input"):
            find_device(spec, "input", DESK)
        return
    found = find_device(spec, "input", DESK)
    assert (found.server_name or found.name) == name


@pytest.mark.parametrize(
    ("spec", "kind", "said"),
    [
        (
            "usb",
            "input",
            r"fits 2 .*: USB Audio Mono \(alsa_input.usb-1\), USB",
        ),
        ("spk", "input", "what is played there, type: --input spk.monitor"),
        ("denoised", "input", "'Denoised microphone' is .* hear itself"),
        ("denoised", "output", "virtual device of streamdenoise.*--virtual-mic"),
        ("bilt-in", "input", r"match in part: .*Built-in Audio Analog Stereo \(Pulse"),
        ("xyzzy", "input", "there are: USB Audio Mono.*pulse"),
        ("17", "input", "no device 17; input devices: 0 pulse"),
    ],
)
def test_a_name_of_nothing_leads_on(spec: str, kind: Any, said: str) -> None:
    """One sentence says what there is, the server's devices among them."""
    with pytest.raises(DeviceError, match=said) as caught:
        find_device(spec, kind, DESK)
    assert "Monitor of" not in str(caught.value)


def serve(monkeypatch: pytest.MonkeyPatch, sinks: list[Entry]) -> None:
    """Let the server say that it has these, the first its default."""
    for name in ("PULSE_SINK", "PULSE_SOURCE"):
        monkeypatch.delenv(name, raising=False)
    known = Server("PulseAudio", "16", sinks[0].name, "mic")
    kind = {"device.form_factor": "internal"}
    mic = Entry(1, "mic", "Built-in Audio", channels=1, rate=44_100, properties=kind)
    monkeypatch.setattr(soundserver, "server", lambda: known)
    lists = {"sinks": sinks, "sources": [mic]}
    monkeypatch.setattr(soundserver, "entries", lambda kind: lists[kind])


def test_ports_and_samples_are_read() -> None:
    """What is plugged in is known by its port, read from where libpulse has it."""
    library = load_libpulse()
    socket = Port(b"analog-output-headphones", "Kopfhörer".encode())
    info = DeviceInfo(name=b"pci", index=48, module=DEFAULT, mute=1)
    info.spec = SampleSpec(3, 48_000, 2)
    info.active_port = ctypes.pointer(socket)
    sink = read_device(library, info)
    assert (sink.index, sink.name, sink.description) == (48, "pci", "")
    assert (sink.channels, sink.rate, sink.muted, sink.module) == (
        2,
        48_000,
        True,
        None,
    )
    assert sink.port == ("analog-output-headphones", "Kopfhörer")
    assert read_device(library, DeviceInfo(name=b"null")).port == ()


@pytest.mark.parametrize(
    ("port", "properties", "description", "told"),
    [
        (("analog-output-speaker", "Speakers", "Speaker"), {}, "Built-in Audio", True),
        (("analog-output-headphones", "Headphones", ""), {}, "Built-in Audio", False),
        (("analog-output-lineout", "Line Out", "Line"), {}, "Built-in Audio", False),
        (("[Out] Speaker", "Speaker", "Speaker"), {}, "Speaker + Headphones", True),
        (("hdmi-output-0", "HDMI", "HDMI"), {}, "Built-in Audio Speakers", True),
        ((), {"device.form_factor": "internal"}, "Tiger Lake Audio", True),
        ((), {"device.form_factor": "speaker"}, "JBL Go", True),
        ((), {"device.form_factor": "headset"}, "Speaker for ears", False),
        ((), {}, "Built-in Audio Speakers", True),
        ((), {}, "Null Output", False),
        ((), {"streamdenoise.mic": "x"}, "Speakers", False),
    ],
)
def test_headphones_are_advised_by_what_the_server_knows(
    monkeypatch: pytest.MonkeyPatch,
    port: tuple[str, ...],
    properties: dict[str, str],
    description: str,
    told: bool,
) -> None:
    """Socket, kind and name of a device say it, named or behind the default door."""
    props = {"device.form_factor": "internal", **properties} if port else properties
    sink = Entry(7, "out", description, port=port, properties=props)
    serve(monkeypatch, [sink])
    listed = with_served([own(0, "default", default_input=True, default_output=True)])
    source = find_device(None, "input", listed)
    assert source.real("input").server_name == "mic"
    assert source.real("input").form == ""
    advice = loudspeaker_advice(source, find_device(None, "output", listed))
    assert (advice is not None) is told
    if told:
        named = find_device(description, "output", listed)
        assert loudspeaker_advice(source, named) == advice
        assert advice is not None and description in advice


def test_a_name_from_afar_is_safe_to_print(monkeypatch: pytest.MonkeyPatch) -> None:
    """A headset says its own name; one without is called what the server calls it."""
    sinks = [Entry(1, "bluez", "Ann\x1b[2J"), Entry(2, "plain", "(null)")]
    serve(monkeypatch, sinks)
    found = {d.server_name: d.name for d in with_served([own(0, "pulse")])}
    assert (found["bluez"], found["plain"]) == ("Ann\\x1b[2J", "plain")


def test_what_plays_its_own_input_is_said() -> None:
    """A monitor hears no loudspeaker, but playing into the same sink goes round."""
    monitor = served("Monitor of Speakers", "spk.monitor", form="monitor")
    said = loudspeaker_advice(monitor, served("Speakers", "spk", form="loudspeaker"))
    assert said is not None and "again and again" in said
    other = served("Speakers", "other", form="loudspeaker")
    assert loudspeaker_advice(monitor, other) is None


def test_the_list_is_as_it_was_without_a_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No program to ask it, no door to it, or PortAudio's own list: the same."""
    serve(monkeypatch, [Entry(7, "out", "Speakers")])
    cards = [own(0, "USB Audio: - (hw:1,0)")]
    assert with_served(cards) == cards
    listing = [own(0, "pulse"), own(1, "Speakers", "PulseAudio")]
    assert with_served(listing) == listing
    doors = [own(0, "pulse"), own(1, "default")]
    assert len(with_served(doors)) == 4
    monkeypatch.undo()
    monkeypatch.setenv("PATH", "")
    assert with_served(doors) == doors
