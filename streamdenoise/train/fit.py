"""The training loop: resumable, logged, validated on fixed mixtures.

Works on every backend of Keras: the loss is `keras.ops`, the update is
`keras.Model.train_on_batch`. Mixing runs in processes of its own, ahead of time.
"""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import keras
import numpy as np

from streamdenoise.constants import GRID_HOP, GRID_RATE
from streamdenoise.errors import StreamDenoiseError
from streamdenoise.train import nets
from streamdenoise.train.calm import kept_rows
from streamdenoise.train.data import Pack
from streamdenoise.train.feed import Feed
from streamdenoise.train.fitconfig import FitConfig
from streamdenoise.train.growing import grow
from streamdenoise.train.losses import stft
from streamdenoise.train.mix import Mixer
from streamdenoise.train.models import LEAD, CarriedModel, make_model
from streamdenoise.train.validation import VALID_COLUMNS, Validation

_STATISTICS = 1_000_000_000
"""Number of the first batch that statistics are measured on: never trained on."""

_AVERAGE_EVERY = 4
"""Updates between two looks at the weights: fetching them from a device takes time."""

LOG_COLUMNS = (
    "update",
    "minutes",
    "audio_hours",
    "learning_rate",
    "loss",
    "gradient_norm",
    *VALID_COLUMNS,
)


class Run:
    """One training run in a folder that holds all that is needed to go on.

    Parameters
    ----------
    folder
        Where checkpoints, the log and the averaged weights go. A run that is there
        already goes on where it stopped.
    pack
        Folder of the decoded corpus.
    net_config, config
        What to train and how; a run that goes on keeps its net.
    say
        Receives one line of progress now and then.
    start_from
        Run folder or compact checkpoint that a new run takes its weights from; the
        net is grown to `net_config` where that is larger.
    """

    def __init__(
        self,
        folder: Path,
        pack: Path,
        net_config: nets.NetConfig,
        config: FitConfig,
        say: Callable[[str], None] = print,
        start_from: Path | None = None,
    ) -> None:
        self.folder, self.pack, self.config, self.say = folder, pack, config, say
        folder.mkdir(parents=True, exist_ok=True)
        keras.utils.set_random_seed(config.seed)
        resume = (folder / "progress.json").is_file()
        if resume:
            self.net = nets.load(folder, "last")
        elif start_from is not None:
            self.net = nets.load(start_from)
            if self.net.config != net_config:
                self.net = grow(self.net, net_config)
        else:
            self.net = nets.build(net_config)
            if net_config.kind == "tutorial":
                measure_statistics(self.net, Mixer(Pack.open(pack), config.mix))
        self.model = make_model(self.net, config)
        self._validation = Validation(pack)
        self.progress: dict[str, float] = {"update": 0, "minutes": 0.0, "seconds": 0.0}
        if resume:
            self._restore()
        else:
            self.average = [np.array(w) for w in self.net.get_weights()]
        config.write(folder / "fit.json")

    def train(
        self,
        minutes: float,
        decay_minutes: float = 0.0,
        every: float = 4.0,
        workers: int = 1,
    ) -> None:
        """Train for a time, then write a checkpoint.

        Parameters
        ----------
        minutes
            Wall-clock minutes to go on for.
        decay_minutes
            At the end, lower the learning rate linearly to 2 % over this time.
        every
            Minutes between checkpoints, each with a validation.
        workers
            Mixing processes.

        Raises
        ------
        StreamDenoiseError
            If the loss is no longer a number; the last checkpoint stays.
        """
        c = self.config
        begin = saved = time.monotonic()
        losses: list[float] = []
        norms: list[float] = []
        rate = 0.0
        # A mixture that was interrupted is left; the next one begins.
        first = -(-int(self.progress["update"]) // c.parts)
        mix = replace(c.mix, seconds=c.mix.seconds * c.parts)
        with Feed(self.pack, mix, c.batch, c.seed, first, workers) as feed:
            batches = self._parts(feed, first)
            while (elapsed := (time.monotonic() - begin) / 60.0) < minutes:
                update = int(self.progress["update"])
                rate = self._rate(update, minutes - elapsed, decay_minutes)
                loss, norm = self._update(*next(batches), rate)
                if not np.isfinite(loss):
                    raise StreamDenoiseError(
                        f"the loss is {loss} after {update} updates; go on from the "
                        "last checkpoint with a lower --learning-rate or --clipnorm"
                    )
                losses.append(loss)
                norms.append(norm)
                if time.monotonic() - saved > every * 60.0:
                    self._checkpoint(saved, losses, norms, rate)
                    saved, losses, norms = time.monotonic(), [], []
        self._checkpoint(saved, losses, norms, rate)

    def _parts(self, feed: Feed, first: int) -> Iterator[tuple[Any, Any]]:
        """Cut mixtures, the first of which has a number, into what one update sees."""
        c = self.config
        size = c.mix.samples
        lead = LEAD * GRID_HOP
        ends = np.zeros((2, c.batch, lead), np.float32)
        rng = np.random.default_rng([c.seed, int(self.progress["update"])])
        for number in count(first):
            noisy, clean = feed.next()
            if not isinstance(self.model, CarriedModel):
                yield noisy, clean
                continue
            kept = rng.random(len(noisy)) < c.kept
            kept |= kept_rows(c.seed, number, len(noisy), c.mix.calm)
            self.model.forget(kept)
            # A stream that goes on has heard the end of the mixture before.
            ends *= kept[:, None]
            noisy, clean = (
                np.concatenate([end, whole], axis=1)
                for end, whole in zip(ends, (noisy, clean), strict=True)
            )
            ends = np.stack([noisy[:, -lead:], clean[:, -lead:]])
            for at in range(lead, noisy.shape[1] - size + 1, size):
                part = slice(at - lead, at + size)
                yield noisy[:, part], clean[:, part]

    def _rate(self, update: int, left: float, decay_minutes: float) -> float:
        rate = self.config.learning_rate * min(1.0, (update + 1) / self.config.warmup)
        if left < decay_minutes:
            rate *= max(0.02, left / decay_minutes)
        return rate

    def _update(self, noisy: Any, clean: Any, rate: float) -> tuple[float, float]:
        self.model.optimizer.learning_rate = rate
        loss = float(self.model.train_on_batch(noisy, clean))
        norm = float(self.model.optimizer.gradient_norm)
        self.progress["update"] += 1
        lead = LEAD * GRID_HOP if isinstance(self.model, CarriedModel) else 0
        self.progress["seconds"] += len(noisy) * (noisy.shape[1] - lead) / GRID_RATE
        if self.progress["update"] % _AVERAGE_EVERY == 0:
            self._take_into_average()
        return loss, norm

    def _take_into_average(self) -> None:
        # A young average must be short, or it lags behind.
        updates = self.progress["update"]
        decay = min(self.config.ema, updates / (updates + 10.0)) ** _AVERAGE_EVERY
        for mean, weight in zip(self.average, self.net.weights, strict=True):
            mean += (1.0 - decay) * (np.asarray(weight) - mean)

    def _checkpoint(
        self, since: float, losses: list[float], norms: list[float], rate: float
    ) -> None:
        self.progress["minutes"] += (time.monotonic() - since) / 60.0
        nets.save(self.net, self.folder, "last")
        own = self.net.get_weights()
        self.net.set_weights(self.average)
        nets.save(self.net, self.folder, "ema")
        nets.set_half(self.net, False)
        valid = self._validation.measure(self.net)
        nets.set_half(self.net, self.config.half)
        self.net.set_weights(own)
        state = [np.asarray(v) for v in self.model.optimizer.variables]
        temporary = self.folder / "optimizer.npz.tmp"
        with temporary.open("wb") as file:
            np.savez(file, *state)
        temporary.replace(self.folder / "optimizer.npz")
        # Written last: a run with this file has everything else.
        temporary = self.folder / "progress.json.tmp"
        temporary.write_text(json.dumps(self.progress))
        temporary.replace(self.folder / "progress.json")
        self._log(losses, norms, rate, valid)

    def _restore(self) -> None:
        self.progress = json.loads((self.folder / "progress.json").read_text())
        average = nets.load(self.folder, "ema").get_weights()
        self.average = [np.array(w) for w in average]
        self.model.optimizer.build(self.model.trainable_variables)
        with np.load(self.folder / "optimizer.npz") as saved:
            for variable, key in zip(
                self.model.optimizer.variables, saved.files, strict=True
            ):
                variable.assign(saved[key])
        self.say(
            f"goes on at update {self.progress['update']:.0f}, "
            f"{self.progress['seconds'] / 3600:.1f} h of audio seen"
        )

    def _log(
        self,
        losses: list[float],
        norms: list[float],
        rate: float,
        valid: tuple[float, ...],
    ) -> None:
        p = self.progress
        values = (
            int(p["update"]),
            p["minutes"],
            p["seconds"] / 3600.0,
            rate,
            float(np.mean(losses)) if losses else float("nan"),
            float(np.median(norms)) if norms else float("nan"),
            *valid,
        )
        path = self.folder / "log.csv"
        new = not path.exists()
        with path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            if new:
                writer.writerow(LOG_COLUMNS)
            writer.writerow([v if isinstance(v, int) else f"{v:.5g}" for v in values])
        self.say(
            "  ".join(
                f"{k} {v if isinstance(v, int) else f'{v:.4g}'}"
                for k, v in zip(LOG_COLUMNS, values, strict=True)
            )
        )


def measure_statistics(net: nets.SpectralNet, mixer: Mixer, batches: int = 8) -> None:
    """Set the ancestor's mean, deviation and peak from training mixtures."""
    pairs = [mixer.batch(_STATISTICS + i, 16) for i in range(batches)]
    noisy, clean = (np.concatenate(part) for part in zip(*pairs, strict=True))
    heard = np.asarray(nets.magnitude(stft(noisy))).reshape(-1, 257)
    wanted = np.asarray(nets.magnitude(stft(clean))).reshape(-1, 257)
    net.mean.assign(heard.mean(axis=0))
    net.deviation.assign(heard.std(axis=0) + 1e-6)
    net.peak.assign(np.full(257, np.quantile(wanted, 0.9995), np.float32))
