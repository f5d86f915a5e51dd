"""A learned head for the band above 8 kHz: what it hears, what it says.

The head sees no bins, only the power of a few bands, so one head serves all rates. It
hears the sound above 8 kHz, the model's own band before and after the model, and says
how much to keep of each band above.
"""

from __future__ import annotations

from typing import Final

from numpy import concatenate, float32
from numpy.typing import NDArray

from .carried import ModelState, carried_pair
from .runtime import Graph

HIGH_EDGES: Final = (8e3, 9e3, 10e3, 11.5e3, 13e3, 15e3, 17e3, 19.5e3, 24e3)
"""Edges in Hz of the bands that the head rules: about as wide as an ear's filters."""

LOW_EDGES: Final = (0.0, 1e3, 2.5e3, 4e3, 5.5e3, 7.75e3)
"""Edges in Hz of the bands below 8 kHz that it hears before and after the model. They
end short of 8 kHz, where 16 kHz training material has an anti-aliasing filter."""

HIGH_BANDS: Final = len(HIGH_EDGES) - 1
LOW_BANDS: Final = len(LOW_EDGES) - 1

POWERS: Final = HIGH_BANDS + 2 * LOW_BANDS
"""Mean power of a bin in each band above 8 kHz (0 where the rate has none), then in
each band below before the model, then after it; all in grid scale."""

HIGH, HIGHS = "high", "highs"


class HighHead:
    """The signatures ``high`` and ``highs`` of a model file.

    Input ``powers`` (1, `POWERS`), or (1, N, `POWERS`) for N frames at once; output
    ``gains`` (1, `HIGH_BANDS`) or (1, N, `HIGH_BANDS`), 0 to 1; states as those of
    the model's own signatures.

    Parameters
    ----------
    graph
        The loaded file.
    what
        How to call it in messages.

    Raises
    ------
    ModelError
        If the signatures have other inputs or outputs.
    """

    def __init__(self, graph: Graph, what: str) -> None:
        self._one, self._many = carried_pair(
            graph, what, (HIGH, HIGHS), "powers", "gains", (1, POWERS), (HIGH_BANDS,)
        )
        self.group = self._many.shape[1] if self._many else 0

    @classmethod
    def of(cls, graph: Graph, what: str) -> HighHead | None:
        """Return the head of a file, None if it has none."""
        return cls(graph, what) if HIGH in graph.signatures else None

    def initial_state(self) -> ModelState:
        """Return the state at the start of a stream: zeros."""
        return self._one.initial_state()

    def gains(self, powers: NDArray[float32], state: ModelState) -> NDArray[float32]:
        """Return the gains of some frames and move `state` on.

        Parameters
        ----------
        powers
            float32 (frames, `POWERS`), contiguous.
        state
            From `initial_state`; its entries are replaced.

        Returns
        -------
        float32 array of shape (frames, `HIGH_BANDS`)
        """
        if self._many is not None and len(powers) == self.group:
            gains: NDArray[float32] = self._many(powers[None], state)[0]
        elif len(powers) == 1:
            gains = self._one(powers, state)
        else:
            each = (powers[i : i + 1] for i in range(len(powers)))
            gains = concatenate([self._one(one, state) for one in each])
        return gains
