"""A private PipeWire with its pulse server: the other sound server that Linux has."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pulse import PulseServer, need_pulse

_PROGRAMS = ("pipewire", "pipewire-pulse", "wireplumber", "dbus-run-session")
_SCRIPT = "pipewire & sleep 0.5; wireplumber & exec pipewire-pulse"


class PipeWireServer(PulseServer):
    """PipeWire, WirePlumber and the pulse server of a session that is our own."""

    def __init__(self, folder: Path) -> None:
        self._prepare(folder)
        self._log = folder / "pipewire.log"
        with self._log.open("wb") as log:
            self._session = subprocess.Popen(
                ["dbus-run-session", "--", "sh", "-c", _SCRIPT],
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._children = []
        for _ in range(100):
            # Its session manager gets to know of defaults last.
            words = "set-default-sink", "auto_null"
            if "auto_null" in self._sinks() and self._pactl(*words).returncode == 0:
                return
            if self._session.poll() is not None:
                break
            time.sleep(0.1)
        self.stop()
        pytest.skip(f"PipeWire does not start here: {self._log.read_text()[-300:]}")

    def _sinks(self) -> str:
        return self._pactl("list", "short", "sinks").stdout

    def _prepare(self, folder: Path) -> None:
        home, runtime = folder / "home", folder / "run"
        home.mkdir()
        runtime.mkdir(mode=0o700)
        (home / ".asoundrc").write_text("pcm.!default { type pulse }\n")
        kept = ("PATH", "LANG", "LC_ALL", "PYTHONPATH", "OMP_NUM_THREADS", "TMPDIR")
        self.env = {k: v for k, v in os.environ.items() if k in kept}
        self.env |= {"HOME": str(home), "XDG_RUNTIME_DIR": str(runtime)}

    def stop(self) -> None:
        """End everything that was started."""
        super().stop()
        if self._session.poll() is None:
            os.killpg(self._session.pid, signal.SIGTERM)
        try:
            self._session.wait(5)
        except subprocess.TimeoutExpired:
            os.killpg(self._session.pid, signal.SIGKILL)
            self._session.wait()


@pytest.fixture(scope="module")
def pipewire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PipeWireServer]:
    """A PipeWire with the sinks ``room`` (what the microphone hears) and ``ear``."""
    missing = [name for name in _PROGRAMS if shutil.which(name) is None]
    if missing:
        pytest.skip(
            f"needs {', '.join(missing)}: apt install pipewire pipewire-pulse "
            "wireplumber dbus"
        )
    need_pulse()
    server = PipeWireServer(tmp_path_factory.mktemp("pipewire"))
    try:
        server.add_sink("room")
        server.add_sink("ear")
        yield server
    finally:
        server.stop()
