"""Stretches without a voice, many mixtures long.

Live sound is mostly nobody speaking. What a recurrent net's states become in minutes
of a fan, or of a muted microphone's zeros, and how a voice is heard out of them, has to
be trained like anything else: states go on through a calm, and into what follows it.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

RUN: Final = 16
"""Mixtures of one run: a calm begins with a run and lasts through 1 to all of it."""

_OWN: Final = 0xCA17
"""Sets the draws of calms apart from those of mixtures."""


def calm(seed: int, number: int, row: int, share: float) -> np.random.Generator | None:
    """Return what a calm is drawn from, the same for all of it; or None.

    Parameters
    ----------
    seed
        Of all mixtures.
    number, row
        Of the mixture: its batch, and its row in there.
    share
        Share of the runs that begin with a calm.
    """
    if not share:
        return None
    # Rows take turns, or all calms would begin in the same batch.
    run, place = divmod(number + row, RUN)
    rng = np.random.default_rng([seed, _OWN, run, row])
    length = int(rng.integers(1, RUN + 1))
    return rng if rng.random() < share and place < length else None


def kept_rows(seed: int, number: int, rows: int, share: float) -> npt.NDArray[np.bool_]:
    """Return where states must go on into batch `number`, ``[rows]``.

    That is within a calm, and from a calm into what follows.
    """
    kept = np.zeros(rows, bool)
    for before in range(max(number - 1, 0), number + 1):
        kept |= [calm(seed, before, row, share) is not None for row in range(rows)]
    return kept
