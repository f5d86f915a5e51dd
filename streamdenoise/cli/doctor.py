"""``streamdenoise doctor``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ..errors import EXIT_ENVIRONMENT
from ..names import shown
from .latency import LatencyType
from .options import completer, json_option, model_option
from .printing import print_json, say, warn, write

if TYPE_CHECKING:
    from ..doctor import Check
    from ..doctor.check import State
    from ..doctor.trip import LoopResult
    from ..live.session import LiveOptions

__all__ = ["doctor"]


@click.command(short_help="Say whether live will work here, and what mends it.")
@click.option(
    "--loop",
    is_flag=True,
    help="Play chirps and time their way through output and input. The microphone must "
    "hear the loudspeaker: turn it down first.",
)
@click.option(
    "--input",
    "source",
    metavar="NAME|N",
    shell_complete=completer("inputs"),
    help="As for live.",
)
@click.option(
    "--output",
    "sink",
    metavar="NAME|N",
    shell_complete=completer("outputs"),
    help="As for live.",
)
@click.option(
    "--latency",
    type=LatencyType("low", "high"),
    default="low",
    show_default=True,
    metavar="SECONDS",
    help="For --loop: buffer asked of each device; seconds, low, or high.",
)
@model_option
@click.option(
    "--profile",
    metavar="NAME",
    shell_complete=completer("profiles"),
    help="Take input, output and model from [profile.NAME] of the config file.",
)
@json_option
def doctor(
    loop: bool,
    source: str | None,
    sink: str | None,
    latency: float | str,
    model: str | None,
    profile: str | None,
    as_json: bool,
) -> None:
    """Look at everything that live needs, and say what mends what is wrong.

    Input, output and model are those that live would take: what is typed, else what
    the config file says. The exit code is 0 if live will work, warnings or not, and 3
    if it will not. The output of --json is what a bug report needs. Names of user and
    host, and owners as in Ann's AirPods, are taken out; look for others before you
    send it.

    \b
    streamdenoise doctor
    streamdenoise doctor --loop --input usb --output usb
    streamdenoise doctor --json > report.json
    """  # noqa: D301
    from ..doctor import as_dict, examine, will_work
    from ..hush import quiet_stderr
    from ..live.session import LiveOptions

    options = LiveOptions(
        **_configured({"input": source, "output": sink, "model": model}, profile),
        latency=latency,
    )
    checks = []
    with quiet_stderr():
        for check in examine(options):
            checks.append(check)
            if not as_json:
                _print(check)
        result = None
        if loop and will_work(checks):
            if not as_json:
                say("\nplaying chirps; turn the volume up if they cannot be heard ...")
            result, check = _loop(options)
            checks.append(check)
            if not as_json:
                for line in _loop_lines(result):
                    write(line)
                _print(check)
    works = will_work(checks)
    if as_json:
        print_json(as_dict(checks, None if result is None else result.as_dict()))
    else:
        write("\n" + _verdict(checks))
    if not works:
        raise click.exceptions.Exit(EXIT_ENVIRONMENT)


def _configured(typed: dict[str, str | None], profile: str | None) -> dict[str, Any]:
    """Return what was typed, the rest as the config file has it for live."""
    from .configured import config_for, live_values

    config = config_for(profile)
    found = {} if config is None else live_values(config, profile)
    taken = {
        key: str(found[key].value)
        for key, value in typed.items()
        if value is None and key in found
    }
    if config is not None and taken:
        flags = ", ".join(f"{key} {shown(value)}" for key, value in taken.items())
        say(f"{shown(config.path)} says: {flags}")
    return {**typed, **taken}


def _print(check: Check) -> None:
    write(f"{check.state:<5} {check.name:<20} {shown(check.found)}")
    if check.fix:
        write(f"{'':<5} {'':<20} -> {shown(check.fix)}")


def _verdict(checks: list[Check]) -> str:
    failed = [check.name for check in checks if check.state == "fail"]
    warned = [check.name for check in checks if check.state == "warn"]
    if failed:
        return f"live will not work before this is mended: {', '.join(failed)}"
    if warned:
        return f"live will work; it would work better with: {', '.join(warned)}"
    return "live will work"


def _loop(options: LiveOptions) -> tuple[LoopResult | None, Check]:
    """Measure the way through the devices; what it tells is a check as well."""
    from ..doctor.check import Check
    from ..doctor.loopback import NotHeardError, measure_loop
    from ..errors import StreamDenoiseError

    name = "round trip"
    try:
        result = measure_loop(options, warn=warn)
    except NotHeardError as error:
        said, _, fix = str(error).partition(": ")
        return None, Check(name, "warn", said, fix)
    except StreamDenoiseError as error:
        said, _, fix = str(error).partition("; ")
        return None, Check(name, "fail", said, fix)
    state: State = "ok" if result.good else "warn"
    details = {"difference": result.difference, "steady": result.steady}
    fix = result.fix(options.latency)
    return result, Check(name, state, result.verdict, fix, details)


def _loop_lines(result: LoopResult | None) -> list[str]:
    if result is None:
        return []
    lines = [
        f"{trip.mode:<8} {1000 * trip.median:.2f} ms, spread {1000 * trip.spread:.2f} "
        f"ms, {trip.heard} of {trip.played} chirps heard"
        for trip in result.trips
    ]
    terms = " + ".join(f"{k} {1000 * v:.1f}" for k, v in result.reported.items())
    lines.append(f"reported {1000 * result.total:.2f} ms = {terms}")
    if result.xruns:
        lines.append(f"xruns    {result.xruns}")
    return lines
