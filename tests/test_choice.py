"""What the scores of a search lead to when a test makes them up: the choice, its repetitions, the published row.

The trainings are real; only the score that the driver is told of each is another one.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from harness.campaign.events import RepetitionDone
from harness.campaign.executors import LocalExecutor
from harness.campaign.jobs import Done, Job, TrainJob, Workplace
from harness.campaign.studies import Journals
from harness.campaign.tuning import Study, published_values
from harness.cell import Training, TrainingResult
from harness.discovery import load_method, load_protocol
from harness.record import Record
from tests.small import few_glyphs
from tests.test_campaign import Rig, make_rig

Score = Callable[[Training], float]


class MadeUp(LocalExecutor):
    """Tells the driver a made-up score of every training, and keeps the jobs that it was given."""

    def __init__(self, place: Workplace, score: Score) -> None:
        super().__init__(place)
        self.score, self.jobs = score, list[Job]()

    def submit(self, job: Job) -> Future[Done]:
        self.jobs.append(job)
        future: Future[Done] = Future()
        done = super().submit(job).result()
        if isinstance(job, TrainJob):
            result = done[job.training.key]
            assert isinstance(result, TrainingResult)
            done[job.training.key] = dataclasses.replace(result, score=self.score(job.training))
        future.set_result(done)
        return future


def rig(tmp_path: Path, method: str = "ms", **changes: Any) -> Rig:
    values = {"epoch_steps": 1, "epochs": 1, "repetitions": 2, **changes}
    protocol = dataclasses.replace(load_protocol("smoke"), **values)
    return make_rig(few_glyphs(8, 4), protocol, [method], tmp_path / "results", tmp_path / "cache")


def run(work: Rig, score: Score) -> tuple[Record, list[Job]]:
    executor = MadeUp(Workplace(work.bench, work.campaign.places.cells), score)
    (record,) = work.campaign.run(work.campaign.entries(), work.test, executor, work)
    assert record.status == "complete", record.why
    return record, executor.jobs


def low_rate(training: Training) -> float:
    """The lower the learning rate the better, whatever the published values say."""
    return 1 / (1 + float(training.values["lr"]))


def test_the_choice_is_the_trial_with_the_best_score(tmp_path: Path) -> None:
    work = rig(tmp_path, trials=4, searches=2)
    record, _ = run(work, low_rate)
    for search in record.searches:
        scores = [trial.score for trial in search.trials]
        assert scores == [pytest.approx(1 / (1 + trial.values["lr"])) for trial in search.trials]
        assert search.chosen == max(range(4), key=lambda n: scores[n] or 0.0)
    assert {search.chosen for search in record.searches} != {0}, "the published values were not the best"
    repeated = [event for event in work.of(RepetitionDone) if event.kind == "tuned"]
    assert [event.search for event in repeated] == [0, 1], "dealt out in turn"
    for event in repeated:
        search = record.searches[event.search]
        assert search.chosen is not None
        assert event.values == search.trials[search.chosen].values
        assert all(training.values == event.values for training, _ in event.trainings)


def test_the_search_is_told_the_records_scores_and_maximises_them(tmp_path: Path) -> None:
    work = rig(tmp_path, trials=4)
    record, _ = run(work, low_rate)
    (journal,) = work.campaign.places.studies.glob("*.journal")
    storage = JournalStorage(JournalFileBackend(str(journal)))
    (name,) = optuna.get_all_study_names(storage)
    study = optuna.load_study(study_name=name, storage=storage)
    assert study.direction.name == "MAXIMIZE"
    assert [trial.value for trial in study.trials] == [trial.score for trial in record.searches[0].trials]
    assert study.best_trial.number == record.searches[0].chosen


@pytest.mark.parametrize("sampler", ["tpe", "gp"])
def test_a_sampler_moves_towards_better_scores(tmp_path: Path, sampler: str) -> None:
    """Of a hill in two dimensions, settings asked after the first ones lie nearer to its top than random ones."""
    space = {"a": FloatDistribution(0, 1), "b": FloatDistribution(1e-4, 1, log=True)}

    def height(values: Mapping[str, Any]) -> float:
        return -float((values["a"] - 0.8) ** 2 + (math.log10(values["b"]) + 1) ** 2 / 16)

    def mean_height(name: str, direction: float) -> float:
        study = Study(Journals(tmp_path), name, (name,), space, {"a": 0.1, "b": 1e-4}, sampler)
        heights = []
        for number in range(24):
            values = study.setting(number)
            study.tell(number, direction * height(values))
            heights.append(height(values))
        return sum(heights[12:]) / 12

    # The mean height of random settings is -0.29; at the top it is 0.
    assert mean_height("up", 1.0) > -0.15
    assert mean_height("down", -1.0) < -0.4


def test_the_published_row_is_trained_with_the_published_values(tmp_path: Path) -> None:
    work = rig(tmp_path, "proxy_nca", trials=3, published_repetitions=2)
    record, _ = run(work, low_rate)
    protocol, method = work.campaign.entries()[0].protocol, load_method("proxy_nca")
    assert method.own is not None
    expected = {**method.published, "lr": protocol.lr, "own_lr": method.own.published_lr}
    assert record.published == expected == published_values(method, protocol, "glyphs")
    assert record.searches[0].trials[0].values == expected
    told = [event for event in work.of(RepetitionDone) if event.kind == "published"]
    assert [event.seed for event in told] == [1, 2]
    assert all(training.values == expected for event in told for training, _ in event.trainings)
    chosen = record.searches[0].trials[record.searches[0].chosen or 0].values
    assert chosen != expected, "the tuned row is another one"
    # The row's numbers are those of these trainings' measurements.
    rows = {(run.seed, run.fold): run.metrics for run in record.published_runs if run.fold is not None}
    assert rows == {
        (event.seed, training.fold): dict(measured.metrics)
        for event in told
        for (training, _), (_, measured) in zip(event.trainings, event.measurements, strict=True)
    }


def test_finalists_are_trained_with_other_seeds_and_meet_no_test_image(tmp_path: Path) -> None:
    """One more seed may overturn the search's choice; only repetitions of the choice are measured."""
    work = rig(tmp_path, trials=3, finalists=2, finalist_seeds=2)

    def overturned(training: Training) -> float:
        score = low_rate(training)
        return score if training.seed == 0 else 1 - score

    record, jobs = run(work, overturned)
    (search,) = record.searches
    scores = [trial.score or 0.0 for trial in search.trials]
    best = sorted(range(3), key=lambda n: -scores[n])
    assert [finalist.trial for finalist in search.finalists] == best[:2]
    assert search.chosen == best[1], "the second one is better with the other seeds"
    trainings = [job for job in jobs if isinstance(job, TrainJob)]
    for job in trainings:
        assert (job.training.seed > 0) == (job.test is not None) == (job.measurement is not None)
    again = [job.training for job in trainings if job.training.seed < 0]
    assert {training.seed for training in again} == {-1, -2}
    assert len(again) == 2 * 2 * work.campaign.entries()[0].protocol.folds
    assert [dict(t.values) for t in again if (t.seed, t.fold) == (-1, 0)] == [
        search.trials[finalist.trial].values for finalist in search.finalists
    ]
