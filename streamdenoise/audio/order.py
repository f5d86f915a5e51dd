"""The order of channels in Ogg, which is another than everywhere else.

Vorbis and Opus put the centre between left and right, and the LFE last ("Vorbis I
specification", 4.3.9; RFC 7845, 5.1.1.2). libsndfile hands channels out and takes them
as they are in the file. All else here, as WAV and FFmpeg, counts front left, front
right, centre, LFE, then those at the back and at the sides.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["in_file_order", "ogg_layout"]

_TO_WAVE: Final = {
    3: (0, 2, 1),
    4: (0, 1, 2, 3),
    5: (0, 2, 1, 3, 4),
    6: (0, 2, 1, 5, 3, 4),
    7: (0, 2, 1, 6, 5, 3, 4),
    8: (0, 2, 1, 7, 5, 6, 3, 4),
}
"""Which channel of the file comes where, for each number of channels."""

_MASKS: Final = {3: 0x7, 4: 0x33, 5: 0x37, 6: 0x3F, 7: 0x70F, 8: 0x63F}
"""Their loudspeakers, a bit each as in WAV."""


def ogg_layout(path: Path, subtype: str, channels: int) -> tuple[list[int], int]:
    """Return how the channels of an Ogg file are brought into the order of WAV.

    Parameters
    ----------
    path
        The file.
    subtype
        ``VORBIS`` or ``OPUS``; others have no order of their own.
    channels
        How many there are.

    Returns
    -------
    order : list of int
        ``block[:, order]`` has them in order; empty if they are as they should be.
    mask : int
        Loudspeaker of each, a bit each as in WAV; 0 if it is not said.
    """
    if subtype not in ("VORBIS", "OPUS") or channels not in _TO_WAVE:
        return [], 0
    if subtype == "OPUS" and _family(path) != 1:
        return [], 0  # channels that stand for no loudspeakers
    order = list(_TO_WAVE[channels])
    return [] if order == sorted(order) else order, _MASKS[channels]


def _family(path: Path) -> int:
    """Return the channel mapping family of an Opus file."""
    with path.open("rb") as file:
        head = file.read(4096)
    at = head.find(b"OpusHead") + 18
    return head[at] if 18 <= at < len(head) else -1


def in_file_order(
    block: NDArray[np.float32], container: str, subtype: str
) -> NDArray[np.float32]:
    """Return a block with its channels as a file wants them.

    Parameters
    ----------
    block
        Shape (n, channels), in the order of WAV.
    container, subtype
        Of the file, in libsndfile's words.

    Returns
    -------
    ndarray
        `block` itself where the file has the same order.
    """
    order = _TO_WAVE.get(block.shape[1], ())
    ogg = container == "OGG" and subtype in ("VORBIS", "OPUS")
    if not ogg or list(order) == sorted(order):
        return block
    return block[:, np.argsort(order)]
