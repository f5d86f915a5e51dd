"""What has an end: ``with`` calls `close`, and `discard` where something failed."""

from __future__ import annotations

from typing import TypeVar

__all__ = ["Closing", "Completing"]

_T = TypeVar("_T")


class Closing:
    """Base of what is closed at the end of a ``with`` block, come what may."""

    def close(self) -> None:
        """Let go of what is held."""
        raise NotImplementedError

    def __enter__(self: _T) -> _T:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Completing(Closing):
    """Base of what is completed by `close`, and is to leave nothing if that fails."""

    def discard(self) -> None:
        """Leave nothing behind."""
        raise NotImplementedError

    def __exit__(self, *raised: object) -> None:
        if raised[0] is None:
            self.close()
        else:
            self.discard()
