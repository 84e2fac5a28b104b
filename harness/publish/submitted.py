"""Submissions on a board: embeddings made elsewhere, scored again by us, apart from the entries and unranked."""

from __future__ import annotations

from harness.publish import words
from harness.publish.rows import Board
from harness.publish.scores import STUDY
from harness.publish.tables import Cell, Column, Row, Table, metric_name
from harness.submission import Submission


def submitted_table(board: Board) -> Table | None:
    """One row a submission on the board's test images; None where there is none."""
    if not board.submissions:
        return None
    metrics = list(dict.fromkeys((*reversed(STUDY), *board.recall)))
    columns = (
        Column("Submission", number=False), Column("Size"), *(Column(metric_name(metric)) for metric in metrics),
        Column("Queries"), Column("File's sha256", number=False),
    )  # fmt: skip
    rows = tuple(Row("", "submitted", _cells(one, metrics)) for one in board.submissions)
    note = (
        "Percent. Submitted, scored again: embeddings of the same test images that were made elsewhere, scored by "
        "the same metric. How their model was trained and chosen is not known here, so they carry no interval, no "
        "rank and no verdict."
    )
    return Table(f"{board.title}, submitted and scored again", columns, rows, note)


def _cells(one: Submission, metrics: list[str]) -> tuple[Cell, ...]:
    return (
        Cell(one.title),
        Cell(f"{one.dimension}-d", key=float(one.dimension)),
        *(Cell(words.percent(one.metrics.get(metric)), key=one.metrics.get(metric)) for metric in metrics),
        Cell(str(one.queries), key=float(one.queries)),
        Cell(one.file_sha256[:16]),
    )
