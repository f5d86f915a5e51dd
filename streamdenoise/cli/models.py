"""``streamdenoise models``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ..errors import ModelError
from ..names import shown
from .options import json_option
from .printing import columns, print_json, say, write
from .progress import Progress

if TYPE_CHECKING:
    from ..card import Manifest, ModelCard

__all__ = ["models"]


@click.group(invoke_without_command=True, short_help="List the models.")
@json_option
@click.pass_context
def models(ctx: click.Context, as_json: bool) -> None:
    """List the models that can be given to --model by name.

    The default of small boards, such as a Raspberry Pi before the 5, is a smaller one.
    """
    if ctx.invoked_subcommand is not None:
        return
    from ..card import Manifest
    from ..machine import has_small_core
    from ..model import list_models, models_folder

    folder = models_folder()
    manifest = Manifest.read(folder)
    default = manifest.default_for(small_core=has_small_core())
    cards = list_models(folder)
    if as_json:
        entries = _entries(manifest, cards, default)
        print_json({"default": default, "models": entries})
        return
    head = ["", "NAME", "WEIGHTS", "SIZE", "LATENCY", "CPU", "PESQ", "WORKS"]
    rows = [[*head, "WHAT IT IS"], *(_row(manifest, card, default) for card in cards)]
    for line in columns(rows, "lllrrrrll"):
        write(line)
    say(
        "\nCPU is of one core, measured when the model was made; PESQ (1 to 4.6) of "
        "noisy speech made clean. Measure here with: streamdenoise bench"
    )
    say(
        "* is the default on this machine. Use another with --model NAME, or your own "
        "with its path."
    )


def _row(manifest: Manifest, card: ModelCard, default: str) -> list[str]:
    size = _size(manifest, card)
    return [
        "*" if card.name == default else "",
        shown(card.name),
        shown(card.quantisation),
        "missing" if size is None else f"{size / 1024:.0f} KB",
        f"{1000 * card.latency:.0f} ms" if card.causal else "-",
        _score(card, "live_cpu", "{:.1%}"),
        _score(card, "pesq_wb", "{:.2f}"),
        "live, pipe, file" if card.causal else "file",
        shown(card.description),
    ]


def _entries(
    manifest: Manifest, cards: list[ModelCard], default: str
) -> list[dict[str, object]]:
    return [
        {
            "name": card.name,
            "default": card.name == default,
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


def _score(card: ModelCard, name: str, form: str) -> str:
    """Return a figure of the card as text; the last set of scores wins."""
    value: object = None
    for entry in card.scores.values():
        if isinstance(entry, dict):
            value = entry.get(name, value)
    return form.format(value) if isinstance(value, float | int) else "-"


def _size(manifest: Manifest, card: ModelCard) -> int | None:
    try:
        return (manifest.folder / card.file).stat().st_size
    except OSError:
        return None


@models.command("check", short_help="Check a model of your own.")
@click.argument("model", metavar="PATH|NAME")
@click.option(
    "--steps",
    type=click.IntRange(100, 10_000_000),
    metavar="N",
    default=10_000,
    show_default=True,
    help="Steps of each long run.",
)
@json_option
@click.pass_context
def check(ctx: click.Context, model: str, steps: int, as_json: bool) -> None:
    """Check that a model keeps the contract and is safe to run for months.

    Signatures, shapes and states; finite output on anything; no growth over many
    steps of noise and of silence; in time on this machine. Exit code 1 if it fails.
    """
    from ..model import load_model
    from ..modelcheck import check_model

    if ctx.parent is not None:  # models --json check MODEL
        as_json = as_json or bool(ctx.parent.params.get("as_json"))
    loaded = load_model(model)
    results = []
    with Progress("checking") as progress:
        for result in check_model(loaded, steps, progress):
            results.append(result)
    ok = all(result.ok for result in results)
    if as_json:
        print_json(
            {
                "model": loaded.name,
                "ok": ok,
                "runtime": loaded.runtime,
                "checks": [result.as_dict() for result in results],
            }
        )
    else:
        rows = [["ok" if r.ok else "FAILED", r.name, r.found] for r in results]
        for line in columns([["", "CHECK", "FOUND"], *rows], "lll"):
            write(line)
        if ok:
            say(f"\nUse it with: streamdenoise file INPUT --model {shown(model)}")
    if not ok:
        raise ModelError(
            f"{shown(model)} failed {sum(not r.ok for r in results)} of "
            f"{len(results)} checks; see above, and export it again"
        )
