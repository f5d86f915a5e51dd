"""scripts/desktop-check: what it needs is said in one line, and nothing is touched."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPTS = Path(__file__).resolve().parent.parent / "scripts"
sys.path.insert(0, str(SCRIPTS))

from desktop_check import machine  # noqa: E402
from desktop_check.heard import likeness  # noqa: E402
from desktop_check.machine import Machine  # noqa: E402
from desktop_check.main import main  # noqa: E402

pytestmark = pytest.mark.skipif(os.name != "posix", reason="it boots a Debian")


def test_what_is_missing_is_a_sentence(tmp_path: Path) -> None:
    """Exit code 3, one line, and what to type; nothing is written."""
    done = subprocess.run(
        [
            sys.executable,
            str(SCRIPTS / "desktop-check"),
            "--folder",
            str(tmp_path / "f"),
        ],
        env={**os.environ, "PATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1
    assert "sudo apt install debootstrap systemd-container" in done.stderr
    assert done.stdout == "" and not (tmp_path / "f").exists()


def test_a_folder_that_git_would_see_is_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A whole Debian does not belong into the repository."""
    with pytest.raises(SystemExit) as caught:
        main(["--folder", str(SCRIPTS / "x")])
    assert caught.value.code == 2
    assert "outside of the repository" in capsys.readouterr().err


def test_what_hangs_inside_does_not_keep_it_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command that takes too long has failed, and the machine is off all the same."""
    slow = tmp_path / "nsenter"
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(machine, "OFF_SECONDS", 0.2)
    container = Machine(tmp_path, "trixie")
    # A process with a child, as systemd-nspawn has one.
    code = "import subprocess; subprocess.run(['sleep', '60'])"
    with subprocess.Popen([sys.executable, "-c", code]) as process:
        container._process = process
        while container._leader() is None:
            assert process.poll() is None
        assert container.run("pactl info", 0.2).returncode == 124
        leader = container._leader()
        container.off()
        assert process.returncode is not None
    os.kill(int(leader or 0), signal.SIGKILL)


def test_likeness_finds_the_place(rng: np.random.Generator) -> None:
    """Wherever it lies, and whatever its level; what is not there is not found."""
    wanted, other = rng.standard_normal((2, 8000)).astype(np.float32)
    silence = np.zeros(3000, np.float32)
    found = np.concatenate([silence, 0.3 * wanted, silence])
    assert likeness(found, wanted, 4000) > 0.999
    assert likeness(np.insert(found, 7000, np.zeros(50)), wanted, 4000) > 0.999
    assert abs(likeness(np.concatenate([silence, other]), wanted, 4000)) < 0.2
    assert likeness(wanted[:100], wanted, 4000) == 0.0
    assert likeness(np.zeros(9000, np.float32), wanted, 4000) == 0.0
