"""A board as lines for the terminal."""

from __future__ import annotations

from pathlib import Path

from tabulate import tabulate

from harness.publish.readme import narrow
from harness.publish.rows import read_boards
from harness.publish.tables import study_table
from harness.publish.words import printable

READING = (
    "Percent. ± covers repetitions alone. Rank and ties (a shared letter: cannot be told apart) come from one\n"
    "comparison of the whole table on MAP@R, over seeds, searches and test classes; the page says more."
)

#: The checkout's own boards stand in its README too.
OWN_RESULTS, README = "results", "README.md"


def readme_of(results: Path) -> Path | None:
    """The README whose boards are drawn from these results; None for results kept elsewhere."""
    readme = results.resolve().parent / README
    return readme if results.name == OWN_RESULTS and readme.is_file() else None


def board_text(results: Path, protocol: str, dataset: str) -> str:
    """The boards of one protocol and dataset; "" where nothing is recorded yet."""
    boards = [b for b in read_boards(results) if (b.first.protocol, b.first.dataset) == (protocol, dataset)]
    texts = []
    for board in boards:
        table = narrow(study_table(board))
        heads = [column.name for column in table.columns]
        rows = [[printable(cell.text) for cell in row.cells] for row in table.rows]
        texts.append(
            f"{printable(table.title)}\n\n{tabulate(rows, heads, disable_numparse=True)}\n\n{READING}"
        )
    return "\n\n".join(texts)
