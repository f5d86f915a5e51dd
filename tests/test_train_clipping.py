"""The clipping study runs, and its table and figure hold what was measured."""

from __future__ import annotations

import numpy as np
import pytest

from streamdenoise.train.data import build_pack
from tests import training


@pytest.mark.parametrize("plain", [False, True])
def test_study_covers_all_cells_and_ways(tmp_path, plain) -> None:
    """Nine real runs on the same batches: same first loss for each cell."""
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    from streamdenoise.train.clipping import CLIPS, draw, study, table
    from streamdenoise.train.layers import CELLS

    build_pack(training.make_corpus(tmp_path / "data"), tmp_path / "pack")
    traces = study(
        tmp_path / "pack", updates=2, units=4, plain=plain, say=lambda _: None
    )
    assert [(t.cell, t.clip) for t in traces] == [(c, k) for c in CELLS for k in CLIPS]
    for i in range(0, 9, 3):
        first = [t.loss[0] for t in traces[i : i + 3]]
        np.testing.assert_allclose(first, first[0], rtol=1e-4)
    assert table(traces).count("\n") == 10
    draw(traces, tmp_path / "figure.svg")
    assert "<svg" in (tmp_path / "figure.svg").read_text()
