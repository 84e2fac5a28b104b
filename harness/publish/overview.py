"""All boards in one table: where a method stands on each, never averaged over them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

from harness.publish import words
from harness.publish.rows import Board
from harness.publish.scores import TUNED, VERDICT
from harness.publish.tables import Cell, Column, Row, Table, record_title, score


def overview_table(boards: Sequence[Board]) -> Table | None:
    """One row a method, MAP@R of one model and rank on every board; None where nothing is recorded.

    Boards differ in protocol, data or both, so their scores do not compare with each other, and no mean is made.
    """
    if not boards:
        return None
    titles = {record.method: record_title(record) for board in boards for record in board.records}
    heads = [f"{board.dataset_title}, {board.first.protocol_title}" for board in boards]
    columns = [Column("Method", number=False)]
    for head in heads:
        columns += [
            Column("MAP@R", head, alone=f"MAP@R ({head})"),
            Column("Rank", head, alone=f"Rank ({head})"),
        ]
    rows = []
    for method, title in titles.items():
        cells = [cell for board in boards for cell in _on(board, method)]
        rows.append(Row(method, TUNED, (Cell(title), *cells)))
    note = (
        "Percent, MAP@R of one model with the half width of Student's 95 % interval over repetitions. Scores compare "
        "within a board, not between boards, and no mean over boards is made. Bold: not separable from the best."
        f"{agreements(boards)}"
    )
    return Table("Overview", tuple(columns), tuple(rows), note)


def _on(board: Board, method: str) -> tuple[Cell, Cell]:
    """A method's score and rank on a board; a dash where it is not there, its status where it is not whole."""
    if (method, TUNED) not in board.frame.index:
        return Cell(words.NONE), Cell(words.NONE)
    row = board.row(method, TUNED)
    link = f"{board.slug}/entry/{method}.html"
    if row["status"] != "complete":
        return Cell(str(row["status"]), link=link), Cell(words.NONE)
    rank = words.rank(row["rank_low"], row["rank_high"])
    mean = score(row, f"separated_{VERDICT}", strong=bool(row["best"]))
    return replace(mean, link=link), Cell(rank, key=words.number(row["rank_low"]))


#: Fewer shared methods than this say nothing about the agreement of two orders.
SHARED = 5


def agreements(boards: Sequence[Board]) -> str:
    """How far two protocols on the same split order their methods alike, in words; "" where too few are shared."""
    said = []
    for one, other in combinations(boards, 2):
        if one.first.split != other.first.split:
            continue
        shared = [method for method in one.compared if method in other.compared]
        if len(shared) >= SHARED:
            scores = [[float(b.row(m, TUNED)[f"separated_{VERDICT}"]) for m in shared] for b in (one, other)]
            said.append(
                f" Of {len(shared)} methods on {one.dataset_title}, the orders by MAP@R under "
                f"{one.first.protocol_title} and {other.first.protocol_title} agree with Kendall's tau "
                f"{kendall(*scores):.2f}."
            )
    return "".join(said)


def kendall(a: Sequence[float], b: Sequence[float]) -> float:
    """Kendall's tau-a: pairs in one order minus pairs in the opposite one, over all pairs (Biometrika 1938)."""
    pairs = list(combinations(range(len(a)), 2))
    return sum(_sign(a[i] - a[j]) * _sign(b[i] - b[j]) for i, j in pairs) / len(pairs)


def _sign(value: float) -> int:
    return (value > 0) - (value < 0)
