"""Published numbers as pages: everything that papers and repositories print of a dataset, beside what was measured.

They are never ranked, and each row says why it does not compare with a measured one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from harness.publish import words
from harness.publish.reported import README, read_reported
from harness.publish.rows import Board
from harness.publish.scores import TUNED
from harness.publish.tables import Cell, Column, Row, Table, metric_name, score

#: The files of published numbers, and the datasets that get a page of them.
FILES = (README, "papers.csv", "reality_check.csv")
TITLES = {
    "cub": "CUB-200-2011",
    "cars": "Cars196",
    "sop": "Stanford Online Products",
    "inshop": "In-Shop Clothes",
}
#: What the Reality Check chose on validation classes; anybody else's choice is unknown or was made on the test classes.
STUDY_RECIPE = "reality_check"
#: Rows without a year come last.
UNDATED = 9999
#: Numbers that agree in these columns stand in one row.
ONE_ROW = ["method", "plugin", "paper", "year", "recipe", "backbone", "dimension", "source", "note"]


def read_all(results: Path) -> pd.DataFrame:
    """Every published number."""
    return pd.concat([read_reported(results, file) for file in FILES], ignore_index=True)


@dataclass(frozen=True)
class Line:
    """The numbers of one method as one source prints them, by (metric, k); k is 0 where the metric has none."""

    facts: dict[str, Any]
    values: dict[tuple[str, int], float]


def lines_of(numbers: pd.DataFrame, dataset: str) -> list[Line]:
    """One line a method, setting and source, by year and then by name."""
    here = numbers[numbers["dataset"] == dataset].astype(object)
    lines: dict[tuple[Any, ...], Line] = {}
    for row in here.where(here.notna(), None).to_dict(orient="records"):
        facts = {name: row[name] for name in ONE_ROW}
        line = lines.setdefault(tuple(facts.values()), Line(facts, {}))
        line.values[str(row["metric"]), int(row["k"] or 0)] = float(row["value"])
    return sorted(
        lines.values(), key=lambda line: (line.facts["year"] or UNDATED, *map(str, line.facts.values()))
    )


def reasons(line: Line, backbone: str = "", dimension: int = 0) -> str:
    """Why a published line does not compare with a measured row; with a board's backbone and size, those too."""
    facts, said = line.facts, []
    recipe = str(facts["recipe"] or "")
    if facts["backbone"] is None:
        said.append("backbone not stated")
    elif backbone and _plain(facts["backbone"]) != _plain(backbone):
        said.append(f"other backbone ({facts['backbone']})")
    if facts["dimension"] is None:
        said.append("size not stated")
    elif dimension and int(facts["dimension"]) != dimension:
        said.append(f"other size ({int(facts['dimension'])}-d)")
    if "joined" in recipe or "joined" in str(facts["note"] or ""):
        said.append("an ensemble of the folds' models")
    if "validation" in recipe:
        said.append("on validation classes")
    if " by " in recipe:
        said.append("another implementation of the protocol")
    if not recipe.startswith(STUDY_RECIPE):
        said.append("choice of the model not stated")
    return "; ".join(said)


def _plain(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())


def papers_table(numbers: pd.DataFrame, dataset: str) -> Table:
    """Everything that is published of a dataset, one row a method, setting and source."""
    lines = lines_of(numbers, dataset)
    metrics = _metrics(lines)
    rows = tuple(Row("", "reported", _cells(line, metrics, reasons(line))) for line in lines)
    note = (
        "Percent, as printed by the source; nothing here was measured by this program, nothing is ranked, and rows "
        "differ in backbone, size, recipe and choice of the model, so they do not compare with each other either. "
        "Where the choice of the model is not stated, it was in this field usually made on the test classes."
    )
    return Table(TITLES[dataset], _columns(metrics, "reported"), rows, note)


def _columns(metrics: Sequence[tuple[str, int]], group: str = "") -> tuple[Column, ...]:
    return (
        Column("Method", number=False), Column("Year"), Column("Backbone", number=False), Column("Size"),
        *(Column(_head(metric), group) for metric in metrics),
        Column("Not comparable: why", number=False), Column("Source", number=False),
    )  # fmt: skip


def _metrics(lines: Iterable[Line]) -> list[tuple[str, int]]:
    there = {key for line in lines for key in line.values}
    order = ("recall", "precision_at_1", "r_precision", "map_at_r", "validation_map_at_r")
    return sorted(there, key=lambda key: (order.index(key[0]), key[1]))


def _head(metric: tuple[str, int]) -> str:
    name, k = metric
    if name == "recall":
        return f"R@{k}"
    return "MAP@R, validation" if name.startswith("validation") else metric_name(name)


def _cells(line: Line, metrics: Sequence[tuple[str, int]], why: str) -> tuple[Cell, ...]:
    facts = line.facts
    year, size = facts["year"], facts["dimension"]
    source = "; ".join(str(facts[name]) for name in ("source", "recipe", "note") if facts[name])
    return (
        Cell(str(facts["method"])),
        Cell(words.NONE if year is None else str(int(year)), key=None if year is None else float(year)),
        Cell(str(facts["backbone"] or words.NONE)),
        Cell(words.NONE if size is None else f"{int(size)}-d", key=None if size is None else float(size)),
        *(Cell(words.percent(line.values.get(metric)), key=line.values.get(metric)) for metric in metrics),
        Cell(why),
        Cell(source),
    )


def beside_table(board: Board, numbers: pd.DataFrame) -> Table | None:
    """Each measured method and what is published of it on the same data; None for partial data, or without any.

    A partial copy poses another question, so no published number stands beside it.
    """
    if board.first.partial or board.first.dataset_name not in TITLES:
        return None
    by_method: dict[str, list[Line]] = {}
    for line in lines_of(numbers, board.first.dataset_name):
        by_method.setdefault(str(line.facts["plugin"]), []).append(line)
    metrics = [("recall", k) for k in board.first.recall_at] + [("map_at_r", 0)]
    rows = []
    for record in board.complete:
        if lines := by_method.get(record.method, []):
            rows.append(Row(record.method, TUNED, _measured(board, record.method, metrics)))
            whys = [reasons(line, board.first.backbone, board.dimension) for line in lines]
            rows += [
                Row("", "reported", _cells(line, metrics, why)) for line, why in zip(lines, whys, strict=True)
            ]
    note = "Percent. Measured rows carry ± and a link; the rows below each are what others print of the same method."
    return Table(f"{board.title}, beside the papers", _columns(metrics), tuple(rows), note) if rows else None


def _measured(board: Board, method: str, metrics: Sequence[tuple[str, int]]) -> tuple[Cell, ...]:
    row = board.row(method, TUNED)
    names = [
        f"separated_recall_at_{k}" if metric == "recall" else f"separated_{metric}" for metric, k in metrics
    ]
    return (
        Cell(str(row["title"]), strong=True),
        Cell(str(row["year"]), key=float(row["year"])),
        Cell(board.first.backbone),
        Cell(f"{board.dimension}-d", key=float(board.dimension)),
        *(score(row, name) for name in names),
        Cell("measured here"),
        Cell(words.NONE),
    )
