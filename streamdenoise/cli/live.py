"""``streamdenoise live``."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

import click

from ..errors import DeviceError
from ..names import shown
from ..virtual import DEFAULT_NAME
from .latency import LatencyType
from .liveview import headline, summary_lines
from .options import (
    CHANNELS,
    RATE,
    completer,
    json_option,
    link_option,
    model_option,
    settings_from,
    settings_options,
)
from .printing import print_json, say
from .stopping import Stopping

__all__ = ["live", "session_name"]

_HANGS = (
    ": the sound server, or the driver of a device, does not answer; if it goes on, "
    "start the sound server anew, or pull the device out and plug it in again"
)


def _positive(
    ctx: click.Context, param: click.Parameter, value: float | None
) -> float | None:
    if value is not None and not 0.0 < value < float("inf"):
        raise click.BadParameter("give seconds above 0")
    return value


def _name(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    if value is not None:
        from ..control.client import NAME

        if not NAME.fullmatch(value):
            raise click.BadParameter("give up to 32 letters, digits, '_' or '.'")
    return value


@click.command(short_help="Denoise a microphone while you speak.")
@settings_options
@model_option
@click.option(
    "--input",
    "source",
    metavar="NAME|N",
    shell_complete=completer("inputs"),
    help="Where sound comes from: part of a name, or number; see: streamdenoise "
    "devices.  [default: the system's]",
)
@click.option(
    "--output",
    "sink",
    metavar="NAME|N",
    shell_complete=completer("outputs"),
    help="Where it is played: part of a name, or number.",
)
@click.option(
    "--virtual-mic",
    is_flag=False,
    flag_value=DEFAULT_NAME,
    metavar="[NAME]",
    help="Play into a microphone that calls and browsers can choose; it is made, and "
    "removed at the end (Linux).",
)
@click.option(
    "--also-incoming",
    is_flag=True,
    help="Denoise what the others say as well: a loudspeaker for your call, played on "
    "the real one, or on --output (Linux).",
)
@click.option(
    "--latency",
    type=LatencyType("auto", "low", "high"),
    default="auto",
    show_default=True,
    metavar="SECONDS",
    help="Buffer asked of each device: auto finds the lowest that runs without xruns; "
    "or seconds, low, or high.",
)
@click.option(
    "--rate",
    type=RATE,
    metavar="HZ",
    help="Samples per second.  [default: what the devices prefer]",
)
@click.option(
    "--channels",
    type=CHANNELS,
    default=1,
    show_default=True,
    metavar="C",
    help="Channels to denoise, each by itself.",
)
@link_option
@click.option(
    "--heard", type=CHANNELS, hidden=True, help="Open the input with so many."
)
@click.option("--tended", is_flag=True, hidden=True, help="Another moves the streams.")
@click.option(
    "--duration",
    type=float,
    metavar="S",
    callback=_positive,
    help="End after S seconds.  [default: Ctrl-C ends]",
)
@click.option(
    "--record",
    type=click.Path(),
    metavar="FILE",
    help="Write what is played to FILE as well (.wav, .flac, .ogg ...).",
)
@click.option("--force", is_flag=True, help="Replace FILE if it exists already.")
@click.option("--plain", is_flag=True, help="Show one line instead of the live view.")
@click.option("--no-view", is_flag=True, help="Show nothing but lines on change.")
@click.option(
    "--name",
    metavar="NAME",
    callback=_name,
    help="Name by which streamdenoise ctl can choose this session.  [default: the "
    "profile, or live]",
)
@json_option
@click.pass_context
def live(
    ctx: click.Context,
    strength: float | None,
    mix: float,
    removed: bool,
    model: str | None,
    source: str | None,
    sink: str | None,
    virtual_mic: str | None,
    also_incoming: bool,
    latency: float | str,
    rate: int | None,
    channels: int,
    link_channels: bool,
    heard: int | None,
    tended: bool,
    duration: float | None,
    record: str | None,
    force: bool,
    plain: bool,
    no_view: bool,
    name: str | None,
    as_json: bool,
) -> None:
    """Denoise live: from a microphone to a loudspeaker or another program.

    While it runs, keys change it (? lists them), and so does streamdenoise ctl from
    elsewhere. Ctrl-C, q, or kill end it: the recording is finished, a summary is
    printed, and the exit code is 0. With --json the summary goes to standard output.

    \b
    streamdenoise live                        default devices (wear headphones)
    streamdenoise live --virtual-mic          a microphone for your call
    streamdenoise live --strength 12          keep a quiet, natural background
    streamdenoise live --input usb --output headphones
    streamdenoise live --record talk.wav --duration 60
    """  # noqa: D301
    if not also_incoming:  # else each direction has an output of its own
        sink, virtual_mic = _one_output(ctx, sink, virtual_mic)
    from ..control.choice import choose_view
    from ..hush import quiet_stderr
    from ..notify import Notifier

    settings = settings_from(strength, mix, removed)
    with contextlib.ExitStack() as stack:
        stopping = stack.enter_context(Stopping(_HANGS))
        stack.enter_context(quiet_stderr())
        told = stack.enter_context(Notifier())
        from ..control.desk import Desk
        from ..live.session import LiveOptions, LiveSession
        from ..virtual import route
        from ..virtual.devices import VirtualDevices
        from ..virtual.named import Chosen

        view = choose_view(plain=plain, none=no_view)
        # Before a virtual microphone looks from where it could hear itself.
        chosen = stack.enter_context(Chosen())
        chosen.name(source, sink)
        virtual = stack.enter_context(VirtualDevices(view.sentence))
        stopping.at_worst(virtual.close)
        if also_incoming:
            heard_on = chosen.found.get("output")
            if heard_on is not None and not heard_on.is_server:
                raise DeviceError(
                    "what the others say goes through the sound server, and "
                    f"{shown(heard_on.label)} is none of its devices; list those with: "
                    "streamdenoise devices"
                )
            words = _words_given(ctx, ("model", "strength", "mix", "latency"))
            virtual.add_incoming(virtual_mic, words)
        if virtual_mic is not None:
            sink = virtual.add_mic(virtual_mic)
        options = LiveOptions(
            input=source,
            output=sink,
            model=model,
            settings=settings,
            rate=rate,
            channels=channels,
            link_channels=link_channels,
            heard=heard,
            played=2 if virtual_mic is None else 1,
            latency=latency,
            record=None if record is None else Path(record),
            force=force,
        )
        route.prepare()
        session = LiveSession(options, warn=view.sentence)
        stopping.at_worst(session.keep_recording, dear=True)
        try:
            with session:
                if not tended:
                    ends = session.source, session.sink
                    virtual.attend(*ends, session.hold, session.moves, session.moved_to)
                say(headline(session))
                for line in virtual.lines():
                    say(f"live: {line}")
                name = name or session_name(ctx.meta.get("streamdenoise.profile"))
                hooks = virtual.resumed, virtual.always, virtual.waiting
                with Desk(session, view, name, *hooks) as desk:
                    stopping.at_worst(desk.close)
                    session.run(duration, stopping.look, told.following(desk))
        finally:
            summary = session.summary()
            if as_json:
                print_json(summary)
            else:
                for line in summary_lines(summary):
                    say(line)


def _one_output(
    ctx: click.Context, sink: str | None, virtual_mic: str | None
) -> tuple[str | None, str | None]:
    """Return --output and --virtual-mic, of which one at most can count.

    What is typed wins over the config file, and there the section that wins elsewhere.
    """
    if sink is None or virtual_mic is None:
        return sink, virtual_mic
    from .configured import open_config

    config, profile = open_config(), ctx.meta.get("streamdenoise.profile")
    found = {} if config is None else config.values("live", profile)
    sections = ["", "live", f"profile.{profile}", f"profile.{profile}.live"]

    def rank(name: str, key: str) -> int:
        source = ctx.get_parameter_source(name)
        if source is not click.core.ParameterSource.DEFAULT_MAP or key not in found:
            return len(sections)
        return sections.index(found[key].section)

    ours, theirs = rank("virtual_mic", "virtual-mic"), rank("sink", "output")
    if ours == theirs == len(sections):
        raise click.UsageError(
            "--virtual-mic is an output already; leave --output out, or --virtual-mic"
        )
    if ours == theirs:
        where = f"in [{shown(sections[ours])}]" if ours else "at the top"
        raise click.UsageError(
            f"the config file has both output and virtual-mic {where}, and a virtual "
            "microphone is an output already; leave one of them out there, or type "
            "--output or --virtual-mic"
        )
    return (None, virtual_mic) if ours > theirs else (sink, None)


def session_name(profile: str | None) -> str:
    """Return a name that ctl takes for a session with a profile, or without one."""
    name = re.sub(r"[^A-Za-z0-9_.]", "_", profile or "").lstrip("_.")[:32]
    return name or "live"


def _words_given(ctx: click.Context, names: tuple[str, ...]) -> list[str]:
    """Return flags and values of the options that were typed or configured."""
    default = click.core.ParameterSource.DEFAULT
    words = []
    for name in names:
        if ctx.get_parameter_source(name) is not default:
            words += [f"--{name}", str(ctx.params[name])]
    return words
