"""The MLflow diary, with a real MLflow on a database of its own."""

from __future__ import annotations

import dataclasses
import json
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from harness.addresses import without_password
from harness.campaign.events import EntryDone, EntryStarted, Event, TrialDone
from harness.campaign.tracking import MlflowDiary
from harness.campaign.tracking.diary import line_of

# Through the ledger, which tells MLflow before its import to report nothing to its makers.
from harness.campaign.tracking.ledger import MlflowClient, Run
from harness.campaign.tracking.pages import repetition_page, trial_page
from harness.campaign.tracking.study import study_page
from harness.record import SearchHistory, Trial
from tests.made_events import made_entry, made_events, trial_events
from tests.made_records import floor, made

#: Events of `made_events()`: started, 6 trials, 5 + 3 repetitions, done; all but the first are runs.
RUNS = 15


def keep_diary(folder: Path, events: Sequence[Event], **settings: Any) -> MlflowDiary:
    """A whole session: tell the events to a diary on a database in `folder`, and close it."""
    diary = MlflowDiary(address(folder), folder / "artifacts", **settings)
    for event in events:
        diary(event)
    diary.close()
    return diary


def address(folder: Path) -> str:
    return f"sqlite:///{folder / 'mlflow.db'}"


def runs_in(folder: Path, experiment: str = "dml/glyphs/quick") -> list[Run]:
    client = MlflowClient(tracking_uri=address(folder))
    found = client.get_experiment_by_name(experiment)
    assert found is not None
    return list(client.search_runs([found.experiment_id], max_results=1000))


def named(runs: Sequence[Run], name: str) -> Run:
    (run,) = [run for run in runs if run.info.run_name == name]
    return run


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database without runs; MLflow takes seconds to make one, so tests copy it."""
    folder = tmp_path_factory.mktemp("empty")
    MlflowClient(tracking_uri=address(folder)).search_experiments()
    return folder


@pytest.fixture
def place(empty: Path, tmp_path: Path) -> Path:
    """A folder of its own for a test, with an empty database."""
    return Path(shutil.copytree(empty, tmp_path / "diary"))


@pytest.fixture(scope="module")
def written(empty: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with two methods' studies."""
    folder = Path(shutil.copytree(empty, tmp_path_factory.mktemp("diary") / "written"))
    diary = keep_diary(
        folder, [*made_events("ms"), *made_events("nca", 0.3)], environment={"commit": "fedcba9"}
    )
    assert diary.summary == ""
    return folder


def test_every_study_trial_and_repetition_is_one_run(written: Path) -> None:
    runs = runs_in(written)
    levels = Counter((run.data.tags["dml.method"], run.data.tags["dml.level"]) for run in runs)
    assert levels == {
        (m, level): n for m in ("ms", "nca") for level, n in (("study", 1), ("trial", 6), ("final", 8))
    }
    assert {run.info.status for run in runs} == {"FINISHED"}
    parent = named(runs, "ms").info.run_id
    children = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == parent]
    assert {run.data.tags["dml.method"] for run in children} == {"ms"}
    assert len(children) == RUNS - 1


def test_a_trial_has_its_values_and_the_curves_of_all_folds(written: Path) -> None:
    event = next(e for e in made_events("ms") if isinstance(e, TrialDone) and e.number == 3)
    run = named(runs_in(written), "ms · trial 003")
    assert {k: float(v) for k, v in run.data.params.items()} == dict(event.values)
    assert run.data.metrics["val/map_at_r"] == event.score
    client = MlflowClient(tracking_uri=address(written))
    for fold, (_, result) in enumerate(event.trainings):
        curve = client.get_metric_history(run.info.run_id, f"fold{fold}/val/map_at_r")
        assert [(point.step, point.value) for point in curve] == list(result.curve)
        losses = client.get_metric_history(run.info.run_id, f"fold{fold}/train/loss")
        assert [(point.step, point.value) for point in losses] == list(result.losses)
    assert run.data.tags["dml.cell_keys"].split(",") == [cell.key for cell, _ in event.trainings]
    assert run.data.tags["mlflow.source.git.commit"] == "fedcba9"


def test_a_repetition_has_test_scores_of_folds_mean_and_joined(written: Path) -> None:
    event = made_events("ms")[-1]
    assert isinstance(event, EntryDone)
    own = [run for run in event.record.runs if run.seed == 2]
    metrics = named(runs_in(written), "ms · final · seed 02").data.metrics
    folds = [run.metrics["map_at_r"] for run in own if run.fold is not None]
    assert [metrics[f"fold{fold}/test/map_at_r"] for fold in range(4)] == folds
    assert metrics["test/map_at_r"] == pytest.approx(sum(folds) / 4)
    assert metrics["test_joined/map_at_r"] == own[-1].metrics["map_at_r"]
    assert named(runs_in(written), "ms · published values · seed 03").data.params == {
        "alpha": "2.0",
        "margin": "0.5",
    }


def test_the_parent_tells_the_story(written: Path, tmp_path: Path) -> None:
    event = made_events("ms")[-1]
    assert isinstance(event, EntryDone)
    run = named(runs_in(written), "ms")
    search = event.record.searches[0]
    assert run.data.params == {k: str(v) for k, v in search.trials[search.chosen or 0].values.items()}
    metrics, note = run.data.metrics, run.data.tags["mlflow.note.content"]
    assert metrics["test/map_at_r_ci_low"] < metrics["test/map_at_r"] < metrics["test/map_at_r_ci_high"]
    assert event.record.command in note
    assert f"{100 * metrics['test/map_at_r']:.1f}" in note
    assert {i.dataset.digest for i in run.inputs.dataset_inputs} == {event.entry.split[:8]}
    assert {i.tags[0].value for i in run.inputs.dataset_inputs} == {"training", "validation", "test"}
    client = MlflowClient(tracking_uri=address(written))
    files = {f.path for place in ("figures", "tables") for f in client.list_artifacts(run.info.run_id, place)}
    assert files == {
        "figures/search.png", "figures/learning_curves.png", "figures/repetitions.png",
        "tables/runs.json", "tables/trials.json", "tables/classes.json",
    }  # fmt: skip
    listed = json.loads(run.data.tags["mlflow.loggedArtifacts"])
    assert {table["path"] for table in listed} == {file for file in files if file.startswith("tables/")}
    table = pd.read_json(
        client.download_artifacts(run.info.run_id, "tables/runs.json", str(tmp_path)), orient="split"
    )
    assert len(table) == len(event.record.runs) + len(event.record.published_runs)
    assert table["map_at_r"].tolist()[0] == pytest.approx(event.record.runs[0].metrics["map_at_r"])


def test_the_experiment_is_described(written: Path) -> None:
    found = MlflowClient(tracking_uri=address(written)).get_experiment_by_name("dml/glyphs/quick")
    assert found is not None
    assert "24 test classes" in found.tags["mlflow.note.content"]
    assert found.tags["mlflow.experiment.primaryMetric.name"] == "test/map_at_r"


def everything(folder: Path) -> list[tuple[Any, ...]]:
    """All that the runs say, histories included."""
    client = MlflowClient(tracking_uri=address(folder))
    return [
        (
            run.info.run_id,
            run.info.run_name,
            run.info.status,
            run.info.end_time,
            run.data.tags,
            run.data.params,
            {
                name: [
                    (p.step, p.value, p.timestamp) for p in client.get_metric_history(run.info.run_id, name)
                ]
                for name in run.data.metrics
                if name.endswith("/map_at_r")
            },
        )
        for run in sorted(runs_in(folder), key=lambda run: run.info.run_id)
    ]


def test_told_twice_is_written_once(written: Path) -> None:
    before = everything(written)
    again = keep_diary(
        written, [*made_events("ms"), *made_events("nca", 0.3)], environment={"commit": "fedcba9"}
    )
    assert again.summary == ""
    assert everything(written) == before


def test_an_interrupted_study_is_closed_and_goes_on(place: Path) -> None:
    events = made_events("ms")
    keep_diary(place, events[:5])
    runs = runs_in(place)
    assert len(runs) == 5
    assert named(runs, "ms").info.status == "KILLED"
    keep_diary(place, events)
    runs = runs_in(place)
    assert len(runs) == RUNS
    assert named(runs, "ms").info.status == "FINISHED"


def test_a_run_left_half_written_is_completed_without_doubles(place: Path) -> None:
    events = made_events("ms")[:3]
    keep_diary(place, events)
    client = MlflowClient(tracking_uri=address(place))
    whole = everything(place)
    run_id = named(runs_in(place), "ms · trial 001").info.run_id
    client.delete_tag(run_id, "dml.written")
    client.update_run(run_id, status="RUNNING")
    client.create_run(
        named(runs_in(place), "ms").info.experiment_id, tags=dict(client.get_run(run_id).data.tags)
    )
    assert len(runs_in(place)) == 4
    keep_diary(place, events)
    histories = [run[-1] for run in everything(place)]
    assert histories == [run[-1] for run in whole]


def test_a_record_that_changed_is_shown_as_it_is_now(place: Path) -> None:
    keep_diary(place, made_events("ms", status="incomplete", why="time was up", published=0))
    first = named(runs_in(place), "ms")
    assert first.info.status == "KILLED"
    assert first.data.params == {}
    keep_diary(place, made_events("ms", 0.3))
    run = named(runs_in(place), "ms")
    assert run.info.status == "FINISHED"
    assert run.data.metrics["test/map_at_r"] < first.data.metrics["test/map_at_r"]
    assert run.data.params.keys() == {"alpha", "margin"}


def test_several_searches_are_told_apart(place: Path) -> None:
    keep_diary(place, made_events("ms", searches=2))
    runs = runs_in(place)
    assert named(runs, "ms · search 2 · trial 005").data.tags["dml.search"] == "2"
    assert {"search1/best_map_at_r", "search2/best_map_at_r"} <= named(runs, "ms").data.metrics.keys()


def test_a_diverged_trial_says_why(place: Path) -> None:
    record, _ = made("ms", 0.4)
    diverged = Trial(values={"alpha": 40.0, "margin": 0.1}, status="nan", scores=[], score=None, seconds=1.0)
    record = record.model_copy(update={"searches": [SearchHistory(trials=[diverged], chosen=None)]})
    entry = made_entry(record)
    keep_diary(place, [EntryStarted(entry), *trial_events(entry, record)])
    run = named(runs_in(place), "ms · trial 000")
    assert run.info.status == "FAILED"
    assert run.data.tags["dml.status"] == "nan"
    assert "the loss is nan" in run.data.tags["mlflow.note.content"]
    assert "fold0/train/loss" not in run.data.metrics


def test_the_floor_has_no_search_and_no_params() -> None:
    record, arrays = floor()
    page = study_page(EntryDone(made_entry(record), record, arrays))
    assert page.params == {}
    assert not [name for name, _, _ in page.points if "best_" in name]


def test_pages_of_equal_events_are_equal() -> None:
    for one, two in zip(made_events("ms"), made_events("ms"), strict=True):
        make: Callable[[Any], Any] | None = {
            "TrialDone": trial_page, "RepetitionDone": repetition_page, "EntryDone": study_page,
        }.get(type(one).__name__)  # fmt: skip
        if make is not None:
            assert make(one).digest == make(two).digest


# -- a tracker that fails --------------------------------------------------------------------------------


@contextmanager
def broken_server(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[str]:
    """A real HTTP server that does `answer` for every request; gives its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        do_POST = do_GET  # noqa: N815  the name that http.server looks for

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def says_500(handler: BaseHTTPRequestHandler) -> None:
    handler.send_error(500)


def hangs(handler: BaseHTTPRequestHandler) -> None:
    time.sleep(60)


@pytest.mark.parametrize("answer", [says_500, hangs, None], ids=["500", "hangs", "absent"])
def test_a_broken_tracker_delays_nothing_and_is_told(
    answer: Callable[[BaseHTTPRequestHandler], None] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with broken_server(answer or says_500) as uri:
        diary = MlflowDiary(uri if answer else "http://127.0.0.1:9", patience=2.0)
        slowest = 0.0
        for event in made_events("ms"):
            start = time.monotonic()
            diary(event)
            slowest = max(slowest, time.monotonic() - start)
        start = time.monotonic()
        diary.close()
        assert slowest < 0.5
        assert time.monotonic() - start < 6
        assert diary.missing == RUNS + 1
        assert f"{RUNS + 1} of {RUNS + 1}" in diary.summary
        assert "sync" in diary.summary


def test_what_a_dead_tracker_missed_is_completed_later(place: Path) -> None:
    aside = place.rename(place.with_name("aside"))
    place.write_text("a file stands where the database's folder should be")
    events = made_events("ms")
    diary = keep_diary(place, events, patience=1.0)
    assert diary.missing == len(events)
    # The attempt that was under way when the diary gave up ends by itself; a later command comes after this process.
    for thread in [t for t in threading.enumerate() if t.name == "diary"]:
        thread.join()
    place.unlink()
    aside.rename(place)
    assert keep_diary(place, events).missing == 0
    assert len(runs_in(place)) == RUNS


def test_a_tracker_that_comes_back_gets_everything(place: Path) -> None:
    aside = place.rename(place.with_name("aside"))
    place.write_text("not yet")
    diary = MlflowDiary(address(place), place / "artifacts")
    for event in made_events("ms"):
        diary(event)
    assert comes_true(lambda: bool(diary.failing))
    place.unlink()
    aside.rename(place)
    assert comes_true(lambda: not diary.missing)
    diary.close()
    assert diary.summary == ""
    assert len(runs_in(place)) == RUNS


def comes_true(condition: Callable[[], bool], seconds: float = 30.0) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    return condition()


def test_a_mistake_in_an_event_ends_no_campaign(place: Path) -> None:
    broken: Any = TrialDone(None, 0, 0, {}, "ok", 0.5, ())  # type: ignore[arg-type]
    diary = keep_diary(place, [broken])
    assert diary.missing == 1
    assert "AttributeError" in diary.summary


def test_what_mlflow_rejects_is_told_and_stops_nothing(place: Path) -> None:
    events = made_events("ms")
    bad = dataclasses.replace(events[1], values={"not a name?!": 1.0})  # type: ignore[type-var]
    diary = keep_diary(place, [events[0], bad, *events[2:]])
    assert diary.missing == 1
    assert "not a name" in diary.summary
    assert len(runs_in(place)) == RUNS


def test_a_password_in_the_address_is_not_shown() -> None:
    assert without_password("https://ann:secret@tracker.org/x") == "https://***@tracker.org/x"
    assert line_of(OSError("GET https://ann:secret@tracker.org/x failed")).endswith(
        "https://***@tracker.org/x failed"
    )
    assert without_password("https://token@tracker.org/x") == "https://***@tracker.org/x"
    assert without_password("postgresql://ann:a@b@host/db") == "postgresql://ann:***@host/db"
    assert without_password("sqlite:////tmp/mlflow.db") == "sqlite:////tmp/mlflow.db"
