"""Noticing that the system's default devices have changed.

PortAudio looks for devices once, when it starts, and cannot start anew while streams
run. So a process of its own looks again and again, and says what it sees. It is needed
only where no sound server moves streams by itself: on macOS and Windows.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import Any, Final

from ..errors import StreamDenoiseError
from .devices import Device, list_devices
from .portaudio import reinitialise

LOOK_SECONDS: Final = 4.0
"""Pause between two looks."""

WATCHED_APIS: Final = (
    "Core Audio",
    "MME",
    "Windows DirectSound",
    "Windows WASAPI",
    "Windows WDM-KS",
)
"""Host APIs whose streams stay where they are when the default changes."""

COMMAND: Final = (sys.executable, "-m", "streamdenoise.live.defaults")

Names = tuple[tuple[str, str] | None, tuple[str, str] | None]
"""Name and host API of the default input and output."""


def default_names(devices: Sequence[Device]) -> Names:
    """Return the defaults in a list of devices, None where there is none."""
    into = next((d for d in devices if d.default_input), None)
    out = next((d for d in devices if d.default_output), None)
    return (
        None if into is None else (into.name, into.host_api),
        None if out is None else (out.name, out.host_api),
    )


class DefaultWatcher:
    """Keeps a process that looks at the default devices.

    Parameters
    ----------
    kinds
        Whether the default input and the default output are of interest.
    command
        What to run.
    """

    def __init__(
        self, kinds: tuple[bool, bool], command: Sequence[str] = COMMAND
    ) -> None:
        self._kinds = kinds
        self._latest: Names | None = None
        self._known: Names | None = None
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,  # closed with us, however we end; then it ends too
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._thread = threading.Thread(
            target=self._read, name="streamdenoise-defaults", daemon=True
        )
        self._thread.start()

    def _read(self) -> None:
        stdout = self._process.stdout
        assert stdout is not None
        for line in stdout:
            with contextlib.suppress(ValueError, TypeError):
                into, out = json.loads(line)
                self._latest = (
                    None if into is None else (str(into[0]), str(into[1])),
                    None if out is None else (str(out[0]), str(out[1])),
                )

    def changed(self) -> bool:
        """Whether a default of interest is another one than at the last call."""
        latest = self._latest
        if latest is None:
            return False
        known, self._known = self._known, latest
        if known is None:
            return False
        # A default that is merely gone is seen at the stream itself.
        return any(
            wanted and new is not None and new != old
            for wanted, new, old in zip(self._kinds, latest, known, strict=True)
        )

    def close(self) -> None:
        """End the process; may be called twice."""
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        if self._process.poll() is None:
            self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        self._thread.join(5)
        if self._process.stdout is not None:
            self._process.stdout.close()


def watcher_for(source: Device, sink: Device, wishes: Any) -> DefaultWatcher | None:
    """Return a watcher where one is needed, else None.

    Parameters
    ----------
    source, sink
        The devices in use.
    wishes
        With `input` and `output` as a person named them, and `reinitialise`.
    """
    kinds = (
        wishes.input is None and source.host_api in WATCHED_APIS,
        wishes.output is None and sink.host_api in WATCHED_APIS,
    )
    if not any(kinds) or not wishes.reinitialise:
        return None
    with contextlib.suppress(OSError):
        return DefaultWatcher(kinds)
    return None


def main() -> None:
    """Say what the default devices are, again and again, until nobody listens."""
    from .portaudio import load_sounddevice

    ended = threading.Event()

    def wait_for_end() -> None:
        # Not sys.stdin: its lock would be held while the interpreter ends.
        with contextlib.suppress(OSError):
            while os.read(0, 1):
                pass
        ended.set()

    threading.Thread(target=wait_for_end, daemon=True).start()
    sd = load_sounddevice()
    while not ended.is_set():
        with contextlib.suppress(StreamDenoiseError, sd.PortAudioError):
            print(json.dumps(default_names(list_devices(sd))), flush=True)
        ended.wait(LOOK_SECONDS)
        reinitialise(sd)


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError, KeyboardInterrupt):
        main()
