"""A board as lines for the terminal."""

from __future__ import annotations

from pathlib import Path

from tabulate import tabulate

from harness.publish.rows import read_boards
from harness.publish.tables import study_table

#: Rank, method, ties, and the three separated scores; the page has the rest.
COLUMNS = 6


def board_text(results: Path, protocol: str, dataset: str) -> str:
    """The boards of one protocol and dataset; "" where nothing is recorded yet."""
    boards = [b for b in read_boards(results) if (b.first.protocol, b.first.dataset) == (protocol, dataset)]
    texts = []
    for board in boards:
        table = study_table(board)
        heads = [column.name for column in table.columns[:COLUMNS]]
        rows = [[cell.text for cell in row.cells[:COLUMNS]] for row in table.rows]
        texts.append(
            f"{table.title}\n\n{tabulate(rows, heads, disable_numparse=True)}\n\n{_reading(table.note)}"
        )
    return "\n\n".join(texts)


def _reading(note: str) -> str:
    return note.split("\n")[0]
