"""Signatures whose states the caller carries: the contract of a model file, kept here.

Such a signature takes one input of what is heard and any states, and gives one output
and, for each state S, ``S_out``.
"""

from __future__ import annotations

from numpy import float32, zeros
from numpy.typing import NDArray

from .errors import ModelError
from .runtime import Graph

ModelState = dict[str, NDArray[float32]]
"""State tensors by name. Arrays are replaced by a step, never written into."""


def copied(state: ModelState) -> ModelState:
    """Return a copy of a state."""
    return {name: tensor.copy() for name, tensor in state.items()}


class Carried:
    """One signature of a model file, called with what is heard and a state.

    Parameters
    ----------
    graph
        The loaded file.
    what
        How to call it in messages.
    signature
        Name of the signature.
    heard, told
        Names of the input and of the output that are no state.
    shape
        Of the input; None stands for any number.
    width
        Last axes of the output where they differ from those of the input.

    Attributes
    ----------
    shape
        Of the input, as the file has it.
    state_shapes
        Shapes of the states by name.

    Raises
    ------
    ModelError
        If the signature has other inputs or outputs.
    """

    def __init__(
        self,
        graph: Graph,
        what: str,
        signature: str,
        heard: str,
        told: str,
        shape: tuple[int | None, ...],
        width: tuple[int, ...] = (),
    ) -> None:
        function = graph.function(signature)
        inputs, outputs = function.inputs, function.outputs
        has = inputs.get(heard, ())
        same_rank = len(has) == len(shape)
        self.shape = tuple(
            has[i] if n is None and same_rank else n or 1 for i, n in enumerate(shape)
        )
        out_shape = (*self.shape[: len(self.shape) - len(width)], *width)
        states = {n: s for n, s in inputs.items() if n != heard}
        kept = {name: name + "_out" for name in states}
        wanted_in = {heard: self.shape, **states}
        wanted_out = {told: out_shape, **{kept[n]: s for n, s in states.items()}}
        for side, found, wanted in (
            ("inputs", inputs, wanted_in),
            ("outputs", outputs, wanted_out),
        ):
            if found != wanted:
                raise ModelError(
                    f"{what} does not keep the step contract: its {side} are {found}, "
                    f"and {wanted} was expected; export it with scripts/export"
                )
        self.state_shapes = states
        self._call = function.carrying(heard, told, kept)

    def initial_state(self) -> ModelState:
        """Return the state at the start of a stream: zeros."""
        return {name: zeros(s, float32) for name, s in self.state_shapes.items()}

    def __call__(self, x: NDArray[float32], state: ModelState) -> NDArray[float32]:
        """Run once, and replace the entries of `state`.

        Parameters
        ----------
        x
            C-contiguous, of shape `shape`.
        state
            From `initial_state`.
        """
        return self._call(x, state)


def carried_pair(
    graph: Graph,
    what: str,
    names: tuple[str, str],
    heard: str,
    told: str,
    shape: tuple[int, ...],
    width: tuple[int, ...] = (),
) -> tuple[Carried, Carried | None]:
    """Return a signature for one frame, and the one for many where the file has it.

    Parameters
    ----------
    graph, what, heard, told, width
        As for `Carried`.
    names
        Of the two signatures.
    shape
        Of the input for one frame: ``(1, ...)``, for many ``(1, frames, ...)``.

    Raises
    ------
    ModelError
        If one of them does not keep the contract, or they have different states.
    """
    one = Carried(graph, what, names[0], heard, told, shape, width)
    if names[1] not in graph.signatures:
        return one, None
    frames = (shape[0], None, *shape[1:])
    many = Carried(graph, what, names[1], heard, told, frames, width)
    if many.state_shapes != one.state_shapes:
        raise ModelError(
            f"{what} has other states in '{names[1]}' than in '{names[0]}', so one "
            "cannot go on where the other stopped: export it again"
        )
    return one, many
