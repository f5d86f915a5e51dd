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

NAMES = ("base", "filter", "pi", "best", "tutorial")
"""Of recipes: what `recipes.RECIPES` has, known without importing Keras."""

_NET = "cell", "units", "layers", "taps", "filter_bins", "dropout", "bidirectional"
_LOSS = "snr", "quality", "eaten", "silence"


@click.command()
@click.argument("run", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--pack",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    required=True,
    help="Decoded corpus, made by scripts/build-corpus.",
)
@click.option("--recipe", type=click.Choice(NAMES), default="base", show_default=True)
@click.option("--minutes", type=float, default=60.0, show_default=True)
@click.option(
    "--decay-minutes",
    type=float,
    default=0.0,
    show_default=True,
    help="At the end of these, over which the rate falls to 2 %.",
)
@click.option("--cell", type=click.Choice(["simple_rnn", "lstm", "gru"]))
@click.option("--units", type=int, help="Units of each recurrent layer.")
@click.option("--layers", type=int, help="Recurrent layers.")
@click.option("--taps", type=int, help="Frames that the filter spans.")
@click.option("--filter-bins", type=int, help="Bins that the filter acts on.")
@click.option("--dropout", type=float)
@click.option(
    "--bidirectional", is_flag=True, default=None, help="Offline upper bound."
)
@click.option("--clipnorm", type=float, help="Clip each gradient by its norm.")
@click.option("--clipvalue", type=float, help="Clip each gradient by value.")
@click.option("--global-clipnorm", type=float, help="Clip by the norm of all.")
@click.option("--no-clip", is_flag=True, default=None, help="Clip nothing.")
@click.option("--learning-rate", type=float)
@click.option("--optimizer", type=click.Choice(["adam", "muon"]))
@click.option("--warmup", type=int, help="Updates over which the rate rises.")
@click.option("--weight-decay", type=float, help="Of matrices, times the rate.")
@click.option("--batch", type=int, help="Sequences learned from at once.")
@click.option(
    "--accumulate", type=click.IntRange(min=1), help="Batches that make one update; 1."
)
@click.option("--seconds", type=float, help="Length of a sequence.")
@click.option("--parts", type=int, help="Sequences in a row with states carried.")
@click.option("--kept", type=float, help="Share whose states go on beyond a mixture.")
@click.option("--calm", type=float, help="Share of runs that begin without a voice.")
@click.option("--snr-mean", type=float, help="Mean of the mixtures' SNR in dB.")
@click.option("--snr-weight", type=float, help="Weight of the SNR in the loss.")
@click.option("--eaten-weight", type=float, help="More weight of lost speech.")
@click.option("--silence-weight", type=float, help="Weight of noise left in pauses.")
@click.option("--quality-weight", type=float, help="Weight of a point of PESQ.")
@click.option("--half/--no-half", default=None, help="Multiply in 16 bits.")
@click.option("--seed", type=int, help="Of initial values and mixtures; 1.")
@click.option("--every", type=float, default=4.0, help="Minutes between checkpoints.")
@click.option("--workers", type=int, default=1, help="Mixing processes.")
@click.option(
    "--start-from",
    type=click.Path(exists=True, path_type=Path),
    help="Run folder or compact checkpoint whose weights a new run begins with.",
)
def main(run: Path, pack: Path, recipe: str, **options: Any) -> None:
    """Train into the folder RUN; a run that is there already goes on.

    It goes on as it was begun: net and settings are its own, but for options that are
    given again. Each command is kept in RUN/commands.txt, for the model card.
    """
    # The backend reads this while it is imported.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from streamdenoise.errors import StreamDenoiseError
    from streamdenoise.train.fit import Run

    run.mkdir(parents=True, exist_ok=True)
    with (run / "commands.txt").open("a", encoding="utf-8") as file:
        file.write(f"{datetime.now():%Y-%m-%d %H:%M} {shlex.join(sys.argv)}\n")
    known = run / "fit.json"
    net, fit = configure(recipe, options, known if known.is_file() else None)
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


def configure(
    recipe: str, options: dict[str, Any], known: Path | None = None
) -> tuple[Any, Any]:
    """Return the net and fit configuration of a recipe with options over it.

    Parameters
    ----------
    recipe
        Name of the recipe.
    options
        By parameter name; None was not given.
    known
        Configuration that a run has kept: it takes the place of the recipe's.

    Raises
    ------
    click.UsageError
        If an option would do nothing.
    """
    from streamdenoise.train.fitconfig import FitConfig
    from streamdenoise.train.recipes import RECIPES

    net, fit = RECIPES[recipe]
    if known is not None:
        fit = FitConfig.read(known)
    given = {name: value for name, value in options.items() if value is not None}
    net = replace(net, **{n: v for n, v in given.items() if n in _NET})
    if given.get("no_clip") or given.keys() & {"clipnorm", "clipvalue"}:
        fit = replace(fit, global_clipnorm=None)
    weights = {n: given[f"{n}_weight"] for n in _LOSS if f"{n}_weight" in given}
    fit = fit.replaced(**given, **weights)
    if fit.parts < 2 and (fit.kept or fit.mix.calm):
        raise click.UsageError(
            "--kept and --calm are about states that go on: add --parts 2 or more"
        )
    return net, fit
