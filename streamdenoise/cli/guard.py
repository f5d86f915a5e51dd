"""Failures: each becomes one sentence and an exit code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from .. import unmeant
from ..errors import EXIT_INPUT, EXIT_INTERRUPTED, EXIT_OK, StreamDenoiseError
from .printing import fail, quiet_exit

__all__ = ["guarded"]


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
        if unmeant.traceback_wanted():
            raise
        quiet_exit()  # it may have been the output that refused
        fail(unmeant.refused(error))
        raise click.exceptions.Exit(EXIT_INPUT) from error
    except Exception as error:
        if unmeant.traceback_wanted():
            raise
        fail(
            f"{unmeant.bug(error)}; please report it with "
            f"the output of the same command after: export {unmeant.TRACEBACK}=1"
        )
        raise click.exceptions.Exit(EXIT_INPUT) from error
