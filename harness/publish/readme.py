"""Boards inside a README: what stands between `<!-- board: PROTOCOL/DATASET -->` and `<!-- /board -->` is drawn."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from harness.publish.markdown import LEADERBOARD, table_text
from harness.publish.rows import Board
from harness.publish.scores import TUNED
from harness.publish.site import POINTS
from harness.publish.tables import BRACKET, Table, study_table
from harness.publish.words import plural

#: Entries of a board that a README shows: those that stand first.
MOST = 20

BLOCK = re.compile(r"<!-- board: (?P<slug>\S+) -->\n.*?<!-- /board -->", re.DOTALL)


def refreshed(text: str, boards: Sequence[Board], site: str) -> str:
    """The README with its boards drawn anew; where no record makes a board, it says so.

    site: the site's folder, as the README says it.
    """
    return BLOCK.sub(lambda block: _block(block["slug"], boards, site), text)


def narrow(table: Table) -> Table:
    """Rank, method, ties and the scores of one model, which fit a README and a terminal; the rest is on the board."""
    shown = [column.name for column in table.columns].index(BRACKET)
    rows = tuple(replace(row, cells=row.cells[:shown]) for row in table.rows)
    return replace(table, columns=table.columns[:shown], rows=rows)


def shortened(table: Table) -> Table:
    """The entries alone, without the rows of their published values, and of those no more than a README bears."""
    return replace(table, rows=tuple(row for row in table.rows if row.variant == TUNED)[:MOST])


def _block(slug: str, boards: Sequence[Board], site: str) -> str:
    board = next((board for board in boards if board.slug == slug), None)
    if board is None:
        return f"<!-- board: {slug} -->\n*No records make this board here.*\n<!-- /board -->"
    whole = narrow(study_table(board))
    table = shortened(whole)
    more = sum(row.variant == TUNED for row in whole.rows) - len(table.rows)
    others = f"{plural(more, 'entry')} more, and the rows" if more else "The rows"
    parts = (
        f"<!-- board: {slug} -->\n**{table.title}**",
        f"![MAP@R of every entry, with its intervals]({site}/{slug}/{POINTS})",
        table_text(table),
        f"{others} of published loss values: [{LEADERBOARD}]({site.rpartition('/')[0]}/{LEADERBOARD}).",
    )
    return "\n\n".join(parts) + "\n<!-- /board -->"
