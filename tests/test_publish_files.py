"""The files that are drawn: the same bytes each time, hostile words harmless, nothing that needs torch."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import subprocess
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from hypothesis import given
from hypothesis import strategies as st

from harness.publish import draw, stale, tables
from harness.publish.curves import apart
from harness.publish.entry import safe_link
from harness.publish.exports import board_csv, board_json, board_latex
from harness.publish.readme import narrow
from harness.publish.rows import Board, read_boards
from harness.publish.scales import round_steps
from harness.publish.site import wide_table
from harness.publish.tables import score, study_table
from harness.publish.words import duration, gain, rank
from harness.record import write_record
from tests.made_records import made, write_made
from tests.test_publish import cells

ROOT = Path(__file__).parents[1]

# -- files -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    results = tmp_path_factory.mktemp("results")
    write_made(results)
    draw(results)
    return results


def contents(results: Path) -> dict[Path, bytes]:
    files = (path for path in sorted(results.rglob("*")) if path.is_file() and ".work" not in path.parts)
    return {path: path.read_bytes() for path in files}


def test_drawing_again_gives_the_same_bytes(drawn: Path, tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere"
    shutil.copytree(drawn / "records", copy / "records")
    draw(copy)
    assert {path.relative_to(copy): content for path, content in contents(copy).items()} == {
        path.relative_to(drawn): content for path, content in contents(drawn).items()
    }
    assert stale(copy) == []


def test_two_commands_draw_one_after_the_other(tmp_path: Path) -> None:
    """Else one removes the half-written files of the other, and folders that it is about to fill."""
    write_made(tmp_path)
    ended = threading.Event()
    other = threading.Thread(target=lambda: (draw(tmp_path), ended.set()))
    with FileLock(tmp_path / ".work" / "drawing.lock"):
        other.start()
        assert not ended.wait(1) and not (tmp_path / "site").exists()
    other.join(60)
    assert ended.is_set() and stale(tmp_path) == []


def test_what_differs_is_named_and_drawing_mends_it(drawn: Path, tmp_path: Path) -> None:
    results = tmp_path / "results"
    shutil.copytree(drawn, results)
    (results / "LEADERBOARD.md").write_text("better numbers\n")
    (results / "site/quick/glyphs/entry/ms.html").unlink()
    (results / "site/quick/gone").mkdir()
    (results / "site/quick/gone/index.html").write_text("an old board")
    assert stale(results) == [
        "LEADERBOARD.md: differs from what the records say",
        "site/quick/glyphs/entry/ms.html: is missing",
        "site/quick/gone/index.html: no record asks for it",
    ]
    draw(results)
    assert stale(results) == []
    assert not (results / "site/quick/gone").exists()


def test_the_leaderboard_draws_without_torch_in_ten_seconds(drawn: Path, tmp_path: Path) -> None:
    results = tmp_path / "results"
    shutil.copytree(drawn / "records", results / "records")
    blocked = "torch", "torchvision", "optuna", "mlflow", "matplotlib", "ray", "faiss"
    program = (
        f"import sys\nfor name in {blocked}: sys.modules[name] = None\n"
        "from harness.cli.main import main\n"
        f"for words in ([], ['--check']): assert main(['leaderboard', '--results', {str(results)!r}, *words]) == 0"
    )
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - begun < 2 * 10  # drawn twice, in two cores that others use too
    assert contents(results / "site").keys() == {
        results / "site" / path.relative_to(drawn / "site") for path in contents(drawn / "site")
    }


def test_pages_reach_for_nothing_outside(drawn: Path) -> None:
    for page in sorted((drawn / "site").rglob("*.html")):
        text = page.read_text(encoding="utf-8")
        assert len(text) < 1_000_000
        for link in re.findall(r"""(?:src|href)="([^"#]+)""", text):
            assert link == "data:," or (page.parent / link).resolve().is_file(), f"{page.name}: {link}"


def board_of(results: Path) -> Board:
    return read_boards(results)[0]


def test_csv_and_json_hold_the_same_fractions(drawn: Path) -> None:
    board = board_of(drawn)
    rows = list(csv.DictReader(io.StringIO(board_csv(board))))
    told = json.loads(board_json(board))
    assert told["protocol_digest"] == "d1" * 32
    assert [row["method"] for row in rows] == [row["method"] for row in told["rows"]]
    for ours, theirs in zip(rows, told["rows"], strict=True):
        assert float(ours["separated_map_at_r"]) == pytest.approx(theirs["separated_map_at_r"], abs=1e-6)
        assert 0 < theirs["separated_map_at_r"] < 1
        assert (ours["rank_low"] == "") == (theirs["rank_low"] is None)


def test_the_wide_table_keeps_rows_and_cells_together(drawn: Path) -> None:
    board = board_of(drawn)
    wide, study = wide_table(board), study_table(board)
    assert {len(row.cells) for row in wide.rows} == {len(wide.columns)}
    for row in study.rows:
        assert cells(study, row.method, row.variant).items() <= cells(wide, row.method, row.variant).items()


# -- hostile words -----------------------------------------------------------------------------------

TITLE = """<script>alert("x")</script> a|b*c_d`e` 50% & $x^2$ # {y} \\ ~"""


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    results = tmp_path_factory.mktemp("hostile")
    record, arrays = made("ms", 0.4, method_title=TITLE, caveat=TITLE, dataset_title=TITLE, command=TITLE)
    paper = record.paper.model_copy(update={"title": TITLE, "link": "javascript:alert(1)"})
    write_record(results, record.model_copy(update={"paper": paper}), arrays)
    draw(results)
    return results


def test_a_title_of_script_harms_nobody(hostile: Path) -> None:
    for page in sorted((hostile / "site").rglob("*.html")):
        text = page.read_text(encoding="utf-8")
        assert len(re.findall(r"<script(?! src=)", text)) == 0
        assert "javascript:" not in text
        assert "&lt;script&gt;" in text or page.parent.name == "reported"
    assert safe_link("https://arxiv.org/abs/2003.08505") == "https://arxiv.org/abs/2003.08505"


def test_markdown_keeps_hostile_titles_inside_their_cell(hostile: Path) -> None:
    text = (hostile / "LEADERBOARD.md").read_text(encoding="utf-8")
    assert "<script" not in text
    tables = re.findall(r"(?:^\|.*\|\n)+", text, re.MULTILINE)
    for table in tables:
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(widths) == 1
    rows = [line for table in tables for line in table.splitlines()]
    assert any(r"a\|b\*c\_d\`e\`" in row for row in rows)


def test_latex_is_escaped_and_whole(hostile: Path) -> None:
    text = board_latex(board_of(hostile))
    inside = text[text.index(r"\midrule") : text.index(r"\bottomrule")]
    assert r"50\% \& \$x\textasciicircum{}2\$ \# \{y\} \textbackslash{} \textasciitilde{}" in inside
    columns = len(study_table(board_of(hostile)).columns) - 1  # what notes say stands below
    for line in inside.strip().splitlines()[1:]:
        assert len(re.findall(r"(?<!\\)&", line)) == columns - 1
        assert line.endswith(r" \\")
    assert text.count("{") - text.count(r"\{") == text.count("}") - text.count(r"\}")
    assert text.count(r"\begin") == text.count(r"\end") == 4
    below = text[text.index(r"\end{tabular}") : text.index(r"\end{table}")]
    assert r"\par\footnotesize \textless{}script\textgreater{}" in below


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex here")
def test_latex_compiles_and_fits_the_page(hostile: Path, drawn: Path, tmp_path: Path) -> None:
    files = [*sorted((drawn / "site/tables").glob("*.tex")), *sorted((drawn / "site").rglob("board.tex"))]
    bodies = [board_latex(board_of(hostile)), *(file.read_text(encoding="utf-8") for file in files)]
    assert len(bodies) == 5
    page = "\n".join(
        [
            r"\documentclass{article}\usepackage{booktabs,graphicx}\begin{document}",
            *bodies,
            r"\end{document}",
        ]
    )
    (tmp_path / "page.tex").write_text(page, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "page.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert not re.search(r"Overfull \\hbox \(\d{2,}", done.stdout), done.stdout


def test_tables_for_other_programs_say_what_the_page_says(drawn: Path) -> None:
    tables = drawn / "site/tables"
    told = json.loads((tables / "overview.json").read_text(encoding="utf-8"))
    rows = list(csv.reader(io.StringIO((tables / "overview.csv").read_text(encoding="utf-8"))))
    assert [list(row.values()) for row in told["rows"]] == rows[1:]
    assert rows[0] == list(told["rows"][0])
    assert rows[1][1] == cells(study_table(board_of(drawn)), "xbm")["MAP@R"]
    assert len(list(tables.glob("*.csv"))) == len(list(tables.glob("*.tex"))) == 3


def test_one_more_metric_is_a_column_of_every_table(drawn: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As CONTRIBUTING says: a name in STUDY, heading or not, and nothing is pushed out of the narrow tables."""
    board = board_of(drawn)
    before, extra = study_table(board), board.recall[-1]
    monkeypatch.setattr(tables, "STUDY", ("precision_at_1", extra, "r_precision", "map_at_r"))
    after = study_table(board)
    heading = tables.metric_name(extra)
    assert len(after.columns) == len(before.columns) + 2
    names = ["Rank", "Method", "Ties", "P@1", heading, "R-Precision", "MAP@R"]
    assert [column.name for column in narrow(after).columns] == names
    told, shown = cells(before, "xbm"), cells(narrow(after), "xbm")
    assert {name: shown[name] for name in names if name != heading} == {
        n: told[n] for n in names if n != heading
    }
    assert shown[heading] == score(board.frame.query("method == 'xbm'").iloc[0], f"separated_{extra}").text
    assert heading in [column.name for column in wide_table(board).columns]


# -- small laws --------------------------------------------------------------------------------------


@given(st.floats(-1, 1), st.floats(1e-3, 2))
def test_ticks_are_few_even_and_inside(low: float, width: float) -> None:
    values = round_steps(low, low + width)
    assert 1 <= len(values) <= 7
    assert all(low - 1e-6 <= value <= low + width + 1e-6 for value in values)
    if len(values) > 2:
        assert np.allclose(np.diff(values), values[1] - values[0])


@given(st.lists(st.floats(10, 210), min_size=1, max_size=14))
def test_labels_do_not_touch_and_keep_their_order(wanted: list[float]) -> None:
    placed = apart(wanted)
    ordered = [placed[i] for i in sorted(range(len(wanted)), key=lambda i: wanted[i])]
    assert all(after - before >= 12.999 for before, after in pairwise(ordered))


def test_numbers_in_words() -> None:
    assert [duration(s) for s in (0.4, 9.6, 59.6, 185, 7620)] == [
        "0.4 s",
        "10 s",
        "1 min 0 s",
        "3 min 5 s",
        "2 h 7 min",
    ]
    assert (rank(2, 2), rank(1, 3), gain(-0.0054), gain(0.0196)) == ("2", "1–3", "−0.54", "+1.96")
