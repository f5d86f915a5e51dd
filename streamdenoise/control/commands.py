"""What one can tell a running session, by keys or through the socket.

`words.parse` turns words into a `Command`, `Controls` carries it out on a session and
answers with a sentence. Neither knows where the words came from.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from ..errors import StreamDenoiseError
from ..names import shown
from ..userfolder import home_folder
from .words import Command, expanded, parse

if TYPE_CHECKING:
    from ..live.latency import Latency
    from ..live.session import Status
    from ..settings import Settings

__all__ = ["LADDER", "Controls", "Session", "status_dict", "strength_text"]

LADDER: Final = (0.0, 3.0, 6.0, 9.0, 12.0, 15.0, 18.0, 24.0, 30.0, None)
"""Strengths in dB that up and down go through; None is no limit."""


class Session(Protocol):
    """What `Controls` needs of a live session; all called from one thread."""

    settings: Settings
    muted: bool

    @property
    def recording(self) -> Path | None:
        """The file being written, or None."""

    @property
    def model_name(self) -> str:
        """Name of the model that runs."""

    def record(self, path: Path | None, force: bool = False) -> None:
        """Begin to record to `path`, or end the recording with None."""

    def use_model(self, name: str) -> None:
        """Change the model."""

    def status(self) -> Status:
        """Return the numbers of this moment."""

    @property
    def names(self) -> tuple[str, str]:
        """Names of the input and the output."""

    def latency(self) -> Latency:
        """Return the latency by parts."""

    def summary(self) -> dict[str, Any]:
        """Return all that is known of the session in plain types."""

    def stop(self) -> None:
        """Ask the session to end."""


class Controls:
    """Carries commands out on a session, in the thread that runs it.

    Parameters
    ----------
    session
        What is controlled.
    models
        Returns the names of the models that can run live, for ``model next``.
    folder
        Where recordings without a name go; by default the working folder, or the
        home folder if that has gone or cannot be written.
    """

    def __init__(
        self,
        session: Session,
        models: Callable[[], Sequence[str]] | None = None,
        folder: Path | None = None,
    ) -> None:
        self.session = session
        self._models = live_models if models is None else models
        self._folder = folder

    def do(self, words: Sequence[str]) -> str:
        """Do what `words` say; return what was done as a sentence.

        Raises
        ------
        ControlError
            If the words are wrong.
        StreamDenoiseError
            If the session cannot do it; it runs on as before.
        """
        return self.apply(parse(words))

    def apply(self, command: Command) -> str:
        """Do `command`; return what was done as a sentence."""
        session, value = self.session, command.value
        if command.verb == "stop":
            session.stop()
            return "stopping"
        if command.verb == "status":
            return self.sentence()
        if command.verb == "record":
            return self._record(value)
        if command.verb == "model":
            return self._model(value)
        if command.verb == "mute":
            session.muted = not session.muted if value is None else bool(value)
            return "muted" if session.muted else "no longer muted"
        if command.verb == "mix":
            assert isinstance(value, float)
            session.settings = replace(session.settings, mix=value)
            return f"mix {value:.0%}"
        if command.verb == "strength":
            strength = self._strength(value)
            session.settings = replace(session.settings, strength_db=strength)
            return f"strength {strength_text(strength)}"
        return self._switch(command.verb, value)

    def _switch(self, verb: str, value: object) -> str:
        settings = self.session.settings
        on = not getattr(settings, verb) if value is None else bool(value)
        # The two exclude each other: the last one that was asked for is heard.
        others = {"removed": False} if verb == "bypass" else {"bypass": False}
        self.session.settings = replace(
            settings, **{verb: on}, **(others if on else {})
        )
        return f"{verb} {'on' if on else 'off'}"

    def _strength(self, value: object) -> float | None:
        if value == "full":
            return None
        limit = float("inf")
        if isinstance(value, float):
            return None if value == limit else value
        now = self.session.settings.strength_db
        here = limit if now is None else now
        rungs = [limit if rung is None else rung for rung in LADDER]
        if value == "up":
            found = min((rung for rung in rungs if rung > here), default=limit)
        else:
            found = max((rung for rung in rungs if rung < here), default=0.0)
        return None if found == limit else found

    def _record(self, value: object) -> str:
        session, running = self.session, self.session.recording
        if value is False or (value is None and running is not None):
            session.record(None)  # of one that stopped by itself this raises why
            if running is None:
                return "nothing is being recorded"
            return f"recorded {self._made(running)}"
        if running is not None:
            raise StreamDenoiseError(
                f"a recording to {shown(running)} runs already; end it first with: "
                "record off"
            )
        path = self._new_name() if value is None else expanded(str(value))
        if path.exists():
            raise StreamDenoiseError(
                f"{shown(path)} is there already, and a recording replaces nothing; "
                "give another name"
            )
        if path.parent.is_dir() and not os.access(path.parent, os.W_OK):
            raise StreamDenoiseError(
                f"this session may not write to {shown(path.parent)}; name a file in "
                f"another folder, such as {shown(self._new_name().parent)}"
            )
        session.record(path)
        return f"recording to {shown(path)}"

    def _made(self, meant: Path) -> str:
        """Return the file of a recording that is over: its name may have been taken."""
        recorded = self.session.summary()["recorded"] or {}
        files: list[str] = recorded.get("files", [])
        return shown(meant if str(meant) in files or not files else files[-1])

    def _new_name(self) -> Path:
        folder: Path | None = None
        with contextlib.suppress(OSError):  # the working folder may have been removed
            wanted = self._folder or Path.cwd()
            folder = wanted if os.access(wanted, os.W_OK) else None
        folder = folder or home_folder()
        if folder is None:
            raise StreamDenoiseError(
                "a recording cannot be written to the working folder, and this user "
                "has no home folder; name a file with: record FILE"
            )
        name = time.strftime("streamdenoise-%Y-%m-%d-%H%M%S")
        path = folder / f"{name}.wav"
        for number in count(2):  # more than one may begin within a second
            if not path.exists():
                break
            path = folder / f"{name}-{number}.wav"
        return path

    def _model(self, value: object) -> str:
        name = str(value) if value is not None else self._next_model()
        if name != self.session.model_name:
            self.session.use_model(name)
        return f"model {shown(self.session.model_name)}"

    def _next_model(self) -> str:
        names, now = list(self._models()), self.session.model_name
        if not names:
            return now
        return names[(names.index(now) + 1) % len(names)] if now in names else names[0]

    def sentence(self) -> str:
        """Return the state of the session as one line."""
        status, settings = self.session.status(), self.session.settings
        parts = [
            status.state,
            f"model {shown(self.session.model_name)}",
            f"strength {strength_text(settings.strength_db)}",
        ]
        if settings.mix < 1.0:
            parts.append(f"mix {settings.mix:.0%}")
        for name in ("bypass", "removed"):
            if getattr(settings, name):
                parts.append(name)
        if self.session.muted:
            parts.append("muted")
        if self.session.recording is not None:
            parts.append(f"recording to {shown(self.session.recording)}")
        if status.state == "running":
            parts += [
                f"in {status.level_in:.1f} dB",
                f"out {status.level_out:.1f} dB",
                f"load {status.load:.0%}",
            ]
        parts += [
            f"latency {1000 * status.latency:.0f} ms",
            f"xruns {status.xrun_count}",
        ]
        return ", ".join(parts)

    def status(self) -> dict[str, Any]:
        """Return all that is known of this moment in plain types."""
        return status_dict(self.session)


def status_dict(session: Session) -> dict[str, Any]:
    """Return status, settings and latency by parts of a session in plain types.

    Times are in seconds, levels in dB below full scale. While a device is waited for
    there are no levels and no load: the last ones would look like sound.
    """
    known = asdict(session.status())
    if known["state"] != "running":
        known |= dict.fromkeys(("level_in", "level_out", "reduction", "load"))
        known |= {"bands_in": (), "bands_out": ()}
    known["recording"] = _path_text(known["recording"])
    latency = session.latency()
    source, sink = session.names
    return {
        **known,
        "input": source,
        "output": sink,
        "xrun_count": sum(known["xruns"].values()),
        "settings": asdict(session.settings),
        "latency_parts": {
            **{key.replace(" ", "_"): v for key, v in latency.parts().items()},
            "total": latency.total,
        },
        "pid": os.getpid(),
    }


def _path_text(path: object) -> str | None:
    return None if path is None else str(path)


def strength_text(strength: float | None) -> str:
    """Return a strength for a person."""
    return "full" if strength is None else f"{strength:g} dB"


def live_models() -> list[str]:
    """Return the names of the models that run live; none if there is no manifest."""
    from ..model import list_models

    with contextlib.suppress(StreamDenoiseError, OSError):
        return [card.name for card in list_models() if card.causal]
    return []
