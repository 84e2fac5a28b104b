"""The last words of a run: what failed, what is tied, and what would separate the closest pair."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.cli.boards import board_text
from harness.cli.closing import closing_lines, failure_lines, separating, tie_line
from harness.cli.parser import parse
from harness.cli.settings import read_settings
from harness.publish.closest import MOST, Effort, closest_pair, pair_words
from harness.publish.rows import Board, make_board
from harness.publish.scores import outcomes
from harness.record import SearchHistory, Trial, write_record
from harness.statistics import separable_difference
from tests.made_records import made


def board_of(**levels: float) -> Board:
    return make_board("quick/glyphs", [made(method, level) for method, level in levels.items()])


def found(board: Board, effort: Effort, *methods: str) -> float:
    told = {r.method: outcomes(r, board.arrays[r.method], "tuned", "map_at_r") for r in board.records}
    one, other = (told[method] for method in methods)
    assert one is not None and other is not None
    return separable_difference(one, other, effort.repetitions, searches=effort.searches)


def test_the_closest_pair_gets_the_least_effort_that_separates_it() -> None:
    board = board_of(ms=0.42, nca=0.415, triplet=0.30)
    pair = closest_pair(board)
    assert pair is not None and {pair.first, pair.second} == {"ms", "nca"}
    assert pair.effort is not None and pair.effort.searches is None
    repetitions = pair.effort.repetitions
    assert found(board, pair.effort, "ms", "nca") <= pair.difference
    assert found(board, Effort(repetitions - 1), "ms", "nca") > pair.difference
    assert f"{repetitions} repetitions of each" in pair_words(pair)


def test_what_no_effort_separates_says_so() -> None:
    board = board_of(ms=0.42, nca=0.42)
    pair = closest_pair(board)
    assert pair is not None and pair.effort is None
    assert pair.limit == pytest.approx(found(board, Effort(MOST), "ms", "nca"))
    assert f"{100 * pair.limit:.2f} points" in pair_words(pair) and "test classes" in pair_words(pair)


def test_where_all_are_told_apart_nothing_is_next() -> None:
    board = board_of(ms=0.5, nca=0.2)
    assert closest_pair(board) is None
    assert tie_line(board) == "ms is told apart from all others"
    assert closest_pair(board_of(ms=0.5)) is None and tie_line(board_of(ms=0.5)) == ""


def test_searches_that_differ_ask_for_more_searches() -> None:
    entries = [made(m, level, repetitions=6, searches=3) for m, level in (("ms", 0.42), ("nca", 0.415))]
    pair = closest_pair(make_board("quick/glyphs", entries))
    assert pair is not None and pair.effort is not None
    assert pair.effort.searches is not None and pair.effort.searches > 3
    assert pair.effort.repetitions == 2 * pair.effort.searches


def test_failures_name_the_entry_the_trials_and_the_published_values() -> None:
    bad = Trial(values={"alpha": 1.0, "margin": 0.1}, status="failed", scores=[], score=None, seconds=1.0,
                error="RuntimeError: a too large")  # fmt: skip
    record, _ = made("ms", 0.4)
    trials = [*record.searches[0].trials, bad]
    record = record.model_copy(
        update={"searches": [SearchHistory(trials=trials, chosen=0)], "published_why": "seed 1: diverged"}
    )
    failed, _ = made("nca", 0.4, status="failed", why="no trial gave a score")
    assert list(failure_lines([record, failed])) == [
        f"ms: 1 of {len(trials)} trials failed or diverged; the first: RuntimeError: a too large",
        "ms, published values: seed 1: diverged",
        "nca: failed: no trial gave a score",
    ]
    assert list(failure_lines([made("xbm", 0.4)[0]])) == []


def test_the_next_command_is_the_same_line_for_the_pair() -> None:
    pair = closest_pair(board_of(ms=0.42, nca=0.415))
    assert pair is not None and pair.effort is not None
    words = ["--methods", "all", "--set", "repetitions=2", "--force", "--results", "a folder", "--json"]
    line = separating(words, pair)
    assert line[:4] == ["--set", "repetitions=2", "--results", "a folder"]
    asked = parse(line)
    assert asked.methods.split(",") == [pair.first, pair.second]
    assert asked.set[-1] == f"repetitions={pair.effort.repetitions}"
    assert not asked.force and not asked.json


def lines_of(results: Path, words: list[str]) -> Iterator[str]:
    request: Namespace = parse(words)
    records = []
    for method, level in (("ms", 0.42), ("nca", 0.415)):
        record, arrays = made(method, level)
        write_record(results, record, arrays)
        records.append(record)
    yield from closing_lines(request, read_settings(None, None, str(results)), records)


def test_the_last_words_are_commands_that_can_be_typed(tmp_path: Path) -> None:
    lines = list(lines_of(tmp_path, ["--results", str(tmp_path)]))
    heads = [line.split()[0] for line in lines if not line.startswith(" ")]
    assert heads == ["tied", "next", "leaderboard", "page", "records", "diary", "model"]
    for line in lines:
        if "run_benchmark.py" in line:
            parse(line.split("run_benchmark.py ")[1].split())


def test_a_board_fits_a_narrow_terminal(tmp_path: Path) -> None:
    for method, level in (("ms", 0.42), ("nca", 0.41)):
        write_record(tmp_path, *made(method, level))
    wide, narrow = (board_text(tmp_path, "quick", "glyphs", width) for width in (None, 80))
    assert "MS, published loss values under this protocol" in wide
    assert "ms, published" in narrow
    assert max(map(len, narrow.splitlines())) <= 80 < max(map(len, wide.splitlines()))
