"""Failures: each becomes one sentence and an exit code."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import click

from ..errors import EXIT_INPUT, EXIT_INTERRUPTED, EXIT_OK, StreamDenoiseError
from ..names import shown
from .printing import fail, quiet_exit

__all__ = ["TRACEBACK", "guarded"]

TRACEBACK = "STREAMDENOISE_TRACEBACK"
"""Names the variable that shows a traceback in place of a sentence."""


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
