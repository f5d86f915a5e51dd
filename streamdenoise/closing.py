"""What has an end: ``with`` calls `close`."""

from __future__ import annotations

from typing import TypeVar

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
