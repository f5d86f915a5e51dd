"""DNSMOS beside the report card: what is asked of it, and how it is told."""

from __future__ import annotations

import builtins
import sys
from pathlib import Path

import numpy as np
import pytest

from streamdenoise.errors import RuntimeMissingError
from streamdenoise.eval.mos import SCALES, opinion, opinions, table
from streamdenoise.eval.systems import System

soundfile = pytest.importorskip("soundfile")


def test_without_the_package_it_says_what_to_type(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The package is rarely there; the message is the command that gets it."""
    found = builtins.__import__

    def none(name: str, *rest: object, **more: object) -> object:
        if name.startswith("speechmos"):
            raise ImportError("not here")
        return found(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", none)
    with pytest.raises(RuntimeMissingError, match=r'pip install "\.\[mos\]"'):
        opinion(np.zeros(16_000, np.float32))


def test_means_are_over_clips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each system has the mean of what is said of its outputs, within full scale."""
    heard = []

    class Judge:
        """Votes by the level, as nobody would."""

        @staticmethod
        def run(samples: np.ndarray, rate: int) -> dict[str, float]:
            assert rate == 16_000 and samples.dtype == np.float32
            heard.append(float(np.max(np.abs(samples))))
            return {f"{scale}_mos": 1.0 + heard[-1] for scale in SCALES}

    package = type(sys)("speechmos")
    package.dnsmos = Judge
    monkeypatch.setitem(sys.modules, "speechmos", package)
    for name, level in (("a", 0.25), ("b", 0.75)):
        for side, factor in (("noisy", 1.0), ("clean", 0.5)):
            (tmp_path / side).mkdir(exist_ok=True)
            x = np.full(1600, level * factor, np.float32)
            soundfile.write(tmp_path / side / f"{name}.wav", x, 16_000, subtype="FLOAT")
    said = opinions(tmp_path, [System("noisy", "noisy")])
    assert said["noisy"]["ovrl"] == pytest.approx(1.5)
    assert said["clean"]["ovrl"] == pytest.approx(1.25)
    assert opinion(np.full(100, 4.0))["sig"] == 2.0 and max(heard) == 1.0
    assert [line.split()[0] for line in table(said)] == ["DNSMOS", "noisy", "clean"]


def test_listeners_like_it_without_noise() -> None:
    """The real judge tells a tone from the same tone in noise."""
    pytest.importorskip("speechmos", reason="speechmos is not installed (extra 'mos')")
    rng = np.random.default_rng(0)
    t = np.arange(48_000) / 16_000
    voice = 0.2 * np.sin(2 * np.pi * 150 * t) * (np.sin(2 * np.pi * 3 * t) > 0)
    noisy = voice + 0.1 * rng.standard_normal(t.size)
    assert opinion(voice)["bak"] > opinion(noisy)["bak"] + 0.3
