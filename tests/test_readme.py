"""The README: its boards are what the records say, and its words run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness.check import check
from harness.discovery import load_method
from harness.publish import readme
from harness.publish.readme import refreshed
from harness.publish.rows import read_boards
from tests.made_records import write_made

ROOT = Path(__file__).parents[1]


def test_a_marked_board_is_drawn_and_the_rest_stays(tmp_path: Path) -> None:
    write_made(tmp_path)
    boards = read_boards(tmp_path)
    slug = boards[0].slug
    text = f"before\n<!-- board: {slug} -->\nold\n<!-- /board -->\nafter <!-- board: none/none -->\nx\n<!-- /board -->"
    drawn = refreshed(text, boards, "there/site")
    assert drawn.startswith(f"before\n<!-- board: {slug} -->\n**")
    assert "old" not in drawn and "| Rank |" in re.sub(" +", " ", drawn)
    assert "*No records make this board here.*" in drawn
    assert refreshed(drawn, boards, "there/site") == drawn
    assert f"(there/site/{slug}/points.svg)" in drawn and "(there/LEADERBOARD.md)" in drawn


def test_a_readme_shows_the_entries_that_stand_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_made(tmp_path)
    boards = read_boards(tmp_path)
    board = next(board for board in boards if board.comparison is not None)
    block = f"<!-- board: {board.slug} -->\n<!-- /board -->"
    whole = refreshed(block, boards, "site")
    monkeypatch.setattr(readme, "MOST", 2)
    first = refreshed(block, boards, "site")
    lines = [re.sub(" +", " ", text).splitlines() for text in (whole, first)]
    rows = [[line for line in text if line.startswith("| ")] for text in lines]
    titles = [record.method_title for record in board.records]
    assert len(rows[0]) == 1 + len(titles) and rows[1] == rows[0][:3]
    assert f"{len(titles) - 2} entr" in first and "more" not in whole


def test_pictures_of_the_readme_are_there() -> None:
    pictures = re.findall(r"!\[[^]]+\]\(([^)]+)\)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert pictures and all((ROOT / picture).is_file() for picture in pictures)


def test_the_readmes_example_method_keeps_the_contract(tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    file = tmp_path / "softplus_pairs.py"
    file.write_text(code)
    assert check(load_method("softplus_pairs", [file])) == []
