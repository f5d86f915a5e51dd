"""Puts the models and their cards into the wheel, but no training checkpoints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ModelsHook(BuildHookInterface):
    """Adds ``models/`` as ``streamdenoise/models``."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Name the files; an editable install finds them in the checkout."""
        if version == "editable":
            return
        folder = Path(self.root, "models")
        for name in shipped(folder):
            target = f"streamdenoise/models/{name}"
            build_data["force_include"][str(folder / name)] = target


def shipped(folder: Path) -> list[str]:
    """Return what a wheel takes from the folder of models, sorted.

    That is the manifest, what it names, and all pages. A model that lies about but
    is in no manifest stays out, and so two builds of one source hold the same.
    """
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    names = {"manifest.json", *(path.name for path in folder.glob("*.md"))}
    for model in manifest["models"].values():
        names.update(filter(None, (model["file"], model.get("card"))))
    missing = sorted(name for name in names if not (folder / name).is_file())
    if missing:
        raise FileNotFoundError(
            f"models/manifest.json names {', '.join(missing)}, which is not in "
            f"{folder}: export the model again, or take it out of the manifest"
        )
    return sorted(names)
