"""``streamdenoise models``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ..names import shown
from .common import columns, json_option, print_json, say, write

if TYPE_CHECKING:
    from ..card import Manifest, ModelCard

__all__ = ["models"]


@click.group(invoke_without_command=True, short_help="List the models.")
@json_option
@click.pass_context
def models(ctx: click.Context, as_json: bool) -> None:
    """List the models that can be given to --model by name."""
    if ctx.invoked_subcommand is not None:
        return
    from ..card import Manifest
    from ..model import list_models, models_folder

    folder = models_folder()
    manifest = Manifest.read(folder)
    cards = list_models(folder)
    if as_json:
        print_json({"default": manifest.default, "models": _entries(manifest, cards)})
        return
    head = ["", "NAME", "WEIGHTS", "SIZE", "LATENCY", "WORKS", "WHAT IT IS"]
    rows = [head, *(_row(manifest, card) for card in cards)]
    for line in columns(rows, "lllrrll"):
        write(line)
    say("\n* is the default. Use another with --model NAME, or your own with its path.")


def _row(manifest: Manifest, card: ModelCard) -> list[str]:
    size = _size(manifest, card)
    return [
        "*" if card.name == manifest.default else "",
        shown(card.name),
        shown(card.quantisation),
        "missing" if size is None else f"{size / 1024:.0f} KB",
        f"{1000 * card.latency:.0f} ms" if card.causal else "-",
        "live, pipe, file" if card.causal else "file",
        shown(card.description),
    ]


def _entries(manifest: Manifest, cards: list[ModelCard]) -> list[dict[str, object]]:
    return [
        {
            "name": card.name,
            "default": card.name == manifest.default,
            "file": str(manifest.folder / card.file),
            "bytes": _size(manifest, card),
            "sha256": card.sha256,
            "quantisation": card.quantisation,
            "parameters": card.parameters,
            "latency_seconds": card.latency if card.causal else None,
            "hop_seconds": card.hop_seconds,
            "win_hops": card.win_hops,
            "synthesis_hops": card.synthesis_hops,
            "causal": card.causal,
            "description": card.description,
            "licence": card.licence,
            "scores": dict(card.scores),
        }
        for card in cards
    ]


def _size(manifest: Manifest, card: ModelCard) -> int | None:
    try:
        return (manifest.folder / card.file).stat().st_size
    except OSError:
        return None
