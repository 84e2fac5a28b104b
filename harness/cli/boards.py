"""A board as lines for the terminal."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

from tabulate import tabulate

from harness.publish.readme import narrow
from harness.publish.rows import Board, read_boards
from harness.publish.scores import TUNED
from harness.publish.tables import Row, Table, study_table
from harness.publish.words import printable

READING = (
    "Percent. ± covers repetitions alone. Rank and ties (a shared letter: cannot be told apart) come from one "
    "comparison of the whole table on MAP@R, over seeds, searches and test classes; the page says more."
)

#: The checkout's own boards stand in its README too.
OWN_RESULTS, README = "results", "README.md"


def readme_of(results: Path) -> Path | None:
    """The README whose boards are drawn from these results; None for results kept elsewhere."""
    readme = results.resolve().parent / README
    return readme if results.name == OWN_RESULTS and readme.is_file() else None


def width_of(stream: TextIO) -> int | None:
    """Columns of the terminal that a stream writes to; None where it is none, and lines may be as long as they like."""
    return shutil.get_terminal_size().columns if stream.isatty() else None


def board_text(results: Path, protocol: str, dataset: str, width: int | None = None) -> str:
    """The boards of one protocol and dataset; "" where nothing is recorded yet.

    width: columns that there are; a table that needs more has methods' names for their titles.
    """
    boards = [b for b in read_boards(results) if (b.first.protocol, b.first.dataset) == (protocol, dataset)]
    return "\n\n".join(_text(board, width) for board in boards)


def _text(board: Board, width: int | None) -> str:
    table = narrow(study_table(board))
    drawn = _drawn(table, [[cell.text for cell in row.cells] for row in table.rows])
    reading = textwrap.fill(READING, 110)
    if width is not None and width < max(map(len, drawn.splitlines())):
        drawn = _drawn(table, [[*_with_name(row)] for row in table.rows])
        reading = textwrap.fill(READING, width)
    return f"{printable(table.title)}\n\n{drawn}\n\n{reading}"


def _drawn(table: Table, rows: Sequence[Sequence[str]]) -> str:
    heads = [column.name for column in table.columns]
    return tabulate([[printable(text) for text in row] for row in rows], heads, disable_numparse=True)


def _with_name(row: Row) -> Iterator[str]:
    """A row's cells with the method's name in the place of its title."""
    rank, _, *others = (cell.text for cell in row.cells)
    yield from (rank, row.method if row.variant == TUNED else f"{row.method}, {row.variant}", *others)
