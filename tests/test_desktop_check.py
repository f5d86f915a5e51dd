"""scripts/desktop-check: what it needs is said in one line, and nothing is touched."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPTS = Path(__file__).resolve().parent.parent / "scripts"
sys.path.insert(0, str(SCRIPTS))

from desktop_check.heard import likeness  # noqa: E402

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
