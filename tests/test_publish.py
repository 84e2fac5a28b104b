"""Rows and tables from records: exact cells, honest gaps, verdicts, and reported numbers kept apart."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.errors import RequestError
from harness.publish import draw
from harness.publish.flags import bound_of, flags
from harness.publish.markdown import leaderboard
from harness.publish.overview import overview_table
from harness.publish.reported import LAYOUTS, read_reported, recalls
from harness.publish.rows import make_board, read_boards
from harness.publish.submitted import submitted_table
from harness.publish.tables import Table, recall_note, study_table
from harness.record import Record, Run, write_record
from harness.statistics import Outcomes, half_set_scores, half_sets, outcomes_of, two_way_interval
from harness.submission import Submission, write_submission
from tests.made_records import METRICS, floor, made

ROOT = Path(__file__).parents[1]

# The two tables of the Deep_Metric README, as it prints them; a dash where it prints nothing.
CUB_AND_CARS = """
HDC           53.6 65.7 77.0 85.6 91.5 95.5   73.7 83.2 89.5 93.8 96.7 98.4
Clustering    48.2 61.4 71.8 81.9 —    —      58.1 70.6 80.3 87.8 —    —
ProxyNCA      49.2 61.9 67.9 72.4 —    —      73.2 82.4 86.4 87.8 —    —
Smart~Mining  49.8 62.3 74.1 83.3 —    —      64.7 76.2 84.2 90.2 —    —
Margin        63.6 74.4 83.1 90.0 94.2 —      79.6 86.5 91.9 95.1 97.3 —
HTL           57.1 68.8 78.7 86.5 92.5 95.5   81.4 88.0 92.7 95.7 97.4 99.0
A-BIER        57.5 68.7 78.3 86.2 91.9 95.5   82.0 89.0 93.2 96.1 97.8 98.7
"""
SOP_AND_INSHOP = """
Clustering    67.0 83.7 93.2 —     —    —    —    —    —    —
HDC           69.5 84.4 92.8 97.7  62.1 84.9 89.0 91.2 92.3 93.1
Margin        72.7 86.2 93.8 98.0  —    —    —    —    —    —
ProxyNCA      73.7 —    —    —     —    —    —    —    —    —
A-BIER        74.2 86.9 94.0 97.8  83.1 95.1 96.9 97.5 97.8 98.0
HTL           74.8 88.3 94.8 98.4  80.9 94.3 95.8 97.2 97.4 97.8
"""


def words_of(text: str) -> list[list[str]]:
    return [[word.replace("~", " ") for word in line.split()] for line in text.split("\n") if line]


def tables_of(markdown: str) -> list[list[list[str]]]:
    """Every table of a Markdown text as rows of cells, the heads first."""
    blocks = re.findall(r"(?:^\|.*\|\n?)+", markdown, re.MULTILINE)
    split = [
        [[c.strip() for c in line.strip("|").split(" | ")] for line in b.split("\n") if line] for b in blocks
    ]
    return [[rows[0], *rows[2:]] for rows in split]


def cells(table: Table, method: str, variant: str = "tuned") -> dict[str, str]:
    row = next(row for row in table.rows if (row.method, row.variant) == (method, variant))
    return {
        column.alone or column.name: cell.text for column, cell in zip(table.columns, row.cells, strict=True)
    }


def by_hand(method: str, scores: list[list[float]], **changes: Any) -> tuple[Record, dict[str, np.ndarray]]:
    """A record of two test classes with 100 queries each, whose metrics all equal `scores[repetition][fold]`."""
    record, _ = made(method, 0.4)
    runs = [
        Run(search=0, seed=s, fold=f, metrics=dict.fromkeys(METRICS, value), queries=200, excluded=0, steps=9)
        for s, of_one in enumerate(scores, start=1)
        for f, value in enumerate(of_one)
    ]
    joined = [
        Run(search=0, seed=s, fold=None, metrics=dict.fromkeys(METRICS, 0.5), queries=200, excluded=0)
        for s in range(1, len(scores) + 1)
    ]
    sums = [[[100 * r.metrics[m] - 5, 100 * r.metrics[m] + 5] for m in METRICS] for r in [*runs, *joined]]
    arrays = {
        "metric_names": np.array(METRICS),
        "class_counts": np.array([100, 100]),
        "class_sums": np.array(sums, dtype=np.float32),
    }
    fields = {"runs": [*runs, *joined], "published_runs": [], **changes}
    return record.model_copy(update=fields), arrays


def test_a_cell_is_the_mean_over_folds_and_then_repetitions() -> None:
    board = make_board("b", [by_hand("ms", [[0.30, 0.32, 0.34, 0.36], [0.34, 0.34, 0.36, 0.36]])])
    found = cells(study_table(board), "ms")
    # Means over folds 0.33 and 0.35: mean 0.34, s = 0.0141421, t(0.975, 1) = 12.7062, half width 0.127062.
    assert found["MAP@R"] == found["P@1"] == found["R-Precision"] == "34.00 ± 12.71"
    assert found["MAP@R (ensemble of 4, 256-d)"] == "50.00 ± 0.00"
    sums = np.array([[28.0, 38.0], [30.0, 40.0]])
    interval = two_way_interval(Outcomes("", sums, np.array([100, 100]), np.zeros(2), np.array([1, 2])))
    assert interval.low < 0  # a score is not, so its interval begins at 0
    assert found["MAP@R over seeds and classes"] == f"[0.00, {100 * interval.high:.2f}]"


def test_verdicts_need_two_entries_and_come_from_one_model() -> None:
    alone = make_board("b", [made("ms", 0.4)])
    assert alone.comparison is None
    assert cells(study_table(alone), "ms")["Rank"] == "—"
    board = make_board("b", [made("ms", 0.42), made("xbm", 0.421), made("nca", 0.30), floor()])
    table = study_table(board)
    assert [cells(table, m)["Rank"] for m in ("xbm", "ms", "nca", "untrained")] == ["1–2", "1–2", "3", "4"]
    assert cells(table, "ms")["Ties"] == cells(table, "xbm")["Ties"] == "a"
    heads = [column.alone or column.name for column in table.columns]
    strong = {name for row in table.rows for name, cell in zip(heads, row.cells, strict=True) if cell.strong}
    assert strong == {"Method", "MAP@R"}
    assert {row.method for row in table.rows if any(cell.strong for cell in row.cells)} == {"ms", "xbm"}


def test_rows_go_down_with_map_at_r_and_published_ones_follow_their_method() -> None:
    board = make_board("b", [floor(), made("nca", 0.30), made("ms", 0.42)])
    keys = [(row.method, row.variant) for row in study_table(board).rows]
    assert keys == [
        ("ms", "tuned"), ("ms", "published"), ("nca", "tuned"), ("nca", "published"), ("untrained", "tuned"),
    ]  # fmt: skip
    published = cells(study_table(board), "ms", "published")
    assert published["Method"] == "MS, published loss values under this protocol"
    assert (published["Rank"], published["Ties"]) == ("—", "—")
    assert cells(study_table(board), "untrained")["Method"] == "UNTRAINED, floor"


@pytest.mark.parametrize("status", ["incomplete", "failed"])
def test_what_did_not_finish_is_shown_and_never_averaged(status: str) -> None:
    broken = made("late", 0.9, status=status, why="3 of 5 repetitions are done")
    board = make_board("b", [made("ms", 0.42), made("nca", 0.3), broken])
    assert "late" not in board.compared
    found = cells(study_table(board), "late")
    assert found.pop("Notes") == f"{status}: 3 of 5 repetitions are done"
    assert found.pop("Method") == "LATE"
    assert set(found.values()) == {"—"}
    assert study_table(board).rows[-1].method == "late"
    assert not [
        name for name in board.row("late", "tuned").dropna().index if name.startswith(("separated", "joined"))
    ]


def test_a_missing_row_of_published_values_says_why() -> None:
    lone = made("ms", 0.42, published=0, published_why="seed 2, fold 1: the loss was not finite")
    table = study_table(make_board("b", [lone]))
    assert [row.variant for row in table.rows] == ["tuned"]
    assert cells(table, "ms")["Notes"] == "published values: seed 2, fold 1: the loss was not finite"


def test_what_is_not_ranked_has_a_score_and_no_rank() -> None:
    board = make_board(
        "b", [made("ms", 0.42), made("nca", 0.3), made("odd", 0.5, ranked=False, caveat="our variant")]
    )
    found = cells(study_table(board), "odd")
    assert (found["Rank"], found["Notes"]) == ("—", "not ranked; our variant")
    assert "±" in found["MAP@R"]
    assert cells(study_table(board), "ms")["Rank"] == "1"


@pytest.mark.parametrize("field", ["protocol_digest", "split", "backbone"])
def test_unequal_conditions_never_share_a_table(tmp_path: Path, field: str) -> None:
    other: dict[str, Any] = {field: "e7" * 32}
    pair = [made("ms", 0.42), made("nca", 0.30, **other)]
    with pytest.raises(RequestError, match="a table takes one"):
        make_board("b", pair)
    for record, arrays in pair:
        write_record(tmp_path, record, arrays)
    boards = read_boards(tmp_path)
    assert sorted([r.method for r in board.records] for board in boards) == [["ms"], ["nca"]]
    assert len({board.slug for board in boards}) == 2
    draw(tmp_path)
    assert all((tmp_path / "site" / board.slug / "index.html").is_file() for board in boards)


def test_the_readme_tables_are_drawn_value_by_value(tmp_path: Path) -> None:
    draw(tmp_path)
    drawn = tables_of((tmp_path / "LEADERBOARD.md").read_text(encoding="utf-8"))
    assert drawn[0][1:] == words_of(CUB_AND_CARS)
    assert drawn[1][1:] == words_of(SOP_AND_INSHOP)
    assert drawn[0][0] == ["Method", *(f"{d} R@{k}" for d in ("CUB", "Cars") for k in (1, 2, 4, 8, 16, 32))]
    numbers = [cell for table in drawn for row in table[1:] for cell in row[1:] if cell != "—"]
    assert len(numbers) == 108


def test_every_reported_value_is_kept_as_a_fraction() -> None:
    reported = read_reported(ROOT / "results")
    assert len(reported) == 108
    kept = recalls(reported)
    for layout, text in zip(LAYOUTS, (CUB_AND_CARS, SOP_AND_INSHOP), strict=True):
        places = [(name, k) for name, _, ks in layout.columns for k in ks]
        for method, *values in words_of(text):
            for (dataset, k), value in zip(places, values, strict=True):
                expected = None if value == "—" else pytest.approx(float(value) / 100)
                assert kept.get((method, dataset, k)) == expected


CUB: dict[str, Any] = {
    "dataset_name": "cub",
    "dataset_title": "CUB-200-2011",
    "recall_at": [1, 2, 4, 8, 16, 32],
}
CARS: dict[str, Any] = {**CUB, "dataset": "cars", "dataset_name": "cars", "dataset_title": "Cars196"}


def test_measured_cub_and_cars_stand_side_by_side_apart_from_the_reported(tmp_path: Path) -> None:
    entries = [
        made("ms", 0.3, dataset="cub", **CUB),
        made("nca", 0.2, dataset="cub", **CUB),
        made("ms", 0.25, **CARS),
    ]
    for record, arrays in entries:
        write_record(tmp_path, record, arrays)
    text = leaderboard(read_boards(tmp_path), read_reported(tmp_path))
    _overview, measured, reported, *_ = tables_of(text)
    assert measured[0] == reported[0]
    by_name = {row[0]: row[1:] for row in measured[1:]}
    assert all("±" in cell for cell in by_name["MS"])
    assert by_name["NCA"][6:] == ["—"] * 6
    assert all("±" in cell for cell in by_name["NCA"][:6])
    assert reported[1:] == words_of(CUB_AND_CARS)


def test_partial_data_never_stands_beside_whole_data_numbers(tmp_path: Path) -> None:
    record, arrays = made("ms", 0.3, dataset="cub-partial-5f5f5f", partial=True, **CUB)
    write_record(tmp_path, record, arrays)
    text = leaderboard(read_boards(tmp_path), read_reported(tmp_path))
    assert "Nothing is measured on the whole data yet." in text
    assert text.index("reported by the papers") < text.index("### CUB-200-2011 (partial) under")
    assert "nothing below compares with numbers on the whole data" in text
    draw(tmp_path)
    index = (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
    assert "partial data" in index
    assert "Measured:" not in index


def test_a_title_says_partial_once() -> None:
    told = made("ms", 0.3, partial=True, dataset_title="CUB, partial (127 classes)")
    silent = made("ms", 0.3, partial=True, dataset_title="CUB")
    assert make_board("b", [told]).dataset_title == "CUB, partial (127 classes)"
    assert make_board("b", [silent]).dataset_title == "CUB (partial)"


def test_two_digests_of_one_dataset_get_two_measured_tables(tmp_path: Path) -> None:
    for record, arrays in (
        made("ms", 0.3, dataset="cub", **CUB),
        made("ms", 0.25, **{**CARS, "protocol_digest": "e7" * 32}),
    ):
        write_record(tmp_path, record, arrays)
    _overview, first, second, reported, *_ = tables_of(
        leaderboard(read_boards(tmp_path), read_reported(tmp_path))
    )
    assert [cell == "—" for cell in first[1][1:]] != [cell == "—" for cell in second[1][1:]]
    assert reported[1:] == words_of(CUB_AND_CARS)


def with_halves(method: str, noise: float) -> tuple[Record, dict[str, np.ndarray]]:
    """A record whose Recall@1 on half-sets with the gallery cut varies by `noise` more than with the gallery whole."""
    record, arrays = made(method, 0.4)
    told = outcomes_of(record, arrays, "recall_at_1")
    whole = half_set_scores(told, half_sets(len(told.counts))).mean(axis=0)
    more = np.random.default_rng(0).normal(0, noise, whole.shape)
    scores = np.full((len(record.runs), len(METRICS), len(whole)), np.nan, np.float32)
    scores[:, METRICS.index("recall_at_1")] = whole + more
    return record, {**arrays, "half_scores": scores}


def test_recall_is_widened_by_what_half_sets_measured_and_the_verdict_is_not() -> None:
    plain, same, more = (
        make_board("b", [entry]) for entry in (made("ms", 0.4), with_halves("ms", 0), with_halves("ms", 0.02))
    )
    name = "separated_recall_at_1"
    row = more.row("ms", "tuned")
    assert f"{name}_widening" not in plain.frame
    assert same.row("ms", "tuned")[f"{name}_widening"] == pytest.approx(1, abs=1e-3)
    factor = row[f"{name}_widening"]
    assert factor > 1.2
    for metric in ("recall_at_1", "precision_at_1"):
        widths = [
            board.row("ms", "tuned")[f"separated_{metric}_high"]
            - board.row("ms", "tuned")[f"separated_{metric}_low"]
            for board in (plain, same, more)
        ]
        assert widths[1] == pytest.approx(widths[0], rel=1e-3)
        assert 1.1 * widths[0] < widths[2] < (factor + 0.01) * widths[0]
    for end in ("low", "high"):
        verdict = f"separated_map_at_r_{end}"
        assert row[verdict] == plain.row("ms", "tuned")[verdict]
    assert "were not scored on half-sets" in recall_note([plain])
    assert f"widened by {factor:.2f}" in recall_note([more])


def test_the_overview_averages_nothing(tmp_path: Path) -> None:
    entries = (
        made("ms", 0.3),
        made("nca", 0.2, status="failed", why="no trial gave a score"),
        made("ms", 0.25, **CARS),
    )
    for record, arrays in entries:
        write_record(tmp_path, record, arrays)
    boards = read_boards(tmp_path)
    table = overview_table(boards)
    assert table is not None
    assert [column.group for column in table.columns[1::2]] == [
        f"{board.dataset_title}, {board.first.protocol_title}" for board in boards
    ]
    told = {row.method: [cell.text for cell in row.cells[1:]] for row in table.rows}
    cars, glyphs = (cells(study_table(board), "ms")["MAP@R"] for board in boards)
    assert told == {"ms": [cars, "—", glyphs, "—"], "nca": ["—", "—", "failed", "—"]}
    assert overview_table([]) is None


def submission(**changes: Any) -> Submission:
    fields = {
        "name": "mine", "title": "My model", "dataset": "glyphs", "dataset_title": "Glyphs", "split": "5f" * 32,
        "dimension": 384, "file_sha256": "ab" * 32, "metrics": {"map_at_r": 0.61234, "recall_at_1": 0.9},
        "queries": 360, "excluded": 0, **changes,
    }  # fmt: skip
    return Submission.model_validate(fields)


def test_a_submission_stands_apart_on_boards_of_its_split_and_has_no_rank(tmp_path: Path) -> None:
    record, arrays = made("ms", 0.4)
    write_record(tmp_path, record, arrays)
    write_submission(tmp_path, submission())
    write_submission(tmp_path, submission(name="other", title="Another split", split="e7" * 32))
    (board,) = read_boards(tmp_path)
    assert [row.method for row in study_table(board).rows] == ["ms", "ms"]
    table = submitted_table(board)
    assert table is not None
    ((title, size, map_at_r, *_, file),) = ([cell.text for cell in row.cells] for row in table.rows)
    assert (title, size, map_at_r, file) == ("My model", "384-d", "61.23", "ab" * 8)
    draw(tmp_path)
    for file_name in ("LEADERBOARD.md", "site/quick/glyphs/index.html"):
        text = (tmp_path / file_name).read_text(encoding="utf-8")
        assert "My model" in text and "scored again" in text and "Another split" not in text


def test_the_note_says_what_is_covered_and_what_is_not() -> None:
    one = study_table(make_board("b", [made("ms", 0.4)])).note
    assert "5 repetitions and the 24 test classes together, given one search" in one
    assert "protocol d1d1d1d1d1d1; split 5f5f5f5f5f5f" in one
    three = study_table(make_board("b", [made("ms", 0.4, searches=3)])).note
    assert "3 independent searches (with 5 repetitions)" in three
    assert "given one search" not in three


# -- flags -------------------------------------------------------------------------------------------


def with_endings(endings: list[str], epochs: list[int]) -> Record:
    record, _ = made("ms", 0.4)
    folds = [run for run in record.runs if run.fold is not None]
    runs = [
        run.model_copy(update={"ended": end, "best_epoch": epoch})
        for run, end, epoch in zip(folds, endings, epochs, strict=False)
    ]
    return record.model_copy(update={"runs": runs})


def test_more_than_a_quarter_at_the_cap_is_not_converged() -> None:
    assert flags(with_endings(["cap"] + ["patience"] * 3, [2] * 4)) == ()
    assert flags(with_endings(["cap", "cap", "patience", "patience"], [2] * 4)) == (
        "not converged (50% of trainings ended at the step cap)",
    )


def test_a_batch_below_a_quarter_of_the_papers_is_told() -> None:
    record, _ = made("ms", 0.4)
    papers = record.paper.model_copy(update={"batch": 180})
    small, enough = (
        record.model_copy(update={"paper": papers, "settings": record.settings | {"batch_size": size}})
        for size in (44, 45)
    )
    assert "batches of 44, below a quarter of its paper's 180" in flags(small)
    assert not [said for said in flags(enough) if "batches" in said]


def test_trainings_that_never_left_epoch_zero_are_told() -> None:
    assert flags(with_endings(["patience"] * 4, [0, 2, 2, 2])) == ("25% of trainings chose epoch 0",)
    assert flags(floor()[0]) == ()


@pytest.mark.parametrize(
    ("low", "high", "log", "value", "end"),
    [
        (0.0, 1.0, False, 0.02, "lower"),
        (0.0, 1.0, False, 0.03, ""),
        (0.0, 1.0, False, 0.985, "upper"),
        (1e-4, 1.0, True, 1.15e-4, "lower"),
        (1e-4, 1.0, True, 0.02, ""),
        (1e-4, 1.0, True, 0.9, "upper"),
        (3, 3, False, 3, ""),
    ],
)
def test_bounds_are_near_on_the_scale_of_the_search(
    low: float, high: float, log: bool, value: float, end: str
) -> None:
    assert bound_of({"low": low, "high": high, "log": log}, value) == end


def test_a_chosen_value_at_its_bound_is_told() -> None:
    record, _ = made("ms", 0.4)
    trial = record.searches[0].trials[0].model_copy(update={"values": {"alpha": 49.9, "margin": 0.5}})
    search = record.searches[0].model_copy(update={"trials": [trial], "chosen": 0})
    assert flags(record.model_copy(update={"searches": [search]})) == ("alpha at its upper bound",)
    assert bound_of({"choices": ["a", "b"]}, "a") == ""


def test_class_sums_that_do_not_match_the_runs_are_refused() -> None:
    record, arrays = made("ms", 0.4)
    arrays["class_sums"] = arrays["class_sums"][:-1]
    with pytest.raises(RequestError, match="24 rows of tuned class sums for 25 runs"):
        make_board("b", [(record, arrays)])


def test_a_damaged_file_of_reported_numbers_is_named(tmp_path: Path) -> None:
    (tmp_path / "reported").mkdir()
    file = tmp_path / "reported" / "deep_metric_readme.csv"
    with pytest.raises(RequestError, match=r"deep_metric_readme\.csv: cannot be read"):
        read_reported(tmp_path)
    file.write_text("method,value\nMS,0.5\n")
    with pytest.raises(RequestError, match="expected the columns method, plugin"):
        read_reported(tmp_path)
