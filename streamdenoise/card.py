"""What the engine has to know of a model: its card, and the manifest of cards."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from .constants import GRID_BINS, GRID_RATE, HOP_SECONDS
from .errors import ModelError
from .stft import StftParams

MANIFEST = "manifest.json"
MANIFEST_FORMAT = 1


@dataclass(frozen=True)
class ModelCard:
    """One model, as its entry in the manifest describes it.

    Attributes
    ----------
    name
        What the user types after ``--model``.
    file
        File name, relative to the manifest.
    sha256
        Of the file, in hex; empty means that it is not checked.
    quantisation
        ``"dynamic"`` (int8 weights), ``"float32"``, or ``"unknown"``.
    hop_seconds, win_hops, synthesis_hops
        The grid that the model was trained on: time between two frames, and the
        lengths of the analysis and synthesis windows in hops.
    bins
        Bins of a frame.
    steps
        Frames per call of the signature ``steps``; 0 without one.
    causal
        False for a model that needs the whole file at once.
    parameters
        Number of weights; 0 when not known.
    description, licence, card
        A sentence, the licence of the weights, and the file name of the long card.
    scores
        Numbers by name, as ``scripts/evaluate`` wrote them.
    """

    name: str
    file: str
    sha256: str = ""
    quantisation: str = "unknown"
    hop_seconds: float = HOP_SECONDS
    win_hops: int = 4
    synthesis_hops: float = 2
    bins: int = GRID_BINS
    steps: int = 0
    causal: bool = True
    parameters: int = 0
    description: str = ""
    licence: str = ""
    card: str = ""
    scores: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, name: str, entry: Mapping[str, Any]) -> ModelCard:
        """Make a card from its JSON; keys that are not known here are left out.

        Raises
        ------
        ModelError
            If a value is missing or of a kind that cannot be meant.
        """
        known = {f.name for f in fields(cls)} - {"name"}
        try:
            card = cls(name=name, **{k: v for k, v in entry.items() if k in known})
            card._check()
        except (TypeError, ValueError, ArithmeticError) as error:
            raise ModelError(
                f"the card of model '{name}' cannot be used: {error}; "
                "write it anew with scripts/export"
            ) from error
        return card

    def _check(self) -> None:
        if not isinstance(self.file, str) or not isinstance(self.sha256, str):
            raise ValueError("file and sha256 must be text")
        if self.bins != GRID_BINS:
            raise ValueError(f"bins is {self.bins}, the engine's grid has {GRID_BINS}")
        window = self.win_hops * self.hop_seconds * GRID_RATE
        if abs(window - 2 * (GRID_BINS - 1)) > 1e-6:
            raise ValueError(
                f"win_hops {self.win_hops} times hop_seconds {self.hop_seconds} is not "
                "the 0.032 s that bins of 31.25 Hz need"
            )
        if not 1 <= self.synthesis_hops <= 2:
            raise ValueError(f"synthesis_hops is {self.synthesis_hops}, not 1 to 2")

    def stft(self, sample_rate: int) -> StftParams:
        """Return the model's grid at a sample rate."""
        return StftParams.for_rate(
            sample_rate, self.win_hops, self.synthesis_hops, self.hop_seconds
        )

    @property
    def latency(self) -> float:
        """Algorithmic latency in seconds: the length of the synthesis window."""
        return self.synthesis_hops * self.hop_seconds


@dataclass(frozen=True)
class Manifest:
    """All models of one folder.

    Attributes
    ----------
    folder
        Where the files lie.
    default
        Name of the model that is used when none is asked for.
    models
        Cards by name.
    small
        The same where cores are small; empty if there is no other for them.
    """

    folder: Path
    default: str
    models: Mapping[str, ModelCard]
    small: str = ""

    def default_for(self, *, small_core: bool) -> str:
        """Return the name of the model that a kind of machine uses by default."""
        return self.small if small_core and self.small in self.models else self.default

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Read ``manifest.json`` of a folder.

        Raises
        ------
        ModelError
            If it is missing, is no JSON, or has another format.
        """
        path = folder / MANIFEST
        data = read_json(path)
        if data.get("format") != MANIFEST_FORMAT:
            raise ModelError(
                f"{path} has format {data.get('format')!r}, and this version reads "
                f"format {MANIFEST_FORMAT}: install models and program of one version"
            )
        entries = data.get("models")
        if not isinstance(entries, dict) or not all(
            isinstance(entry, dict) for entry in entries.values()
        ):
            raise ModelError(f"{path} has no table 'models': install the package again")
        cards = {name: ModelCard.from_dict(name, e) for name, e in entries.items()}
        default, small = (str(data.get(key, "")) for key in ("default", "small"))
        return cls(folder, default, cards, small)


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object from a file, or raise a `ModelError` that says what it is."""
    try:
        data = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(
            f"cannot read the model description {path}: {error}"
        ) from error
    if not isinstance(data, dict):
        raise ModelError(f"{path} holds no JSON object, so it describes no model")
    return data


def sha256_of(content: bytes) -> str:
    """Return the SHA-256 of a file's bytes in hex."""
    return hashlib.sha256(content).hexdigest()
