"""What gradient clipping does here: the same run with none, by norm and by value.

Nine runs, three cells by three ways of clipping, on the very same batches from the
same initial values; once as we train, and once as exploding gradients were met
first: plain gradient descent on squared errors of plain magnitudes. Run by
``scripts/clipping-study``; ``models/CLIPPING.md`` says what came out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from streamdenoise.constants import GRID_BINS
from streamdenoise.train import nets
from streamdenoise.train.data import Pack
from streamdenoise.train.fitconfig import FitConfig
from streamdenoise.train.layers import CELLS
from streamdenoise.train.losses import LossConfig, stft
from streamdenoise.train.mix import Mixer
from streamdenoise.train.mixconfig import MixConfig
from streamdenoise.train.models import WaveModel, make_model
from streamdenoise.train.optimizers import NormedSGD

CLIPS: dict[str, dict[str, float | None]] = {
    "none": {},
    "clipnorm": {"clipnorm": 1.0},
    "clipvalue": {"clipvalue": 0.1},
}


@dataclass(frozen=True)
class Trace:
    """One run: loss and gradient norm (before clipping) of each update."""

    cell: str
    clip: str
    loss: list[float]
    norm: list[float]

    @property
    def final(self) -> float:
        """Mean loss of the last tenth; NaN where the run broke."""
        return float(np.mean(self.loss[-max(1, len(self.loss) // 10) :]))


class PlainModel(WaveModel):
    """Magnitude to magnitude with a linear output: nothing tames a gradient here."""

    def __init__(self, net: nets.SpectralNet, loss: LossConfig) -> None:
        super().__init__(net, loss)
        self.out = keras.layers.Dense(GRID_BINS)

    def call(self, waves: Any, training: bool = False) -> Any:
        """Estimate magnitudes ``[T, B, bins]``."""
        x = nets.magnitude(ops.transpose(stft(waves), (1, 0, 2, 3)))
        states = self.net.zero_states(ops.shape(waves)[0])
        return self.out(self.net.stack(x, states, training))

    def compute_loss(self, x: Any, y: Any, y_pred: Any, *_: Any, **__: Any) -> Any:
        """Return the squared error against the clean magnitude."""
        clean = nets.magnitude(ops.transpose(stft(y), (1, 0, 2, 3)))
        return ops.mean(ops.square(clean - y_pred))


def study(
    pack: Path,
    updates: int = 200,
    units: int = 96,
    learning_rate: float = 6e-3,
    seed: int = 11,
    plain: bool = False,
    say: Callable[[str], None] = print,
) -> list[Trace]:
    """Train the nine nets and return their traces.

    Parameters
    ----------
    pack
        Decoded corpus.
    updates, units, learning_rate, seed
        Of every run. The rate is high on purpose: clipping is for the steps that go
        wrong.
    plain
        Gradient descent with momentum on squared errors of magnitudes, instead of
        Adam on our loss.
    say
        Receives one line per run.
    """
    mix = MixConfig(seconds=4.0, noise_only=0.02)
    mixer = Mixer(Pack.open(pack), mix, seed=seed)
    batches = [mixer.batch(k, 8) for k in range(updates)]
    base = FitConfig(batch=8, learning_rate=learning_rate, global_clipnorm=None)
    traces = []
    for cell in CELLS:
        for clip, options in CLIPS.items():
            keras.utils.set_random_seed(seed)
            kind = "tutorial" if plain else "gain"
            net = nets.build(nets.NetConfig(kind, cell, units, 2))
            config = replace(base, **options)  # type: ignore[arg-type]
            model = _plain_model(net, config) if plain else make_model(net, config)
            loss, norm = [], []
            for noisy, clean in batches:
                loss.append(float(model.train_on_batch(noisy, clean)))
                norm.append(float(model.optimizer.gradient_norm))
            traces.append(Trace(cell, clip, loss, norm))
            final = traces[-1].final
            say(f"{cell}, {clip}: loss {final:.3f}, worst norm {max(norm):.3g}")
    return traces


def _plain_model(net: nets.SpectralNet, config: FitConfig) -> PlainModel:
    model = PlainModel(net, config.loss)
    model.compile(
        optimizer=NormedSGD(
            config.learning_rate,
            momentum=0.9,
            clipnorm=config.clipnorm,
            clipvalue=config.clipvalue,
        )
    )
    return model


def table(traces: list[Trace]) -> str:
    """Return the traces as a Markdown table."""
    lines = [
        "| cell | clipping | median norm | largest norm | updates with norm > 10 x "
        "median | loss, last tenth | worst loss after update 20 |",
        "|---|---|---|---|---|---|---|",
    ]
    for t in traces:
        norm = np.asarray(t.norm)
        middle = float(np.median(norm))
        lines.append(
            f"| {t.cell} | {t.clip} | {middle:.3g} | {norm.max():.3g} | "
            f"{int(np.sum(norm > 10 * middle))} | {t.final:.2f} | "
            f"{max(t.loss[20:], default=float('nan')):.2f} |"
        )
    return "\n".join(lines)


def draw(traces: list[Trace], path: Path) -> None:
    """Draw gradient norm (above) and loss (below), one column per cell."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "streamdenoise"
    from matplotlib import pyplot

    cells = list(dict.fromkeys(t.cell for t in traces))
    figure, axes = pyplot.subplots(2, len(cells), figsize=(11, 5.5), sharex=True)
    for column, cell in enumerate(cells):
        for t in (t for t in traces if t.cell == cell):
            axes[0, column].semilogy(t.norm, label=t.clip, linewidth=0.8)
            smooth = np.convolve(t.loss, np.ones(10) / 10, "valid")
            axes[1, column].semilogy(smooth, linewidth=1.0)
        axes[0, column].set_title(cell)
        axes[1, column].set_xlabel("update")
    axes[0, 0].set_ylabel("gradient norm before clipping")
    axes[1, 0].set_ylabel("loss (mean of 10)")
    axes[0, 0].legend()
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
