"""Models: finding them, checking them, and one step with carried state."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .card import MANIFEST, Manifest, ModelCard, read_json, sha256_of
from .carried import ModelState, carried_pair
from .constants import GRID_BINS
from .errors import ModelError, UnknownModelError
from .head import HighHead
from .machine import has_small_core
from .runtime import Graph

FRAME, ENHANCED = "frame", "enhanced"
STEP, STEPS, WHOLE = "step", "steps", "whole"


class StepModel:
    """A loaded model; it holds no audio, so many streams can share it.

    What a stream remembers is in the state that it passes in. Streams may take turns
    in one thread; for a second thread load the model a second time.

    Parameters
    ----------
    content
        The bytes of a ``.tflite`` file that keeps the step contract: a signature
        ``step`` with input ``frame`` (1, 257, 2) and any states, output ``enhanced``
        of the same shape and, for each state S, ``S_out``. A second signature
        ``steps`` takes ``frame`` as (1, N, 257, 2). There may be a `HighHead` as well.
    card
        What is known of it.

    Attributes
    ----------
    card
        As given, with `steps` as the file has it.
    group
        Frames per call of `steps`; 0 when the model has no such signature.
    head
        What rules the band above 8 kHz; None when the file has nothing for it.
    runtime
        Name of the package that runs it.

    Raises
    ------
    ModelError
        If the file does not keep the contract.
    """

    def __init__(self, content: bytes, card: ModelCard) -> None:
        what = f"model '{card.name}'"
        graph = Graph(content, what)
        self.runtime = graph.runtime
        if STEP not in graph.signatures:
            raise ModelError(_no_step(what, graph))
        self._step, self._steps = carried_pair(
            graph, what, (STEP, STEPS), FRAME, ENHANCED, (1, GRID_BINS, 2)
        )
        self.group = self._steps.shape[1] if self._steps else 0
        self.head = HighHead.of(graph, what)
        self.card = replace(card, steps=self.group)

    @property
    def name(self) -> str:
        """Name of the model."""
        return self.card.name

    def initial_state(self) -> ModelState:
        """Return the state at the start of a stream: zeros."""
        return self._step.initial_state()

    def step(
        self, frame: NDArray[np.float32], state: ModelState
    ) -> NDArray[np.float32]:
        """Enhance one frame and move `state` one hop on.

        Parameters
        ----------
        frame
            Real and imaginary part in grid scale, float32 (1, 257, 2), contiguous.
        state
            From `initial_state`; its entries are replaced.

        Returns
        -------
        float32 array of shape (1, 257, 2)
        """
        return self._step(frame, state)

    def steps(
        self, frames: NDArray[np.float32], state: ModelState
    ) -> NDArray[np.float32]:
        """Enhance `group` frames in one call, shape (1, group, 257, 2)."""
        if self._steps is None:
            raise ModelError(
                f"model '{self.name}' has no signature 'steps': use step()"
            )
        return self._steps(frames, state)


def _no_step(what: str, graph: Graph) -> str:
    if WHOLE in graph.signatures:
        return (
            f"{what} is bidirectional: it must hear the whole recording before it can "
            "say anything, so it cannot run on a stream; use 'streamdenoise file' with "
            "it, or choose another model"
        )
    has = ", ".join(graph.signatures) or "none"
    return (
        f"{what} has no signature '{STEP}' (it has: {has}), so it cannot run frame by "
        "frame: export it with scripts/export"
    )


def models_folder() -> Path:
    """Return the folder of the models that came with the package.

    In an installed package that is ``streamdenoise/models``, in a checkout ``models``
    beside the package.

    Raises
    ------
    ModelError
        If there is neither.
    """
    package = Path(__file__).resolve().parent
    for folder in (package / "models", package.parent / "models"):
        if (folder / MANIFEST).is_file():
            return folder
    raise ModelError(
        "this installation has no models: install the package again, or give the path "
        "of a .tflite file with --model"
    )


def list_models(
    folder: Path | None = None, *, small_core: bool | None = None
) -> list[ModelCard]:
    """Return the cards of all models of a folder, the default one first.

    Parameters
    ----------
    folder, small_core
        As for `find_model`.
    """
    manifest = Manifest.read(folder or models_folder())
    default = _default(manifest, small_core)
    return sorted(manifest.models.values(), key=lambda card: card.name != default)


def _default(manifest: Manifest, small_core: bool | None) -> str:
    small = has_small_core() if small_core is None else small_core
    return manifest.default_for(small_core=small)


def find_model(
    name_or_path: str | Path | None = None,
    folder: Path | None = None,
    *,
    small_core: bool | None = None,
) -> tuple[Path, ModelCard]:
    """Find a model by name or path, without loading it.

    Parameters
    ----------
    name_or_path
        A name from the manifest, the path of a ``.tflite`` file, or None for the
        default model, which is a smaller one where cores are small. A path may have a
        card beside it, with suffix ``.json``.
    folder
        Folder of the manifest; by default that of the package.
    small_core
        Whether the default is that of small cores; None: as this machine is.

    Returns
    -------
    path : pathlib.Path
    card : ModelCard

    Raises
    ------
    ModelError
        If there is no such model; the message lists those that there are.
    """
    if name_or_path is not None and _is_path(name_or_path):
        path = Path(name_or_path)
        if not path.is_file():
            kind = "a folder, not a model file" if path.is_dir() else "no such file"
            raise UnknownModelError(
                f"cannot load model {path}: {kind}; 'streamdenoise models' lists the "
                "models that can be given by name"
            )
        sidecar = path.with_suffix(".json")
        entry = read_json(sidecar) if sidecar.is_file() else {}
        return path, ModelCard.from_dict(path.stem, {**entry, "file": path.name})
    manifest = Manifest.read(folder or models_folder())
    named = name_or_path is not None
    name = str(name_or_path) if named else _default(manifest, small_core)
    try:
        card = manifest.models[name]
    except KeyError:
        known = ", ".join(manifest.models) or "none"
        raise UnknownModelError(
            f"there is no model '{name}': the models are {known}; or give the path of "
            "a .tflite file"
        ) from None
    return manifest.folder / card.file, card


def _is_path(name_or_path: str | Path) -> bool:
    text = str(name_or_path)
    return isinstance(name_or_path, Path) or any(c in text for c in "/\\.")


def read_model(path: Path, card: ModelCard) -> bytes:
    """Read a model file and check it against its card.

    Raises
    ------
    ModelError
        If it cannot be read, or is not the file that the card was written for.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(
            f"cannot read the model file {path}: {error.strerror or error}"
        ) from error
    if card.sha256 and sha256_of(content) != card.sha256.lower():
        raise ModelError(
            f"the model file {path} is damaged or has been changed: its SHA-256 is not "
            "the one in its card; install or copy it again"
        )
    return content


def load_model(
    name_or_path: str | Path | None = None, folder: Path | None = None
) -> StepModel:
    """Load a model by name or path; None loads the default one.

    Parameters
    ----------
    name_or_path, folder
        As for `find_model`.

    Returns
    -------
    StepModel

    Raises
    ------
    ModelError
        If it is not found, is damaged, or cannot run frame by frame.
    RuntimeMissingError
        If no TFLite interpreter is installed.
    """
    path, card = find_model(name_or_path, folder)
    return StepModel(read_model(path, card), card)
