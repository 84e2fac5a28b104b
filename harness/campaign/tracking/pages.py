"""Pages: what an event says, as one run of MLflow. Values only; no tracker here.

Searches count from 1 in all that is shown, as on the terminal and the site; trials from 0, the published values.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.campaign.events import Entry, RepetitionDone, TrialDone
from harness.cell import Training, TrainingResult
from harness.record import Record

#: One value of a metric: name, value, step. Scores are fractions, times are seconds.
Point = tuple[str, float, int]
Trained = Sequence[tuple[Training, TrainingResult]]

KEY = "dml.key"
ENTRY = "dml.entry"
#: Digest of the page as it was last written whole; a run with the right one is not touched again.
WRITTEN = "dml.written"
NOTE = "mlflow.note.content"


class RefusedError(Exception):
    """The tracker will never take this page; trying again is in vain."""


@dataclass(frozen=True)
class Page:
    """One run of MLflow as it should be.

    key: names the run for ever; a tracker holds one run a key.
    tags, params: MLflow's; values are text.
    points: every value of every metric.
    contexts: in what roles the run saw the dataset (training, validation, test).
    status: FINISHED, FAILED or KILLED.
    seconds: work in the run's cells, which becomes its duration.
    record, arrays: where there is a record, its figures and tables are attached.
    """

    key: str
    name: str
    tags: Mapping[str, str]
    params: Mapping[str, str] = field(default_factory=dict)
    points: tuple[Point, ...] = ()
    contexts: tuple[str, ...] = ()
    status: str = "FINISHED"
    seconds: float = 0.0
    record: Record | None = None
    arrays: Mapping[str, Any] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """Of all that the run should say; not of when it was written."""
        record = self.record.model_dump_json() if self.record else ""
        tags, params = dict(self.tags), dict(self.params)
        facts = [self.name, tags, params, self.points, self.contexts, self.status, record]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def trial_page(event: TrialDone) -> Page:
    """A setting of the search, with the learning curves of its folds and the score that the search was told."""
    entry, search = event.entry, f"search {event.search + 1} · " if event.entry.protocol.searches > 1 else ""
    means = fold_means(result.validation for _, result in event.trainings if result.status == "ok")
    if event.score is not None:
        means[entry.protocol.selection] = event.score
    return Page(
        key=f"{entry.key} search {event.search} trial {event.number}",
        name=f"{entry.method.name} · {search}trial {event.number:03d}",
        tags={
            **entry_tags(entry, "trial", event.status),
            **training_tags(event.trainings),
            "dml.search": str(event.search + 1),
            "dml.trial": str(event.number),
            "dml.seed": "0",
        },
        params=texts(event.values),
        points=finite([*training_points(entry, event.trainings), *named("val/", means)]),
        contexts=("training", "validation"),
        status="FINISHED" if event.status == "ok" else "FAILED",
        seconds=seconds_of(event.trainings, "total"),
    )


def repetition_page(event: RepetitionDone) -> Page:
    """A seed of the final stage: the test scores of its folds, their mean, and those of the joined embedding."""
    entry, kind = event.entry, "final" if event.kind == "tuned" else "published values"
    folds = {training.key: training.fold for training, _ in event.trainings}
    points = training_points(entry, event.trainings)
    points += named(
        "val/", fold_means(result.validation for _, result in event.trainings if result.status == "ok")
    )
    for measurement, measured in event.measurements:
        points += named(f"fold{folds[measurement.trainings[0]]}/test/", measured.metrics)
    points += named("test/", fold_means(measured.metrics for _, measured in event.measurements))
    if event.joined is not None:
        points += named("test_joined/", event.joined[1].metrics)
    results = [result for _, result in event.trainings] + [result for _, result in event.measurements]
    status = next((result.status for result in results if result.status != "ok"), "ok")
    return Page(
        key=f"{entry.key} {event.kind} seed {event.seed}",
        name=f"{entry.method.name} · {kind} · seed {event.seed:02d}",
        tags={
            **entry_tags(entry, "final", status),
            **training_tags(event.trainings),
            "dml.values": event.kind,
            "dml.seed": str(event.seed),
            **({} if event.search is None else {"dml.search": str(event.search + 1)}),
        },
        params=texts(event.values),
        points=finite(points),
        contexts=("training", "validation", "test"),
        status="FINISHED" if status == "ok" else "FAILED",
        seconds=seconds_of(event.trainings, "total"),
    )


def entry_tags(entry: Entry, level: str, status: str) -> dict[str, str]:
    """The flat tags that every run carries, so that runs of any level can be grouped and filtered."""
    return {
        ENTRY: entry.key,
        "dml.level": level,
        "dml.status": status,
        "dml.method": entry.method.name,
        "dml.method_kind": entry.method.kind,
        "dml.dataset": entry.dataset_slug,
        "dml.split": entry.split[:12],
        "dml.protocol": entry.protocol.slug,
        "dml.protocol_digest": entry.protocol_digest[:12],
    }


def training_tags(trainings: Trained) -> dict[str, str]:
    """The cells behind a run, and in its note why one of them ended badly."""
    tags = {"dml.cell_keys": ",".join(training.key for training, _ in trainings)}
    bad = [(training, result) for training, result in trainings if result.status != "ok"]
    if bad:
        training, result = bad[0]
        tags["dml.error"] = result.error[:500]
        note = (
            f"Fold {training.fold} ended **{result.status}**: {result.error}\n\n```\n{result.traceback}\n```"
        )
        tags[NOTE] = note[:7900]
    return tags


def training_points(entry: Entry, trainings: Trained) -> list[Point]:
    """Learning curves with the epoch as step, where each fold's best epoch lies, and what the folds cost together."""
    points: list[Point] = []
    for training, result in trainings:
        fold = f"fold{training.fold}"
        points += [(f"{fold}/val/{entry.protocol.selection}", score, epoch) for epoch, score in result.curve]
        points += [(f"{fold}/train/loss", loss, epoch) for epoch, loss in result.losses]
        points.append((f"best_epoch/{fold}", result.best_epoch, 0))
    parts = sorted({part for _, result in trainings for part in result.seconds})
    return points + [(f"seconds/{part}", seconds_of(trainings, part), 0) for part in parts]


def seconds_of(trainings: Trained, part: str) -> float:
    """Seconds that a part of the work (`training`, `evaluation`, `total`) took, summed over trainings."""
    return sum(result.seconds.get(part, 0.0) for _, result in trainings)


def fold_means(folds: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Each metric's mean over the folds that have it."""
    values: dict[str, list[float]] = {}
    for fold in folds:
        for name, value in fold.items():
            values.setdefault(name, []).append(value)
    return {name: sum(found) / len(found) for name, found in values.items()}


def named(prefix: str, values: Mapping[str, float]) -> list[Point]:
    """Points without a step of their own, under a prefix."""
    return [(prefix + name, value, 0) for name, value in values.items()]


def finite(points: Iterable[Point]) -> tuple[Point, ...]:
    """The points that a chart can show; that a training diverged is said by the run's status and note."""
    return tuple(point for point in points if math.isfinite(point[1]))


def texts(values: Mapping[str, Any]) -> dict[str, str]:
    """Hyperparameters as MLflow keeps them: text, at most 6,000 characters."""
    return {name: str(value)[:6000] for name, value in values.items()}
