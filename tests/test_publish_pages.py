"""What pages hold beside the tables: galleries, maps, sizes, years, properties, published numbers."""

from __future__ import annotations

import io
import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy import stats

from harness.audit import Audit, TestCurve, write_audit
from harness.cli.main import main
from harness.data import load_dataset
from harness.publish import draw, draw_with_images, stale
from harness.publish.data import board_script, class_scores
from harness.publish.gallery import gallery
from harness.publish.maps import embedding_map
from harness.publish.optimism import claim, optimism
from harness.publish.overview import agreements, kendall
from harness.publish.papers import Line, beside_table, lines_of, papers_table, read_all, reasons
from harness.publish.power import power_note
from harness.publish.properties import property_list, property_table
from harness.publish.rows import Board, make_board, read_boards
from harness.publish.scores import outcomes
from harness.publish.shown import COLUMNS, same_picture, sheet, shown_of
from harness.publish.sizes import sized, sizes
from harness.publish.years import years
from harness.record import write_record
from harness.statistics import separable_difference
from harness.thumbnails import picture_id, thumbnail
from tests.made_records import CLASSES, QUERIES, floor, made, shown_by, write_made

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    write_made(folder)
    return folder


@pytest.fixture(scope="module")
def board(results: Path) -> Board:
    (found,) = read_boards(results)
    return found


@pytest.fixture(scope="module")
def numbers() -> pd.DataFrame:
    return read_all(ROOT / "results")


# -- galleries ---------------------------------------------------------------------------------------


def test_a_gallery_marks_right_and_wrong_by_class(board: Board) -> None:
    shown = shown_of(board)
    assert shown is not None
    record, arrays = board.records[0], board.arrays[board.records[0].method]
    rows = gallery(board, record, shown)
    assert len(rows) == len(arrays["shown_query"]) == 50
    for row, of_one, own in zip(rows, arrays["shown_class"], arrays["shown_query_class"], strict=True):
        assert [tile.right for tile in row.near] == (of_one == own).tolist()
        assert row.hit == (of_one[0] == own)
        assert row.words.startswith(record.test_classes[own])
        assert f"{(of_one == own).sum()} of 10 neighbours right" in row.words
    # Every number leads back to the image that the record names.
    for row, positions in zip(rows, arrays["shown_neighbours"], strict=True):
        assert [shown.places[tile.number] for tile in row.near] == [("test", int(p)) for p in positions]


def test_the_sheet_holds_each_picture_at_its_number(board: Board) -> None:
    shown = shown_of(board)
    assert shown is not None
    drawn = sheet(board, shown)
    assert drawn is not None and drawn[0] == "pictures.png"
    pixels = np.asarray(Image.open(io.BytesIO(drawn[1])))
    for number, place in enumerate(shown.places):
        top, left = 32 * (number // COLUMNS), 32 * (number % COLUMNS)
        kept = board.thumbnails[picture_id(board.first.split, *place)]
        assert np.array_equal(pixels[top : top + 32, left : left + 32], kept[..., 0])


def test_without_every_picture_there_is_no_sheet_and_the_page_says_why(tmp_path: Path) -> None:
    record, arrays = made("ms", 0.4, shareable=False)
    write_record(tmp_path, record, {**arrays, **shown_by(record, pictures=False)})
    draw(tmp_path)
    page = (tmp_path / "site/quick/glyphs/entry/ms.html").read_text(encoding="utf-8")
    assert "terms of this dataset do not let its images be passed" in page
    assert "pictures." not in page and not list((tmp_path / "site").rglob("pictures*"))
    grey = np.full((96, 96, 3), (9, 90, 200), np.uint8)
    site = tmp_path / ".work" / "site"

    def pictures(board: Board) -> dict[str, Any]:
        shown = shown_of(board)
        assert shown is not None
        return {picture_id(board.first.split, *place): grey for place in shown.places}

    written = draw_with_images(tmp_path, site, pictures)
    assert site / "quick/glyphs/pictures.jpg" in written
    assert "pictures.jpg" in (site / "quick/glyphs/entry/ms.html").read_text(encoding="utf-8")
    assert stale(tmp_path) == []  # the committed site is as it was


def test_the_command_draws_pictures_from_the_dataset_of_the_record(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    glyphs = load_dataset("glyphs", None, False)
    facts: dict[str, Any] = {"split": glyphs.split, "shareable": False}
    for method, changes in (
        ("ms", facts),
        ("nca", {"protocol": "other", "dataset": "gone"}),
        (
            "xbm",
            {"protocol": "third", "dataset_name": "cub", "command": "python run_benchmark.py --dataset cub"},
        ),
    ):
        record, arrays = made(method, 0.4, **changes)
        write_record(tmp_path, record, {**arrays, **shown_by(record, pictures=False)})
    words = ["leaderboard", "--results", str(tmp_path), "--with-images", "--data", str(tmp_path / "nothing")]
    assert main(words) == 0
    site = tmp_path / ".work" / "site"
    assert [path.relative_to(site) for path in site.rglob("pictures.*")] == [
        Path("quick/glyphs/pictures.png")
    ]
    pixels = np.asarray(Image.open(site / "quick/glyphs/pictures.png"))
    first = shown_of(next(board for board in read_boards(tmp_path) if board.slug == "quick/glyphs"))
    assert first is not None
    expected = thumbnail(glyphs.test.pictures.read(first.places[0][1]), 96)
    assert np.array_equal(pixels[:96, :96], expected[..., 0])
    said = capsys.readouterr().err
    assert "another split" in said and "CUB" in said
    assert main([*words, "--check"]) == 2


def test_pictures_are_compared_by_pixels_since_compressors_differ() -> None:
    image = Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16))
    files = [io.BytesIO(), io.BytesIO()]
    image.save(files[0], "PNG", compress_level=0)
    image.save(files[1], "PNG", compress_level=9)
    one, other = (file.getvalue() for file in files)
    assert one != other and same_picture(one, other)
    changed = io.BytesIO()
    Image.fromarray(np.zeros((16, 16), np.uint8)).save(changed, "PNG")
    assert not same_picture(one, changed.getvalue())
    assert not same_picture(one, b"no picture")


def script(board: Board) -> dict[str, Any]:
    text = board_script(board, shown_of(board), "pictures.png")
    assert text.startswith("window.board = ")
    told: dict[str, Any] = json.loads(text.removeprefix("window.board = ").rstrip().removesuffix(";"))
    return told


def test_the_boards_data_say_what_the_records_say(board: Board) -> None:
    told = script(board)
    assert told["classes"] == board.first.test_classes
    scores = class_scores(board, "ms")
    assert scores is not None
    sums = board.arrays["ms"]["class_sums"][:, 0]  # MAP@R stands first
    single = [run.fold is not None for run in board.first.runs]
    assert scores == pytest.approx(sums[single].mean(axis=0) / QUERIES, abs=1e-6)
    assert told["entries"]["ms"]["scores"] == [round(1000 * float(score)) for score in scores]
    own = [told["of"][number] for number in told["queries"]]
    assert own == board.arrays["ms"]["shown_query_class"].tolist()


def test_an_unfinished_entry_has_no_class_scores() -> None:
    late = made("late", 0.3, status="incomplete", why="time was up")
    board = make_board("b", [made("ms", 0.4), late])
    assert class_scores(board, "late") is None
    assert script(board)["entries"]["late"] == {"title": "LATE"}


# -- maps, sizes, years, properties ------------------------------------------------------------------


def test_a_map_draws_every_point_once_and_colours_the_same_classes(board: Board) -> None:
    maps = [embedding_map(board, method) for method in ("ms", "nca")]
    for drawn in maps:
        assert drawn is not None
        assert sum(cloud.path.count("M") for cloud in drawn.clouds) == CLASSES * QUERIES
        assert len(drawn.legend) == 8
        numbers = [float(word) for cloud in drawn.clouds for word in re.findall(r"[\d.]+(?= |h)", cloud.path)]
        assert min(numbers) > 0 and max(numbers) < 400
    first, second = maps
    assert first is not None and second is not None
    assert [cloud.name for cloud in first.legend] == [cloud.name for cloud in second.legend]


def test_validation_is_set_against_test_at_its_own_size() -> None:
    record, arrays = made("ms", 0.4)
    scores = np.zeros((4, 20, len(arrays["metric_names"]) + 1), np.float32)
    scores[..., 0], scores[..., -1] = 0.6, 90
    board = make_board("b", [(record, {**arrays, "matched_scores": scores}), floor()])
    found = sized(board, record)
    assert found is not None
    first = [run for run in record.runs if run.fold is not None and run.seed == 1]
    assert found.validation == pytest.approx(np.mean([run.validation["map_at_r"] for run in first]))
    assert found.whole == pytest.approx(np.mean([run.metrics["map_at_r"] for run in first]))
    assert (found.matched, found.classes, found.images) == (pytest.approx(0.6), 6, 90)
    figure = sizes(board)
    assert figure is not None
    assert (len(figure.rows), figure.classes, figure.images, figure.whole) == (1, 6, 90, CLASSES)
    assert sizes(make_board("b", [made("ms", 0.4)])) is None


def entry_of_year(method: str, level: float, year: int) -> Any:
    record, arrays = made(method, level)
    return record.model_copy(update={"paper": record.paper.model_copy(update={"year": year})}), arrays


def test_years_say_their_trend_and_leave_floors_out(numbers: pd.DataFrame) -> None:
    levels = {2004: 0.40, 2015: 0.42, 2017: 0.45, 2019: 0.46, 2020: 0.47}
    entries = [entry_of_year(f"m{year}", level, year) for year, level in levels.items()]
    figure = years(make_board("b", [*entries, floor()]), numbers)
    assert figure is not None
    assert len(figure.dots) == 5
    assert figure.trend == "Rank correlation of year and score over 5 methods: 1.00."
    assert figure.papers == ()  # nobody reports on glyphs
    by_year = sorted(figure.dots, key=lambda dot: dot.x)
    assert [dot.words.split("(")[1][:4] for dot in by_year] == [str(year) for year in levels]
    assert all(low.y > high.y for low, high in pairwise(by_year))  # up is better
    few = years(make_board("b", entries[:3]), numbers)
    assert few is not None and "Too few methods (3)" in few.trend
    assert years(make_board("b", [*entries[:1], floor()]), numbers) is None


WHOLE: dict[str, Any] = {
    "dataset": "cub",
    "dataset_name": "cub",
    "dataset_title": "CUB-200-2011",
    "backbone": "bn_inception",
}


def test_papers_stand_in_the_figure_of_whole_data_alone(numbers: pd.DataFrame) -> None:
    whole = make_board("b", [made("ms", 0.4, **WHOLE), made("nca", 0.3, **WHOLE)])
    part = make_board("b", [made(m, 0.4, partial=True, **WHOLE) for m in ("ms", "nca")])
    drawn, alone = years(whole, numbers), years(part, numbers)
    assert drawn is not None and alone is not None
    first = numbers[(numbers["dataset"] == "cub") & (numbers["metric"] == "recall") & (numbers["k"] == 1)]
    assert len(drawn.papers) == first["year"].notna().sum() > 100
    assert alone.papers == ()


def test_properties_stand_as_they_were_measured(board: Board) -> None:
    table = property_table(board)
    assert table is not None
    arrays = board.arrays["ms"]
    told = {name: value for name, value, _ in property_list(arrays)}
    assert told["effective dimensions"] == f"{arrays['geometry'][0]:.2f}"
    assert told["pair AUROC"] == f"{100 * arrays['geometry'][4]:.2f}"
    row = next(row for row in table.rows if row.method == "ms")
    assert [cell.text for cell in row.cells[1:]] == list(told.values())
    assert property_list({}) == []
    assert property_table(make_board("b", [made("ms", 0.4)])) is None


def audited(method: str, chosen: int, curves: list[list[float]]) -> Audit:
    """An audit of two folds: curves[seed][epoch], the second fold a point below the first."""
    return Audit(
        protocol="quick",
        dataset="glyphs",
        method=method,
        key="",
        curves=[
            TestCurve(
                seed=seed,
                fold=fold,
                chosen_epoch=chosen,
                curve=[(epoch, {"map_at_r": value - 0.01 * fold}) for epoch, value in enumerate(curve)],
            )
            for seed, curve in enumerate(curves, start=1)
            for fold in (0, 1)
        ],
    )


def test_the_audit_says_what_could_have_been_claimed(tmp_path: Path) -> None:
    record, arrays = made("ms", 0.4)
    write_record(tmp_path, record, arrays)
    write_record(tmp_path, *made("nca", 0.3))
    write_audit(tmp_path, audited("ms", 1, [[0.1, 0.30, 0.35], [0.1, 0.40, 0.38]]))
    write_audit(tmp_path, audited("nca", 1, [[0.1, 0.9]]).model_copy(update={"key": "another entry's"}))
    (board,) = read_boards(tmp_path)
    assert list(board.audits) == ["ms"]
    found = claim(record, board.audits["ms"])
    assert found is not None
    assert found.honest == pytest.approx((0.295 + 0.395) / 2)
    assert found.best_epoch == pytest.approx((0.345 + 0.395) / 2)
    assert found.best_seed == pytest.approx(0.395)
    assert found.joined == max(run.metrics["map_at_r"] for run in record.runs if run.fold is None)
    figure = optimism(board)
    assert figure is not None
    assert [(row.label, row.gap) for row in figure.rows] == [("MS", "+5.00")]
    assert optimism(make_board("b", [made("ms", 0.4)])) is None
    draw(tmp_path)
    page = (tmp_path / "site/quick/glyphs/index.html").read_text(encoding="utf-8")
    assert "Honest against claimed" in page


def test_two_protocols_on_one_split_say_how_far_they_agree() -> None:
    levels = {"a": 0.30, "b": 0.34, "c": 0.38, "d": 0.42, "e": 0.46}
    one = make_board("one", [made(m, level) for m, level in levels.items()])
    swapped = {**levels, "a": 0.46, "e": 0.30}
    other = make_board(
        "other", [made(m, level, protocol="p", protocol_title="P") for m, level in swapped.items()]
    )
    assert "Of 5 methods on Glyphs" in agreements([one, other])
    assert "Kendall's tau -0.40." in agreements([one, other])
    elsewhere = make_board("other", [made(m, level, split="e7" * 32) for m, level in levels.items()])
    assert agreements([one, elsewhere]) == agreements([one]) == ""


@given(
    st.lists(
        st.tuples(st.floats(0, 1), st.floats(0, 1)),
        min_size=2,
        max_size=9,
        unique_by=(lambda p: p[0], lambda p: p[1]),
    )
)
def test_kendall_is_the_other_librarys_where_nothing_ties(pairs: list[tuple[float, float]]) -> None:
    a, b = zip(*pairs, strict=True)
    assert kendall(a, b) == pytest.approx(stats.kendalltau(a, b).statistic)


def test_a_board_says_how_small_a_difference_it_can_show(board: Board) -> None:
    note = power_note(board)
    assert note.startswith("With 5 repetitions, 1 search and these test classes")
    points = float(note.split("differs by ")[1].split(" ")[0])
    told = {m: outcomes(r, board.arrays[m], "tuned", "map_at_r") for r in board.records if (m := r.method)}
    first, *others = (told[r.method] for r in board.records)
    expected = np.median([separable_difference(first, other, 5) for other in others])
    assert points == pytest.approx(100 * expected, abs=0.06)
    assert power_note(make_board("b", [made("ms", 0.4)])) == ""


# -- published numbers -------------------------------------------------------------------------------


@pytest.mark.parametrize("dataset", ["cub", "cars", "sop", "inshop"])
def test_every_published_number_is_on_its_page_once(numbers: pd.DataFrame, dataset: str) -> None:
    lines = lines_of(numbers, dataset)
    here = numbers[numbers["dataset"] == dataset]
    kept = sorted(value for line in lines for value in line.values.values())
    assert kept == sorted(here["value"].tolist())
    table = papers_table(numbers, dataset)
    told = [cell for row in table.rows for cell, column in zip(row.cells, table.columns, strict=True)
            if column.group == "reported" and cell.key is not None]  # fmt: skip
    assert len(told) == len(here)
    assert all(row.cells[-2].text for row in table.rows)  # each says why it does not compare


def line(**facts: Any) -> Line:
    blank = dict.fromkeys(
        ("method", "plugin", "paper", "year", "recipe", "backbone", "dimension", "source", "note")
    )
    return Line({**blank, **facts}, {})


def test_why_a_published_number_does_not_compare() -> None:
    chosen = "choice of the model not stated"
    assert reasons(line()) == f"backbone not stated; size not stated; {chosen}"
    same = line(backbone="BN-Inception", dimension=512.0)
    assert reasons(same, "bn_inception", 512) == chosen
    assert reasons(same, "resnet50", 128) == f"other backbone (BN-Inception); other size (512-d); {chosen}"
    study = line(
        backbone="BN-Inception", dimension=128.0, recipe="reality_check by CCP (Adam 1e-5, test, joined)"
    )
    assert reasons(study, "bn_inception", 128) == (
        "an ensemble of the folds' models; another implementation of the protocol"
    )
    validation = line(
        backbone="BN-Inception", dimension=128.0, recipe="reality_check, batch 32, validation, separated"
    )
    assert reasons(validation) == "on validation classes"


def test_measured_rows_stand_beside_published_ones_on_whole_data_alone(numbers: pd.DataFrame) -> None:
    board = make_board("b", [made("ms", 0.4, **WHOLE), made("unheard", 0.3, **WHOLE)])
    table = beside_table(board, numbers)
    assert table is not None
    first, *others = table.rows
    assert (first.method, first.variant, first.cells[-2].text) == ("ms", "tuned", "measured here")
    assert "±" in first.cells[4].text
    assert others and {row.variant for row in others} == {"reported"}
    assert beside_table(make_board("b", [made("ms", 0.4, partial=True, **WHOLE)]), numbers) is None
    assert beside_table(make_board("b", [made("ms", 0.4)]), numbers) is None
