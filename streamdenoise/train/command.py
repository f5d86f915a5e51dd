"""The command line of training."""

from __future__ import annotations

import os
import shlex
import sys
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import click

RECIPES = ("base", "filter", "tutorial")


@click.command()
@click.argument("run", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--pack",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    required=True,
    help="Decoded corpus, made by scripts/build-corpus.",
)
@click.option("--recipe", type=click.Choice(RECIPES), default="base", show_default=True)
@click.option("--minutes", type=float, default=60.0, show_default=True)
@click.option("--decay-minutes", type=float, default=0.0, show_default=True)
@click.option("--cell", type=click.Choice(["simple_rnn", "lstm", "gru"]))
@click.option("--units", type=int, help="Units of each recurrent layer.")
@click.option("--layers", type=int, help="Recurrent layers.")
@click.option("--taps", type=int, help="Frames that the filter spans.")
@click.option("--filter-bins", type=int, help="Bins that the filter acts on.")
@click.option("--dropout", type=float)
@click.option("--bidirectional", is_flag=True, help="Offline upper bound.")
@click.option("--clipnorm", type=float, help="Clip each gradient by its norm.")
@click.option("--clipvalue", type=float, help="Clip each gradient by value.")
@click.option("--global-clipnorm", type=float, help="Clip by the norm of all.")
@click.option("--no-clip", is_flag=True, help="Clip nothing.")
@click.option("--learning-rate", type=float)
@click.option("--optimizer", type=click.Choice(["adam", "muon"]))
@click.option("--warmup", type=int, help="Updates over which the rate rises.")
@click.option("--weight-decay", type=float, help="Of matrices, times the rate.")
@click.option("--batch", type=int, help="Sequences of one update.")
@click.option("--seconds", type=float, help="Length of a sequence.")
@click.option("--parts", type=int, help="Sequences in a row with states carried.")
@click.option("--kept", type=float, help="Share whose states go on beyond a mixture.")
@click.option("--calm", type=float, help="Share of runs that begin without a voice.")
@click.option("--snr-mean", type=float, help="Mean of the mixtures' SNR in dB.")
@click.option("--snr-weight", type=float, help="Weight of the SNR in the loss.")
@click.option("--disturbance-weight", type=float, help="Weight of what the ear hears.")
@click.option("--half", is_flag=True, help="Multiply in 16 bits (AMX, GPU).")
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--every", type=float, default=4.0, help="Minutes between checkpoints.")
@click.option("--workers", type=int, default=1, help="Mixing processes.")
@click.option(
    "--start-from",
    type=click.Path(exists=True, path_type=Path),
    help="Run folder or compact checkpoint whose weights a new run begins with.",
)
def main(run: Path, pack: Path, recipe: str, **options: Any) -> None:
    """Train into the folder RUN; a run that is there already goes on.

    Each command is kept in RUN/commands.txt, so that a model card can name them.
    """
    # The backend reads this while it is imported.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from streamdenoise.errors import StreamDenoiseError
    from streamdenoise.train.fit import Run

    run.mkdir(parents=True, exist_ok=True)
    with (run / "commands.txt").open("a", encoding="utf-8") as file:
        file.write(f"{datetime.now():%Y-%m-%d %H:%M} {shlex.join(sys.argv)}\n")
    net, fit = configure(recipe, options)
    try:
        trainer = Run(
            run, pack, net, fit, say=click.echo, start_from=options["start_from"]
        )
        trainer.train(
            options["minutes"],
            options["decay_minutes"],
            options["every"],
            options["workers"],
        )
    except StreamDenoiseError as error:
        raise click.ClickException(str(error)) from error


def configure(recipe: str, options: dict[str, Any]) -> tuple[Any, Any]:
    """Return the net and fit configuration of a recipe with options over it."""
    from streamdenoise.train.fitconfig import FitConfig
    from streamdenoise.train.nets import NetConfig

    net = {
        "base": NetConfig("gain", "gru", units=256, layers=2),
        "filter": NetConfig("filter", "gru", units=256, layers=2),
        "tutorial": NetConfig("tutorial", "lstm", units=256, layers=2, dropout=0.5),
    }[recipe]
    fit = FitConfig(seed=options["seed"])
    if recipe == "tutorial":
        fit = replace(fit, learning_rate=1e-3)
    names = ("cell", "units", "layers", "taps", "filter_bins", "dropout")
    net = replace(net, **{n: options[n] for n in names if options[n] is not None})
    net = replace(net, bidirectional=options["bidirectional"])
    fit = replace(fit, half=options["half"])
    if options["no_clip"] or options["clipnorm"] or options["clipvalue"]:
        fit = replace(fit, global_clipnorm=None)
    for name in (
        "clipnorm",
        "clipvalue",
        "global_clipnorm",
        "learning_rate",
        "optimizer",
        "warmup",
        "weight_decay",
        "parts",
        "kept",
        "batch",
    ):
        if options[name] is not None:
            fit = replace(fit, **{name: options[name]})
    mix = fit.mix
    for name in ("seconds", "snr_mean", "calm"):
        if options[name] is not None:
            mix = replace(mix, **{name: options[name]})
    loss = fit.loss
    for name in ("snr", "disturbance"):
        if options[f"{name}_weight"] is not None:
            loss = replace(loss, **{name: options[f"{name}_weight"]})
    return net, replace(fit, mix=mix, loss=loss)
