"""The speed report measures what it says, on data as it says."""

from __future__ import annotations

import pytest

from harness.metrics import score
from harness.speed import clustered, evaluation_growth, evaluation_ratios


def test_the_data_is_as_hard_as_stated() -> None:
    # 0.4 at 60,000 images; a smaller gallery is easier.
    assert score(*clustered(4000, 128)).metrics["map_at_r"] == pytest.approx(0.6, abs=0.05)


def test_rows_stand_beside_ours() -> None:
    rows = evaluation_ratios(1500, 32, rounds=3)
    assert rows[0]["ratio"] == rows[0]["low"] == rows[0]["high"] == 1
    assert any("faiss" in row["what"] for row in rows)
    assert rows[-1]["what"] == "pytorch-metric-learning"
    for row in rows:
        assert 0 < row["low"] <= row["ratio"] <= row["high"]
        assert row["seconds"] > 0


def test_growth_has_a_row_a_size() -> None:
    rows = evaluation_growth((500, 3000), 16)
    assert [row["n"] for row in rows] == [500, 3000]
    assert all(row["seconds"] > 0 and row["megabytes"] >= 0 for row in rows)
