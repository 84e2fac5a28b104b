"""An entry's page: what was chosen, how it was found, what it gets right and wrong, and what made it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from harness.publish import curves, words
from harness.publish.flags import flags
from harness.publish.gallery import gallery
from harness.publish.maps import embedding_map
from harness.publish.properties import property_list
from harness.publish.recommended import settings_of, snippet, spread_of_choices, tunability
from harness.publish.rows import Board
from harness.publish.scores import STUDY, TUNED, VERDICT
from harness.publish.shown import Shown
from harness.publish.sizes import sized
from harness.publish.tables import Cell, Column, Row, Table, metric_name, row_notes, widening_note
from harness.record import Record, Run

#: Sorts joined runs behind every fold.
LAST = 1e6


def entry_facts(board: Board, record: Record, shown: Shown | None, sheet: str | None) -> dict[str, Any]:
    """All that the template of an entry asks for. sheet: the file of the board's pictures, where there is one."""
    row = board.row(record.method, TUNED)
    return {
        "board": board,
        "record": record,
        "notes": row_notes(row),
        "flags": flags(record),
        "rank": words.rank(row["rank_low"], row["rank_high"]),
        "summary": list(_summary(board, row)),
        "widening": widening_note([board]),
        "settings": settings_of(record),
        "agreement": spread_of_choices(record),
        "tunability": tunability(record),
        "snippet": snippet(record),
        "history": curves.history(record),
        "curves": curves.learning(record),
        "sized": sized(board, record),
        "gallery": gallery(board, record, shown),
        "sheet": sheet,
        "map": embedding_map(board, record.method),
        "properties": property_list(board.arrays[record.method]),
        "rivals": rivals(board, record),
        "runs": _run_table(record.runs, board),
        "published": _run_table(record.published_runs, board),
        "environment_facts": list(_facts(record.environment)),
        "link": safe_link(record.paper.link),
    }


def rivals(board: Board, record: Record) -> list[tuple[str, str]]:
    """(method, title) of the other entries with scores, best first."""
    return [(other.method, other.method_title) for other in board.complete if other.method != record.method]


def _summary(board: Board, row: pd.Series[Any]) -> Iterator[tuple[str, str, str]]:
    """(metric, mean with its seed interval, interval over seeds and classes) of one model."""
    for metric in (*reversed(STUDY), *board.recall):
        name = f"separated_{metric}"
        mean = words.with_margin(row.get(name), row.get(f"{name}_seed_low"), row.get(f"{name}_seed_high"))
        if mean != words.NONE:
            yield metric_name(metric), mean, words.bracket(row.get(f"{name}_low"), row.get(f"{name}_high"))


def _run_table(runs: Sequence[Run], board: Board) -> Table | None:
    """Every run's numbers, in the order in which they were made."""
    if not runs:
        return None
    names = [name for name in (*reversed(STUDY), *board.recall) if name in runs[0].metrics]
    columns = (
        Column("Seed"), Column("Search"), Column("Fold"),
        *(Column(metric_name(name), "test classes") for name in names),
        Column("Validation", "kept epoch"), Column("Epoch", "kept epoch"), Column("Ended", number=False),
        Column("Time"),
    )  # fmt: skip
    rows = tuple(Row("", "run", _run_cells(run, names)) for run in runs)
    return Table("", columns, rows, "")


def _run_cells(run: Run, names: Sequence[str]) -> tuple[Cell, ...]:
    validation = run.validation.get(VERDICT)
    return (
        Cell(str(run.seed), key=run.seed),
        Cell(words.NONE if run.search is None else str(run.search + 1), key=run.search),
        Cell("joined" if run.fold is None else str(run.fold + 1), key=LAST if run.fold is None else run.fold),
        *(Cell(words.percent(run.metrics[name]), key=run.metrics[name]) for name in names),
        Cell(words.percent(validation), key=validation),
        Cell(words.NONE if run.best_epoch is None else str(run.best_epoch), key=run.best_epoch),
        Cell(run.ended or words.NONE),
        Cell(words.duration(run.seconds), key=run.seconds),
    )


def _facts(facts: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """Nested facts as a flat list."""
    for name, value in facts.items():
        if isinstance(value, dict):
            yield from _facts(value, f"{before}{name} ")
        else:
            yield (before + name).replace("_", " "), words.setting(value)


def safe_link(link: str) -> str:
    """The link where it leads to the web, else nothing: no script hides behind a paper."""
    return link if link.startswith(("https://", "http://")) else ""
