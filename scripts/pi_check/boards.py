"""The processors of the Raspberry Pis, and the systems that run on them."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ARCHS", "BOARDS", "Arch", "Board", "board_for"]

_USUAL = (
    *("base-files", "bash", "coreutils", "libc-bin"),
    *("python3", "python3-venv", "libportaudio2"),
)
_V8 = "fp asimd evtstrm crc32 cpuid"


@dataclass(frozen=True)
class Arch:
    """A system: Debian's packages, and how ours is installed on it.

    Attributes
    ----------
    name
        Debian's.
    emulator
        Of QEMU, as its file in ``/usr/lib/binfmt.d`` is called.
    packages
        Asked of Debian; what they depend on comes along.
    extra
        Of our wheel.
    debian_python
        Whether the environment sees Debian's Python packages: those of which PyPI has
        no wheel.
    """

    name: str
    emulator: str
    packages: tuple[str, ...]
    extra: str = ""
    debian_python: bool = False


@dataclass(frozen=True)
class Board:
    """A processor that QEMU can be.

    Attributes
    ----------
    name
        For ``--board``.
    says
        For a person.
    arch
        Its system.
    cpu
        QEMU's name of it.
    part, variant, revision
        How it names itself to the kernel.
    features
        The instructions that it has, as the kernel says them.
    """

    name: str
    says: str
    arch: str
    cpu: str
    part: str
    variant: str
    revision: str
    features: str

    def cpuinfo(self, cores: int = 4) -> str:
        """Return ``/proc/cpuinfo``, from which the kernels for it are chosen."""
        generation = "7" if self.arch == "armhf" else "8"
        return "".join(
            f"processor\t: {core}\nBogoMIPS\t: 108.00\nFeatures\t: {self.features}\n"
            f"CPU implementer\t: 0x41\nCPU architecture: {generation}\n"
            f"CPU variant\t: {self.variant}\nCPU part\t: {self.part}\n"
            f"CPU revision\t: {self.revision}\n\n"
            for core in range(cores)
        )


ARCHS = {
    arch.name: arch
    for arch in (
        Arch("arm64", "qemu-aarch64", _USUAL),
        Arch(
            "armhf",
            "qemu-arm",
            (*_USUAL, "libsndfile1", "python3-numpy", "python3-cffi"),
            extra="[pi32]",
            debian_python=True,
        ),
    )
}

BOARDS = {
    board.name: board
    for board in (
        Board(
            *("pi3", "Raspberry Pi 3 and Zero 2 W", "arm64"),
            *("cortex-a53", "0xd03", "0x0", "4", _V8),
        ),
        Board(
            *("pi4", "Raspberry Pi 4 and 400", "arm64"),
            *("cortex-a72", "0xd08", "0x0", "3", _V8),
        ),
        Board(
            *("pi5", "Raspberry Pi 5 and 500", "arm64"),
            *("cortex-a76", "0xd0b", "0x4", "1"),
            "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid "
            "asimdrdm lrcpc dcpop asimddp",
        ),
        Board(
            *("pi2", "Raspberry Pi 2, 32 bit", "armhf"),
            *("cortex-a7", "0xc07", "0x0", "5"),
            "half thumb fastmult vfp edsp neon vfpv3 tls vfpv4 idiva idivt vfpd32 "
            "lpae evtstrm",
        ),
    )
}


def board_for(arch: str | None, board: str | None) -> Board:
    """Return the board meant by ``--arch`` and ``--board``.

    Raises
    ------
    ValueError
        With a sentence, if they contradict each other.
    """
    if board is None:
        return BOARDS["pi2" if arch == "armhf" else "pi4"]
    found = BOARDS[board]
    if arch not in (None, found.arch):
        fitting = ", ".join(b.name for b in BOARDS.values() if b.arch == arch)
        raise ValueError(
            f"--board {board} is {found.arch}, not {arch}; boards for {arch}: {fitting}"
        )
    return found
