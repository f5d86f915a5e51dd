"""Sound at addresses: http, https, s3 and gs, by way of local temporary files.

fsspec does the talking. A file is fetched whole before it is worked on, and a result
is sent when it is complete, so that nothing half-done is ever seen at the other end.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, TypeVar

from ..errors import AudioFormatError, OutputError, RuntimeMissingError
from ..names import shown
from .urls import scheme_of, url_name

__all__ = ["Remote"]

T = TypeVar("T")

_TRIES: Final = 4
_FIRST_WAIT: Final = 0.5
_KEY: Final = "streamdenoise-key"
_NO_CREDENTIALS: Final = "NoCredentialsError"
_NEEDS: Final = {"gs": "gcsfs", "s3": "s3fs", "http": "aiohttp", "https": "aiohttp"}


class Remote:
    """A client for all kinds of addresses; one connection pool for each.

    Parameters
    ----------
    wait
        Called with the seconds to wait before another try.
    who
        Who asks, for sentences that are read elsewhere, such as ``worker NAME``.
    """

    def __init__(
        self, wait: Callable[[float], None] = time.sleep, *, who: str = ""
    ) -> None:
        self._wait = wait
        self._by = f" by {who}" if who else ""
        self._where = "there" if who else "here"
        self._systems: dict[str, Any] = {}
        self._buckets: set[str] = set()

    def names(self, url: str, *, recursive: bool = False) -> Iterator[tuple[str, str]]:
        """Yield address and place below it of all that lies there.

        Parameters
        ----------
        url
            A folder, ending in ``/``, or a pattern with wildcards.
        recursive
            Look into the folders in it too.
        """
        system, scheme = self._system(url), scheme_of(url)
        wild = re.search(r"[*?\[]", url)
        if wild:
            base = url[: wild.start()].rpartition("/")[0] + "/"
            names = self._ask(url, lambda: system.glob(url))
        else:
            base, depth = url, None if recursive else 1
            names = self._ask(url, lambda: system.find(url, maxdepth=depth))
        start = base.split("://", 1)[1]
        for name in sorted(names):
            path = str(name).split("://", 1)[-1]
            if path.startswith(start) and not path.endswith("/"):
                yield f"{scheme}://{path}", path[len(start) :]

    def stamp(self, url: str) -> list[Any] | None:
        """Return what changes when the object does; None if there is none.

        Raises
        ------
        AudioFormatError
            If the server does not say whether there is one.
        """
        system = self._system(url)
        system.invalidate_cache()
        try:
            info = self._ask(url, lambda: system.info(url))
        except AudioFormatError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                return None
            raise
        keys = ("size", "ETag", "etag", "LastModified", "updated")
        return [str(info[key]) for key in keys if info.get(key) is not None]

    def known_stamp(self, url: str) -> list[Any] | None:
        """Return the same; None also if the server does not say."""
        with contextlib.suppress(AudioFormatError):
            return self.stamp(url)
        return None

    def fetch(self, url: str, folder: Path) -> Path:
        """Copy an object into a folder, under its own name; return the file."""
        system = self._system(url)
        # The name is only for its extension and for sentences; it must be harmless.
        name = re.sub(r"[^\w.\- ]", "_", url_name(url))[-60:].lstrip(".") or "sound"
        target = folder / name
        self._ask(url, lambda: system.get_file(url, str(target)))
        return target

    def send(self, path: Path, url: str, *, force: bool, key: str = "") -> None:
        """Put a local file at an address.

        Parameters
        ----------
        path, url
            From where and to where.
        force
            Replace what is there.
        key
            What `key_of` is to return of it; s3 only.

        Raises
        ------
        OutputError
            If something is there and `force` is false, or it is refused.
        """
        self.check_target(url, force=force)
        system = self._system(url)
        more = {"Metadata": {_KEY: key}} if key and scheme_of(url) == "s3" else {}
        try:
            self._ask(url, lambda: system.put_file(str(path), url, **more))
        except AudioFormatError as error:
            raise OutputError(f"cannot write {shown(url)}: {error}") from error

    def key_of(self, url: str) -> str:
        """Return the key that an object was sent with; empty if that is not known."""
        if scheme_of(url) != "s3":
            return ""
        with contextlib.suppress(Exception):
            return self._system(url).getxattr(url, _KEY) or ""
        return ""

    def check_target(self, url: str, *, force: bool, journal: str = "") -> None:
        """Refuse an address that must not be written; see `send`.

        Parameters
        ----------
        url, force
            As for `send`.
        journal
            Where it was looked up whether an earlier run made what is there.
        """
        if scheme_of(url) in ("http", "https"):
            raise OutputError(
                f"cannot write {shown(url)}: web servers are only read from; name a "
                "local folder, s3://BUCKET/... or gs://BUCKET/... with -o"
            )
        self._check_bucket(url)
        if force:
            return
        try:
            there = self.stamp(url) is not None
        except AudioFormatError as error:
            raise OutputError(
                f"cannot tell whether something is at {shown(url)} already ({error}); "
                "add --force to write there all the same"
            ) from error
        if there:
            looked = (
                f", and the journal on this computer ({shown(journal)}) does not say "
                "that an earlier run made it"
            )
            raise OutputError(
                f"{shown(url)} exists already{looked if journal else ''}; add --force "
                "to replace it, or choose another name with -o"
            )

    def _check_bucket(self, url: str) -> None:
        """Refuse a bucket that is not there, before any work is done for it."""
        bucket = url.split("://", 1)[1].partition("/")[0]
        system = self._system(url)
        if bucket in self._buckets:
            return
        try:
            system.info(bucket)
        except FileNotFoundError as error:
            raise OutputError(
                f"cannot write {shown(url)}: there is no bucket {shown(bucket)}; "
                "create it first, or check its name"
            ) from error
        except Exception:
            # Who may write need not be allowed to ask; what is wrong shows later on.
            pass
        self._buckets.add(bucket)

    def _system(self, url: str) -> Any:
        scheme = scheme_of(url)
        if scheme not in self._systems:
            try:
                import fsspec  # type: ignore[import-untyped,unused-ignore]

                self._systems[scheme] = fsspec.filesystem(scheme)
            except ImportError as error:
                extra = _NEEDS[scheme]
                install = "gcsfs" if extra == "gcsfs" else '"streamdenoise[remote]"'
                raise RuntimeMissingError(
                    f"{scheme}:// addresses cannot be opened{self._by}: they need "
                    f"fsspec and {extra}; install them {self._where} with: pip install "
                    f"{install}"
                ) from error
        return self._systems[scheme]

    def _ask(self, url: str, what: Callable[[], T]) -> T:
        """Try a few times; say in one sentence why it cannot be done."""
        name = shown(url)
        for number in range(_TRIES):
            try:
                return what()
            except FileNotFoundError as error:
                raise AudioFormatError(
                    f"{name} does not exist; check the address"
                ) from error
            except PermissionError as error:
                raise AudioFormatError(
                    f"{name} may not be opened{self._by} with the credentials that are "
                    f"set {self._where}; set others, or ask whom it belongs to"
                ) from error
            except OSError as error:
                if error.filename is not None and error.errno is not None:
                    raise  # a local file: full disk, no permission
                failed: Exception = error
            except Exception as error:  # every backend has exceptions of its own
                failed = error
            status = getattr(failed, "status", None)
            if _is_final(failed) or number == _TRIES - 1:
                break
            self._wait(_FIRST_WAIT * 2**number)
        why = f"the server answered {status}" if status else _one_line(failed)
        if type(failed).__name__ == _NO_CREDENTIALS:
            why += f"; set them {self._where}, such as by 'aws configure'"
        raise AudioFormatError(f"{name} cannot be reached{self._by}: {why}") from failed


def _is_final(error: Exception) -> bool:
    """Tell whether another try is of no use."""
    status = getattr(error, "status", None)
    if isinstance(status, int):
        return 400 <= status < 500 and status not in (408, 425, 429)
    return type(error).__name__ in (
        _NO_CREDENTIALS,
        "ParamValidationError",
        "InvalidURL",
    )


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return shown(text[:200]) or type(error).__name__
