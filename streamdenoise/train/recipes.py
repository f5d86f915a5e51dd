"""What is trained, by name: a net and how it is fitted."""

from __future__ import annotations

from streamdenoise.train.fitconfig import FitConfig
from streamdenoise.train.losses import LossConfig
from streamdenoise.train.mixconfig import MixConfig
from streamdenoise.train.spectral import NetConfig

_SHIPPED = FitConfig(
    batch=32,
    optimizer="muon",
    warmup=100,
    parts=2,
    kept=0.5,
    mix=MixConfig(calm=0.2),
    loss=LossConfig(eaten=1.0, snr=4.0, silence=2.0, quality=4.0),
)

RECIPES: dict[str, tuple[NetConfig, FitConfig]] = {
    "base": (NetConfig("gain", "gru", units=256, layers=2), FitConfig()),
    "filter": (NetConfig("filter", "gru", units=256, layers=2), FitConfig()),
    "pi": (
        NetConfig("filter", "gru", units=160, layers=2),
        _SHIPPED.replaced(learning_rate=1.5e-3, weight_decay=0.05),
    ),
    "best": (
        NetConfig("filter", "gru", units=512, layers=2, taps=5, filter_bins=128),
        _SHIPPED.replaced(learning_rate=8e-4, weight_decay=0.1),
    ),
    "tutorial": (
        NetConfig("tutorial", "lstm", units=256, layers=2, dropout=0.5),
        FitConfig(learning_rate=1e-3),
    ),
}
"""``pi`` and ``best`` are the shipped models, ``tutorial`` is their ancestor."""
