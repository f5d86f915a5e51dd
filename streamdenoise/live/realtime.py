"""Keeping the audio threads on time: their priority, and Python's own pauses."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from collections.abc import Iterator
from typing import Final

_PRIORITY: Final = 5
_NICENESS: Final = -11


def raise_priority() -> str:
    """Let the calling thread run before others, as far as the system permits.

    PortAudio leaves the threads of ALSA at normal priority, where any busy program
    makes them late. Audio threads sleep most of the time and cannot starve anybody.

    Returns
    -------
    str
        ``"real-time"``, ``"raised"`` or ``"normal"``.
    """
    # On Linux 0 is the calling thread in both calls; elsewhere it is the process, and
    # the host APIs see to their threads themselves.
    if sys.platform != "linux":
        return "normal"
    try:
        policy = os.SCHED_RR | os.SCHED_RESET_ON_FORK
        os.sched_setscheduler(0, policy, os.sched_param(_PRIORITY))
        return "real-time"
    except (OSError, AttributeError):
        pass
    try:
        os.setpriority(os.PRIO_PROCESS, 0, _NICENESS)
        return "raised"
    except (OSError, AttributeError):
        return "normal"


@contextlib.contextmanager
def realtime() -> Iterator[None]:
    """Keep Python's pauses out of the audio callbacks while inside.

    What exists is frozen and the collector is off: the hot path makes no cycles. A
    thread that waits for the interpreter gets it within 1 ms instead of 5.
    """
    enabled, interval = gc.isenabled(), sys.getswitchinterval()
    gc.collect()
    gc.freeze()
    gc.disable()
    sys.setswitchinterval(0.001)
    try:
        yield
    finally:
        sys.setswitchinterval(interval)
        gc.unfreeze()
        if enabled:
            gc.enable()
