"""The static site: an index over boards, a page a board, a page an entry. No script or style from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from harness.publish import curves, figures, scales, words
from harness.publish.exports import spans
from harness.publish.flags import bound_of, flags
from harness.publish.markdown import by_protocol
from harness.publish.reported import LAYOUTS
from harness.publish.rows import STUDY, TUNED, VERDICT, Board
from harness.publish.tables import (
    Cell,
    Column,
    Row,
    Table,
    metric_name,
    recall_table,
    reported_table,
    row_notes,
    side_by_side,
    study_table,
)
from harness.record import Record, Run

TEMPLATES = Path(__file__).parent / "templates"
#: Sorts joined runs behind every fold.
LAST = 1e6


def site_pages(boards: Sequence[Board], reported: pd.DataFrame) -> dict[str, str]:
    """Every page, by its path under `results/site`."""
    environment = _environment()
    pages = {"index.html": _index(environment, boards, reported)}
    for board in boards:
        pages[f"{board.slug}/index.html"] = _board(environment, board)
        for record in board.records:
            pages[f"{board.slug}/entry/{record.method}.html"] = _entry(environment, board, record)
    return pages


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "at": lambda position: f"{position:.1f}", "percent": words.percent, "setting": words.setting,
        "duration": words.duration, "short": scales.short, "metric": metric_name, "path": _path,
        "slug": lambda text: "".join(c if c.isalnum() else "-" for c in text.lower()),
    }  # fmt: skip
    environment.globals |= {"inline": _inline} | {"spans": spans, "width": float(scales.WIDTH)}
    return environment


def _inline(file: str) -> Markup:
    """The site's own style or script, which goes into a page as it is."""
    return Markup((TEMPLATES / file).read_text(encoding="utf-8"))


def _path(points: Sequence[tuple[float, float]]) -> str:
    """A polyline's points."""
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


# -- the index ---------------------------------------------------------------------------------------


def _index(environment: Environment, boards: Sequence[Board], reported: pd.DataFrame) -> str:
    families = []
    for layout in LAYOUTS:
        names = [name for name, _, _ in layout.columns]
        whole = [b for b in boards if not b.first.partial and b.first.dataset_name in names]
        measured = []
        for group in by_protocol(whole):
            by_name = {board.first.dataset_name: board for board in group}
            measured.append(side_by_side(layout, [by_name.get(name) for name in names]))
        families.append((layout.title, measured, reported_table(layout, reported)))
    template = environment.get_template("index.html")
    return template.render(boards=boards, families=families, leaders=leaders, top=top, root="")


def leaders(board: Board) -> list[str]:
    """Titles of the entries that are not separable from the best."""
    return [str(title) for title in board.frame.loc[board.frame["best"], "title"]]


def top(board: Board) -> str:
    """The highest separated MAP@R with its seed interval."""
    row = board.frame.iloc[0]
    name = f"separated_{VERDICT}"
    return words.with_margin(row.get(name), row.get(f"{name}_seed_low"), row.get(f"{name}_seed_high"))


# -- a board -----------------------------------------------------------------------------------------


def _board(environment: Environment, board: Board) -> str:
    return environment.get_template("board.html").render(
        board=board,
        table=wide_table(board),
        points=figures.points(board),
        changes=figures.changes(board),
        budget=curves.budget(board),
        matrix=figures.matrix(board),
        root="../../",
    )


def wide_table(board: Board) -> Table:
    """The study table with Recall@K and the entry's time between its scores and its notes."""
    study, recall = study_table(board), recall_table(board)
    extra = tuple(Column(column.name, "Recall@K of one model") for column in recall.columns[1:])
    columns = (*study.columns[:-1], *extra, Column("Time"), study.columns[-1])
    rows = tuple(
        Row(row.method, row.variant, (*row.cells[:-1], *other.cells[1:], _time(board, row), row.cells[-1]))
        for row, other in zip(study.rows, recall.rows, strict=True)
    )
    return Table(study.title, columns, rows, study.note)


def _time(board: Board, row: Row) -> Cell:
    seconds = board.row(row.method, row.variant).get("seconds_total")
    return Cell(words.duration(seconds), key=words.number(seconds))


# -- an entry ----------------------------------------------------------------------------------------


def _entry(environment: Environment, board: Board, record: Record) -> str:
    row = board.row(record.method, TUNED)
    return environment.get_template("entry.html").render(
        board=board,
        record=record,
        notes=row_notes(row),
        flags=flags(record),
        rank=words.rank(row["rank_low"], row["rank_high"]),
        summary=list(_summary(board, row)),
        settings=list(_settings(record)),
        history=curves.history(record),
        curves=curves.learning(record),
        runs=_run_table(record.runs, board),
        published=_run_table(record.published_runs, board),
        environment_facts=list(_facts(record.environment)),
        link=safe_link(record.paper.link),
        root="../../../",
    )


def _summary(board: Board, row: pd.Series[Any]) -> Iterator[tuple[str, str, str]]:
    """(metric, mean with its seed interval, interval over seeds and classes) of one model."""
    for metric in (*reversed(STUDY), *board.recall):
        name = f"separated_{metric}"
        mean = words.with_margin(row.get(name), row.get(f"{name}_seed_low"), row.get(f"{name}_seed_high"))
        if mean != words.NONE:
            yield metric_name(metric), mean, words.bracket(row.get(f"{name}_low"), row.get(f"{name}_high"))


def _settings(record: Record) -> Iterator[tuple[str, str, str, list[tuple[str, str]]]]:
    """(name, published value, range, each search's chosen value with the bound that it lies at)."""
    chosen = [s.trials[s.chosen].values for s in record.searches if s.chosen is not None]
    for name, value in record.published.items():
        space = record.space.get(name, {})
        found = [(words.setting(v[name]), bound_of(space, v[name])) for v in chosen if name in v]
        yield name, words.setting(value), _range(space), found


def _range(space: dict[str, Any]) -> str:
    if "choices" in space:
        return ", ".join(words.setting(choice) for choice in space["choices"])
    if "low" not in space:
        return "not searched"
    log = ", logarithmic" if space.get("log") else ""
    return f"{words.setting(space['low'])} to {words.setting(space['high'])}{log}"


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


def _facts(facts: dict[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """Nested facts as a flat list."""
    for name, value in facts.items():
        if isinstance(value, dict):
            yield from _facts(value, f"{before}{name} ")
        else:
            yield (before + name).replace("_", " "), words.setting(value)


def safe_link(link: str) -> str:
    """The link where it leads to the web, else nothing: no script hides behind a paper."""
    return link if link.startswith(("https://", "http://")) else ""
