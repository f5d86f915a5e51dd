"""A Debian in a folder, booted as a container: its systemd is process 1 there."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from other_system import MIRROR, PASSED_ON, NotPossibleError

__all__ = ["HOME", "USER", "Machine", "missing"]

USER, UID = "pi", 1000
HOME = f"/home/{USER}"

PACKAGES = (
    *("systemd", "systemd-sysv", "dbus", "dbus-user-session", "libpam-systemd"),
    *("python3", "python3-venv", "ca-certificates", "procps"),
    *("pipewire", "wireplumber", "pipewire-pulse", "pipewire-alsa"),
    *("pulseaudio-utils", "libportaudio2"),
)

OFF_SECONDS = 30.0
"""Time in which it may switch itself off."""

_TIMED_OUT = 124
"""As timeout(1) has it."""


def missing() -> str | None:
    """Return a sentence if something is lacking here."""
    needs = {"debootstrap": "debootstrap", "systemd-nspawn": "systemd-container"}
    lacking = [package for name, package in needs.items() if shutil.which(name) is None]
    if lacking:
        return (
            f"desktop-check needs {' and '.join(lacking)}; type: "
            f"sudo apt install {' '.join(lacking)}"
        )
    if os.geteuid() != 0:
        return "desktop-check boots a container, which only root may: run it with sudo"
    return None


class Machine:
    """The container; as a context it is off when left.

    Parameters
    ----------
    path
        Folder of the system.
    suite
        Of Debian.
    """

    def __init__(self, path: Path, suite: str) -> None:
        self.path, self.suite = path, suite
        self._process: subprocess.Popen[bytes] | None = None

    def build(self) -> bool:
        """Make it, unless it is there; return whether it was."""
        done = self.path / "etc" / "desktop-check"
        if done.exists() and done.read_text() == " ".join(PACKAGES):
            return True
        shutil.rmtree(self.path, ignore_errors=True)
        packages = f"--include={','.join(PACKAGES)}"
        words = ["debootstrap", "--variant=minbase", packages]
        made = subprocess.run(
            [*words, self.suite, str(self.path), MIRROR], capture_output=True, text=True
        )
        if made.returncode:
            said = (made.stdout.strip().splitlines() or ["no reason given"])[-1]
            raise NotPossibleError(f"debootstrap of {self.suite} failed: {said}")
        self._chroot("useradd", "-m", "-s", "/bin/bash", "-G", "audio", USER)
        # As `loginctl enable-linger` does: the user's systemd runs from boot on.
        linger = self.path / "var/lib/systemd/linger"
        linger.mkdir(parents=True, exist_ok=True)
        (linger / USER).touch()
        done.write_text(" ".join(PACKAGES))
        return False

    def install(self, wheel: Path) -> str | None:
        """Install a wheel for the user, from wheels only; return pip's complaint."""
        shutil.copy(wheel, self.path / "opt" / wheel.name)
        for name in ("resolv.conf", "ssl/certs/ca-certificates.crt"):
            if (Path("/etc") / name).exists():
                shutil.copy(Path("/etc") / name, self.path / "etc" / name)
        own = [f"{key}={os.environ[key]}" for key in PASSED_ON if key in os.environ]
        pip = f"{HOME}/denoise/bin/pip install --quiet --only-binary=:all:"
        steps = (
            f"rm -rf {HOME}/.config {HOME}/denoise; python3 -m venv {HOME}/denoise && "
            f"{pip} /opt/{wheel.name} scipy"
        )
        done = self._chroot(
            *("/usr/bin/env", *own, "su", USER, "--whitelist-environment"),
            *(",".join(PASSED_ON), "-c", steps),
        )
        return None if done.returncode == 0 else done.stderr.strip()[-300:]

    def _chroot(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["chroot", str(self.path), *words], capture_output=True, text=True
        )

    def boot(self) -> None:
        """Switch it on and wait until the user's sound server answers.

        Raises
        ------
        NotPossibleError
            If it does not come up.
        """
        self._process = subprocess.Popen(
            [
                *("systemd-nspawn", "--quiet", "--boot", "--register=no"),
                *("--keep-unit", "--directory", str(self.path)),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        until = time.monotonic() + 60.0
        while time.monotonic() < until:
            if self._leader() and self.run("pactl info", 10.0).returncode == 0:
                return
            time.sleep(1.0)
        raise NotPossibleError(
            "the container does not boot; systemd-nspawn needs namespaces and control "
            "groups, which a container around it may keep back"
        )

    def off(self) -> None:
        """Switch it off, as its user would."""
        if self._process is None:
            return
        if leader := self._leader():
            self._inside(leader, ["systemctl", "poweroff"], OFF_SECONDS)
        try:
            self._process.wait(OFF_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _leader(self) -> str | None:
        """Return the process here that is number 1 there."""
        assert self._process is not None
        folder = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        try:
            children = folder.read_text().split()
        except OSError:
            return None
        return children[0] if children else None

    def _inside(
        self, leader: str, words: Sequence[str], timeout: float
    ) -> subprocess.CompletedProcess[str]:
        spaces = ("-m", "-u", "-i", "-n", "-p", "-C")
        command = ["nsenter", "-t", leader, *spaces, *words]
        try:
            return subprocess.run(
                command, capture_output=True, text=True, timeout=timeout
            )
        except subprocess.TimeoutExpired as error:
            # A failure like others: whoever waits goes on, and it is switched off.
            return subprocess.CompletedProcess(command, _TIMED_OUT, "", str(error))

    def run(
        self, command: str, timeout: float = 120.0
    ) -> subprocess.CompletedProcess[str]:
        """Run a command line as the user, within the user's session."""
        leader = self._leader()
        if leader is None:
            raise NotPossibleError("the container has gone")
        session = (
            f"export XDG_RUNTIME_DIR=/run/user/{UID} "
            f"DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/{UID}/bus "
            f"PATH={HOME}/denoise/bin:$PATH; "
        )
        return self._inside(
            leader, ["/bin/su", "-", USER, "-c", session + command], timeout
        )

    def __enter__(self) -> Machine:
        return self

    def __exit__(self, *_: object) -> None:
        self.off()
