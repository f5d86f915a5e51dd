"""What all commands share: errors, options, safe printing, JSON, a progress bar."""

from __future__ import annotations

import contextlib
import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

import click

from ..constants import MAX_CHANNELS, MAX_RATE, MIN_RATE
from ..errors import EXIT_INPUT, EXIT_INTERRUPTED, EXIT_OK, StreamDenoiseError
from ..names import shown

if TYPE_CHECKING:
    from ..settings import Settings

__all__ = [
    "CHANNELS",
    "RATE",
    "Progress",
    "columns",
    "completer",
    "fail",
    "guarded",
    "json_option",
    "keep_descriptors",
    "model_option",
    "plain",
    "print_json",
    "quiet_exit",
    "say",
    "settings_from",
    "settings_options",
    "unless_closed",
    "warn",
    "write",
]

_F = TypeVar("_F", bound=Callable[..., Any])
TRACEBACK = "STREAMDENOISE_TRACEBACK"

RATE = click.IntRange(MIN_RATE, MAX_RATE)
CHANNELS = click.IntRange(1, MAX_CHANNELS)
"""What options for a sample rate and for a number of channels take."""


# Printing ---------------------------------------------------------------------------


def write(text: str = "") -> None:
    """Print a result to standard output."""
    _emit(text, sys.stdout)


def say(text: str) -> None:
    """Print talk to standard error; what nobody can read any more is no failure."""
    try:
        _emit(text, sys.stderr)
    except OSError:
        _lead_nowhere(sys.stderr)


def warn(sentence: str) -> None:
    """Print something odd to standard error, marked as ours."""
    say(f"streamdenoise: {sentence}")


fail = warn


def _emit(text: str, stream: TextIO | None) -> None:
    if stream is None:  # closed; click would take standard output in its place
        return
    # A terminal in another encoding gets escapes for what it lacks, no traceback.
    encoding = getattr(stream, "encoding", None) or "utf-8"
    click.echo(text.encode(encoding, "backslashreplace").decode(encoding), file=stream)


def print_json(value: Any) -> None:
    """Print `value` as JSON to standard output, infinities and NaN as null."""
    write(json.dumps(plain(value), indent=2))


def plain(value: Any) -> Any:
    """Return `value` as JSON can have it: keys as text, infinities and NaN as None."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def columns(rows: list[list[str]], right: str = "") -> list[str]:
    """Lay out rows of cells in columns.

    Parameters
    ----------
    rows
        Cells; every row as long as the first.
    right
        A letter for each column: ``r`` sets it to the right, anything else left.

    Returns
    -------
    list of str
        Lines without trailing spaces.
    """
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    sides = right.ljust(len(widths), "l")
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if side == "r" else cell.ljust(width)
            for cell, width, side in zip(row, widths, sides, strict=True)
        ]
        lines.append("  ".join(cells).rstrip())
    return lines


# Errors -----------------------------------------------------------------------------


def guarded(run: Callable[..., Any], *args: Any) -> Any:
    """Call `run`; turn whatever it raises into one sentence and an exit code."""
    try:
        return run(*args)
    except StreamDenoiseError as error:
        fail(str(error))
        raise click.exceptions.Exit(error.exit_code) from error
    except (KeyboardInterrupt, click.exceptions.Abort) as error:
        fail("interrupted")
        raise click.exceptions.Exit(EXIT_INTERRUPTED) from error
    except BrokenPipeError as error:
        quiet_exit()
        raise click.exceptions.Exit(EXIT_OK) from error
    except (click.ClickException, click.exceptions.Exit):
        raise
    except MemoryError as error:
        fail("there is not enough memory; close other programs, or cut the input")
        raise click.exceptions.Exit(EXIT_INPUT) from error
    except OSError as error:
        if os.environ.get(TRACEBACK):
            raise
        where = f" ({shown(error.filename)})" if error.filename else ""
        quiet_exit()  # it may have been the output that refused
        fail(f"the system refused: {error.strerror or error}{where}")
        raise click.exceptions.Exit(EXIT_INPUT) from error
    except Exception as error:
        if os.environ.get(TRACEBACK):
            raise
        fail(
            f"this is a bug: {type(error).__name__}: {error}; please report it with "
            f"the output of the same command after: export {TRACEBACK}=1"
        )
        raise click.exceptions.Exit(EXIT_INPUT) from error


@contextlib.contextmanager
def unless_closed() -> Iterator[None]:
    """Print while inside; nothing more once it can no longer be printed.

    That nobody reads it, as with ``head``, passes in silence; a full disk or a terminal
    that has gone is said once.
    """
    try:
        yield
    except BrokenPipeError:
        quiet_exit()
    except OSError as error:
        _lead_nowhere(sys.stdout)
        why = error.strerror or error
        warn(f"cannot write to standard output: {why}; the work goes on without")


def quiet_exit() -> None:
    """Make what is printed to a closed pipe go nowhere, Python's last flush too.

    The same with a terminal that has gone, or a file on a full disk.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (ValueError, AttributeError):
            continue
        except OSError:
            _lead_nowhere(stream)


def keep_descriptors() -> None:
    """Lead standard descriptors that are closed nowhere.

    Else the next file gets the number of one, a recording say, and C libraries print
    into it.
    """
    with contextlib.suppress(OSError):
        while (last := os.open(os.devnull, os.O_RDWR)) <= 2:
            pass
        os.close(last)


def _lead_nowhere(stream: TextIO) -> None:
    with contextlib.suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


# Options ----------------------------------------------------------------------------


def completer(what: str) -> Callable[..., list[Any]]:
    """Return what completes a word: ``complete_WHAT`` of `completers`, when needed."""

    def complete(
        ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[Any]:
        from . import completers

        found: list[Any] = getattr(completers, f"complete_{what}")(
            ctx, param, incomplete
        )
        return found

    return complete


def json_option(command: _F) -> _F:
    """Add ``--json``, as `as_json`."""
    return click.option(
        "--json", "as_json", is_flag=True, help="Print the result as JSON."
    )(command)


def model_option(command: _F) -> _F:
    """Add ``--model``, as `model`; None is the default model."""
    return click.option(
        "--model",
        metavar="NAME|PATH",
        shell_complete=completer("models"),
        help="Model to use; see: streamdenoise models.",
    )(command)


def link_option(command: _F) -> _F:
    """Add ``--link-channels``, as `link_channels`."""
    return click.option(
        "--link-channels",
        is_flag=True,
        help="One gain for all channels, so that the stereo image does not move.",
    )(command)


def settings_options(command: _F) -> _F:
    """Add ``--strength``, ``--mix`` and ``--removed``; see `settings_from`."""
    for option in (
        click.option(
            "--removed",
            is_flag=True,
            help="Give what is taken away instead of what is kept.",
        ),
        click.option(
            "--mix",
            type=float,
            default=1.0,
            show_default=True,
            metavar="SHARE",
            callback=_mix,
            help="Share of the denoised signal: 0 is the input, 1 all denoised.",
        ),
        click.option(
            "--strength",
            type=float,
            metavar="DB",
            callback=_strength,
            help="Take away at most this many decibels: 6 is gentle, 12 leaves a "
            "quiet background, 100 is silence.  [default: no limit]",
        ),
    ):
        command = option(command)
    return command


def _strength(
    ctx: click.Context, param: click.Parameter, value: float | None
) -> float | None:
    if value is not None and not value >= 0.0:
        raise click.BadParameter("give decibels from 0 (no change) upwards")
    return value


def _mix(ctx: click.Context, param: click.Parameter, value: float) -> float:
    if not 0.0 <= value <= 1.0:
        raise click.BadParameter("give a number from 0 (input) to 1 (all denoised)")
    return value


def settings_from(strength: float | None, mix: float, removed: bool) -> Settings:
    """Make `Settings` from the options of `settings_options`."""
    from ..settings import Settings

    return Settings(strength_db=strength, mix=mix, removed=removed)


# Progress ---------------------------------------------------------------------------


class Progress:
    """A one-line bar on standard error; nothing where that is no terminal.

    Parameters
    ----------
    label
        What is going on, safe to print.
    """

    _BAR = 24

    def __init__(self, label: str) -> None:
        self._label = label
        self._stream = sys.stderr
        self._live = bool(getattr(self._stream, "isatty", lambda: False)())
        self._begin = self._last = time.monotonic()
        self._width = 0

    def __call__(self, done: int, total: int) -> None:
        """Show `done` of `total`, at most ten times a second."""
        now = time.monotonic()
        if not self._live or (now - self._last < 0.1 and done < total):
            return
        self._last = now
        share = min(done / total, 1.0) if total else 1.0
        filled = round(share * self._BAR)
        left = (now - self._begin) * (1 / share - 1) if share > 0 else 0.0
        bar = "#" * filled + "." * (self._BAR - filled)
        text = f"[{bar}] {share:4.0%}  {left:4.0f} s left  {self._label}"
        self._show(text)

    def _show(self, text: str) -> None:
        encoding = getattr(self._stream, "encoding", None) or "utf-8"
        text = text[: max(_terminal_width() - 1, 20)]
        text = text.encode(encoding, "backslashreplace").decode(encoding)
        self._put("\r" + text.ljust(self._width))
        self._width = len(text)

    def clear(self) -> None:
        """Wipe the line."""
        if self._live and self._width:
            self._put("\r" + " " * self._width + "\r")
            self._width = 0

    def _put(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError:
            # The terminal has gone, as that of a job in the background does.
            self._live = False
            quiet_exit()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()


def _terminal_width() -> int:
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns
    except (OSError, ValueError, AttributeError):
        return 80
