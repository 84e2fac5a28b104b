"""A board for other programs and for papers: CSV, JSON and LaTeX, from the same rows as the pages."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from harness.publish import words
from harness.publish.rows import Board
from harness.publish.tables import Cell, Column, Table, recall_table, study_table


def board_csv(board: Board) -> str:
    """Every column of the frame; scores as fractions with six decimals, empty where nothing is known."""
    return board.frame.to_csv(index=False, float_format="%.6f", lineterminator="\n")


def board_json(board: Board) -> str:
    """What the board holds equal, and its rows; scores as fractions, null where nothing is known."""
    first = board.first
    held = {
        "title": board.title, "dataset": first.dataset, "partial": first.partial, "protocol": first.protocol,
        "protocol_digest": first.protocol_digest, "split": first.split, "backbone": first.backbone,
        "embedding_size": board.dimension, "folds": board.folds, "test_classes": first.test.classes,
        "test_images": first.test.images,
    }  # fmt: skip
    rows = [
        {name: _plain(value) for name, value in row.items()} for row in board.frame.to_dict(orient="records")
    ]
    return json.dumps({**held, "rows": rows}, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _plain(value: Any) -> Any:
    """A frame's cell as JSON has it, with six decimals."""
    if words.missing(value):
        return None
    if hasattr(value, "item"):
        value = value.item()
    return round(value, 6) if isinstance(value, float) else value


# -- any table ---------------------------------------------------------------------------------------


def table_csv(table: Table) -> str:
    """A table's cells as they are shown; scores in percent."""
    content = io.StringIO()
    writer = csv.writer(content, lineterminator="\n")
    writer.writerow(column.alone or column.name for column in table.columns)
    writer.writerows([cell.text for cell in row.cells] for row in table.rows)
    return content.getvalue()


def table_json(table: Table) -> str:
    """A table's title, note and rows; a cell as it is shown, under its column's name."""
    heads = [column.alone or column.name for column in table.columns]
    rows = [dict(zip(heads, (cell.text for cell in row.cells), strict=True)) for row in table.rows]
    told = {"title": table.title, "note": table.note, "rows": rows}
    return json.dumps(told, indent=1, ensure_ascii=False) + "\n"


# -- LaTeX ------------------------------------------------------------------------------------------

#: Columns of words that would burst a page; what they say stands below the table.
NOTES = "Notes"


def board_latex(board: Board) -> str:
    """The board's tables for a paper; they need `\\usepackage{booktabs,graphicx}` and UTF-8."""
    return latex(study_table(board)) + "\n" + latex(recall_table(board))


def latex(table: Table) -> str:
    """A table as a float in booktabs style that fits the page, its note as the caption, its rows' notes below."""
    shown = [i for i, column in enumerate(table.columns) if column.name != NOTES]
    columns = tuple(table.columns[i] for i in shown)
    align = "".join("r" if column.number else "l" for column in columns)
    lines = [
        r"\begin{table}", r"\centering", rf"\caption{{{_escape(table.title)}. {_escape(table.note)}}}",
        r"\resizebox{\textwidth}{!}{%",
        rf"\begin{{tabular}}{{@{{}}{align}@{{}}}}", r"\toprule", *_group_lines(columns),
        _line(_escape(column.name) for column in columns), r"\midrule",
        *(_line(_cell(row.cells[i]) for i in shown) for row in table.rows),
        r"\bottomrule", r"\end{tabular}}", *_notes(table), r"\end{table}",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _notes(table: Table) -> Iterator[str]:
    """One paragraph below the table: `XBM: not converged.`"""
    names = [column.name for column in table.columns]
    if NOTES not in names:
        return
    notes, methods = names.index(NOTES), names.index("Method")
    for row in table.rows:
        if row.cells[notes].text:
            said = f"{row.cells[methods].text}: {row.cells[notes].text}."
            yield rf"\par\footnotesize {_escape(said)}"


def _line(cells: Any) -> str:
    return " & ".join(cells) + r" \\"


def spans(columns: tuple[Column, ...]) -> list[tuple[str, int]]:
    """Neighbouring columns of one group, as (group, number of columns)."""
    return [(group, len(list(members))) for group, members in groupby(column.group for column in columns)]


def _group_lines(columns: tuple[Column, ...]) -> list[str]:
    groups = spans(columns)
    if all(not group for group, _ in groups):
        return []
    heads, rules, start = [], [], 1
    for group, width in groups:
        heads.append(rf"\multicolumn{{{width}}}{{c}}{{{_escape(group)}}}")
        if group:
            rules.append(rf"\cmidrule(lr){{{start}-{start + width - 1}}}")
        start += width
    return [_line(heads), " ".join(rules)]


def _cell(cell: Cell) -> str:
    text = _escape(cell.text)
    return rf"\textbf{{{text}}}" if cell.strong else text


LATEX = str.maketrans({
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "_": r"\_",
    "%": r"\%", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}",
    ">": r"\textgreater{}",
    "±": r"$\pm$", "–": "--", "—": "---", "→": r"$\to$", "\n": " ",
    # A bracket after `\\` would be read as the row's extra height.
    "[": "{[}", "]": "{]}",
})  # fmt: skip


def _escape(text: str) -> str:
    return text.translate(LATEX)
