"""Recurrent layers with Keras's weights and equations, made fast and steppable.

`keras.layers.GRU` multiplies input and kernel anew in each time step. Here that
product is one large matrix multiplication over all frames, and only the product
with the state stays in the loop. The same layer runs one frame (live), a fixed
number of frames (files) or a whole sequence (training), always from a state that
is handed in and handed back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from streamdenoise.train.gru import (
    WRITTEN_OUT,
    gru_sequence,
    gru_step,
    half_gru_sequence,
)
from streamdenoise.train.products import half_product

CELLS = {
    "simple_rnn": keras.layers.SimpleRNNCell,
    "lstm": keras.layers.LSTMCell,
    "gru": keras.layers.GRUCell,
}

LOOP_LIMIT = 32
"""Static lengths up to this run in the loop that TFLite likes best; training
sequences are longer, and need the loop that every backend can differentiate."""

TURN_BYTES = 400_000
"""Most bytes of int8 weights that one turn of TFLite's loop over frames may take."""

GATES = {"simple_rnn": 1, "lstm": 4, "gru": 3}
"""Parts side by side in the kernels of each cell."""


def product(x: Any, kernel: Any, scales: Any = None, live: Any = None) -> Any:
    """Multiply by a kernel whose columns are to be multiplied by `scales`.

    `live` is what `_unfolded` makes of the scales, where it was made.
    """
    y = ops.matmul(x, kernel)
    if scales is None:
        return y
    return y * (_unfolded(scales, x) if live is None else live)


def _unfolded(scales: Any, x: Any) -> Any:
    """Return scales times a one that depends on the input.

    The converter would fold what is constant into the kernel again.
    """
    first = x[tuple([slice(0, 1)] * len(x.shape))]
    return ops.minimum(ops.maximum(first, 1.0), 1.0) * scales


def columns_of(kernel: Any) -> NDArray[np.float32]:
    """Return the largest magnitude of each column, and divide the kernel by it."""
    values = np.asarray(kernel)
    scales = np.max(np.abs(values), axis=0)
    scales = np.where(scales > 0.0, scales, 1.0).astype(np.float32)
    kernel.assign(values / scales)
    return scales


Listener = Callable[[keras.layers.Layer, list[Any]], None]
"""Receives a layer and what each of its `kernels` is multiplied by, ``[..., K]``."""


class Dense(keras.layers.Dense):  # type: ignore[misc]
    """A dense layer whose columns can be brought to one size, as in `Recurrent`."""

    scales: NDArray[np.float32] | None = None
    half: bool = False
    """Whether products are rounded to 16 bits, as training may."""
    listener: Listener | None = None
    """As in `Recurrent`."""

    @property
    def kernels(self) -> tuple[Any, ...]:
        """The one matrix, as `Recurrent` has two."""
        return (self.kernel,)

    def level(self) -> None:
        """Divide each column by its size, to be multiplied by after the product."""
        self.scales = columns_of(self.kernel)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Return the activated product."""
        if self.listener is not None:
            self.listener(self, [inputs])
        if self.half:
            return self.activation(half_product(inputs, self.kernel) + self.bias)
        if self.scales is None:
            return super().call(inputs)
        return self.activation(product(inputs, self.kernel, self.scales) + self.bias)


class Recurrent(keras.layers.Layer):  # type: ignore[misc]
    """A recurrent layer over time-major input with explicit state.

    Wraps one of Keras's own cells (it holds the weights, so initial values and
    checkpoints are Keras's) and evaluates the cell's equations with the input
    product taken out of the loop. The GRU is Keras's ``reset_after=True``, the
    variant of cuDNN.

    Parameters
    ----------
    cell
        ``"simple_rnn"``, ``"lstm"`` or ``"gru"``.
    units
        Size of the output and of each state.
    reverse
        Run from the last frame to the first.

    Attributes
    ----------
    half
        Whether a GRU's products over training sequences are rounded to 16 bits.
    apart
        Whether each gate has a matrix of its own where it is exported: small enough
        ones stay float32 in a file of int8 weights.
    listener
        Called with what the kernels are multiplied by, where that is known: not while
        a graph is made.
    """

    half: bool = False
    apart: bool = False
    listener: Listener | None = None

    def __init__(
        self, cell: str, units: int, *, reverse: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if cell not in CELLS:
            raise ValueError(f"cell is {cell!r}; choose one of {', '.join(CELLS)}")
        self.kind = cell
        self.units = units
        self.reverse = reverse
        self.cell = CELLS[cell](units)
        self.scales: tuple[Any, Any] = None, None

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the cell's weights for ``[T, rows, features]``."""
        self.cell.build((None, input_shape[-1]))
        self.built = True

    def level(self) -> None:
        """Divide the columns of both kernels by their sizes, to be multiplied by later.

        With int8 weights a matrix has one step size, that of its largest weight: this
        gives each column its own, in runtimes too that know no such thing.
        """
        inner, outer = self.kernels
        self.scales = columns_of(inner), columns_of(outer)

    @property
    def kernels(self) -> tuple[Any, ...]:
        """The matrices of the input and of the state."""
        return self.cell.kernel, self.cell.recurrent_kernel

    @property
    def state_names(self) -> tuple[str, ...]:
        """Names of the states: hidden, and the cell's memory for an LSTM."""
        return ("h", "c") if self.kind == "lstm" else ("h",)

    def zero_state(self, rows: int) -> list[Any]:
        """Return the initial state for `rows` independent rows."""
        return [ops.zeros((rows, self.units)) for _ in self.state_names]

    def call(self, x: Any, state: list[Any]) -> tuple[Any, list[Any]]:
        """Run ``[T, rows, features]`` from `state`.

        Returns
        -------
        tuple
            Outputs ``[T, rows, units]`` and the state after the last frame.
        """
        if self.reverse:
            x = ops.flip(x, axis=0)
        frames = x.shape[0]
        kernel = self.cell.kernel
        if self.half:
            projected = half_product(x, kernel) + self._input_bias()
        else:
            projected = self._product(x, kernel, self.scales[0]) + self._input_bias()
        if frames == 1:
            # No index: TFLite would take it for a slice, which costs more.
            state = self._advance(ops.squeeze(projected, axis=0), state)
            y = state[0][None]
        elif frames is not None and frames <= LOOP_LIMIT:
            y, state = self._loop(projected, state)
        elif frames is not None and self._written_out():
            kernel, bias = self.cell.recurrent_kernel, self.cell.bias[1]
            gru = half_gru_sequence if self.half else gru_sequence
            y = gru(projected, state[0], ops.convert_to_tensor(kernel), bias)
            state = [y[-1]]
        else:

            def body(carry: list[Any], xt: Any) -> tuple[list[Any], list[Any]]:
                carry = self._advance(xt, carry)
                # Keras on TensorFlow packs the outputs as the carry is packed.
                return carry, carry

            state, y = ops.scan(body, state, projected)
            y = y[0]
        if self.listener is not None:
            # The outputs are the states: one frame late, which moments do not hear.
            self.listener(self, [x, y])
        if self.reverse:
            y = ops.flip(y, axis=0)
        return y, state

    def _loop(self, projected: Any, state: list[Any]) -> tuple[Any, list[Any]]:
        """Run a fixed, short number of frames in a loop that TFLite runs fast.

        A Python loop would do, but then TFLite keeps a packed copy of the weights for
        every turn.
        """
        frames, rows, features = projected.shape
        rows = state[0].shape[0] if rows is None else rows

        # Made once, not in every turn.
        scales = self.scales[1]
        live = None if scales is None else _unfolded(scales, state[0])
        turn = self._frames_of_a_turn(frames)

        def body(t: Any, y: Any, *carry: Any) -> tuple[Any, ...]:
            part = ops.slice(projected, (t, 0, 0), (turn, rows, features))
            states, each = list(carry), []
            for xt in ops.split(part, turn, axis=0) if turn > 1 else [part]:
                states = self._advance(ops.squeeze(xt, axis=0), states, live)
                each.append(states[0][None])
            new = ops.concatenate(each, axis=0) if turn > 1 else each[0]
            return (t + turn, ops.slice_update(y, (t, 0, 0), new), *states)

        start = ops.convert_to_tensor(0, "int32"), ops.zeros((frames, rows, self.units))
        _, y, *state = ops.while_loop(lambda t, *_: t < frames, body, (*start, *state))
        return y, state

    def _frames_of_a_turn(self, frames: int) -> int:
        """Return how many frames one turn of the loop does.

        A turn costs TFLite as much as a small layer, so the more the better; but each
        frame of it has a packed copy of the weights, and they should stay in the cache.
        """
        size = self.units * self.units * GATES[self.kind]
        turn = 1
        while turn < 8 and frames % (2 * turn) == 0 and 2 * turn * size <= TURN_BYTES:
            turn *= 2
        return turn

    def _written_out(self) -> bool:
        return WRITTEN_OUT and self.kind == "gru" and self.scales[1] is None

    def _product(self, x: Any, kernel: Any, scales: Any, live: Any = None) -> Any:
        if not self.apart:
            return product(x, kernel, scales, live)
        gates = ops.split(kernel, GATES[self.kind], axis=-1)
        return ops.concatenate([ops.matmul(x, gate) for gate in gates], axis=-1)

    def _input_bias(self) -> Any:
        return self.cell.bias[0] if self.kind == "gru" else self.cell.bias

    def _advance(self, xt: Any, state: list[Any], live: Any = None) -> list[Any]:
        """One time step: projected input and state to the next state."""
        kernel = self.cell.recurrent_kernel
        recurrent = self._product(state[0], kernel, self.scales[1], live)
        if self.kind == "gru":
            return [gru_step(xt, state[0], recurrent + self.cell.bias[1])[0]]
        if self.kind == "simple_rnn":
            return [ops.tanh(xt + recurrent)]
        u = self.units
        # Gates in Keras's order: input, forget, candidate, output.
        a = xt + recurrent
        i, f, o = (ops.sigmoid(a[:, k * u : (k + 1) * u]) for k in (0, 1, 3))
        c = f * state[1] + i * ops.tanh(a[:, 2 * u : 3 * u])
        return [o * ops.tanh(c), c]
