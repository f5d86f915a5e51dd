"""``streamdenoise bench``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from ..names import shown
from .options import RATE, json_option
from .printing import columns, plain, say, write
from .progress import Progress

if TYPE_CHECKING:
    from ..bench import BenchResult

__all__ = ["bench"]

_HEAD = (
    *("MODEL", "WEIGHTS", "RATE", "LIVE", "FILE"),
    *("p50", "p99", "p99.9", "max", "FFT", "MODEL", "REST"),
)


@click.command(short_help="Measure the speed on this machine.")
@click.argument("models", metavar="[NAME|PATH]...", nargs=-1)
@click.option(
    "--model",
    "named",
    metavar="NAME|PATH",
    multiple=True,
    help="The same as an argument; may be given several times.",
)
@click.option(
    "--rate",
    "rates",
    type=RATE,
    multiple=True,
    default=(16000, 48000),
    show_default=True,
    help="Sample rate in Hz; may be given several times.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(0.5, 600.0),
    metavar="S",
    default=10.0,
    show_default=True,
    help="Seconds of sound in one pass.",
)
@click.option(
    "--passes",
    type=click.IntRange(1, 100),
    metavar="N",
    default=5,
    show_default=True,
    help="Timed passes; figures are medians.",
)
@json_option
def bench(
    models: tuple[str, ...],
    named: tuple[str, ...],
    rates: tuple[int, ...],
    seconds: float,
    passes: int,
    as_json: bool,
) -> None:
    """Measure how much CPU time the models take on this machine.

    All models that can run live are measured, float against quantised, or those that
    are named. LIVE is CPU seconds per second of audio, hop by hop; FILE is how many
    times faster than real time large blocks run. The other columns are milliseconds
    for one hop, and the shares of FFT, model and the rest in them.

    --json prints one line with everything, board, system and versions included, to be
    sent to whoever collects figures; names of users and hosts are not in it.
    """
    from .. import __version__
    from ..bench import bench as measure
    from ..machine import describe
    from ..model import list_models, load_model

    names = [*models, *named]
    if not names:
        names = [card.name for card in list_models() if card.causal]
    results: list[BenchResult] = []
    with Progress("measuring") as progress:
        total = len(names) * len(rates)
        for name in names:
            model = load_model(name)
            for rate in rates:
                progress(len(results), total)
                results.append(measure(model, rate, seconds, passes))
    if as_json:
        told = {
            "streamdenoise": __version__,
            "machine": describe(),
            "results": [r.as_dict() for r in results],
            "ratios": _all(results),
        }
        write(json.dumps(plain(told), separators=(",", ":")))
        return
    _print(results)


def _print(results: list[BenchResult]) -> None:
    for line in columns([[*_HEAD], *map(_row, results)], "ll" + 10 * "r"):
        write(line)
    ratios = _all(results)
    if ratios:
        write()
    for ratio in ratios:
        write(
            f"{ratio['model']} at {ratio['sample_rate']} Hz takes "
            f"{ratio['live']:.2f} times the CPU of {ratio['against']} live, "
            f"{ratio['file']:.2f} times in files"
        )
    worst = max(results, key=lambda r: r.p999 / r.hop_seconds)
    say(
        f"\nLIVE is CPU seconds per second of audio on one core. In the worst case "
        f"({shown(worst.model)}, {worst.sample_rate} Hz) 99.9 % of the hops take less "
        f"than {worst.p999 / worst.hop_seconds:.1%} of the time there is "
        f"({worst.p999_cpu / worst.hop_seconds:.1%} in CPU time: the difference is "
        "other programs)."
    )


def _row(r: BenchResult) -> list[str]:
    times = [f"{1000 * t:.3f}" for t in (r.p50, r.p99, r.p999, r.max)]
    shares = [f"{s:.0%}" for s in (r.share_fft, r.share_model, r.share_rest)]
    return [
        shown(r.model),
        shown(r.quantisation),
        str(r.sample_rate),
        f"{r.live_cpu:.4f}",
        f"{r.file_times_real_time:.0f}x",
        *times,
        *shares,
    ]


def _all(results: list[BenchResult]) -> list[dict[str, object]]:
    """Compare every model with the first one, rate by rate."""
    ratios: list[dict[str, object]] = []
    first = {r.sample_rate: r for r in reversed(results)}
    for r in results:
        base = first[r.sample_rate]
        if r is not base:
            ratios.append(
                {
                    "model": shown(r.model),
                    "against": shown(base.model),
                    "sample_rate": r.sample_rate,
                    "live": r.live_cpu / base.live_cpu,
                    "file": r.file_cpu / base.file_cpu,
                }
            )
    return ratios
