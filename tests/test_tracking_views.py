"""What the diary lays out for MLflow's pages: charts of a search, the entry's page, what the machine does."""

from __future__ import annotations

import json
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.campaign.events import CellDone, Entry, EntryDrawn, EntryStarted, RepetitionDone, TrialDone
from harness.campaign.tracking import MlflowDiary, diary
from harness.campaign.tracking.ledger import MlflowClient, Run
from harness.campaign.tracking.machine import Machine, monitors
from harness.campaign.tracking.pages import repetition_page, trial_page
from harness.campaign.tracking.views import noted, view_tags
from harness.cli.drawing import page_of, pages_of
from harness.publish import draw
from harness.publish.alone import alone
from harness.record import write_record
from tests.made_events import made_entry, made_events
from tests.made_records import made, write_made
from tests.test_tracking import address, comes_true, keep_diary, named, runs_in

NOTE = "mlflow.note.content"


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database without runs; MLflow takes seconds to make one, so tests copy it."""
    folder = tmp_path_factory.mktemp("empty")
    MlflowClient(tracking_uri=address(folder)).search_experiments()
    return folder


@pytest.fixture
def place(empty: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(empty, tmp_path / "diary"))


# -- views -------------------------------------------------------------------------------------------------------------
def charts_of(level: str) -> Iterator[tuple[dict[str, Any], Any]]:
    """Every chart of a view, with a run that it is about."""
    events = made_events("ms")
    of_level = {"search": TrialDone, "final": RepetitionDone}[level]
    event = next(e for e in events if isinstance(e, of_level))
    (state,) = [json.loads(v) for k, v in view_tags(event.entry).items() if k.endswith(level)]
    sections = [section["uuid"] for section in state["compareRunSections"]]
    assert len(sections) == len(set(sections))
    for chart in state["compareRunCharts"]:
        assert chart["metricSectionId"] in sections
        yield chart, event


@pytest.mark.parametrize(("level", "charts"), [("search", 3), ("final", 4)])
def test_charts_show_what_the_runs_have(level: str, charts: int) -> None:
    found = list(charts_of(level))
    assert len(found) == charts
    for chart, event in found:
        page = trial_page(event) if level == "search" else repetition_page(event)
        metrics = {name for name, _, _ in page.points}
        asked = [*chart.get("selectedMetricKeys", []), *chart.get("selectedMetrics", [])]
        asked += [chart["metricKey"]] if "metricKey" in chart else []
        assert asked and set(asked) <= metrics
        assert set(chart.get("selectedParams", [])) <= page.params.keys()


def test_one_chart_has_the_curves_of_all_folds_and_one_the_values_with_their_score() -> None:
    charts = {chart["type"]: chart for chart, _ in charts_of("search")}
    assert charts["PARALLEL"]["selectedParams"] == ["alpha", "margin"]
    assert charts["PARALLEL"]["selectedMetrics"] == ["val/map_at_r"]
    assert charts["LINE"]["selectedMetricKeys"] == [f"fold{fold}/train/loss" for fold in range(4)]


def test_a_note_has_one_line_of_links() -> None:
    assert noted("the words\n\nand more", "Look at: a.") == "Look at: a.\n\nthe words\n\nand more"
    assert noted("Look at: a.\n\nthe words", "Look at: b.") == "Look at: b.\n\nthe words"


def test_the_parents_note_links_to_views_that_are_there(place: Path) -> None:
    keep_diary(place, [*made_events("ms"), *made_events("nca", 0.3)])
    client = MlflowClient(tracking_uri=address(place))
    experiment = client.get_experiment_by_name("dml/glyphs/quick")
    for method in ("ms", "nca"):
        run = named(runs_in(place), method)
        keys = re.findall(r"#/experiments/(\d+)/runs\?\S*viewStateShareKey=([\w-]+)", run.data.tags[NOTE])
        assert len(keys) == 2
        for number, key in keys:
            assert number == experiment.experiment_id
            state = json.loads(experiment.tags[f"mlflow.sharedViewState.{key}"])
            shown = client.search_runs([number], state["searchFilter"])
            assert {r.data.tags["dml.method"] for r in shown} == {method}
            assert len(shown) == (6 if key.endswith("search") else 8)


def test_a_study_under_way_links_to_its_search(place: Path) -> None:
    keep_diary(place, made_events("ms")[:3])
    assert "[the search](#/experiments/" in named(runs_in(place), "ms").data.tags[NOTE]


# -- the entry's page --------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    write_made(folder)
    draw(folder)
    return folder


def attached(place: Path, run: Run) -> str:
    client = MlflowClient(tracking_uri=address(place))
    return Path(client.download_artifacts(run.info.run_id, "page.html")).read_text(encoding="utf-8")


def test_the_entrys_page_is_attached_and_linked(place: Path, results: Path) -> None:
    events = made_events("ms")
    (drawn,) = pages_of(results, [events[0].entry])
    assert keep_diary(place, [*events, drawn]).summary == ""
    run = named(runs_in(place), "ms")
    assert attached(place, run) == drawn.page
    link = f"#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}/artifacts/page.html"
    assert link in run.data.tags[NOTE]
    # Told again it stays; a record that changed keeps the link, and a page that changed takes the old one's place.
    keep_diary(place, [*events, drawn])
    assert named(runs_in(place), "ms").data.tags == run.data.tags
    keep_diary(place, made_events("ms", 0.3))
    keep_diary(place, [events[0], EntryDrawn(events[0].entry, "another")])
    run = named(runs_in(place), "ms")
    assert attached(place, run) == "another"
    assert run.data.tags[NOTE].count("artifacts/page.html") == 1


def test_a_page_stands_alone(results: Path) -> None:
    page = alone(results / "site" / "quick" / "glyphs" / "entry" / "ms.html")
    assert not re.findall(r'(?:src|href)="(?!https?:|#|data:)[^"]*"', page)
    assert not re.findall(r'url\("?(?!"?data:)', page)
    assert "window.board" in page and "Overview / " in page
    assert page.count("</script>") == 2


def test_of_two_boards_with_one_name_the_entrys_own_is_found(tmp_path: Path) -> None:
    for digest in ("aaaaaa", "bbbbbb"):
        record, arrays = made("ms", 0.4, protocol_digest=digest * 8)
        results = tmp_path / digest
        write_record(results, record, arrays)
        draw(results)
    entry = made_entry(record)
    site = tmp_path / "site" / "quick"
    for digest in ("aaaaaa", "bbbbbb"):
        shutil.copytree(
            tmp_path / digest / "site" / "quick" / "glyphs",
            site / f"glyphs-{digest}-{entry.split[:6]}-convnet",
        )
    assert page_of(site, entry) == site / f"glyphs-bbbbbb-{entry.split[:6]}-convnet" / "entry" / "ms.html"
    assert page_of(tmp_path / "aaaaaa" / "site" / "quick", entry) is not None
    assert page_of(tmp_path / "nothing", entry) is None


# -- the machine -------------------------------------------------------------------------------------------------------
@pytest.fixture
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diary, "LOOK", 0.01)
    monkeypatch.setattr("harness.campaign.tracking.machine.SPAN", 0.02)


def cell_done(entry: Entry, fresh: bool) -> CellDone:
    trial = next(e for e in made_events(entry.method.name) if isinstance(e, TrialDone))
    return CellDone(entry, *trial.trainings[0], fresh)


def system(place: Path, method: str) -> dict[str, float]:
    run = next((r for r in runs_in(place) if r.info.run_name == method), None)
    metrics = {} if run is None else run.data.metrics
    return {name: value for name, value in metrics.items() if name.startswith("system/")}


def test_entries_that_are_worked_on_show_what_the_machine_does(place: Path, quick_looks: None) -> None:
    worked_on, told_again = (made_events(name)[0].entry for name in ("ms", "nca"))
    watching = MlflowDiary(address(place), place / "artifacts")
    for event in (
        EntryStarted(told_again), EntryStarted(worked_on), cell_done(told_again, False), cell_done(worked_on, True)
    ):  # fmt: skip
        watching(event)
    # The experiment is there once the first run is.
    assert comes_true(lambda: not watching.missing, 120)
    assert comes_true(lambda: bool(system(place, "ms")), 120)
    watching.close()
    found = system(place, "ms")
    assert 0 < found["system/system_memory_usage_percentage"] <= 100
    assert 0 <= found["system/cpu_utilization_percentage"] <= 100
    assert not system(place, "nca")


def test_a_machine_that_cannot_be_seen_ends_nothing(
    place: Path, quick_looks: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = threading.Event()

    def fails(self: Machine) -> dict[str, float]:
        asked.set()
        raise OSError("no such file: /proc/stat")

    monkeypatch.setattr(Machine, "sample", fails)
    events = made_events("ms")
    watching = MlflowDiary(address(place), place / "artifacts")
    for event in (events[0], cell_done(events[0].entry, True)):
        watching(event)
    assert asked.wait(120)
    for event in events[1:]:
        watching(event)
    watching.close()
    assert watching.summary == ""


def test_a_minute_is_the_mean_of_its_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    class Counter:
        """Counts how often it is asked."""

        def __init__(self) -> None:
            self.asked: list[int] = []
            self.total = 0

        def collect_metrics(self) -> None:
            self.total += 1
            self.asked.append(self.total)

        def aggregate_metrics(self) -> dict[str, float]:
            return {"count": sum(self.asked) / len(self.asked)}

        def clear_metrics(self) -> None:
            self.asked.clear()

    def broken() -> Any:
        raise ImportError("no such card")

    kinds: list[Callable[[], Any]] = [Counter, broken]
    monkeypatch.setattr("harness.campaign.tracking.machine.KINDS", kinds)
    assert len(list(monitors())) == 1
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    machine = Machine()
    seen = []
    for _ in range(12):
        now += 10
        seen.append(machine.sample())
    # The first is asked for when the machine is first seen.
    assert [one for one in seen if one] == [{"system/count": 4.5}, {"system/count": 10.5}]
    assert [bool(one) for one in seen].index(True) == 5
