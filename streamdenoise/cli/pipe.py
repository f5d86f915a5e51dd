"""``streamdenoise pipe``."""

from __future__ import annotations

import sys
from typing import BinaryIO

import click

from ..errors import AudioFormatError
from .options import (
    CHANNELS,
    RATE,
    link_option,
    model_option,
    settings_from,
    settings_options,
)
from .printing import warn

__all__ = ["pipe"]


@click.command(short_help="Denoise a stream from standard input to standard output.")
@click.option(
    "--rate",
    type=RATE,
    metavar="HZ",
    help="Samples per second.  [16000]",
)
@click.option(
    "--channels",
    type=CHANNELS,
    metavar="C",
    help="Number of channels.  [1]",
)
@click.option(
    "--format",
    "sample_format",
    type=click.Choice(["s16le", "s24le", "s32le", "f32le"]),
    help="How one sample is stored.  [s16le]",
)
@settings_options
@model_option
@link_option
def pipe(
    rate: int | None,
    channels: int | None,
    sample_format: str | None,
    strength: float | None,
    mix: float,
    removed: bool,
    model: str | None,
    link_channels: bool,
) -> None:
    """Denoise a stream from standard input to standard output.

    A WAV header is recognised and passed on; without one, --rate, --channels and
    --format say what the samples are. As many samples come out as went in. Ctrl-C ends
    the stream, and what has come by then is finished.

    \b
    arecord -f S16_LE -r 16000 | streamdenoise pipe | aplay
    ffmpeg -i talk.mp4 -f wav - | streamdenoise pipe > talk.wav
    streamdenoise pipe --rate 48000 --channels 2 --format f32le < in.raw > out.raw
    """  # noqa: D301
    settings = settings_from(strength, mix, removed)
    hint = "such as: arecord -f S16_LE -r 16000 | streamdenoise pipe | aplay"
    for name, stream in (("input", sys.stdin), ("output", sys.stdout)):
        if stream is None:
            raise click.UsageError(f"standard {name} is closed; connect it, {hint}")
    source: BinaryIO = sys.stdin.buffer
    sink: BinaryIO = sys.stdout.buffer
    if sys.stdin.isatty():
        raise click.UsageError(
            f"standard input is a terminal; send audio to it, {hint}"
        )
    if sys.stdout.isatty():
        raise click.UsageError(
            f"standard output is a terminal; send it to a player or a file, {hint}"
        )
    from ..pipe import run_pipe
    from .stopping import Stopping

    with Stopping() as stopping:
        try:
            run_pipe(
                source,
                sink,
                model,
                settings,
                sample_rate=rate,
                channels=channels,
                sample_format=sample_format,
                link_channels=link_channels,
                # That an interrupted stream ends early is nothing odd.
                warn=lambda sentence: None if stopping.asked else warn(sentence),
                stopped=lambda: stopping.asked,
            )
        except (AudioFormatError, BrokenPipeError):
            # Stopped before anything came, or together with whoever listens.
            if not stopping.asked:
                raise
    if stopping.asked:
        raise KeyboardInterrupt  # by now all that came is finished
