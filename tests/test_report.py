"""The report says what the boards' verdicts allow, of made records whose verdicts are known."""

from __future__ import annotations

import re
from pathlib import Path

from harness.publish import draw, stale
from harness.publish.report import report
from harness.publish.rows import Board, make_board
from harness.record import write_record
from tests.made_records import floor, made


def board(*entries: tuple[str, float], **changes: object) -> Board:
    return make_board("quick/glyphs", [made(name, level, **changes) for name, level in entries])


def paragraph(text: str, head: str) -> str:
    (found,) = [line for line in text.split("\n") if line.startswith(f"**{head}")]
    return found


def test_a_clear_winner_and_a_tie_are_told_apart() -> None:
    text = report([board(("contrastive", 0.40), ("alike", 0.401), ("far_better", 0.60), ("worse", 0.20))], {})
    said = paragraph(text, "Against CONTRASTIVE")
    better, worse, tied = (
        said.split(" Worse: ")[0],
        said.split(" Worse: ")[1].split(". Not")[0],
        said.split("Not told apart: ")[1],
    )
    assert "FAR\\_BETTER (+" in better and "ALIKE" not in better
    assert "WORSE (−" in worse
    assert "ALIKE" in tied and "WORSE" not in tied


def test_without_the_reference_it_says_so() -> None:
    text = report([board(("ms", 0.4), ("nca", 0.5))], {})
    assert "**Against contrastive.** It is not among the entries that were compared here." in text


def test_what_tuning_moved_is_judged_and_not_only_subtracted() -> None:
    # Made records score two points less at the published values.
    text = report([board(("contrastive", 0.40), ("ms", 0.5))], {})
    said = paragraph(text, "What tuning moved")
    assert "Over 2 entries" in said and "worse none" in said
    nothing = report(
        [make_board("quick/glyphs", [made("ms", 0.4, published=0), made("nca", 0.4, published=0)])], {}
    )
    assert "What tuning moved" not in nothing


def test_whether_a_gain_on_validation_arrives_is_counted_over_searches_that_moved() -> None:
    record, arrays = made("ms", 0.5, searches=2)
    text = report([make_board("quick/glyphs", [(record, arrays), made("nca", 0.4)])], {})
    said = paragraph(text, "Whether it arrives")
    moved = [s for s in record.searches if s.chosen]
    assert f"of {len(record.searches) + 1} searches" in said and len(moved) > 0
    # Chosen values score 0.02 more than the published ones on test, whatever the metric's level.
    gain = float(re.findall(r"MAP@R by \S+ points on validation and by \+(\S+) on test", said)[0])
    assert 1 < gain < 3
    still = [search.model_copy(update={"chosen": 0}) for search in record.searches]
    kept = record.model_copy(update={"searches": still})
    alone = report([make_board("quick/glyphs", [(kept, arrays)])], {})
    assert "Whether it arrives" not in alone


def test_incomplete_entries_are_counted_and_not_compared() -> None:
    late = made("late", 0.9, status="incomplete", why="time was up", runs=[], published_runs=[])
    text = report([make_board("quick/glyphs", [made("contrastive", 0.4), made("ms", 0.5), late])], {})
    assert "Not complete: 1 other entry." in text and "LATE" not in text


def test_cost_is_the_sum_over_methods() -> None:
    entries = [made("contrastive", 0.4, seconds={"total": 100.0}), made("ms", 0.5, seconds={"total": 50.0})]
    said = paragraph(report([make_board("quick/glyphs", entries)], {}), "Cost")
    assert "2 min 30 s of trainings" in said and "at most 1 min 40 s (CONTRASTIVE)" in said


def test_findings_stand_under_their_board_and_the_page_is_drawn_with_the_others(tmp_path: Path) -> None:
    for record, arrays in (made("contrastive", 0.4), made("ms", 0.5), floor()):
        write_record(tmp_path, record, arrays)
    draw(tmp_path)
    page = tmp_path / "REPORT.md"
    assert "Against UNTRAINED" in page.read_text() and "Looked into" not in page.read_text()
    findings = tmp_path / "findings" / "quick" / "glyphs.md"
    findings.parent.mkdir(parents=True)
    findings.write_text("MS is fine.\n")
    assert stale(tmp_path) == ["REPORT.md: differs from what the records say"]
    draw(tmp_path)
    assert "**Looked into.** MS is fine." in page.read_text()
    assert stale(tmp_path) == []
