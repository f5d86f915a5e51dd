"""scripts/soak: what it starts ends with it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.pulse import need_pulse

ROOT = Path(__file__).resolve().parent.parent


def session_of(pid: int) -> list[str]:
    """Return the names of the processes in the session of one."""
    names = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, IndexError):
            head, _, rest = (folder / "stat").read_text().rpartition(")")
            state, _, _, session = rest.split()[:4]
            if int(session) == pid and state != "Z":
                names.append(head.partition("(")[2])
    return names


def wait_for(process: subprocess.Popen[bytes], name: str) -> None:
    """Wait until a process of that name runs in the session."""
    end = time.monotonic() + 60
    while not any(name in each for each in session_of(process.pid)):
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.1)


@pytest.mark.skipif(sys.platform != "linux", reason="it looks into /proc")
def test_kill_leaves_nothing_running(tmp_path: Path) -> None:
    """Neither the sound server nor the load, which would run for a day."""
    need_pulse()
    if shutil.which("stress-ng") is None:
        pytest.skip("needs stress-ng: apt install stress-ng")
    with subprocess.Popen(
        [sys.executable, str(ROOT / "scripts/soak"), "--seconds", "9", "--load", "1"],
        env={**os.environ, "TMPDIR": str(tmp_path), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        try:
            wait_for(process, "stress-ng")
            assert "pulseaudio" in session_of(process.pid)
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 130
            end = time.monotonic() + 10  # players end when their server has gone
            while session_of(process.pid) and time.monotonic() < end:
                time.sleep(0.1)
            assert session_of(process.pid) == []
            assert list(tmp_path.iterdir()) == []
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
