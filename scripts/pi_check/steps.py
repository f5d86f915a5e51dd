"""The steps of scripts/pi-check; each returns a row."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from other_system import REPOSITORY, NoWheelError, Row, build_wheel, last_line

from .compare import ROUNDED_LIMIT, compare, difference, explain
from .root import Root

__all__ = ["TESTS", "Bench"]

_PIP = ("python", "-m", "pip")
SECONDS = 3.0
RATE = 16_000

TESTS = (
    *("windows", "stft", "settings", "engine", "model", "card", "flatbuf", "runtime"),
    *("highband", "linked", "meters", "resample", "ring", "pcm", "riff", "wavchunks"),
)
"""Of the test-suite: the engine. What needs TensorFlow itself is left out."""


class Bench:
    """The steps on one root; each returns a row and raises nothing it can expect.

    Parameters
    ----------
    root
        Built.
    work
        Folder on this machine for wheel, sound and results.
    """

    def __init__(self, root: Root, work: Path) -> None:
        self.root, self.work = root, work
        self.there = root.path / "srv"

    def steps(self, tests: bool) -> list[Callable[[], Row]]:
        """Return the steps in the order in which one needs the other."""
        found = [
            *(self.install, self.version, self.doctor, self.file, self.bench),
            *(self.models, self.compare),
        ]
        return [*found, self.tests] if tests else found

    def install(self) -> Row:
        """Build the wheel, and install it inside with pip, from wheels only."""
        try:
            wheel = shutil.copy(build_wheel(self.work), self.there)
        except NoWheelError as error:
            return Row("install", False, str(error))
        arch = self.root.arch
        if (self.there / "venv/bin/pip").exists():
            self.root.run([*_PIP, "uninstall", "--yes", "streamdenoise"])
        else:
            shutil.rmtree(self.there / "venv", ignore_errors=True)
            system = ["--system-site-packages"] if arch.debian_python else []
            words = ["/usr/bin/python3", "-m", "venv", *system, "/srv/venv"]
            made = self.root.run(words)
            if made.returncode:
                return Row(
                    "install", False, f"no environment: {last_line(made.stderr)}"
                )
        name = f"/srv/{Path(wheel).name}{arch.extra}"
        done = self.root.run([*_PIP, "install", "--only-binary=:all:", name, "pytest"])
        if done.returncode:
            return Row(
                "install", False, last_line(done.stderr), {"stderr": done.stderr}
            )
        listed = _list(self.root.run([*_PIP, "list", "--format=json"]))
        packages = {each["name"]: each["version"] for each in listed}
        said = f"{packages.get('streamdenoise')}, from wheels only"
        return Row("install", True, said, {"packages": packages})

    def version(self) -> Row:
        """Start it."""
        done = self.root.run(["streamdenoise", "--version"])
        machine = self.root.run(["uname", "-m"]).stdout.strip()
        said = f"{done.stdout.strip()} on {machine}"
        return Row("version", done.returncode == 0, said)

    def doctor(self) -> Row:
        """Everything but devices and speed has to be well."""
        done = self.root.run(["streamdenoise", "doctor", "--json"])
        report = _json(done)
        if report is None:
            return Row(
                "doctor", False, last_line(done.stderr) or f"exit {done.returncode}"
            )
        wanted = ("python", "runtime", "portaudio", "libsndfile", "models")
        states = {check["name"]: check["state"] for check in report["checks"]}
        wrong = [name for name in wanted if states.get(name) != "ok"]
        runtime = next(c["found"] for c in report["checks"] if c["name"] == "runtime")
        said = f"not well: {', '.join(wrong)}" if wrong else f"{runtime}; all well"
        return Row("doctor", not wrong, said, {"states": states})

    def file(self) -> Row:
        """Denoise a recording with the command, there and here."""
        import soundfile

        noisy = noisy_recording()
        soundfile.write(self.work / "noisy.wav", noisy, RATE, subtype="PCM_16")
        shutil.copy(self.work / "noisy.wav", self.there)
        for path in (self.there / "clean.wav", self.work / "clean.wav"):
            path.unlink(missing_ok=True)
        # The default is another one on small boards than here.
        words = ["file", "noisy.wav", "--output", "clean.wav", "--model", "pi"]
        there = self.root.run(["streamdenoise", *words])
        here = self._here("-m", "streamdenoise", *words)
        for done in (there, here):
            if done.returncode:
                return Row("file", False, last_line(done.stderr))
        ours, _ = soundfile.read(self.work / "clean.wav", dtype="float32")
        theirs, _ = soundfile.read(self.there / "clean.wav", dtype="float32")
        largest, si_sdr = difference(ours, theirs)
        details = {"max_abs_difference": largest, "si_sdr_db": _finite(si_sdr)}
        # The model has 8-bit weights.
        ok = largest <= ROUNDED_LIMIT
        return Row("file", ok, _alike(largest, si_sdr), details)

    def bench(self) -> Row:
        """Only that it runs: emulated times mean nothing."""
        words = ["bench", "--json", "--seconds", "0.5", "--passes", "1"]
        done = self.root.run(["streamdenoise", *words, "--rate", "16000"])
        ok = _json(done) is not None and done.returncode == 0
        said = (
            "runs; emulated, so its times mean nothing"
            if ok
            else last_line(done.stderr)
        )
        return Row("bench", ok, said)

    def models(self) -> Row:
        """All that a model promises holds, but for the time."""
        listed = _json(self.root.run(["streamdenoise", "models", "--json"]))
        if listed is None:
            return Row("models check", False, "the models are not listed")
        names, bad = [m["name"] for m in listed["models"]], []
        for name in names:
            words = ["models", "check", name, "--steps", "200", "--json"]
            report = _json(self.root.run(["streamdenoise", *words]))
            checks = [] if report is None else report["checks"]
            if not checks:
                bad.append(f"{name}: no answer")
            bad += [
                f"{name}: {check['name']} ({check['found']})"
                for check in checks
                if not check["ok"] and "in time" not in check["name"]
            ]
        said = "; ".join(bad) or f"{', '.join(names)}: all but the time is checked"
        return Row("models check", not bad, said)

    def compare(self) -> Row:
        """Every model as files and as live sound run it, with both kinds of kernels."""
        shutil.copy(Path(__file__).with_name("inside.py"), self.there)
        there = self.root.run(["python", "inside.py", "noisy.wav", "out.npz"])
        here = self._here(
            str(Path(__file__).with_name("inside.py")), "noisy.wav", "out.npz"
        )
        for done in (there, here):
            if done.returncode:
                return Row("compare", False, last_line(done.stderr))
        paths = self.work / "out.npz", self.there / "out.npz"
        rows = compare(*paths)
        bad = [row for row in rows if not row["ok"]]
        usual = [r["max_abs_difference"] for r in rows if r["kernels"] == "xnnpack"]
        said = f"differs by {max(usual):.1e} at most; {len(bad)} too far"
        details = {"rows": rows, "kernels": explain(*paths)}
        return Row("compare", not bad, said, details)

    def tests(self) -> Row:
        """Run the tests of the engine."""
        shutil.rmtree(self.there / "tests", ignore_errors=True)
        shutil.copytree(
            REPOSITORY / "tests",
            self.there / "tests",
            ignore=shutil.ignore_patterns("__pycache__"),
        )
        names = [f"tests/test_{name}.py" for name in TESTS]
        words = ["python", "-m", "pytest", "-q", "-p", "no:cacheprovider", *names]
        done = self.root.run([*self._tiny_model(), *words])
        said = last_line(done.stdout).strip("= ")
        return Row("tests", done.returncode == 0, said, {"output": done.stdout})

    def _tiny_model(self) -> list[str]:
        """Make the tests' small model, and return the words that tell them of it.

        TensorFlow makes it, which no board has; where there is none here either, the
        tests that need it skip themselves.
        """
        name = "tiny.tflite"
        code = (
            "import sys; from pathlib import Path; "
            "from tests.conftest import build_tiny_model as build; "
            "build(Path(sys.argv[1]).resolve())"
        )
        if self._here("-c", code, name).returncode:
            return []
        shutil.copy(self.work / name, self.there)
        return ["env", f"STREAMDENOISE_TEST_MODEL=/srv/{name}"]

    def _here(self, *words: str) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
        return subprocess.run(
            [sys.executable, *words],
            cwd=self.work,
            env=env,
            capture_output=True,
            text=True,
        )


def noisy_recording() -> Any:
    """Return speech of the demo with noise that is the same everywhere."""
    import soundfile

    path = REPOSITORY / "streamdenoise" / "assets" / "demo-clean.flac"
    speech, rate = soundfile.read(path, frames=int(SECONDS * RATE), dtype="float32")
    assert rate == RATE
    return speech + 0.03 * np.random.default_rng(0).standard_normal(len(speech))


def _list(done: subprocess.CompletedProcess[str]) -> list[dict[str, str]]:
    try:
        return list(json.loads(done.stdout))
    except ValueError:
        return []


def _json(done: subprocess.CompletedProcess[str]) -> dict[str, Any] | None:
    try:
        return dict(json.loads(done.stdout))
    except ValueError:
        return None


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _alike(largest: float, si_sdr: float) -> str:
    if largest == 0.0:
        return "sample for sample as here"
    return f"differs by {largest:.1e} at most, SI-SDR {si_sdr:.1f} dB"
