"""Checks of what is installed: Python, the packages, the libraries, the models."""

from __future__ import annotations

import platform
import sys
from importlib import metadata
from pathlib import Path

from ..errors import ModelError, RuntimeMissingError
from .board import model_name
from .check import Check

__all__ = ["files", "interpreter", "model_fix", "models", "portaudio", "python"]


def python() -> Check:
    """Look at Python, NumPy and the system."""
    from .. import __version__

    details = {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "bits": 64 if sys.maxsize > 2**32 else 32,
        "system": platform.system(),
        "release": platform.release(),
        "machine": platform.machine(),
        "board": model_name(),
        "numpy": version("numpy"),
        "streamdenoise": __version__,
    }
    where = details["board"] or f"{details['system']} {details['machine']}"
    return Check(
        "python",
        "ok",
        f"{details['python']} on {where}, NumPy {details['numpy']}, streamdenoise "
        f"{details['streamdenoise']}",
        details=details,
    )


def version(package: str) -> str:
    """Return the version of an installed package, or nothing."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def interpreter(bits: int | None = None) -> Check:
    """Look for a TFLite interpreter, without which no model runs.

    Parameters
    ----------
    bits
        Of the system; by default of this Python.
    """
    from ..runtime import find_interpreter

    try:
        package, _ = find_interpreter()
    except RuntimeMissingError as error:
        return Check(
            "runtime",
            "fail",
            "no TFLite interpreter is installed",
            'pip install "tflite-runtime==2.14.0" "numpy<2"'
            if _is_small(bits)
            else "pip install ai-edge-litert",
            {"error": str(error)},
        )
    name = package.replace("_", "-")
    number = version(name)
    return Check(
        "runtime", "ok", f"{name} {number}", details={"name": name, "version": number}
    )


def _is_small(bits: int | None) -> bool:
    return (bits or (64 if sys.maxsize > 2**32 else 32)) == 32


def portaudio() -> Check:
    """Look for PortAudio, through which live reaches cards that no sound server has."""
    from ..live.portaudio import load_sounddevice

    try:
        sd = load_sounddevice()
    except RuntimeMissingError as error:
        said, _, fix = str(error).partition("; install it with: ")
        return Check("portaudio", "fail", said, fix)
    if not hasattr(sd, "get_portaudio_version"):
        return Check(
            "portaudio",
            "ok",
            "not installed, and not needed: the sound server is reached without it",
        )
    number, text = sd.get_portaudio_version()
    return Check(
        "portaudio",
        "ok",
        f"{text.split(',')[0]}, sounddevice {sd.__version__}",
        details={"portaudio": text, "number": number, "sounddevice": sd.__version__},
    )


def files(bits: int | None = None) -> Check:
    """Look for libsndfile, which reads and writes files, recordings among them.

    Parameters
    ----------
    bits
        Of the system; by default of this Python.
    """
    try:
        import soundfile
    except (ImportError, OSError) as error:
        # For 32-bit boards there is no wheel that brings the library.
        bare = _is_small(bits) and not isinstance(error, ImportError)
        return Check(
            "libsndfile",
            "warn",
            f"missing ({error}): live works, --record and the command file do not",
            "sudo apt install libsndfile1"
            if bare
            else "pip install --force-reinstall soundfile",
        )
    library = soundfile.__libsndfile_version__
    return Check(
        "libsndfile",
        "ok",
        f"{library}, soundfile {soundfile.__version__}",
        details={"libsndfile": library, "soundfile": soundfile.__version__},
    )


def models(wanted: str | Path | None = None, folder: Path | None = None) -> Check:
    """Read every model that is installed, and compare it with its checksum.

    Parameters
    ----------
    wanted
        Name or path of the one that live would use; None for the default.
    folder
        Of the manifest; by default that of the package.
    """
    from ..card import Manifest
    from ..model import find_model, models_folder

    fix = model_fix(None)
    try:
        manifest = Manifest.read(folder or models_folder())
    except ModelError as error:
        return Check("models", "fail", str(error), fix)
    try:
        path, card = find_model(wanted, folder)
    except ModelError as error:
        return Check("models", "fail", str(error), model_fix(wanted))
    states = {
        name: _state(manifest.folder / each.file, each.sha256)
        for name, each in manifest.models.items()
    }
    states[card.name] = _state(path, card.sha256)
    details = {"used": card.name, "models": states}
    wrong = [f"{name} is {state}" for name, state in states.items() if state != "right"]
    if wrong:
        bad = states[card.name] != "right"
        said = ", ".join(wrong)
        return Check("models", "fail" if bad else "warn", said, fix, details)
    found = f"{', '.join(states)}: checksums right; {card.name} is used"
    return Check("models", "ok", found, details=details)


def model_fix(wanted: str | Path | None) -> str:
    """Return what to do about a model that cannot be used.

    Parameters
    ----------
    wanted
        Its name or path, if one was given.
    """
    if wanted is not None:
        return "choose another: streamdenoise models"
    # Not by its name: on an index that may be a package of somebody else.
    return (
        "install it again as it was: pip install --force-reinstall --no-deps with its "
        "wheel (streamdenoise-*.whl), or in a checkout: git checkout -- models"
    )


def _state(path: Path, checksum: str) -> str:
    from ..card import sha256_of

    try:
        content = path.read_bytes()
    except OSError:
        return "missing"
    return "damaged" if checksum and sha256_of(content) != checksum else "right"
