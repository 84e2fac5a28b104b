"""`results/LEADERBOARD.md`: all boards as Markdown; reported numbers stand apart, beside whole data only."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence

import pandas as pd
from tabulate import tabulate

from harness.publish import words
from harness.publish.overview import overview_table
from harness.publish.reported import LAYOUTS, Layout
from harness.publish.rows import Board
from harness.publish.submitted import submitted_table
from harness.publish.tables import (
    Cell,
    Table,
    recall_table,
    reported_table,
    side_by_side,
    study_table,
)

#: The page's name in the results folder.
LEADERBOARD = "LEADERBOARD.md"
HEAD = """# Leaderboard

Drawn from `results/records` and `results/reported` by `python run_benchmark.py leaderboard`; edit neither
this page nor the site. The same tables to sort, with figures and a page for every entry:
[site/index.html](site/index.html). All that is published of
[CUB](site/reported/cub.html), [Cars](site/reported/cars.html), [SOP](site/reported/sop.html) and
[In-Shop](site/reported/inshop.html), number by number, stands there too.
"""


def leaderboard(boards: Sequence[Board], reported: pd.DataFrame) -> str:
    """The whole page."""
    parts = [HEAD]
    overview = overview_table(boards)
    if overview is not None:
        parts += ["## All methods on all boards\n", _section(overview)]
    told = {name for layout in LAYOUTS for name in layout.datasets}
    others = [board for board in boards if board.first.dataset_name not in told]
    for title in dict.fromkeys(board.first.dataset_title for board in others):
        parts.append(f"## {escaped(title)}\n")
        for board in others:
            if board.first.dataset_title == title:
                parts += _board(board, with_recall=True)
    for layout in LAYOUTS:
        parts += _family(layout, boards, reported)
    return "\n".join(parts)


def _family(layout: Layout, boards: Sequence[Board], reported: pd.DataFrame) -> Iterator[str]:
    """Datasets that the field prints side by side: measured whole, reported, then each board in full."""
    mine = [board for name in layout.datasets for board in boards if board.first.dataset_name == name]
    whole = [board for board in mine if not board.first.partial]
    yield f"## {layout.title}\n"
    yield "### Recall@K, measured on the whole data\n"
    if not whole:
        yield "Nothing is measured on the whole data yet.\n"
    for group in by_protocol(whole):
        yield _section(side_by_side(layout, group), heading=True)
    yield "### Recall@K, reported by the papers\n"
    yield _section(reported_table(layout, reported))
    for board in mine:
        yield from _board(board, with_recall=board.first.partial)


def by_protocol(boards: Sequence[Board]) -> list[list[Board]]:
    """Boards that may stand side by side: one protocol digest, one backbone, each dataset once."""
    groups: dict[tuple[str, ...], list[Board]] = {}
    for board in boards:
        first = board.first
        key: tuple[str, ...] = (first.protocol, first.protocol_digest, first.backbone)
        # A second split of one dataset cannot share its columns and gets a table of its own.
        if any(other.first.dataset_name == first.dataset_name for other in groups.get(key, ())):
            key = (*key, first.split)
        groups.setdefault(key, []).append(board)
    return list(groups.values())


def _board(board: Board, with_recall: bool) -> Iterator[str]:
    yield f"### {escaped(board.title)}\n"
    if board.first.partial:
        development, test = board.first.development, board.first.test
        yield (
            f"Partial: {development.classes} development and {test.classes} test classes ({test.images} test "
            "images) are here, so nothing below compares with numbers on the whole data.\n"
        )
    if with_recall:
        yield _section(recall_table(board))
    yield _section(study_table(board))
    submitted = submitted_table(board)
    if submitted is not None:
        yield _section(submitted, heading=True)


def _section(table: Table, heading: bool = False) -> str:
    """A table with its note below it, under its title where asked for."""
    head = f"#### {escaped(table.title)}\n\n" if heading else ""
    return f"{head}{table_text(table)}\n\n{escaped(table.note)}\n"


def table_text(table: Table) -> str:
    """A table as GitHub's Markdown."""
    head = [escaped(column.alone or column.name) for column in table.columns]
    body = [[_cell(cell) for cell in row.cells] for row in table.rows]
    align = ["right" if column.number else "left" for column in table.columns]
    return tabulate(body, head, tablefmt="pipe", colalign=align if body else None, disable_numparse=True)


def _cell(cell: Cell) -> str:
    text = escaped(cell.text)
    return f"**{text}**" if cell.strong else text


def escaped(text: str) -> str:
    """Text that Markdown shows as it is: no markup, no HTML, no broken table."""
    text = html.escape(words.printable(text), quote=False)
    return re.sub(r"([\\`*_|~]|\[(?=[^\]]*\]\())", r"\\\1", text)
