"""What ``streamdenoise live`` says where it begins, and at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..names import shown

if TYPE_CHECKING:
    from ..live.session import LiveSession

__all__ = ["headline", "summary_lines"]


def headline(session: LiveSession) -> str:
    """Return what runs from where to where, and how soon, in one line."""
    how = "one stream" if session.duplex else "two streams"
    # By now: the default may become another one while sound runs.
    source, sink = session.source.real("input"), session.sink.real("output")
    return (
        f"live: {shown(source.label)} -> {shown(sink.label)}, "
        f"{session.rate} Hz, {how}, model {shown(session.model_name)}, latency "
        f"{1000 * session.latency().total:.0f} ms; Ctrl-C ends"
    )


def summary_lines(summary: dict[str, Any]) -> list[str]:
    """Return the summary of a session as lines for a person."""
    from ..control.panel import clock, xruns
    from ..live.summary import advice

    lines = [
        f"ran      {clock(summary['seconds'])} at {summary['sample_rate']} Hz, model "
        f"{shown(summary['model'])}",
        f"latency  {_terms(summary['latency'])}",
        f"xruns    {xruns(summary['xruns'])}",
    ]
    rate, dropped = summary["sample_rate"], summary.get("dropped_samples", 0)
    if dropped:
        lines.append(
            f"healed   {1000 * dropped / rate:.0f} ms of sound were dropped, so that "
            "the delay stayed short"
        )
    if summary.get("losses"):
        often = f"{summary['losses']} times" if summary["losses"] > 1 else "once"
        lines.append(f"lost     a device went away {often}")
    step = summary["step"]
    if step is not None and step["count"]:
        lines.append(
            f"step     p50 {1000 * step['p50']:.2f} ms, p99 {1000 * step['p99']:.2f} "
            f"ms, max {1000 * step['max']:.2f} ms of "
            f"{1000 * summary['hop_seconds']:.1f} ms"
        )
    told = advice(
        summary["xruns"],
        summary["seconds"],
        summary.get("device_latency", 0.0),
        summary.get("load", 0.0),
    )
    if told:
        lines.append(f"advice   {told}")
    if summary["bad_samples"]:
        lines.append(f"input    {summary['bad_samples']} bad samples became silence")
    if summary["recorded"] is not None:
        lines.append(f"wrote    {_written(summary['recorded'])}")
    return lines


def _terms(latency: dict[str, float]) -> str:
    """Return a latency as the sum of its parts."""
    parts = dict(latency)
    total = parts.pop("total")
    terms = " + ".join(
        f"{name.replace('_', ' ')} {1000 * seconds:.1f}"
        for name, seconds in parts.items()
        if seconds or name != "buffer"
    )
    return f"{1000 * total:.1f} ms = {terms}"


def _written(recorded: dict[str, Any]) -> str:
    """Return where a recording is, how long, and what of it was lost."""
    files = ", ".join(shown(path) for path in recorded["files"]) or "nothing"
    lost = recorded["lost_samples"]
    slow = ", the disk is too slow" if recorded["whole"] else ""
    gap = f"; {lost} samples were lost{slow}" if lost else ""
    return f"{files} ({recorded['seconds']:.1f} s{gap})"
