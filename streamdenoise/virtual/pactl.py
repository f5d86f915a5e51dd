"""What the sound server says and does, by its own program ``pactl``.

One door for PulseAudio and for PipeWire, whose pulse server takes the same words. Its
JSON is read where it gives any (version 16 and later), its text elsewhere.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from ..errors import DeviceError
from ..names import shown

Streams = Literal["sink-inputs", "source-outputs"]
Port = tuple[str, ...]
Kind = Literal["sinks", "sources", "sink-inputs", "source-outputs", "clients"]

_TIMEOUT: Final = 10.0
_HEAD = re.compile(r"^(?:Sink|Source|Sink Input|Source Output|Client) #(\d+)\s*$")
_FIELD = re.compile(r"^\t(\w[\w ]*): (.*)$")
_PROPERTY = re.compile(r'^\t\t([\w.-]+) = "(.*)"$')
_PORT = re.compile(r"^\t\t(\S.*?): (.*) \((?:type: ([\w ]+), )?priority.*\)$")
_SAMPLES = re.compile(r"(\d+)ch (\d+)Hz")

__all__ = [
    "Entry",
    "NoServerError",
    "RefusedError",
    "Server",
    "entries",
    "load_module",
    "quoted",
    "run",
    "server",
    "streams_of",
    "unload_module",
]


class NoServerError(DeviceError):
    """No sound server answers, or there is no program to ask it with."""


class RefusedError(DeviceError):
    """The sound server does not do what it was told."""


@dataclass(frozen=True)
class Entry:
    """A sink, a source, a stream that plays into or records from one, or a client.

    Attributes
    ----------
    index
        The server's number for it.
    name, description
        Of a sink or source: for programs, and for people. Empty for a stream.
    module
        Number of the module that made it, or None.
    attached
        Of a stream: index of its sink or source.
    client
        Of a stream: index of the client that it belongs to.
    monitor
        Of a sink: name of its monitor; of a monitor: name of its sink.
    rate, channels
        Of a sink or source; the rate in Hz.
    port
        Of a sink or source: name, description and type of what is in use of it, such
        as a socket for headphones; empty where it has none.
    properties
        As the server keeps them.
    """

    index: int
    name: str = ""
    description: str = ""
    module: int | None = None
    attached: int | None = None
    client: int | None = None
    monitor: str = ""
    rate: int = 0
    channels: int = 0
    port: tuple[str, ...] = ()
    properties: Mapping[str, str] = field(default_factory=dict)

    @property
    def known_as(self) -> str:
        """Name for people, which may come from afar: a headset says its own."""
        said = shown(self.description)
        return self.name if said in ("", "(null)") else said

    @property
    def is_monitor(self) -> bool:
        """Whether a source is what a sink plays, and no microphone."""
        return self.properties.get("device.class") == "monitor" or bool(self.monitor)

    @property
    def process(self) -> int | None:
        """Process number of a client's or a stream's program, as that program says."""
        text = self.properties.get("application.process.id", "")
        return int(text) if text.isdecimal() else None


@dataclass(frozen=True)
class Server:
    """The sound server.

    Attributes
    ----------
    name
        ``"PulseAudio"`` or ``"PipeWire"``.
    version
        As it says.
    default_sink, default_source
        Names.
    """

    name: str
    version: str
    default_sink: str
    default_source: str


def environment() -> dict[str, str]:
    """Return the environment in which ``pactl`` speaks English."""
    return {**os.environ, "LC_ALL": "C.UTF-8", "LANGUAGE": ""}


def run(*words: str) -> str:
    """Call ``pactl`` and return what it prints.

    Raises
    ------
    NoServerError, RefusedError
        As their names say; the server's own words are in the text.
    """
    program = shutil.which("pactl")
    if program is None:
        raise NoServerError(
            "the sound server is asked through the program pactl, which is not "
            "installed; type: sudo apt install pulseaudio-utils (Fedora: sudo dnf "
            "install pulseaudio-utils, Arch: sudo pacman -S libpulse)"
        )
    try:
        done = subprocess.run(
            [program, *words],
            capture_output=True,
            text=True,
            errors="replace",
            env=environment(),
            stdin=subprocess.DEVNULL,
            timeout=_TIMEOUT,
        )
    except subprocess.TimeoutExpired:
        raise NoServerError(
            f"the sound server did not answer within {_TIMEOUT:.0f} s; start it again "
            "with: systemctl --user restart pipewire-pulse (or: pulseaudio -k)"
        ) from None
    if done.returncode == 0:
        return done.stdout
    said = done.stderr.strip().splitlines()
    reason = said[-1] if said else f"exit code {done.returncode}"
    if "onnection" in reason:
        raise NoServerError(
            f"no sound server (PulseAudio or PipeWire) answers here ({reason}); start "
            "one with: systemctl --user start pipewire-pulse, or: pulseaudio --start"
        )
    raise RefusedError(f"the sound server refuses '{' '.join(words[:2])}': {reason}")


def server() -> Server:
    """Return which server runs and what its defaults are.

    Raises
    ------
    NoServerError
        If none answers.
    """
    fields = dict(re.findall(r"^([\w ]+): (.*)$", run("info"), re.MULTILINE))
    name, version = fields.get("Server Name", ""), fields.get("Server Version", "")
    behind = re.search(r"on PipeWire ([\d.]+)", name)
    return Server(
        name="PipeWire" if behind else "PulseAudio",
        version=behind[1] if behind else version,
        default_sink=fields.get("Default Sink", ""),
        default_source=fields.get("Default Source", ""),
    )


def entries(kind: Kind) -> list[Entry]:
    """Return all sinks, sources, or streams.

    Raises
    ------
    NoServerError
        If none answers.
    """
    try:
        listed = json.loads(run("--format=json", "list", kind))
        return [_from_json(raw) for raw in listed]
    except (ValueError, KeyError, TypeError, AttributeError, RefusedError):
        # Old ones do not know the option, and some print JSON that is none.
        return parse_text(run("list", kind))


def streams_of(kind: Streams, process: int) -> list[Entry]:
    """Return the streams of a process.

    Streams that come through PipeWire's own ALSA device do not say whose they are;
    their clients do.

    Raises
    ------
    NoServerError
        If none answers.
    """
    streams = entries(kind)
    theirs: set[int | None] = set()
    if any(e.process is None and e.client is not None for e in streams):
        theirs = {e.index for e in entries("clients") if e.process == process}
    return [
        e
        for e in streams
        if e.process == process or (e.process is None and e.client in theirs)
    ]


def load_module(name: str, *arguments: str) -> int:
    """Load a module into the server and return its number.

    Raises
    ------
    NoServerError, RefusedError
        As their names say.
    """
    return int(run("load-module", name, *arguments).split()[-1])


def unload_module(number: int) -> bool:
    """Unload a module; return whether it was there.

    Raises
    ------
    NoServerError
        If none answers.
    """
    try:
        run("unload-module", str(number))
    except RefusedError:
        return False
    return True


def quoted(properties: Mapping[str, str]) -> str:
    """Return properties as the value of a module's argument ``..._properties=``.

    Two parsers read it, one quote each; what could end a quote is taken out.
    """
    inner = " ".join(f'{key}="{_unquoted(text)}"' for key, text in properties.items())
    return f"'{inner}'"


def _unquoted(text: str) -> str:
    return "".join(c for c in text if c.isprintable() and c not in "\"'\\")


def _from_json(raw: Mapping[str, Any]) -> Entry:
    attached = raw.get("sink", raw.get("source"))
    channels, rate = _samples(str(raw.get("sample_specification", "")))
    ports = [
        tuple(str(port.get(key, "")) for key in ("name", "description", "type"))
        for port in raw.get("ports") or ()
    ]
    return Entry(
        index=int(raw["index"]),
        name=str(raw.get("name", "")),
        description=str(raw.get("description", "")),
        module=_number(str(raw.get("owner_module", ""))),
        attached=None if attached is None else _number(str(attached)),
        client=_number(str(raw.get("client", ""))),
        monitor=str(raw.get("monitor_source") or ""),
        rate=rate,
        channels=channels,
        port=_in_use(ports, str(raw.get("active_port") or "")),
        properties={str(k): str(v) for k, v in (raw.get("properties") or {}).items()},
    )


def parse_text(text: str) -> list[Entry]:
    """Read what ``pactl list KIND`` prints for people, in English."""
    found: list[tuple[int, dict[str, str], dict[str, str], list[Port]]] = []
    for line in text.splitlines():
        if head := _HEAD.match(line):
            found.append((int(head[1]), {}, {}, []))
        elif not found:
            continue
        elif prop := _PROPERTY.match(line):
            found[-1][2][prop[1]] = prop[2]
        elif port := _PORT.match(line):
            found[-1][3].append(port.groups(""))
        elif pair := _FIELD.match(line):
            found[-1][1][pair[1]] = pair[2]
    return [_from_fields(*parts) for parts in found]


def _from_fields(
    index: int, fields: dict[str, str], props: dict[str, str], ports: list[Port]
) -> Entry:
    monitor = fields.get("Monitor of Sink", fields.get("Monitor Source", ""))
    channels, rate = _samples(fields.get("Sample Specification", ""))
    return Entry(
        index=index,
        name=fields.get("Name", ""),
        description=fields.get("Description", ""),
        module=_number(fields.get("Owner Module", "")),
        attached=_number(fields.get("Sink", fields.get("Source", ""))),
        client=_number(fields.get("Client", "")),
        monitor="" if monitor == "n/a" else monitor,
        rate=rate,
        channels=channels,
        port=_in_use(ports, fields.get("Active Port", "")),
        properties=props,
    )


def _samples(text: str) -> tuple[int, int]:
    """Return channels and rate of a specification such as ``s16le 2ch 44100Hz``."""
    found = _SAMPLES.search(text)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _in_use(ports: list[Port], name: str) -> Port:
    return next((port for port in ports if port[0] == name), ())


def _number(text: str) -> int | None:
    """Return the number in `text`; the server's 2^32-1 and ``n/a`` are none."""
    return int(text) if text.isdecimal() and int(text) != 0xFFFFFFFF else None
