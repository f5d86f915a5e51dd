"""The model card: all that a person should know of a model before using it."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from streamdenoise.card import ModelCard
from streamdenoise.constants import GRID_RATE
from streamdenoise.errors import AudioFormatError
from streamdenoise.train.parity import (
    DYNAMIC_BOUND_DB,
    FLOAT_BOUND,
    PARITY_FRAMES,
    Parity,
)

_PARTS = ("speech", "noise", "rir")


@dataclass(frozen=True)
class Story:
    """What the files of a model cannot tell: where it comes from.

    Attributes
    ----------
    description
        One sentence, shown by ``streamdenoise models``.
    licence
        Of the weights.
    recipe, command
        Name of the recipe, and the command that trained it.
    seed, hours, updates, minutes
        Of the training run: seed, hours of audio heard, updates, and how long it took.
    net
        Configuration of the net.
    data
        Folder of the training data, whose indexes are summed into the card.
    failures
        What it is known to do badly, a sentence each.
    """

    description: str
    licence: str
    recipe: str = ""
    command: str = ""
    seed: int | None = None
    hours: float | None = None
    updates: int | None = None
    minutes: float | None = None
    net: Mapping[str, Any] = field(default_factory=dict)
    data: Path | None = None
    failures: Sequence[str] = ()


def data_table(data: Path) -> list[str]:
    """Sum the indexes of the training data by source and licence.

    Only what training may hear is summed for noise: rows of the split ``train``.

    Returns
    -------
    list of str
        Rows of a Markdown table: part, source, licence, pieces, hours.

    Raises
    ------
    AudioFormatError
        If an index is missing.
    """
    sums: dict[tuple[str, str, str], list[float]] = {}
    for part in _PARTS:
        path = data / part / "index.csv"
        if not path.is_file():
            raise AudioFormatError(f"{path} is missing: give the folder of the data")
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                if row.get("split", "train") != "train":
                    continue
                # What follows the colon or bracket names one file or one author.
                source = row["source"].split(":")[0]
                licence = re.split(r"[(,;]", row["licence"])[0].strip()
                cell = sums.setdefault((part, source, licence), [0, 0.0])
                cell[0] += 1
                cell[1] += int(row.get("length", 0)) / GRID_RATE / 3600
    return [
        "| part | source | licence | pieces | hours |",
        "|---|---|---|---:|---:|",
        *(
            f"| {part} | {source} | {licence} | {count:.0f} | "
            f"{f'{hours:.3f}' if hours else ''} |"
            for (part, source, licence), (count, hours) in sorted(sums.items())
        ),
    ]


def render_card(
    name: str,
    entries: Mapping[str, Mapping[str, Any]],
    parities: Mapping[str, Parity],
    story: Story,
    reports: Sequence[Mapping[str, Any]] = (),
) -> str:
    """Return the model card as Markdown."""
    first = entries[name]
    card = ModelCard.from_dict(name, first)
    latency = (
        f"{1000 * card.latency:.0f} ms algorithmic ({1000 * card.hop_seconds:.0f} ms "
        f"hop, {1000 * card.win_hops * card.hop_seconds:.0f} ms analysis and "
        f"{1000 * card.latency:.0f} ms synthesis window)"
        if card.causal
        else "needs the whole file"
    )
    states = ", ".join(f"`{n}` {s}" for n, s in first["states"].items()) or "none"
    lines = [f"# {name}", "", story.description, ""]
    lines += [
        f"- Weights: {card.parameters:,}; licence {story.licence}",
        f"- Latency: {latency}",
        f"- Grid: {card.bins} bins of 31.25 Hz, every {1000 * card.hop_seconds:.0f} ms",
        f"- States: {states}",
        f"- Signatures: {_signatures(card, head=bool(first.get('head')))}",
        "",
        "## Files",
        "",
        *_file_table(entries, parities),
        "",
        f"Measured over {PARITY_FRAMES} frames of speech-like sound with carried "
        f"state. Bounds: float32 {FLOAT_BOUND:.0e} of the largest value, int8 weights "
        f"{DYNAMIC_BOUND_DB:.0f} dB.",
        "",
        "## Training",
        "",
        *_training(story),
    ]
    if reports:
        lines += ["", "## Scores", ""]
        for report in reports:
            lines += [*_score_table(report, list(entries)), ""]
            lines += _opinion_table(report, list(entries))
            lines += _behaviour_table(report, list(entries))
            lines += _speed(report, list(entries))
    if story.failures:
        lines += ["", "## Known failures", "", *(f"- {f}" for f in story.failures)]
    if story.data is not None:
        lines += [
            "",
            "## Data",
            "",
            "Summed from the indexes of the training data; authors of single "
            "recordings are named there. Speakers whose name hashes into the "
            "validation split were not heard.",
            "",
            *data_table(story.data),
        ]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).rstrip() + "\n"


def _signatures(card: ModelCard, *, head: bool) -> str:
    if not card.causal:
        return "`whole` (any number of frames)"
    own = f"`step` (one frame), `steps` ({card.steps} frames)"
    above = "`high`, `highs` (the same for the band above 8 kHz: `high-band.md`)"
    return f"{own}; {above}" if head else own


def _file_table(
    entries: Mapping[str, Mapping[str, Any]], parities: Mapping[str, Parity]
) -> list[str]:
    rows = [
        "| file | weights stored as | KiB | error against Keras | largest difference "
        "| sha256 |",
        "|---|---|---:|---:|---:|---|",
    ]
    for full, entry in entries.items():
        parity = parities[full]
        rows.append(
            f"| `{entry['file']}` | {entry['quantisation']} | "
            f"{entry['bytes'] / 1024:.0f} | {parity.error_db:.1f} dB | "
            f"{parity.worst:.1e} | `{entry['sha256']}` |"
        )
    return rows


def _training(story: Story) -> list[str]:
    net = ", ".join(f"{k} {v}" for k, v in story.net.items())
    facts = {
        "Recipe": story.recipe,
        "Net": net,
        "Seed": story.seed,
        "Heard": None if story.hours is None else f"{story.hours:.1f} hours of audio",
        "Updates": story.updates,
        "Took": None if story.minutes is None else f"{story.minutes:.0f} minutes",
        "Command": f"`{story.command}`" if story.command else None,
    }
    return [f"- {k}: {v}" for k, v in facts.items() if v not in (None, "")]


def _score_table(report: Mapping[str, Any], ours: Sequence[str]) -> list[str]:
    rows = [
        f"Set `{report['set']}`, {report['pairs']} pairs, mean and 95 % interval over "
        "clips:",
        "",
        "| | PESQ-WB | STOI | SI-SDR dB |",
        "|---|---|---|---|",
    ]
    for system, row in report["systems"].items():
        label = f"**{system}**" if system in ours else system
        cells = [
            f"{row[m]['mean']:.{d}f} ({row[m]['low']:.{d}f} to {row[m]['high']:.{d}f})"
            for m, d in (("pesq_wb", 3), ("stoi", 3), ("si_sdr", 1))
        ]
        rows.append(f"| {label} | {' | '.join(cells)} |")
    return rows


def _opinion_table(report: Mapping[str, Any], ours: Sequence[str]) -> list[str]:
    said = report.get("mos", {})
    if not said:
        return []
    return [
        "| DNSMOS | SIG | BAK | OVRL | P.808 |",
        "|---|---:|---:|---:|---:|",
        *(
            f"| {f'**{name}**' if name in ours else name} | "
            + " | ".join(f"{each[s]:.2f}" for s in ("sig", "bak", "ovrl", "p808"))
            + " |"
            for name, each in said.items()
        ),
        "",
    ]


def _behaviour_table(report: Mapping[str, Any], ours: Sequence[str]) -> list[str]:
    figures = {s: f for s, f in report.get("behaviour", {}).items() if s in ours}
    if not figures:
        return []
    names = list(next(iter(figures.values())))
    return [
        f"| behaviour | {' | '.join(figures)} |",
        "|---|" + "---:|" * len(figures),
        *(
            f"| {n} | {' | '.join(f'{f[n]:.3g}' for f in figures.values())} |"
            for n in names
        ),
        "",
    ]


def _speed(report: Mapping[str, Any], ours: Sequence[str]) -> list[str]:
    costs = {s: c for s, c in report.get("speed", {}).items() if s in ours}
    return [
        *(
            f"- `{name}`, one core, {cost['runtime']}: live {cost['live_cpu']:.4f} CPU "
            f"seconds per second of audio at {cost['sample_rate']} Hz; files "
            f"{cost['file_times_real_time']:.0f} times real time"
            for name, cost in costs.items()
        ),
        "",
    ]
