"""Tables in words: the cells that Markdown, LaTeX and HTML show, made once so that all three say the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from harness.contamination import contamination
from harness.publish import words
from harness.publish.reported import Layout, recalls
from harness.publish.rows import Board
from harness.publish.scores import PUBLISHED, STUDY, TUNED, VERDICT
from harness.record import Record

#: The column after the scores of one model.
BRACKET = "MAP@R over seeds and classes"
NAMES = {"precision_at_1": "P@1", "r_precision": "R-Precision", "map_at_r": "MAP@R"}


@dataclass(frozen=True)
class Column:
    """A column's name, and the group of columns that it stands in ("" for none).

    alone: its head where groups are not shown; "" when its name says enough.
    """

    name: str
    group: str = ""
    number: bool = True
    alone: str = ""


@dataclass(frozen=True)
class Cell:
    """What is shown, whether it is bold, and the number to sort by (None: sort by the text).

    link: a page of the site that the cell leads to, from its root; "" for none.
    """

    text: str
    strong: bool = False
    key: float | None = None
    link: str = ""


@dataclass(frozen=True)
class Row:
    """One line. method: the entry's name ("" for reported rows); variant: tuned, published or reported."""

    method: str
    variant: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Table:
    """A title, rows under columns, and a note on what the numbers are."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    note: str


def metric_name(metric: str) -> str:
    """`recall_at_10` -> `R@10`."""
    return NAMES.get(metric) or metric.replace("recall_at_", "R@")


def single(board: Board) -> str:
    """The head of columns on one model at a time."""
    return f"one model, {board.dimension}-d"


def ensemble(board: Board) -> str:
    """The head of columns on the folds' joined embedding, which is no single model's."""
    return f"ensemble of {board.folds}, {board.folds * board.dimension}-d"


# -- the Reality Check's table -----------------------------------------------------------------------


def study_table(board: Board) -> Table:
    """P@1, R-Precision and MAP@R, separated and joined, with intervals; verdicts on separated MAP@R alone."""
    columns = (
        Column("Rank"), Column("Method", number=False), Column("Ties", number=False),
        *(Column(metric_name(metric), single(board)) for metric in STUDY),
        Column(BRACKET, single(board)),
        *(
            Column(metric_name(metric), ensemble(board), alone=f"{metric_name(metric)} ({ensemble(board)})")
            for metric in STUDY
        ),
        Column("Notes", number=False),
    )  # fmt: skip
    rows = (Row(row["method"], row["variant"], _study_cells(row)) for _, row in board.frame.iterrows())
    return Table(board.title, columns, tuple(rows), study_note(board))


def _study_cells(row: pd.Series[Any]) -> tuple[Cell, ...]:
    best = bool(row["best"])
    low, high = row.get(f"separated_{VERDICT}_low"), row.get(f"separated_{VERDICT}_high")
    return (
        Cell(words.rank(row["rank_low"], row["rank_high"]), key=words.number(row["rank_low"])),
        Cell(row_title(row), best),
        Cell(str(row["letters"]) or words.NONE),
        *(score(row, f"separated_{metric}", strong=best and metric == VERDICT) for metric in STUDY),
        Cell(words.bracket(low, high), key=words.number(low)),
        *(score(row, f"joined_{metric}") for metric in STUDY),
        Cell(row_notes(row)),
    )


def score(row: pd.Series[Any], name: str, digits: int = 2, strong: bool = False) -> Cell:
    """Mean ± half width of the seed interval, in percent."""
    value = row.get(name)
    text = words.with_margin(value, row.get(f"{name}_seed_low"), row.get(f"{name}_seed_high"), digits)
    return Cell(text, strong, words.number(value))


def row_title(row: pd.Series[Any]) -> str:
    """The method's title; the published-values row says what it is, and so does a floor."""
    if row["variant"] == PUBLISHED:
        return f"{row['title']}, published loss values under this protocol"
    return f"{row['title']}, floor" if row["kind"] == "floor" else str(row["title"])


def record_title(record: Record) -> str:
    """The same for an entry's tuned row."""
    return f"{record.method_title}, floor" if record.method_kind == "floor" else record.method_title


def row_notes(row: pd.Series[Any]) -> str:
    """Status, what was not ranked, caveat and flags of a row; "" when there is nothing to say."""
    notes = []
    if row["status"] != "complete":
        notes.append(f"{row['status']}: {row['why'] or 'no reason recorded'}")
    if row["variant"] == TUNED:
        if not row["ranked"]:
            notes.append("not ranked")
        notes += [note for note in (row["caveat"], row["flags"]) if note]
        if row["published_why"]:
            notes.append(f"published values: {row['published_why']}")
    return "; ".join(notes)


def study_note(board: Board) -> str:
    """What the intervals cover and what they do not."""
    seeds = words.plural(board.most("repetitions"), "repetition")
    searches = board.most("searches")
    covered, given = seeds, ", given one search, whose own luck it leaves out"
    if searches > 1:
        covered, given = f"{words.plural(searches, 'independent search')} (with {seeds})", ""
    trials = words.plural(int(board.first.settings["trials"]), "trial")
    return (
        f"Percent. ± covers {seeds} alone (half width of Student's 95 % interval; each the mean over "
        f"{board.folds} folds, or one joined embedding); the bracket covers {covered} and the "
        f"{board.first.test.classes} test classes together{given}; neither covers other datasets, other "
        f"divisions of the classes or a search of other than {trials}. Rank, ties (a shared letter: cannot "
        "be told apart) and bold (not separable from the best) come from one max-T comparison of the table on "
        f"MAP@R of one model at the 95 % level; the ensemble carries no verdict. {pairing(board)}"
        f"{identity([board])}"
    )


def pairing(board: Board) -> str:
    """Whether repetitions with one seed were compared as pairs, and why; "" where nothing was compared."""
    comparison = board.comparison
    if comparison is None:
        return ""
    if words.missing(comparison.seed_correlation):
        return "Repetitions count as unpaired: too few have a seed in common to measure what seeds share. "
    how = "compared as pairs" if comparison.paired else "counted as unpaired"
    shared = f"{comparison.seed_correlation:.2f}"
    return f"Repetitions (or searches) of one seed correlate by {shared} between entries, so they are {how}. "


def identity(boards: Sequence[Board]) -> str:
    """What was held equal, in short digests."""
    first = boards[0].first
    splits = ", ".join(f"{board.first.split[:12]} ({board.first.dataset})" for board in boards)
    seen = contamination(first.backbone_note.removeprefix("trained on "))
    backbone = f"{first.backbone} ({first.backbone_note}{f'; {seen}' if seen else ''})"
    return f"Backbone {backbone}; protocol {first.protocol_digest[:12]}; split {splits}."


# -- the Recall@K tables -----------------------------------------------------------------------------


def recall_table(board: Board) -> Table:
    """Recall@K of one board at the dataset's own K."""
    columns = (Column("Method", number=False), *(Column(metric_name(metric)) for metric in board.recall))
    return Table(board.title, columns, _recall_rows([(board, board.recall)]), recall_note([board]))


def side_by_side(layout: Layout, boards: Sequence[Board]) -> Table:
    """Recall@K of the layout's datasets, all of one protocol; a dash for a dataset that none of the boards is of."""
    by_name = {board.first.dataset_name: board for board in boards}
    parts = [(by_name.get(name), tuple(f"recall_at_{k}" for k in ks)) for name, _, ks in layout.columns]
    there = [board for board, _ in parts if board is not None]
    title = f"{layout.title} under {there[0].first.protocol_title}"
    return Table(title, _layout_columns(layout), _recall_rows(parts), recall_note(there))


def _layout_columns(layout: Layout) -> tuple[Column, ...]:
    numbers = (Column(f"R@{k}", title, alone=f"{title} R@{k}") for _, title, ks in layout.columns for k in ks)
    return (Column("Method", number=False), *numbers)


def _recall_rows(parts: Sequence[tuple[Board | None, tuple[str, ...]]]) -> tuple[Row, ...]:
    """One row a method and variant over all boards, in the order of the first board that has it."""
    keys = dict.fromkeys(key for board, _ in parts if board is not None for key in board.frame.index)
    rows = []
    for key in keys:
        cells: list[Cell] = []
        title = ""
        for board, metrics in parts:
            row = board.row(*key) if board is not None and key in board.frame.index else None
            if row is None:
                cells += [Cell(words.NONE)] * len(metrics)
                continue
            title = title or _recall_title(row)
            cells += [score(row, f"separated_{metric}", digits=1) for metric in metrics]
        rows.append(Row(key[0], key[1], (Cell(title), *cells)))
    return tuple(rows)


def _recall_title(row: pd.Series[Any]) -> str:
    return row_title(row) + ("" if row["status"] == "complete" else f" ({row['status']})")


def recall_note(boards: Sequence[Board]) -> str:
    """What the numbers of a Recall@K table are."""
    counts = dict.fromkeys(board.most("repetitions") for board in boards)
    seeds = " and ".join(words.plural(count, "repetition") for count in counts)
    return (
        f"Percent, {single(boards[0])}, mean over {boards[0].folds} folds; ± is the half width of Student's "
        f"95 % interval over {seeds}, so it covers neither the search nor other test classes; no verdict is "
        f"drawn from this table. {widening_note(boards)} {identity(boards)}"
    )


def widening_note(boards: Sequence[Board]) -> str:
    """Whether intervals of Recall@K over classes allow for a gallery of other classes."""
    names = [
        f"separated_{metric}_widening"
        for board in boards
        for metric in board.recall
        if f"separated_{metric}_widening" in board.frame
    ]
    factors = [float(v) for b in boards for name in names if name in b.frame for v in b.frame[name].dropna()]
    if not factors:
        return (
            "Intervals of Recall@K over test classes keep the gallery's other classes fixed and are too narrow: "
            "these entries were not scored on half-sets of the classes."
        )
    low, high = f"{min(factors):.2f}", f"{max(factors):.2f}"
    by = low if low == high else f"{low} to {high}"
    return (
        f"Intervals of Recall@K over test classes are widened by {by}, which half-sets of the classes with the "
        "gallery cut have measured, because other classes in the gallery would move it too."
    )


def reported_table(layout: Layout, reported: pd.DataFrame) -> Table:
    """What the Deep_Metric README prints, one row a method in its order, a dash where it prints nothing."""
    methods = dict.fromkeys(reported.loc[reported["dataset"].isin(layout.datasets), "method"])
    values = recalls(reported)
    rows = tuple(
        Row("", "reported", (Cell(str(method)), *_reported_cells(layout, values, method)))
        for method in methods
    )
    sources = ", ".join(dict.fromkeys(reported["source"]))
    note = (
        f"Percent, as printed in {sources}; reported by the papers, not measured here: backbone and "
        "embedding size differ between rows and the source does not state them, so no row is comparable with "
        "a measured one."
    )
    return Table(f"{layout.title}, reported", _layout_columns(layout), rows, note)


def _reported_cells(
    layout: Layout, values: Mapping[tuple[str, str, int], float], method: str
) -> Iterable[Cell]:
    for dataset, _, ks in layout.columns:
        for k in ks:
            value = values.get((method, dataset, k))
            yield Cell(words.percent(value, 1), key=value)
