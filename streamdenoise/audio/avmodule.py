"""PyAV: the one place that imports it.

PyAV brings FFmpeg's libraries along, for the containers that libsndfile does not know.
It is optional: ``pip install "streamdenoise[av]"``.
"""

from __future__ import annotations

from types import ModuleType

from ..errors import RuntimeMissingError

__all__ = ["av_module", "has_av", "reason"]


def av_module() -> ModuleType:
    """Import PyAV, in the one place that does.

    Raises
    ------
    RuntimeMissingError
        If it is not installed.
    """
    try:
        import av
    except (ImportError, OSError) as error:
        raise RuntimeMissingError(
            f"video and other containers need PyAV ({error}); install it with: "
            'pip install "streamdenoise[av]"'
        ) from error
    return av


def has_av() -> bool:
    """Whether PyAV can be used."""
    try:
        av_module()
    except RuntimeMissingError:
        return False
    return True


def reason(error: BaseException) -> str:
    """Return what FFmpeg's libraries say of an error, in one line."""
    return str(getattr(error, "strerror", None) or error).split("\n")[0]
