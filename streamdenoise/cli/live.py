"""``streamdenoise live``."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from ..names import shown
from .common import (
    json_option,
    model_option,
    print_json,
    say,
    settings_from,
    settings_options,
    warn,
)

if TYPE_CHECKING:
    from ..session import LiveSession, Status

__all__ = ["live"]

_PLAIN_PAUSE = 10.0


class _LatencyType(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """Seconds, or the words that PortAudio knows."""

    name = "latency"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float | str:
        """Return seconds as a number, or ``low`` or ``high``."""
        if value in ("low", "high"):
            return str(value)
        try:
            seconds = float(value)
        except ValueError:
            seconds = -1.0
        if not 0.0 < seconds <= 5.0:
            self.fail("give seconds such as 0.05 (up to 5), low, or high", param, ctx)
        return seconds


def _positive(
    ctx: click.Context, param: click.Parameter, value: float | None
) -> float | None:
    if value is not None and not 0.0 < value < float("inf"):
        raise click.BadParameter("give seconds above 0")
    return value


@click.command(short_help="Denoise a microphone while you speak.")
@settings_options
@model_option
@click.option(
    "--input",
    "source",
    metavar="NAME|N",
    help="Where sound comes from: part of a name, or number; see: streamdenoise "
    "devices.  [default: the system's]",
)
@click.option("--output", "sink", metavar="NAME|N", help="Where it is played.")
@click.option(
    "--latency",
    type=_LatencyType(),
    default="low",
    show_default=True,
    metavar="SECONDS",
    help="Buffer asked of each device, or low, or high. Raise it (0.05, 0.1) when "
    "xruns are counted.",
)
@click.option(
    "--rate",
    type=click.IntRange(8_000, 192_000),
    metavar="HZ",
    help="Samples per second.  [default: what the devices prefer]",
)
@click.option(
    "--channels",
    type=click.IntRange(1, 32),
    default=1,
    show_default=True,
    metavar="C",
    help="Channels to denoise, each by itself.",
)
@click.option(
    "--duration",
    type=float,
    metavar="S",
    callback=_positive,
    help="End after S seconds.  [default: Ctrl-C ends]",
)
@click.option(
    "--record",
    metavar="FILE",
    help="Write what is played to FILE as well (.wav, .flac, .ogg ...).",
)
@click.option("--force", is_flag=True, help="Replace FILE if it exists already.")
@json_option
def live(
    strength: float | None,
    mix: float,
    removed: bool,
    model: str | None,
    source: str | None,
    sink: str | None,
    latency: float | str,
    rate: int | None,
    channels: int,
    duration: float | None,
    record: str | None,
    force: bool,
    as_json: bool,
) -> None:
    """Denoise live: from a microphone to a loudspeaker or another program.

    Ctrl-C (or kill) is the normal way to end it: the recording is finished, a summary
    is printed, and the exit code is 0. With --json the summary goes to standard
    output.

    \b
    streamdenoise live                        default devices (wear headphones)
    streamdenoise live --strength 12          keep a quiet, natural background
    streamdenoise live --input usb --output pulse
    streamdenoise live --record talk.wav --duration 60
    """  # noqa: D301
    from ..portaudio import quiet_stderr

    settings = settings_from(strength, mix, removed)
    with stop_flag() as stopped, quiet_stderr():
        from ..session import LiveOptions, LiveSession

        options = LiveOptions(
            input=source,
            output=sink,
            model=model,
            settings=settings,
            rate=rate,
            channels=channels,
            latency=latency,
            record=None if record is None else Path(record),
            force=force,
        )
        view = _View()
        session = LiveSession(options, warn=view.sentence)
        try:
            with session:
                say(_headline(session))
                session.run(duration, lambda: bool(stopped), view)
        finally:
            view.clear()
            summary = session.summary()
            if as_json:
                print_json(summary)
            else:
                for line in summary_lines(summary):
                    say(line)


@contextlib.contextmanager
def stop_flag() -> Iterator[list[int]]:
    """Note Ctrl-C and SIGTERM in the list handed out, while inside.

    A second Ctrl-C interrupts at once, for whatever may hang.
    """
    noted: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        if noted:
            raise KeyboardInterrupt
        noted.append(number)

    before = {}
    with contextlib.suppress(ValueError):  # not in the main thread
        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.signal(number, note)
    try:
        yield noted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _View:
    """The meter: one line that is written over, or lines on change in a log."""

    def __init__(self) -> None:
        terminal = bool(getattr(sys.stderr, "isatty", lambda: False)())
        self._live = terminal and os.environ.get("TERM") != "dumb"
        self._shown = False
        self._counted = 0
        self._said_at = float("-inf")

    def __call__(self, status: Status) -> None:
        """Show the numbers of this moment."""
        if self._live:
            line = meter_line(status)[: _columns() - 1]
            sys.stderr.write(f"\r{line}\x1b[K")
            sys.stderr.flush()
            self._shown = True
            return
        now = time.monotonic()
        count = status.xrun_count
        if count != self._counted and now - self._said_at >= _PLAIN_PAUSE:
            self._counted, self._said_at = count, now
            self.sentence(f"xruns so far: {_xruns(status.xruns)}")

    def sentence(self, text: str) -> None:
        """Say something odd on a line of its own."""
        self.clear()
        warn(text)

    def clear(self) -> None:
        """Take the meter away."""
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self._shown = False


def _columns() -> int:
    with contextlib.suppress(OSError, ValueError, AttributeError):
        # A terminal that does not know its width says 0.
        return os.get_terminal_size(sys.stderr.fileno()).columns or 80
    return 80


def meter_line(status: Status) -> str:
    """Return the meter as one line of at most 80 characters."""
    return (
        f"in {status.level_in:6.1f} dB  out {status.level_out:6.1f} dB  "
        f"reduction {status.reduction:4.1f} dB  load {status.load:4.0%}  "
        f"xruns {status.xrun_count}  {_clock(status.seconds)}"
    )


def _headline(session: LiveSession) -> str:
    denoiser = session.core.denoiser
    how = "one stream" if session.duplex else "two streams"
    return (
        f"live: {shown(session.source.label)} -> {shown(session.sink.label)}, "
        f"{session.rate} Hz, {how}, model {shown(denoiser.model.card.name)}, latency "
        f"{1000 * session.latency().total:.0f} ms; Ctrl-C ends"
    )


def summary_lines(summary: dict[str, Any]) -> list[str]:
    """Return the summary of a session as lines for a person."""
    parts = dict(summary["latency"])
    total = parts.pop("total")
    terms = " + ".join(
        f"{name.replace('_', ' ')} {1000 * seconds:.1f}"
        for name, seconds in parts.items()
        if seconds or name != "buffer"
    )
    lines = [
        f"ran      {_clock(summary['seconds'])} at {summary['sample_rate']} Hz, model "
        f"{shown(summary['model'])}",
        f"latency  {1000 * total:.1f} ms = {terms}",
        f"xruns    {_xruns(summary['xruns'])}",
    ]
    step = summary["step"]
    if step is not None and step["count"]:
        lines.append(
            f"step     p50 {1000 * step['p50']:.2f} ms, p99 {1000 * step['p99']:.2f} "
            f"ms, max {1000 * step['max']:.2f} ms of "
            f"{1000 * summary['hop_seconds']:.1f} ms"
        )
    if any(summary["xruns"].values()):
        lines.append("advice   " + advice(summary["xruns"]))
    if summary["bad_samples"]:
        lines.append(f"input    {summary['bad_samples']} bad samples became silence")
    recorded = summary["recorded"]
    if recorded is not None:
        files = ", ".join(shown(path) for path in recorded["files"]) or "nothing"
        lost = recorded["lost_samples"]
        slow = ", the disk is too slow" if recorded["whole"] else ""
        gap = f"; {lost} samples were lost{slow}" if lost else ""
        lines.append(f"wrote    {files} ({recorded['seconds']:.1f} s{gap})")
    return lines


def advice(xruns: dict[str, int]) -> str:
    """Return the one thing to try against the commonest kind of xrun."""
    worst = max(xruns, key=lambda kind: xruns[kind])
    if worst == "buffer overrun":
        return (
            "the input ran ahead of the output; use one device for both, or name "
            "them with --input and --output"
        )
    return "try --latency 0.05, then 0.1, and close programs that keep the CPU busy"


def _xruns(xruns: dict[str, int]) -> str:
    kinds = [f"{kind} {count}" for kind, count in xruns.items() if count]
    return f"{sum(xruns.values())} ({', '.join(kinds)})" if kinds else "none"


def _clock(seconds: float) -> str:
    whole = int(seconds)
    if whole >= 3600:
        return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"
    return f"{whole // 60}:{whole % 60:02d}"
