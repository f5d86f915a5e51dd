"""A trained net as files of ``models/``: two TFLite files, manifest and model card."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streamdenoise.card import MANIFEST, MANIFEST_FORMAT, ModelCard, sha256_of
from streamdenoise.constants import GRID_BINS, HOP_SECONDS
from streamdenoise.errors import ModelError
from streamdenoise.train.export import STEPS_FRAMES, convert
from streamdenoise.train.losses import SYNTHESIS_HOPS
from streamdenoise.train.modelcard import Story, render_card
from streamdenoise.train.parity import (
    Parity,
    gate,
    gate_head,
    measure_head_parity,
    measure_parity,
)

if TYPE_CHECKING:
    from streamdenoise.train.highnet import HighNet
    from streamdenoise.train.nets import SpectralNet

WIN_HOPS = 4


def story_of(run: Path, **given: Any) -> Story:
    """Read what a run folder knows of itself; `given` values that are not None win."""
    net, fit, progress = (
        _json(run / name) for name in ("config.json", "fit.json", "progress.json")
    )
    known = {
        "net": net,
        "recipe": net.get("kind", ""),
        "command": _last_command(run),
        "seed": fit.get("seed"),
        "hours": progress["seconds"] / 3600 if "seconds" in progress else None,
        "updates": int(progress["update"]) if "update" in progress else None,
        "minutes": progress.get("minutes"),
    }
    return Story(**{**known, **{k: v for k, v in given.items() if v is not None}})


def _last_command(run: Path) -> str:
    """Return the command that a run was last trained by, without its date and time."""
    path = run / "commands.txt"
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return lines[-1].split(" ", 2)[-1] if lines else ""


COSTS = ("live_cpu", "file_times_real_time")
"""What the manifest keeps of a bench."""


def _json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return data


def publish(
    net: SpectralNet,
    name: str,
    folder: Path,
    story: Story,
    reports: Sequence[Mapping[str, Any]] = (),
    *,
    default: bool = False,
    steps: int = STEPS_FRAMES,
    high: HighNet | None = None,
) -> dict[str, Parity]:
    """Convert a net, pass it through the gates, and write all files of it.

    Nothing is written if a gate refuses. ``NAME.tflite`` has int8 weights,
    ``NAME-float32.tflite`` float32 ones; the manifest keeps the scores of files that
    come out unchanged.

    Parameters
    ----------
    net
        A trained net.
    name
        What users will type after ``--model``.
    folder
        Folder of the manifest.
    story
        Where the model comes from.
    reports
        What ``scripts/evaluate --json`` wrote, one for each set.
    default
        Make this model the one that is used when none is asked for.
    steps
        Frames per call of the signature ``steps``.
    high
        Net of the head for the band above 8 kHz, which goes into both files.

    Returns
    -------
    dict
        Parity of each file by model name.

    Raises
    ------
    ModelError
        If the conversion fails or a gate refuses.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", name):
        raise ModelError(
            f"a model cannot be called '{name}': use small letters, digits and '-', so "
            "that it is told from a path"
        )
    kinds = {name: "dynamic", f"{name}-float32": "float32"}
    contents, parities = {}, {}
    for full, kind in kinds.items():
        quantised = kind == "dynamic"
        content = convert(net, quantised=quantised, steps=steps, high=high)
        contents[full], parities[full] = content, measure_parity(net, content)
        gate(parities[full], quantised=quantised)
        if high is not None and net.causal:
            gate_head(measure_head_parity(high, content))
    entries = {}
    for full, kind in kinds.items():
        save_bytes(folder / f"{full}.tflite", contents[full])
        entries[full] = {
            "file": f"{full}.tflite",
            "sha256": sha256_of(contents[full]),
            "bytes": len(contents[full]),
            "quantisation": kind,
            "hop_seconds": HOP_SECONDS,
            "win_hops": WIN_HOPS,
            "synthesis_hops": SYNTHESIS_HOPS,
            "bins": GRID_BINS,
            "steps": steps if net.causal else 0,
            "causal": net.causal,
            "head": high is not None and net.causal,
            "parameters": int(net.count_params()),
            "states": {n: [1, *s] for n, s in net.state_spec.items()}
            if net.causal
            else {},
            "description": story.description,
            "licence": story.licence,
            "card": f"{name}.md",
            "scores": scores_of(full, reports),
        }
    update_manifest(folder, entries, default=name if default else None)
    text = render_card(name, entries, parities, story, reports)
    save_bytes(folder / f"{name}.md", text.encode())
    return parities


def scores_of(system: str, reports: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return means by set and measure, and the cost, rounded for the manifest."""
    scores = {
        report["set"]: {
            measure: round(values["mean"], 4)
            for measure, values in report["systems"][system].items()
        }
        for report in reports
        if system in report["systems"]
    }
    for report in reports:
        cost = report.get("speed", {}).get(system)
        if cost:
            scores["speed"] = {name: round(cost[name], 4) for name in COSTS}
    return scores


def update_manifest(
    folder: Path, entries: Mapping[str, Mapping[str, Any]], default: str | None = None
) -> None:
    """Put entries into ``manifest.json``, which is made if it is not there.

    Other models stay as they are. An entry without scores keeps the old ones if its
    file is the same. The first model becomes the default.
    """
    path = folder / MANIFEST
    manifest = _json(path) or {"format": MANIFEST_FORMAT, "default": "", "models": {}}
    for name, entry in entries.items():
        old = manifest["models"].get(name, {})
        new = dict(entry)
        if not new.get("scores") and old.get("sha256") == new["sha256"]:
            new["scores"] = old.get("scores", {})
        ModelCard.from_dict(name, new)
        manifest["models"][name] = new
    manifest["default"] = default or manifest["default"] or next(iter(entries))
    save_bytes(path, (json.dumps(manifest, indent=2) + "\n").encode())


def save_bytes(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_bytes(content)
    part.replace(path)
