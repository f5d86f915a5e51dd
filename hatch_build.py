"""Puts the models and their cards into the wheel, but no training checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SHIPPED = {".tflite", ".json", ".md"}


class ModelsHook(BuildHookInterface):
    """Adds ``models/`` as ``streamdenoise/models``."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Name the files; an editable install finds them in the checkout."""
        if version == "editable":
            return
        for path in sorted(Path(self.root, "models").iterdir()):
            if path.suffix in SHIPPED:
                target = f"streamdenoise/models/{path.name}"
                build_data["force_include"][str(path)] = target
