"""What must hold of the committed boards whatever the methods: a method that loses to no training is a mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.publish.rows import Board, read_boards
from harness.publish.scores import TUNED, VERDICT

RESULTS = Path(__file__).parents[1] / "results"
#: Boards of networks trained from scratch, where training has everything to give.
FROM_SCRATCH = [board for board in read_boards(RESULTS) if board.first.dataset_name in ("glyphs", "omniglot")]


@pytest.mark.parametrize("board", FROM_SCRATCH, ids=lambda board: board.slug)
def test_every_trained_method_beats_the_untrained_network(board: Board) -> None:
    assert board.comparison is not None
    untrained = board.compared.index("untrained")
    trained = [r for r in board.records if r.method_kind != "floor" and r.method in board.compared]
    assert trained
    for record in trained:
        i = board.compared.index(record.method)
        assert board.comparison.difference[i, untrained] > 0, record.method


@pytest.mark.parametrize("board", read_boards(RESULTS), ids=lambda board: board.slug)
def test_scores_are_above_chance_and_below_one(board: Board) -> None:
    """Chance: a random neighbour has the query's class with probability (n - 1) / (N - 1)."""
    for record in board.records:
        if record.status == "complete":
            score = float(board.row(record.method, TUNED)[f"separated_{VERDICT}"])
            first = float(board.row(record.method, TUNED)["separated_precision_at_1"])
            counts = board.arrays[record.method]["class_counts"]
            chance = float((counts * (counts - 1)).sum() / (counts.sum() * (counts.sum() - 1)))
            assert chance < first < 1 and 0 < score < first, record.method
