"""Damaged headers: refused or read, never a crash, a hang, or half a file."""

from __future__ import annotations

import os

import pytest

from tests.fuzzing import fuzz

COUNT = 330


@pytest.mark.skipif(os.name != "posix", reason="limits on memory are POSIX")
def test_damaged_headers(tmp_path):
    """Files of fixed numbers, of all formats; ``scripts/fuzz`` does ten thousand."""
    outcomes = list(fuzz(COUNT, first=1_000_000))
    bad = [o for o in outcomes if o.kind not in ("done", "refused")]
    assert bad == []
    kinds = [o.kind for o in outcomes]
    # Both have to occur, or the damage is of no use.
    assert kinds.count("refused") > COUNT // 10 < kinds.count("done")
