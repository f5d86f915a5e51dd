"""scripts/pi-check: what it is asked for, what it needs, and how it compares."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
SCRIPTS = ROOT / "scripts"
sys.path.insert(0, str(SCRIPTS))

from other_system import Row, take, tell  # noqa: E402
from pi_check import main, root  # noqa: E402
from pi_check.boards import ARCHS, BOARDS, board_for  # noqa: E402
from pi_check.compare import (  # noqa: E402
    LIMIT,
    ROUNDED_LIMIT,
    compare,
    difference,
    explain,
)
from pi_check.steps import TESTS, Bench, noisy_recording  # noqa: E402

from tests.conftest import TINY_MODEL  # noqa: E402


def outputs(path: Path, change: float, weights: str) -> Path:
    """What inside.py writes, with a constant added to one sample."""
    rng = np.random.default_rng(1)
    sound = {
        f"m/{way}/{kernels}": rng.standard_normal(400).astype(np.float32) * 0.1
        for way in ("file", "live")
        for kernels in ("xnnpack", "plain")
    }
    sound["m/live/xnnpack"][7] += np.float32(change)
    about = {"runtime": "any", "quantisation": {"m": weights}}
    np.savez(path, about=json.dumps(about), **sound)
    return path


def test_the_usual_board_fits_the_system() -> None:
    """64 bit and a Raspberry Pi 4 unless asked otherwise; every board has a system."""
    asked = main.arguments([])
    assert (asked.board.name, asked.suite, asked.json) == ("pi4", "bookworm", False)
    assert main.arguments(["--arch", "armhf"]).board.name == "pi2"
    assert main.arguments(["--board", "pi5"]).board.arch == "arm64"
    assert all(board.arch in ARCHS for board in BOARDS.values())


def test_contradictions_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    """A board of another system, and a folder that git would see."""
    with pytest.raises(ValueError, match=r"pi2 is armhf, not arm64.*pi3, pi4, pi5"):
        board_for("arm64", "pi2")
    for words in (["--arch", "arm64", "--board", "pi2"], ["--folder", str(ROOT / "x")]):
        with pytest.raises(SystemExit) as caught:
            main.arguments(words)
        assert caught.value.code == 2
    assert "outside of the repository" in capsys.readouterr().err


@pytest.mark.parametrize("name", BOARDS)
def test_each_processor_says_what_it_is(name: str) -> None:
    """As the kernel writes it: a block for each core, with what QEMU is, too."""
    board = BOARDS[name]
    blocks = board.cpuinfo(cores=4).strip().split("\n\n")
    assert len(blocks) == 4
    for number, block in enumerate(blocks):
        known = dict(line.split(":", 1) for line in block.splitlines())
        known = {key.strip(): value.strip() for key, value in known.items()}
        assert known["processor"] == str(number)
        assert known["CPU part"] == board.part
        assert ("asimd" in known["Features"].split()) is (board.arch == "arm64")


def test_what_is_missing_is_a_sentence(tmp_path: Path) -> None:
    """Exit code 3, one line, and what to type; nothing is written."""
    done = subprocess.run(
        [sys.executable, str(SCRIPTS / "pi-check"), "--folder", str(tmp_path / "f")],
        env={**os.environ, "PATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1 and "apt-get" in done.stderr
    assert done.stdout == "" and not (tmp_path / "f").exists()


def test_qemu_is_asked_for_by_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where Debian's tools are, but not the emulator."""
    monkeypatch.setattr(root.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(root, "BINFMT", tmp_path)
    monkeypatch.setattr(root, "KEYS", tmp_path / "none")
    said = root.missing(ARCHS["arm64"])
    assert said is not None
    assert "sudo apt install qemu-user-static debian-archive-keyring" in said


def test_difference_is_largest_and_ratio(rng: np.random.Generator) -> None:
    """Equal: 0 and no limit; a gain is no error; noise 60 dB down is 60 dB."""
    x = rng.standard_normal(16_000).astype(np.float32)
    assert difference(x, x)[0] == 0.0
    assert difference(x, 2 * x)[1] > 120.0
    noise = rng.standard_normal(16_000).astype(np.float32)
    assert difference(x, x + 1e-3 * noise)[1] == pytest.approx(60.0, abs=0.2)
    with pytest.raises(ValueError, match="samples"):
        difference(x, x[1:])


@pytest.mark.parametrize(
    ("weights", "limit"), [("float32", LIMIT), ("dynamic", ROUNDED_LIMIT)]
)
def test_each_kind_of_weights_has_its_limit(
    tmp_path: Path, weights: str, limit: float
) -> None:
    """One sample just below it is well, just above it is not, and which is said."""
    here = outputs(tmp_path / "here.npz", 0.0, weights)
    for change, ok in ((0.9 * limit, True), (1.1 * limit, False)):
        there = outputs(tmp_path / "there.npz", change, weights)
        rows = compare(here, there)
        assert len(rows) == 4
        assert [row["ok"] for row in rows if row["max_abs_difference"]] == [ok]
        changed = next(r for r in rows if r["max_abs_difference"])
        assert (changed["way"], changed["kernels"]) == ("live", "xnnpack")
        json.dumps(rows)
    assert {row["where"] for row in explain(here, there)} == {"here", "there"}


def test_the_tests_that_it_runs_are_there() -> None:
    """A test-file that is renamed is not left out unseen."""
    for name in TESTS:
        assert (ROOT / "tests" / f"test_{name}.py").exists()


def test_steps_and_table(tmp_path: Path) -> None:
    """The tests of the engine can be left out; a failure is seen in the table."""
    there = root.Root(tmp_path, ARCHS["arm64"], "bookworm", BOARDS["pi4"])
    bench = Bench(there, tmp_path)
    assert len(bench.steps(True)) == len(bench.steps(False)) + 1
    rows = [Row("install", True, "fine"), Row("file", False, "differs")]
    lines = main.table(rows)
    assert lines[0].split() == ["ok", "install", "fine"]
    assert lines[1].split() == ["FAILED", "file", "differs"]


def test_no_more_steps_once_nothing_is_installed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What cannot be installed cannot be tried; other failures end nothing."""
    bad, fine = Row("file", False, "differs"), Row("version", True, "1")
    assert take([lambda: bad, lambda: fine]) == [bad, fine]
    broken = Row("install", False, "no wheel")
    rows = take([lambda: broken, lambda: fine])
    assert rows == [broken]
    capsys.readouterr()
    assert tell(rows, {"suite": "bookworm"}, [], as_json=True) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["ok"], told["suite"]) == (False, "bookworm")
    assert told["steps"][0]["found"] == "no wheel"


@pytest.mark.skipif(os.name != "posix", reason="it runs apt-get")
def test_an_older_package_is_not_unpacked_over_a_newer_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an earlier build has fetched is gone before the next one is unpacked."""
    there = root.Root(tmp_path, ARCHS["arm64"], "bookworm", BOARDS["pi4"])
    archives = tmp_path / "packages-bookworm-arm64/cache/archives"
    archives.mkdir(parents=True)
    (archives / "libc6_2.36-9+deb12u9_arm64.deb").touch()
    new = archives / "libc6_2.36-9+deb12u10_arm64.deb"
    program = tmp_path / "bin/apt-get"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\n[ "$2" = update ] || : > "{new}"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    there._fetch()
    assert [path.name for path in archives.glob("*.deb")] == [new.name]


def test_the_recording_is_the_same_everywhere() -> None:
    """Speech and noise, three seconds, not clipped."""
    noisy = noisy_recording()
    assert np.array_equal(noisy, noisy_recording())
    assert len(noisy) == 48_000 and 0.05 < float(np.abs(noisy).max()) < 1.0


def test_file_compares_one_model_whatever_the_default(tmp_path: Path) -> None:
    """32-bit ARM has another default than this machine, which is no difference."""
    there = root.Root(tmp_path, ARCHS["armhf"], "bookworm", BOARDS["pi2"])
    bench = Bench(there, tmp_path)
    bench.there.mkdir(parents=True)
    on_a_board = (
        "from streamdenoise import model\n"
        "model.has_small_core = lambda: True\n"
        "from streamdenoise.cli import main\n"
        "main()\n"
    )

    def run(words: Sequence[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", on_a_board, *words[1:]],
            cwd=bench.there,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
        )

    there.run = run  # type: ignore[method-assign, assignment]
    row = bench.file()
    assert row.ok and row.found == "sample for sample as here", row


@pytest.mark.parametrize("there_is_tensorflow", [True, False])
def test_the_small_model_comes_along(tmp_path: Path, there_is_tensorflow: bool) -> None:
    """Tests of the engine need it there; without TensorFlow here they go without."""
    bench = Bench(
        root.Root(tmp_path, ARCHS["arm64"], "bookworm", BOARDS["pi4"]), tmp_path
    )
    bench.there.mkdir(parents=True)

    def build(*words: str) -> subprocess.CompletedProcess[str]:
        if there_is_tensorflow:
            (tmp_path / words[-1]).write_bytes(b"a model")
        return subprocess.CompletedProcess(words, 0 if there_is_tensorflow else 1)

    bench._here = build  # type: ignore[method-assign, assignment]
    words = bench._tiny_model()
    if not there_is_tensorflow:
        assert words == []
        return
    name, path = words[1].split("=")
    assert (words[0], name) == ("env", TINY_MODEL)
    assert (bench.root.path / path.lstrip("/")).read_bytes() == b"a model"
