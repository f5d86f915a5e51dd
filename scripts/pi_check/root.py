"""A Debian of another processor in a folder, and commands run inside it.

No root rights, no service and no change of this system: ``apt-get`` with a
configuration of its own fetches the packages (and checks their signatures), they are
unpacked rather than installed, and a user namespace of its own has the folder as root
and knows QEMU as the interpreter of the other processor's programs.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from other_system import MIRROR, PASSED_ON, NotPossibleError

from .boards import Arch, Board

__all__ = ["Root", "missing"]

KEYS = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
BINFMT = Path("/usr/lib/binfmt.d")

_APT = """\
Dir "{folder}";
Dir::State "{folder}/state";
Dir::State::status "{folder}/state/status";
Dir::Cache "{folder}/cache";
Dir::Etc "{folder}/etc";
Dir::Etc::main "none";
Dir::Etc::parts "{folder}/etc/parts";
Dir::Etc::sourceparts "{folder}/etc/parts";
Dir::Etc::preferencesparts "{folder}/etc/parts";
APT::Architecture "{arch}";
APT::Architectures {{ "{arch}"; }};
APT::Install-Recommends "false";
APT::Sandbox::User "";
Acquire::Languages "none";
Debug::NoLocking "true";
"""

# The kernel of a user namespace knows only what is registered in it (Linux 6.7 and
# later); before, what the system has registered counts.
_ENTER = """\
misc=/proc/sys/fs/binfmt_misc
if ! [ -e $misc/"$EMULATOR" ]; then
  mount -t binfmt_misc binfmt_misc $misc
  cat /usr/lib/binfmt.d/"$EMULATOR".conf > $misc/register
fi
for here in /dev /proc /etc/resolv.conf /etc/hosts /etc/ssl/certs; do
  mount --rbind $here "$ROOT"$here
done
mount --bind "$ROOT"/etc/board.cpuinfo "$ROOT"/proc/cpuinfo
exec chroot "$ROOT" "$@"
"""


def missing(arch: Arch) -> str | None:
    """Return a sentence if something is not installed here that is needed."""
    programs = ("apt-get", "dpkg-deb", "tar", "unshare", "chroot")
    lacking = [name for name in programs if shutil.which(name) is None]
    if lacking:
        return (
            f"pi-check needs a Debian or Ubuntu with {', '.join(lacking)}; without "
            "them, check on a board itself: scripts/test"
        )
    packages = []
    if not (BINFMT / f"{arch.emulator}.conf").exists():
        packages.append("qemu-user-static")
    if not KEYS.exists():
        packages.append("debian-archive-keyring")
    if packages:
        return (
            f"pi-check needs {' and '.join(packages)}; type: "
            f"sudo apt install {' '.join(packages)}"
        )
    done = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "true"], capture_output=True
    )
    if done.returncode:
        return (
            "pi-check needs user namespaces, which this system keeps from users; "
            "run it with sudo"
        )
    return None


class Root:
    """The folder with the other system.

    Parameters
    ----------
    folder
        Where packages and the system are kept.
    arch, suite
        Which.
    board
        What its processor is to be.
    """

    def __init__(self, folder: Path, arch: Arch, suite: str, board: Board) -> None:
        self.arch, self.suite, self.board = arch, suite, board
        self._packages = folder / f"packages-{suite}-{arch.name}"
        self.path = folder / f"root-{suite}-{arch.name}"
        self._done = self.path / "etc" / "pi-check"

    def build(self) -> bool:
        """Make it, unless it is there with these packages; return whether it was."""
        wanted = " ".join(self.arch.packages)
        there = self._done.exists() and self._done.read_text() == wanted
        if not there:
            shutil.rmtree(self.path, ignore_errors=True)
            self._fetch()
            self._unpack()
        self._be_the_board()
        if not there:
            self.run(["/sbin/ldconfig"])
            self._done.write_text(wanted)
        return there

    def _fetch(self) -> None:
        folder = self._packages
        for name in ("state/lists/partial", "cache/archives/partial", "etc/parts"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        # All that lies there is unpacked; an older version must not be the last.
        for old in (folder / "cache/archives").glob("*.deb"):
            old.unlink()
        (folder / "state/status").touch()
        config = folder / "apt.conf"
        config.write_text(_APT.format(folder=folder, arch=self.arch.name))
        source = f"deb [signed-by={KEYS}] {MIRROR} {self.suite} main\n"
        (folder / "etc/sources.list").write_text(source)
        for words in (
            ["update"],
            ["--yes", "--download-only", "install", *self.arch.packages],
        ):
            done = subprocess.run(
                ["apt-get", "--quiet", *words],
                env={**os.environ, "APT_CONFIG": str(config)},
                capture_output=True,
                text=True,
            )
            if done.returncode:
                said = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
                raise NotPossibleError(
                    f"apt-get {words[0]} for {self.arch.name} failed ({said}); is "
                    f"there a network, and does {MIRROR} have {self.suite}?"
                )

    def _unpack(self) -> None:
        for name in ("bin", "sbin", "lib"):
            (self.path / "usr" / name).mkdir(parents=True)
            (self.path / name).symlink_to(f"usr/{name}")
        for package in sorted((self._packages / "cache/archives").glob("*.deb")):
            # What belongs to other users than one's own cannot be given to them.
            unpack = ["tar", "-x", "--keep-directory-symlink", "--no-same-owner"]
            with subprocess.Popen(
                ["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE
            ) as reader:
                subprocess.run(
                    [*unpack, "-C", self.path], stdin=reader.stdout, check=True
                )
            if reader.returncode:
                raise NotPossibleError(
                    f"{package} is damaged; remove it, and start again"
                )
        # The scripts of the packages are not run; this is what is needed of them.
        library = self.path / "usr/lib"
        folders = [*library.glob("*-linux-*/blas"), *library.glob("*-linux-*/lapack")]
        lines = "".join(f"/{found.relative_to(self.path)}\n" for found in folders)
        (self.path / "etc/ld.so.conf.d/blas.conf").write_text(lines)

    def _be_the_board(self) -> None:
        """Say which processor it is where libraries look.

        The files of this machine would tell of another kind of processor, at which
        the interpreter's cpuinfo ends with a crash.
        """
        (self.path / "etc/board.cpuinfo").write_text(self.board.cpuinfo())
        folder = self.path / "sys/devices/system/cpu"
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("possible", "present", "online"):
            (folder / name).write_text("0-3\n")
        for name in ("etc/resolv.conf", "etc/hosts"):
            (self.path / name).touch()
        (self.path / "etc/ssl/certs").mkdir(parents=True, exist_ok=True)
        (self.path / "srv").mkdir(exist_ok=True)

    def run(
        self, words: Sequence[str], timeout: float = 3600.0
    ) -> subprocess.CompletedProcess[str]:
        """Run a command inside, in ``/srv``."""
        own = {k: os.environ[k] for k in PASSED_ON if k in os.environ}
        inside = {
            "PATH": "/srv/venv/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
            "HOME": "/root",
            "LANG": "C.UTF-8",
            "OMP_NUM_THREADS": "1",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            **own,
        }
        env = {**os.environ, "ROOT": str(self.path), "EMULATOR": self.arch.emulator}
        variables = [f"{key}={value}" for key, value in inside.items()]
        # QEMU itself reads QEMU_CPU, so that it counts from the first program on.
        command = [
            *("unshare", "--map-root-user", "--mount", "bash", "-ec", _ENTER, "bash"),
            *("/usr/bin/env", "-i", f"QEMU_CPU={self.board.cpu}", *variables),
            *("/usr/bin/env", "--chdir=/srv", *words),
        ]
        return subprocess.run(
            command, env=env, capture_output=True, text=True, timeout=timeout
        )
