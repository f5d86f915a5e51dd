"""The command line of training: recipes by name, options over them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner

from streamdenoise import load_model
from streamdenoise.errors import StreamDenoiseError
from streamdenoise.train import nets
from streamdenoise.train.command import NAMES, configure, main
from streamdenoise.train.data import build_pack
from streamdenoise.train.fitconfig import FitConfig
from streamdenoise.train.recipes import RECIPES
from tests.training import make_corpus

NOTHING = dict.fromkeys(p.name for p in main.params)


def options(**given):
    return {**NOTHING, **given}


def test_every_recipe_has_a_name_to_type() -> None:
    """The choices of --recipe are the recipes."""
    assert set(NAMES) == set(RECIPES)


@pytest.mark.parametrize("name", ["pi", "best"])
def test_shipped_models_have_their_recipes(name: str) -> None:
    """The net that a recipe makes is the one in the shipped file."""
    config, fit = configure(name, options())
    net = nets.build(config)
    card = load_model(f"{name}-float32").card
    assert net.count_params() == card.parameters
    assert fit.parts > 1 and fit.loss.quality > 0.0


def test_a_run_goes_on_with_its_own_settings(tmp_path: Path) -> None:
    """Nothing but what is typed again differs from how the run was begun."""
    _, begun = configure("best", options(learning_rate=3e-4, calm=0.1))
    begun.write(tmp_path / "fit.json")
    _, fit = configure("base", options(seed=5), tmp_path / "fit.json")
    assert fit == begun.replaced(seed=5)


def test_settings_of_another_version_are_refused(tmp_path: Path) -> None:
    """A run that cannot go on says how to use what it has learned."""
    (tmp_path / "fit.json").write_text('{"mix": {}, "loss": {"disturbance": 4}}')
    with pytest.raises(StreamDenoiseError, match="--start-from"):
        FitConfig.read(tmp_path / "fit.json")


@pytest.mark.parametrize("option", ["kept", "calm"])
def test_states_that_never_go_on_cannot_be_kept(option: str) -> None:
    """An option that would do nothing is refused."""
    with pytest.raises(click.UsageError, match="--parts"):
        configure("base", options(**{option: 0.5}))


def test_the_ancestor_is_the_tutorial() -> None:
    """Two LSTM layers of 256, dropout one half, magnitude to magnitude, plain Adam."""
    net, fit = configure("tutorial", options())
    assert (net.kind, net.cell, net.units, net.layers) == ("tutorial", "lstm", 256, 2)
    assert net.dropout == 0.5
    assert fit.learning_rate == 1e-3


@pytest.mark.parametrize("kind", ["clipnorm", "clipvalue"])
def test_one_kind_of_clipping_replaces_the_recipe_s(kind: str) -> None:
    """Keras allows one kind at a time; the option wins over the recipe."""
    _, fit = configure("base", options(**{kind: 0.5}))
    assert getattr(fit, kind) == 0.5
    assert fit.global_clipnorm is None
    _, fit = configure("base", options(no_clip=True))
    assert (fit.clipnorm, fit.clipvalue, fit.global_clipnorm) == (None, None, None)
    _, fit = configure("base", options())
    assert fit.global_clipnorm == 3.0


def test_cells_units_layers_and_mixing_follow_the_options() -> None:
    """Every option reaches the net or the mixer that it names."""
    net, fit = configure(
        "base",
        options(cell="lstm", units=64, layers=3, bidirectional=True, seconds=2.0),
    )
    assert (net.cell, net.units, net.layers) == ("lstm", 64, 3)
    assert net.bidirectional
    assert fit.mix.seconds == 2.0


def test_a_run_from_the_shell_leaves_what_is_needed_to_go_on(tmp_path: Path) -> None:
    """The script trains for real, is run again, and says that it goes on."""
    build_pack(make_corpus(tmp_path / "data"), tmp_path / "pack")
    script = Path(__file__).parent.parent / "scripts" / "train"
    command = [sys.executable, str(script), str(tmp_path / "run")]
    command += ["--pack", str(tmp_path / "pack"), "--units", "4", "--layers", "1"]
    command += ["--batch", "2", "--seconds", "0.5", "--minutes", "0.02"]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    files = {path.name for path in (tmp_path / "run").iterdir()}
    assert {"config.json", "progress.json", "optimizer.npz", "log.csv"} <= files
    again = subprocess.run(
        command, check=True, capture_output=True, timeout=300, text=True
    )
    assert "goes on at update" in again.stdout
    commands = (tmp_path / "run" / "commands.txt").read_text().splitlines()
    assert [c.count("--units 4 --layers 1") for c in commands] == [1, 1]


def test_an_unknown_recipe_lists_the_known(tmp_path: Path) -> None:
    """Wrong usage is a usage error that names the choices."""
    result = CliRunner().invoke(
        main, [str(tmp_path / "r"), "--pack", str(tmp_path), "--recipe", "worst"]
    )
    assert result.exit_code == 2
    assert "tutorial" in result.output


def test_weights_go_into_one_file_and_on_from_there(tmp_path: Path) -> None:
    """The script writes the mean of a run and a file, and says what it cannot read."""
    config = nets.NetConfig("filter", "gru", 6, 1, filter_bins=16)
    one, other = nets.build(config), nets.build(config)
    nets.save(one, tmp_path / "run", "ema")
    nets.save_compact(other, tmp_path / "other.npz")
    script = Path(__file__).parent.parent / "scripts" / "checkpoint"
    out = tmp_path / "mean.npz"
    names = [f"{tmp_path / 'run'}:3", str(tmp_path / "other.npz")]
    subprocess.run(
        [sys.executable, str(script), str(out), *names], check=True, timeout=300
    )
    mean = nets.load(out)
    for a, b, m in zip(*(n.get_weights() for n in (one, other, mean)), strict=True):
        np.testing.assert_allclose(m, 0.75 * a + 0.25 * b, atol=2e-3)
    bad = subprocess.run(
        [sys.executable, str(script), str(out), str(tmp_path / "none")],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert bad.returncode == 1 and "holds no trained net" in bad.stderr
