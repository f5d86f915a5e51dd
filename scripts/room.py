"""A private PulseAudio server with a room that live hears, for scripts."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.pulse import PulseServer  # noqa: E402

__all__ = ["CLIP", "ROOT", "PulseServer", "over_and_over", "room"]

CLIP = ROOT / "streamdenoise" / "assets" / "demo-noisy.flac"
"""The noisy clip of the demo."""


@contextlib.contextmanager
def room(rate: int = 48_000) -> Iterator[tuple[PulseServer, Path]]:
    """Run a server with the null sinks ``room``, which live hears, and ``ear``.

    Yields
    ------
    PulseServer, Path
        It, and a temporary folder.
    """
    with tempfile.TemporaryDirectory() as folder:
        server = PulseServer(Path(folder))
        try:
            server.add_sink("room", rate)
            server.add_sink("ear", rate)
            server.settle()
            yield server, Path(folder)
        finally:
            server.stop()


@contextlib.contextmanager
def over_and_over(server: PulseServer, path: Path) -> Iterator[None]:
    """Play a file into the room, over and over."""
    ended = threading.Event()

    def play() -> None:
        while not ended.is_set():
            with contextlib.suppress(subprocess.SubprocessError):
                server.play(path, "room")

    threading.Thread(target=play, daemon=True).start()
    try:
        yield
    finally:
        ended.set()
