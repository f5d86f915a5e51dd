"""The other direction of a call: what the others say, denoised as well.

A virtual loudspeaker, which the call program plays into, and a second live that carries
its sound, denoised, to the real loudspeaker. The monitor of the real one would not do:
its sound is heard already, and what is played there would come back.

The second live is a process of its own. Two audio threads in one Python would wait for
each other every few milliseconds, and each needs its own place in the environment,
where PulseAudio's client library is told which devices to open.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import IO, Any, Final

from ..errors import DeviceError
from ..live.devices import list_devices
from . import DEFAULT_NAME, pactl
from .mic import RATE, door, keep_defaults
from .owner import Owner
from .parts import Found, find_all, is_ours, make_loudspeaker, remove_stale, slug_of

__all__ = ["Incoming", "child"]

_END_SECONDS: Final = 5.0
_KEPT_BYTES: Final = 4000
_CODE: Final = "from streamdenoise.virtual.incoming import child; child()"
_DIE_WITH_PARENT: Final = 1  # PR_SET_PDEATHSIG of Linux

Warn = Callable[[str], None]


class _Tail:
    """Reads a pipe until it ends, in a thread, and keeps the last of what came.

    A session may run for months: what it says by and by must neither grow here nor
    fill the pipe, where it would make the writer wait.
    """

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe = pipe
        self._last: deque[int] = deque(maxlen=_KEPT_BYTES)
        self._thread = threading.Thread(
            target=self._run, name="streamdenoise-incoming", daemon=True
        )
        self._thread.start()

    def _run(self) -> None:
        with self._pipe:
            while chunk := os.read(self._pipe.fileno(), _KEPT_BYTES):
                self._last.extend(chunk)

    def lines(self) -> list[str]:
        """Return what was said last, by a process that has ended."""
        # Something that it left behind may hold the other end: no reason to wait long.
        self._thread.join(1.0)
        return bytes(self._last.copy()).decode(errors="replace").strip().splitlines()


class Incoming:
    """Denoises what other programs play; a context manager.

    Parameters
    ----------
    name
        Of the virtual loudspeaker; ``-incoming`` is put behind it.
    arguments
        Further words for the second ``live``, such as ``("--strength", "12")``.
    sd
        The sounddevice module, or what stands in for it.

    Attributes
    ----------
    description
        What call programs call the loudspeaker.
    sink_name
        The loudspeaker, as ``paplay --device=`` takes it.
    control_name
        By which ``streamdenoise ctl --name`` reaches the second live.
    output
        Description of the real loudspeaker.

    Raises
    ------
    DeviceError
        If no sound server answers, or it has no loudspeaker of its own.
    """

    def __init__(
        self,
        name: str = DEFAULT_NAME,
        arguments: Sequence[str] = (),
        sd: Any = None,
    ) -> None:
        self.sink_name = f"{slug_of(name)}-incoming"
        self.control_name = "incoming"
        self.description = "Denoised loudspeaker"
        if name != DEFAULT_NAME:
            cut = re.sub(r"[^a-z0-9_.]", "_", self.sink_name)[-32:]
            self.control_name = cut.lstrip("_.")  # as `live --name` wants it
            self.description = f"{name} loudspeaker (denoised)"
        self._arguments = [*arguments]
        self._process: subprocess.Popen[bytes] | None = None
        self._tail: _Tail | None = None
        before = pactl.server()
        self._door = door(list_devices(sd))
        remove_stale()
        if any(found.name == self.sink_name for found in find_all()):
            raise DeviceError(
                f"the virtual loudspeaker '{self.sink_name}' is there already, of "
                "another live: end that, or choose another name"
            )
        real = self._real_sink(before.default_sink)
        self.output = real.description
        made = self._make()
        try:
            keep_defaults(before, made)
            self._start(real.name)
        except BaseException:
            self.close()
            raise

    def _make(self) -> Found:
        owner = str(Owner.here())
        return make_loudspeaker(self.sink_name, self.description, RATE, owner)

    @staticmethod
    def _real_sink(default: str) -> pactl.Entry:
        """Return the default sink, or another one if that is ours."""
        sinks = [e for e in pactl.entries("sinks") if not is_ours(e)]
        sinks.sort(key=lambda entry: entry.name != default)
        if not sinks:
            raise DeviceError(
                "the sound server has no loudspeaker to play the others' voices on; "
                "connect one, and see: pactl list short sinks"
            )
        return sinks[0]

    def _start(self, sink: str) -> None:
        words = ["live", "--no-view", "--input", self._door, "--output", self._door]
        words += ["--name", self.control_name, *self._arguments]
        env = {**os.environ, "PULSE_SOURCE": f"{self.sink_name}.monitor"}
        env["STREAMDENOISE_CONFIG"] = ""  # its flags are meant for the first live
        self._process = subprocess.Popen(
            [sys.executable, "-c", _CODE, *words],
            env={**env, "PULSE_SINK": sink},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            # Ctrl-C is for us; we end it in our own time.
            start_new_session=True,
        )
        assert self._process.stderr is not None
        self._tail = _Tail(self._process.stderr)

    @property
    def running(self) -> bool:
        """Whether the second live runs."""
        return self._process is not None and self._process.poll() is None

    def check(self, warn: Warn) -> None:
        """Say once if the second live has ended by itself, and why."""
        process = self._process
        if process is None or process.poll() is None:
            return
        self._process = None
        lines = self._tail.lines() if self._tail is not None else []
        reason = lines[-1].removeprefix("streamdenoise: ") if lines else "no reason"
        warn(
            f"incoming sound is no longer denoised ({reason}); choose another "
            "loudspeaker in the call, or start again"
        )

    def restore(self, warn: Warn) -> None:
        """Make the loudspeaker anew if it is gone; the second live waits for it.

        A server that was started again has forgotten it. Asks the server, so it is
        for moments in which that may have happened, not for each look.

        Raises
        ------
        DeviceError
            If no server answers, or it refuses.
        """
        if not self.running or any(f.name == self.sink_name for f in find_all()):
            return
        before = pactl.server()
        keep_defaults(before, self._make())
        warn(f"the virtual loudspeaker '{self.description}' was gone; it is back")

    def close(self) -> None:
        """End the second live, and remove the loudspeaker; may be called twice."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            try:
                process.wait(_END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        with contextlib.suppress(DeviceError):  # the server may be gone
            for found in find_all():
                if found.name == self.sink_name:
                    found.remove()

    def __enter__(self) -> Incoming:
        """Return itself; it runs already."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Call `close`."""
        self.close()


def child() -> None:
    """Run the command line, and end when the parent does, whatever ends that."""
    parent = os.getppid()
    if sys.platform == "linux":
        import ctypes

        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGTERM)
        if os.getppid() != parent:  # it ended before that was said
            raise SystemExit(0)
    from ..cli import main

    main()
