"""The packets of all streams of a container in the order of their times."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

__all__ = ["in_order"]


def in_order(sound: Sequence[Iterator[Any]], copied: Iterable[Any]) -> Iterator[Any]:
    """Yield packets as they are to be muxed, each row of them kept in its order.

    Parameters
    ----------
    sound
        Packets of each sound track.
    copied
        Those of all other streams, in their order; each comes after what sounds up to
        its time.
    """
    waiting = [next(row, None) for row in sound]

    def sound_until(time: float) -> Iterator[Any]:
        while True:
            times = [math.inf if p is None else _time(p) for p in waiting]
            first = min(range(len(times)), key=times.__getitem__, default=-1)
            if first < 0 or times[first] > time or waiting[first] is None:
                return
            yield waiting[first]
            waiting[first] = next(sound[first], None)

    for packet in copied:
        time = _time(packet)
        if time > -math.inf:
            yield from sound_until(time)
        yield packet
    yield from sound_until(math.inf)


def _time(packet: Any) -> float:
    stamp = packet.dts if packet.dts is not None else packet.pts
    return -math.inf if stamp is None else float(stamp * packet.time_base)
