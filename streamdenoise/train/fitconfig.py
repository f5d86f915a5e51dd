"""How a net is trained: one frozen dataclass."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from streamdenoise.errors import StreamDenoiseError
from streamdenoise.train.losses import LossConfig
from streamdenoise.train.mixconfig import MixConfig


@dataclass(frozen=True)
class FitConfig:
    """How a net is trained.

    Attributes
    ----------
    batch
        Sequences that are learned from at once.
    accumulate
        Batches whose mean gradient makes one update: what memory does not hold at once.
    optimizer
        ``"adam"``, or ``"muon"`` for `NormedMuon`.
    learning_rate, warmup
        The optimizer's rate, and the batches over which it rises from zero.
    weight_decay
        Share of each matrix that an update takes away, times the rate.
    clipnorm, clipvalue, global_clipnorm
        Gradient clipping as Keras names it: per weight tensor by norm, by value, or
        by the norm of all together. ``None`` is off.
    parts
        Each mixture is this many times `mix.seconds` long, and is learned from in so
        many updates, with the net's states carried from one to the next.
    kept
        Share of streams that go on with their states into the next mixture, as live
        sound does for months, where it is carried at all.
    ema
        Decay of the averaged weights that are validated and exported.
    half
        Round the operands of large products to 16 bits (bfloat16).
    seed
        Of initial values and of every mixture.
    mix, loss
        What is mixed and what is minimised.
    """

    batch: int = 16
    accumulate: int = 1
    optimizer: str = "adam"
    learning_rate: float = 2e-3
    warmup: int = 200
    weight_decay: float | None = None
    clipnorm: float | None = None
    clipvalue: float | None = None
    global_clipnorm: float | None = 3.0
    parts: int = 1
    kept: float = 0.0
    ema: float = 0.995
    half: bool = False
    seed: int = 1
    mix: MixConfig = field(default_factory=MixConfig)
    loss: LossConfig = field(default_factory=LossConfig)

    def replaced(self, **changes: Any) -> FitConfig:
        """Return the same with other values, also of `mix` and `loss`, by name.

        Names that none of the three has are passed over.
        """
        own = {k: v for k, v in changes.items() if k in self.__dataclass_fields__}
        for part in ("mix", "loss"):
            old = getattr(self, part)
            names = changes.keys() & old.__dataclass_fields__.keys()
            own[part] = replace(old, **{name: changes[name] for name in names})
        return replace(self, **own)

    def write(self, path: Path) -> None:
        """Keep it as JSON."""
        path.write_text(json.dumps(asdict(self), indent=2), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> FitConfig:
        """Return what `write` kept.

        Raises
        ------
        StreamDenoiseError
            If the file is from a version with other settings.
        """
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            mix, loss = MixConfig(**values.pop("mix")), LossConfig(**values.pop("loss"))
            return cls(**values, mix=mix, loss=loss)
        except (KeyError, TypeError, ValueError) as error:
            raise StreamDenoiseError(
                f"{path} has settings that this version does not know ({error}): begin "
                "another run with --start-from this one"
            ) from error
