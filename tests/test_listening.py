"""The listening page: every recording, every version, in one file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pesq", reason="PESQ is not installed (extra eval)")
pytest.importorskip("pystoi", reason="pystoi is not installed (extra eval)")

import soundfile as sf

from streamdenoise.demo import ASSETS
from streamdenoise.errors import OutputError
from streamdenoise.eval.listening import listening_page


def test_a_page_holds_all_versions_of_all_pairs(tmp_path: Path) -> None:
    """Two pairs, three players each, figures and pictures; nothing is left beside."""
    clip = next(ASSETS.glob("*.flac"), None) or next(ASSETS.glob("*.wav"))
    clean, rate = sf.read(clip, dtype="float32")
    clean = (clean if clean.ndim == 1 else clean[:, 0])[: 3 * rate]
    clean = clean[:: rate // 16000] if rate > 16000 else clean
    noise = np.random.default_rng(0).standard_normal(clean.size).astype(np.float32)
    for name, level in (("one", 0.005), ("two", 0.02)):
        for folder, x in (("noisy", clean + level * noise), ("clean", clean)):
            (tmp_path / "set" / folder).mkdir(parents=True, exist_ok=True)
            sf.write(tmp_path / "set" / folder / f"{name}.wav", x, 16000)
    page = tmp_path / "page.html"
    seen = []
    listening_page(tmp_path / "set", ["pi"], page, progress=lambda *at: seen.append(at))
    text = page.read_text(encoding="utf-8")
    assert text.count("<article") == 2 and text.count("<audio") == 6
    assert text.count("data:image/png") == 2 and text.count("SI-SDR") >= 4
    assert seen == [(1, 2), (2, 2)]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["page.html", "set"]
    with pytest.raises(OutputError):
        listening_page(tmp_path / "set", ["pi"], page)
