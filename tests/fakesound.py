"""A stand-in for the sounddevice module: devices, refusals, and streams that run.

Streams call back from a thread as PortAudio does, as fast as they can, one block
after the other. What is played can be read; what is captured can be given.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


class PortAudioError(Exception):
    """As in sounddevice: a text, then PortAudio's number."""


class Flags:
    """Callback flags; truthy when one is set."""

    def __init__(self, **flags: bool) -> None:
        self.__dict__.update(
            input_overflow=False,
            input_underflow=False,
            output_underflow=False,
            output_overflow=False,
            priming_output=False,
        )
        self.__dict__.update(flags)

    def __bool__(self) -> bool:
        return any(self.__dict__.values())


NO_FLAGS = Flags()


def device(name: str, inputs: int = 2, outputs: int = 2, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "hostapi": 0,
        "max_input_channels": inputs,
        "max_output_channels": outputs,
        "default_samplerate": 48_000.0,
        "default_low_input_latency": 0.01,
        "default_low_output_latency": 0.012,
        **more,
    }


class FakeSound:
    """Stands in for the module `sounddevice`.

    Parameters
    ----------
    devices
        From `device`.
    captured
        What the input hears, (n, channels); then silence.
    sizes
        Block sizes that the device gives, over and over; by default those asked for.
    refuse
        Gets kind, device, rate and channels; returns an error number or None.
    pace
        Seconds of waiting after each block.
    """

    PortAudioError = PortAudioError

    def __init__(
        self,
        devices: Sequence[dict[str, Any]],
        *,
        apis: Sequence[str] = ("ALSA",),
        default: tuple[int, int] = (0, 0),
        captured: NDArray[np.float32] | None = None,
        sizes: Sequence[int] | None = None,
        refuse: Callable[[str, int, int, int], int | None] = lambda *_: None,
        pace: float = 0.001,
        dies_after: int | None = None,
        flags: Callable[[int], Flags] = lambda call: NO_FLAGS,
    ) -> None:
        self.devices, self.apis = list(devices), list(apis)
        self.default = type("default", (), {"device": default})
        self.captured = captured
        self.sizes, self.refuse, self.pace = sizes, refuse, pace
        self.dies_after, self.flags = dies_after, flags
        self.initialised = 0
        self.api_defaults: dict[str, int] = {}
        self._known = list(self.devices)
        self.opened: list[_Stream] = []
        self.played: list[NDArray[np.float32]] = []

    def query_hostapis(self) -> list[dict[str, Any]]:
        return [{"name": name, **self.api_defaults} for name in self.apis]

    def query_devices(self, device: Any = None, kind: str | None = None) -> Any:
        if device is None and kind is None:
            return self._known
        raise PortAudioError("Error querying device -1", -9996)

    def _terminate(self) -> None:
        assert all(stream.closed for stream in self.opened), "streams would be lost"

    def _initialize(self) -> None:
        """Look for devices, which PortAudio does only here."""
        self.initialised += 1
        self._known = list(self.devices)

    def unplug(
        self, *devices: dict[str, Any], default: tuple[int, int] = (0, 0)
    ) -> None:
        """Let only `devices` be left; streams on others stop by themselves."""
        self.devices = list(devices)
        self.default = type("default", (), {"device": default})
        for stream in self.opened:
            stream.stop_by_itself()

    def check_input_settings(self, **asked: Any) -> None:
        self._check("input", asked["device"], asked["samplerate"], asked["channels"])

    def check_output_settings(self, **asked: Any) -> None:
        self._check("output", asked["device"], asked["samplerate"], asked["channels"])

    def _check(self, kind: str, index: int, rate: int, channels: int) -> None:
        code = self.refuse(kind, index, rate, channels)
        if code is None and index >= len(self.devices):
            code = -9996
        if code is None and channels > self.devices[index][f"max_{kind}_channels"]:
            code = -9998
        if code is not None:
            raise PortAudioError(f"Error opening {kind}", code)

    def Stream(self, **asked: Any) -> _Stream:
        for at, kind in enumerate(("input", "output")):
            self._check(
                kind, asked["device"][at], asked["samplerate"], asked["channels"][at]
            )
        return self._open("duplex", asked)

    def InputStream(self, **asked: Any) -> _Stream:
        self.check_input_settings(**asked)
        return self._open("input", asked)

    def OutputStream(self, **asked: Any) -> _Stream:
        self.check_output_settings(**asked)
        return self._open("output", asked)

    def _open(self, kind: str, asked: dict[str, Any]) -> _Stream:
        stream = _Stream(self, kind, asked)
        self.opened.append(stream)
        return stream


class _Stream:
    def __init__(self, sound: FakeSound, kind: str, asked: dict[str, Any]) -> None:
        self.asked, self.kind, self._sound = asked, kind, sound
        self.active = self.closed = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def latency(self) -> Any:
        assert not self.closed, "a closed stream has no latency"
        return (0.016, 0.024) if self.kind == "duplex" else 0.016

    def start(self) -> None:
        self.active = True
        self._thread.start()

    def stop_by_itself(self) -> None:
        self.active = False
        self._ended.set()

    def abort(self) -> None:
        self.stop_by_itself()
        if self._thread.is_alive():
            self._thread.join()

    def close(self) -> None:
        self.closed = True

    def _sizes(self) -> Iterator[int]:
        sizes = self._sound.sizes or (self.asked["blocksize"],)
        while True:
            yield from sizes

    def _run(self) -> None:
        sound, callback = self._sound, self.asked["callback"]
        channels = self.asked["channels"]
        into, out = channels if self.kind == "duplex" else (channels, channels)
        done = 0
        for call, size in enumerate(self._sizes()):
            if not self.active:
                return
            if sound.dies_after is not None and call >= sound.dies_after:
                self.active = False
                return
            heard = np.zeros((size, into), np.float32)
            if sound.captured is not None:
                part = sound.captured[done : done + size]
                heard[: len(part)] = part[:, :into]
            played = np.full((size, out), np.nan, np.float32)
            done += size
            status = sound.flags(call)
            if self.kind == "duplex":
                callback(heard, played, size, None, status)
            elif self.kind == "input":
                callback(heard, size, None, status)
            else:
                callback(played, size, None, status)
            if self.kind != "input":
                sound.played.append(played)
            self._ended.wait(sound.pace)
