"""The static site: an index over boards, a page a board, a page an entry. No script or style from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from harness.publish import curves, figures, scales, words
from harness.publish.data import board_script
from harness.publish.entry import entry_facts
from harness.publish.exports import board_csv, board_json, board_latex, latex, spans, table_csv, table_json
from harness.publish.markdown import by_protocol
from harness.publish.optimism import optimism
from harness.publish.overview import overview_table
from harness.publish.papers import TITLES, beside_table, papers_table
from harness.publish.power import power_note
from harness.publish.properties import property_table
from harness.publish.reported import LAYOUTS
from harness.publish.rows import Board
from harness.publish.scores import VERDICT
from harness.publish.shown import COLUMNS, sheet, shown_of
from harness.publish.sizes import sizes
from harness.publish.submitted import submitted_table
from harness.publish.tables import (
    Cell,
    Column,
    Row,
    Table,
    metric_name,
    recall_table,
    reported_table,
    side_by_side,
    study_table,
)
from harness.publish.years import years

TEMPLATES = Path(__file__).parent / "templates"
#: Files that every page loads.
ASSETS = ("style.css", "page.js")
#: A board's scores with their intervals, as a picture for other pages.
POINTS = "points.svg"
#: From an entry's page to the site's root.
BACK = "../../../"


def site_pages(
    boards: Sequence[Board], numbers: pd.DataFrame, reported: pd.DataFrame
) -> dict[str, str | bytes]:
    """Every file, by its path under `results/site`.

    numbers: everything published (`harness.publish.papers.read_all`); reported: of it, the Deep_Metric README's tables.
    """
    environment = _environment()
    pages: dict[str, str | bytes] = {name: (TEMPLATES / name).read_text(encoding="utf-8") for name in ASSETS}
    families, overview = families_of(boards, reported), overview_table(boards)
    pages["index.html"] = _index(environment, boards, families, overview)
    pages |= dict(_table_files(families, overview))
    for dataset in TITLES:
        table = papers_table(numbers, dataset)
        pages[f"reported/{dataset}.html"] = environment.get_template("papers.html").render(
            table=table, root="../"
        )
    for board in boards:
        pages |= {
            f"{board.slug}/{name}": content for name, content in _board_files(environment, board, numbers)
        }
    return pages


def _board_files(
    environment: Environment, board: Board, numbers: pd.DataFrame
) -> Iterator[tuple[str, str | bytes]]:
    """A board's page, its data and pictures, and a page for each of its entries."""
    yield "index.html", _board(environment, board, numbers)
    yield "board.csv", board_csv(board)
    yield "board.json", board_json(board)
    yield "board.tex", board_latex(board)
    if (points := figures.points(board)) is not None:
        yield POINTS, environment.get_template(POINTS).render(points=points).strip() + "\n"
    shown = shown_of(board)
    pictures = None if shown is None else sheet(board, shown)
    file = None if pictures is None else pictures[0]
    if pictures is not None:
        yield pictures
    yield "data.js", board_script(board, shown, file)
    template = environment.get_template("entry.html")
    for record in board.records:
        facts = entry_facts(board, record, shown, file)
        yield f"entry/{record.method}.html", template.render(**facts, root=BACK)


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
        "slug": slug,
    }  # fmt: skip
    environment.globals |= {"spans": spans, "width": float(scales.WIDTH), "columns": COLUMNS}
    return environment


def slug(text: str) -> str:
    """Words as a name for files and attributes."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _path(points: Sequence[tuple[float, float]]) -> str:
    """A polyline's points."""
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


# -- the index ---------------------------------------------------------------------------------------


def _index(
    environment: Environment, boards: Sequence[Board], families: Sequence[Family], overview: Table | None
) -> str:
    return environment.get_template("index.html").render(
        boards=boards,
        overview=overview,
        families=families,
        papers=TITLES,
        leaders=leaders,
        top=top,
        root="",
    )


@dataclass(frozen=True)
class Family:
    """Datasets that the field prints side by side: what was measured on whole data, and what is reported."""

    title: str
    measured: tuple[Table, ...]
    reported: Table


def families_of(boards: Sequence[Board], reported: pd.DataFrame) -> list[Family]:
    """The Recall@K tables of the Deep_Metric README, measured and reported."""
    found = []
    for layout in LAYOUTS:
        whole = [b for b in boards if not b.first.partial and b.first.dataset_name in layout.datasets]
        measured: list[Table] = []
        for group in by_protocol(whole):
            table = side_by_side(layout, group)
            if any(table.title == other.title for other in measured):
                first = group[0].first
                more = f"{table.title} (protocol {first.protocol_digest[:6]}, split {first.split[:6]})"
                table = replace(table, title=more)
            measured.append(table)
        found.append(Family(layout.title, tuple(measured), reported_table(layout, reported)))
    return found


def _table_files(families: Sequence[Family], overview: Table | None) -> Iterator[tuple[str, str]]:
    """Tables over several boards for other programs and for papers."""
    tables = {} if overview is None else {"overview": overview}
    for family in families:
        tables |= {slug(table.title): table for table in (*family.measured, family.reported)}
    for name, table in tables.items():
        yield f"tables/{name}.csv", table_csv(table)
        yield f"tables/{name}.json", table_json(table)
        yield f"tables/{name}.tex", latex(table)


def leaders(board: Board) -> list[str]:
    """Titles of the entries that are not separable from the best."""
    return [str(title) for title in board.frame.loc[board.frame["best"], "title"]]


def top(board: Board) -> str:
    """The highest separated MAP@R with its seed interval."""
    row = board.frame.iloc[0]
    name = f"separated_{VERDICT}"
    return words.with_margin(row.get(name), row.get(f"{name}_seed_low"), row.get(f"{name}_seed_high"))


# -- a board -----------------------------------------------------------------------------------------


def _board(environment: Environment, board: Board, numbers: pd.DataFrame) -> str:
    return environment.get_template("board.html").render(
        board=board,
        table=wide_table(board),
        points=figures.points(board),
        changes=figures.changes(board),
        budget=curves.budget(board),
        matrix=figures.matrix(board),
        power=power_note(board),
        sizes=sizes(board),
        optimism=optimism(board),
        years=years(board, numbers),
        properties=property_table(board),
        beside=beside_table(board, numbers),
        submitted=submitted_table(board),
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
