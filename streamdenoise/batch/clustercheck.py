"""Finding a Dask cluster, and whether its workers can do what they are to do."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from ..errors import RuntimeMissingError
from ..names import shown
from . import onworker
from .urls import is_remote

__all__ = ["LOCAL", "check_workers", "connect", "unseen"]

LOCAL: Final = "local"
"""Address of a cluster of processes on this computer."""

_CONNECT_SECONDS: Final = 10
_WORKER_SECONDS: Final = 30
_ATTEMPTS: Final = 3
_AGAIN_SECONDS: Final = 1.0
_SAME: Final = ("distributed", "dask")
# Two classes on Python 3.10.
_TIMEOUTS: Final = (TimeoutError, asyncio.TimeoutError)


@contextlib.contextmanager
def connect(address: str, workers: int) -> Iterator[Any]:
    """Give a client of a scheduler; the local one ends with it.

    Parameters
    ----------
    address
        Of a scheduler, or ``local``.
    workers
        Processes of ``local``.

    Raises
    ------
    RuntimeMissingError
        If Dask is missing, or no scheduler with workers answers.
    """
    try:
        import distributed  # type: ignore[import-not-found,unused-ignore]
    except ImportError as error:
        raise RuntimeMissingError(
            "--cluster needs Dask; install it with: pip install "
            f'"streamdenoise[cluster]" ({error})'
        ) from error
    with contextlib.ExitStack() as stack:
        stack.enter_context(_quiet())
        if address == LOCAL:
            cluster = stack.enter_context(
                distributed.LocalCluster(
                    n_workers=workers,
                    threads_per_worker=1,
                    dashboard_address=None,
                    silence_logs=logging.CRITICAL,
                )
            )
            client = distributed.Client(cluster, set_as_default=False)
        else:
            client = _client_of(distributed, address)
        # Before the cluster ends, or it would be looked for again.
        stack.callback(_close, client)
        _wait_for_workers(client, address)
        yield client


def _client_of(distributed: Any, address: str) -> Any:
    full = address if "://" in address else f"tcp://{address}"
    kind = _bounded(distributed)
    for left in reversed(range(_ATTEMPTS)):
        try:
            return kind(
                full,
                timeout=_CONNECT_SECONDS,
                set_as_default=False,
                name="streamdenoise",
            )
        # What a web server answers is taken for the length of a message: no memory.
        except (OSError, *_TIMEOUTS, ValueError, MemoryError) as error:
            raise RuntimeMissingError(
                f"no Dask scheduler answers at {shown(full)}; start one with 'dask "
                "scheduler' and give the address that it prints, or give --cluster "
                "local"
            ) from error
        except Exception as error:  # what Dask takes for granted was not so
            if not left:
                raise RuntimeMissingError(
                    f"the scheduler at {shown(full)} does not take this computer in "
                    f"({_short(error)}); start it again"
                ) from error
        time.sleep(_AGAIN_SECONDS)


def _bounded(distributed: Any) -> Any:
    """Return Dask's client with a deadline for all that a connection takes."""

    class Client(distributed.Client):  # type: ignore[misc]
        async def _start(self, *args: Any, **how: Any) -> Any:
            # Dask bounds most of it, but not the handshake: a server that speaks
            # something else may leave that without an answer.
            start = super()._start(*args, **how)
            try:
                return await asyncio.wait_for(start, _CONNECT_SECONDS)
            except BaseException:
                # Else its finalizer does so, in a thread where that blocks, and talks.
                with contextlib.suppress(Exception):
                    await self._close(fast=True)
                raise

    return Client


def _close(client: Any) -> None:
    # What was done is done, and an error that is under way says more.
    with contextlib.suppress(Exception):
        client.close()


def _wait_for_workers(client: Any, address: str) -> None:
    try:
        client.wait_for_workers(1, timeout=_WORKER_SECONDS)
    except _TIMEOUTS as error:
        raise RuntimeMissingError(
            f"the scheduler at {shown(address)} has no workers; start some with 'dask "
            "worker' on computers that see the files"
        ) from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep Dask's own talk off the terminal: what matters is said in one sentence."""
    logger = logging.getLogger("distributed")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


def check_workers(client: Any, model: str | None, source: str) -> None:
    """Compare the workers with this process before anything is handed out.

    Parameters
    ----------
    client
        Connected.
    model
        Name or path.
    source
        The first input.

    Raises
    ------
    RuntimeMissingError
        If one of them, or the scheduler, has another version or no streamdenoise; if
        a worker has another model, or does not see the input.
    """
    from .. import __version__

    _check_dask(client)
    _check_scheduler(client)
    folders = [] if is_remote(source) else [str(Path(source).absolute().parent)]
    ours = onworker.look(folders, model)
    for worker, found in _ask(client, folders, model).items():
        if isinstance(found, BaseException):
            raise RuntimeMissingError(
                f"worker {worker} cannot run streamdenoise ({_short(found)}); install "
                f"it there: pip install streamdenoise=={__version__}"
            ) from found
        if found["version"] != __version__:
            raise RuntimeMissingError(
                f"worker {worker} has streamdenoise {found['version']} and this "
                f"computer {__version__}; install the same version on both"
            )
        if found["unseen"]:
            raise RuntimeMissingError(unseen(f"worker {worker}", found["unseen"]))
        if found["model"] != ours["model"]:
            raise RuntimeMissingError(
                f"worker {worker} has another model, or none, under the name "
                f"{shown(model or 'of the default')}; put the same file there"
            )


def _check_scheduler(client: Any) -> None:
    # It unpacks the tasks that it passes on.
    from .. import __version__

    try:
        version = client.run_on_scheduler(onworker.version)
    except OSError as error:
        raise RuntimeMissingError(
            f"the connection to the scheduler was lost ({_short(error)})"
        ) from error
    except Exception as error:
        raise RuntimeMissingError(
            f"the scheduler cannot load streamdenoise ({_short(error)}); install it "
            f"there: pip install streamdenoise=={__version__}"
        ) from error
    if version != __version__:
        raise RuntimeMissingError(
            f"the scheduler has streamdenoise {version} and this computer "
            f"{__version__}; install the same version on both"
        )


def _ask(client: Any, folders: list[str], model: str | None) -> dict[str, Any]:
    """Return what each worker answers; again if one comes or goes meanwhile."""
    for left in reversed(range(_ATTEMPTS)):
        why = "they have left the scheduler"
        cause: BaseException | None = None
        try:
            answers: dict[str, Any] = client.run(
                onworker.look, folders, model, on_error="return"
            )
        except Exception as error:  # of Dask itself
            why, cause = _short(error), error
        else:
            # `look` raises no such error of its own: these are lost connections.
            lost = {w: e for w, e in answers.items() if isinstance(e, OSError)}
            if answers and not lost:
                return answers
            for worker, cause in lost.items():
                why = f"{worker}: {_short(cause)}"
        if left:
            time.sleep(_AGAIN_SECONDS)
    raise RuntimeMissingError(
        f"the workers cannot be asked ({why}); look at 'dask worker' there, then try "
        "again"
    ) from cause


def _check_dask(client: Any) -> None:
    for left in reversed(range(_ATTEMPTS)):
        try:
            versions = client.get_versions()
            break
        except Exception as error:
            if not left:
                raise RuntimeMissingError(
                    f"the scheduler does not speak as this Dask does ({_short(error)});"
                    " install the same version of distributed on all computers"
                ) from error
        time.sleep(_AGAIN_SECONDS)
    here = versions["client"]["packages"]
    others = {"the scheduler": versions["scheduler"]}
    others |= {f"worker {name}": told for name, told in versions["workers"].items()}
    for who, told in others.items():
        for package in _SAME:
            theirs = told["packages"].get(package)
            if theirs != here[package]:
                raise RuntimeMissingError(
                    f"{who} has {package} {theirs} and this computer {here[package]}; "
                    "install the same version on both"
                )


def unseen(who: str, path: str) -> str:
    """Say that somebody does not see a path."""
    return (
        f"{who} does not see {shown(path)}: put inputs and results on storage that all "
        "workers mount under the same path, or give addresses (s3://, gs://, https://)"
    )


def _short(error: BaseException) -> str:
    return shown(" ".join(f"{type(error).__name__}: {error}".split())[:200])
