"""The words that control a session, whoever says them."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamdenoise.control.commands import LADDER, Controls, strength_text
from streamdenoise.control.keys import KEYS
from streamdenoise.control.words import USAGE, Command, ControlError, parse
from streamdenoise.errors import StreamDenoiseError
from streamdenoise.live.session import LiveOptions, LiveSession
from streamdenoise.settings import Settings
from tests.fakes import IdentityModel
from tests.fakesound import FakeSound, device


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A real session on devices that are no hardware."""
    import streamdenoise.live.session as module

    monkeypatch.setattr(module, "load_model", lambda name: named(name))
    sound = FakeSound([device("USB card"), device("Speakers", 0, 2)])
    with LiveSession(LiveOptions(), sound) as session:
        yield session


def named(name: object) -> IdentityModel:
    if name == "broken":
        raise StreamDenoiseError("the model is damaged")
    return IdentityModel() if name is None else IdentityModel(name=str(name))


@pytest.mark.parametrize(
    ("words", "command"),
    [
        ("bypass", Command("bypass")),
        ("BYPASS On", Command("bypass", True)),
        ("removed off", Command("removed", False)),
        ("mute", Command("mute")),
        ("strength -12", Command("strength", 12.0)),
        ("strength 12", Command("strength", 12.0)),
        ("strength 7.5dB", Command("strength", 7.5)),
        ("strength up", Command("strength", "up")),
        ("strength full", Command("strength", "full")),
        ("mix 0.5", Command("mix", 0.5)),
        ("mix 50%", Command("mix", 0.5)),
        ("record", Command("record")),
        ("record off", Command("record", False)),
        ("record Talk.wav", Command("record", "Talk.wav")),
        ("model next", Command("model")),
        ("model base", Command("model", "base")),
        ("status", Command("status")),
        ("stop", Command("stop")),
    ],
)
def test_words_that_mean_something(words: str, command: Command) -> None:
    """Keys and scripts say the same words, in any case."""
    assert parse(words.split()) == command


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("", "bypass, removed"),
        ("bypas", "did you mean bypass?"),
        ("fly", "there are: bypass"),
        ("bypass maybe", "type: bypass [on|off]"),
        ("strength", "type: strength DB|up|down|full"),
        ("strength loud", "'strength loud' is not understood"),
        ("strength nan", "is not understood"),
        ("mix 2", "type: mix SHARE"),
        ("mix -0.1", "type: mix SHARE"),
        ("model", "type: model NAME|next"),
        ("stop now", "type: stop"),
        ("status 1 2", "type: status"),
        ("mute on off", "type: mute"),
        ("bypass \x1b[2J", "\\x1b[2J"),
    ],
)
def test_words_that_mean_nothing_are_answered_with_words_that_do(
    words: str, says: str
) -> None:
    """One sentence, safe to print, with what to type; usage is exit code 2."""
    with pytest.raises(ControlError) as caught:
        parse(words.split())
    assert says in str(caught.value)
    assert str(caught.value).isprintable()
    assert caught.value.exit_code == 2


def test_any_words_are_a_command_or_a_sentence(rng: np.random.Generator) -> None:
    """Nothing that is typed raises anything else."""
    pieces = [*USAGE, "on", "off", "-12", "1e999", "nan", "", " ", "\0", "ü", "up"]
    for _ in range(2000):
        words = [str(w) for w in rng.choice(pieces, rng.integers(0, 4))]
        try:
            command = parse(words)
        except ControlError as error:
            assert str(error)
        else:
            assert command.verb in USAGE


def test_every_key_is_a_command() -> None:
    """The table of keys has no word that the vocabulary lacks."""
    for words in KEYS.values():
        assert parse(words).verb in USAGE


def test_switches_turn_over_and_can_be_set(session: Any) -> None:
    """A switch without a word turns over; on twice is on."""
    controls = Controls(session)
    assert controls.do(["bypass"]) == "bypass on" and session.settings.bypass
    assert controls.do(["bypass", "on"]) == "bypass on" and session.settings.bypass
    assert controls.do(["bypass"]) == "bypass off" and not session.settings.bypass
    assert controls.do(["mute"]) == "muted" and session.muted
    assert controls.do(["mute", "off"]) == "no longer muted" and not session.muted


def test_what_is_asked_for_last_is_heard(session: Any) -> None:
    """Bypass and removed exclude each other."""
    controls = Controls(session)
    controls.do(["bypass"])
    controls.do(["removed"])
    assert session.settings == Settings(removed=True)
    controls.do(["bypass"])
    assert session.settings == Settings(bypass=True)


def test_strength_goes_up_and_down_a_ladder(session: Any) -> None:
    """From no limit down to nothing and back, and no further at either end."""
    controls = Controls(session)
    seen = [session.settings.strength_db]
    for _ in range(len(LADDER) + 2):
        controls.do(["strength", "down"])
        seen.append(session.settings.strength_db)
    assert seen[: len(LADDER)] == [*reversed(LADDER)]
    assert seen[len(LADDER) :] == [0.0, 0.0, 0.0]
    for _ in range(len(LADDER) + 2):
        controls.do(["strength", "up"])
    assert session.settings.strength_db is None
    # From between two rungs to the next ones.
    controls.do(["strength", "-10"])
    assert session.settings.strength_db == 10.0
    assert controls.do(["strength", "up"]) == "strength 12 dB"
    controls.do(["strength", "10"])
    assert controls.do(["strength", "down"]) == "strength 9 dB"
    assert controls.do(["strength", "inf"]) == "strength full"
    assert strength_text(None) == "full"


def test_other_settings_stay(session: Any) -> None:
    """Each command changes what it names and nothing else."""
    controls = Controls(session)
    for words in (["strength", "12"], ["mix", "50%"], ["removed", "on"]):
        controls.do(words)
    assert session.settings == Settings(strength_db=12.0, mix=0.5, removed=True)


def test_record_begins_and_ends(session: Any, tmp_path: Path) -> None:
    """A name of our own in the folder, or the one given; never two at once."""
    controls = Controls(session, folder=tmp_path)
    assert controls.do(["record", "off"]) == "nothing is being recorded"
    said = controls.do(["record"])
    made = session.recording
    assert made is not None and made.parent == tmp_path and str(made) in said
    with pytest.raises(StreamDenoiseError, match="record off"):
        controls.do(["record", str(tmp_path / "b.wav")])
    assert controls.do(["record"]) == f"recorded {made}"
    assert session.recording is None
    controls.do(["record", str(tmp_path / "b.wav")])
    controls.do(["record", "off"])
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([made.name, "b.wav"])
    with pytest.raises(StreamDenoiseError, match="another name"):
        controls.do(["record", str(tmp_path / "b.wav")])


def test_recordings_may_begin_within_one_second(
    session: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who presses R again and again gets a file for each time, and no complaint."""
    monkeypatch.setattr(time, "strftime", lambda form: "streamdenoise-now")
    controls = Controls(session, folder=tmp_path)
    for _ in range(3):
        controls.do(["record"])
        controls.do(["record"])
    assert len(list(tmp_path.glob("streamdenoise-now*.wav"))) == 3


def test_a_recording_has_a_place_when_the_folder_has_gone(
    session: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A working folder that was removed is no traceback: home is taken."""
    gone, home = tmp_path / "gone", tmp_path / "home"
    gone.mkdir()
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    monkeypatch.chdir(gone)
    try:
        gone.rmdir()
    except OSError:
        pytest.skip("a working folder cannot be removed on this system")
    said = Controls(session).do(["record"])
    assert session.recording is not None and session.recording.parent == home
    session.record(None)
    assert str(home) in said


def test_a_folder_that_may_not_be_written_is_a_sentence(
    session: Any, tmp_path: Path
) -> None:
    """A service writes to few folders; one that it may write to is named."""
    closed = tmp_path / "closed"
    closed.mkdir()
    closed.chmod(0o500)
    if os.access(closed, os.W_OK):
        closed = Path("/proc/sys")
    if not closed.is_dir() or os.access(closed, os.W_OK):
        pytest.skip("every folder can be written here")
    controls = Controls(session, folder=tmp_path)
    with pytest.raises(StreamDenoiseError, match="may not write") as caught:
        controls.do(["record", str(closed / "a.wav")])
    assert f"such as {tmp_path}" in str(caught.value)
    assert session.recording is None


def test_models_go_round(session: Any) -> None:
    """Next is the one behind, and after the last the first; trouble changes nothing."""
    controls = Controls(session, models=lambda: ["fake", "small", "large"])
    assert session.model_name == "fake"
    heard = [controls.do(["model", "next"]) for _ in range(4)]
    assert heard == ["model small", "model large", "model fake", "model small"]
    with pytest.raises(StreamDenoiseError, match="damaged"):
        controls.do(["model", "broken"])
    assert session.model_name == "small"
    assert Controls(session, models=lambda: []).do(["model", "next"]) == "model small"
    assert Controls(session, models=lambda: ["a"]).do(["model", "next"]) == "model a"


def test_status_is_a_line_and_plain_types(session: Any, tmp_path: Path) -> None:
    """People get a line; programs get JSON with all of it."""
    controls = Controls(session, folder=tmp_path)
    for words in (["removed"], ["mix", "0.5"], ["mute"], ["record"]):
        controls.do(words)
    line = controls.do(["status"])
    for part in ("running", "removed", "mix 50%", "muted", "recording to", "xruns 0"):
        assert part in line
    known = json.loads(json.dumps(controls.status()))
    assert known["settings"]["mix"] == 0.5 and known["muted"] is True
    assert known["recording"].startswith(str(tmp_path))
    parts = known["latency_parts"]
    assert parts.pop("total") == pytest.approx(sum(parts.values()))


def test_while_waiting_the_status_has_no_levels(session: Any) -> None:
    """The last levels and load would look as if sound came in."""
    controls, levels = Controls(session), ("level_in", "level_out", "reduction", "load")
    known = controls.status()
    assert all(isinstance(known[name], float) for name in levels)
    assert known["bands_in"] and known["bands_out"]
    session._devices.state = "waiting for device"
    known = controls.status()
    assert all(known[name] is None for name in levels)
    assert not known["bands_in"] and not known["bands_out"]
    line = controls.do(["status"])
    assert line.startswith("waiting for device") and "latency" in line
    assert " dB," not in line.partition("strength")[2] and "load" not in line


def test_stop_ends_the_run(session: Any) -> None:
    """`run` returns by itself, without an error."""
    controls = Controls(session)
    ticks = []

    def tick(status: object) -> None:
        ticks.append(status)
        controls.do(["stop"])

    session.run(10.0, tick=tick)
    assert len(ticks) == 1


def test_off_says_where_a_recording_went(session: Any, tmp_path: Path) -> None:
    """Where its name was taken meanwhile, the one that it got is told."""
    controls, path = Controls(session, folder=tmp_path), tmp_path / "talk.wav"
    controls.do(["record", str(tmp_path / "first.wav")])
    assert controls.do(["record", "off"]) == f"recorded {tmp_path / 'first.wav'}"
    controls.do(["record", str(path)])
    path.write_bytes(b"of somebody else")
    other = tmp_path / "talk-2.wav"
    assert controls.do(["record", "off"]) == f"recorded {other}"
    assert path.read_bytes() == b"of somebody else" and other.stat().st_size


def test_off_says_why_a_recording_has_stopped(session: Any, tmp_path: Path) -> None:
    """It runs no more, so another may begin; `off` tells what became of it, once."""
    controls = Controls(session, folder=tmp_path)
    controls.do(["record"])
    session._recordings.made[-1].error = StreamDenoiseError("the disk is full")
    assert "recording" not in controls.do(["status"])
    assert controls.status()["recording"] is None
    with pytest.raises(StreamDenoiseError, match="stopped: the disk is full"):
        controls.do(["record", "off"])
    assert controls.do(["record", "off"]) == "nothing is being recorded"


@pytest.mark.parametrize("name", ["~no-such-user/x.wav", "~no-such-user"])
def test_a_home_of_nobody_is_a_sentence(session: Any, name: str) -> None:
    """A slip in the name of a user is a wrong word, not a bug of ours."""
    with pytest.raises(ControlError, match="no user for '~no-such-user'"):
        Controls(session).do(["record", name])
    assert session.recording is None


def test_without_a_home_the_working_folder_is_enough(
    session: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user of a container without a home records all the same, or is told how."""

    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    controls = Controls(session, folder=tmp_path)
    assert controls.do(["record"]).startswith(f"recording to {tmp_path}")
    controls.do(["record", "off"])
    with pytest.raises(StreamDenoiseError, match="name a file with: record FILE"):
        Controls(session, folder=tmp_path / "gone").do(["record"])
