"""A campaign's events made by hand, as they would lead to a made record (`tests.made_records`)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from optuna.distributions import FloatDistribution
from torch import nn

from harness.campaign.events import Entry, EntryDone, EntryStarted, Event, RepetitionDone, TrialDone
from harness.cell import Measurement, MeasurementResult, Training, TrainingResult
from harness.method import Method, Paper, Task
from harness.protocol import Protocol
from harness.record import Record, Run
from tests.made_records import FOLDS, made

EPOCHS = 4


def made_events(method: str = "ms", level: float = 0.42, **changes: Any) -> list[Event]:
    """The events of one whole entry, in order. changes: as `made_records.made` takes them."""
    record, arrays = made(method, level, **changes)
    entry = made_entry(record)
    return [
        EntryStarted(entry),
        *trial_events(entry, record),
        *repetition_events(entry, record, "tuned", record.runs),
        *repetition_events(entry, record, "published", record.published_runs),
        EntryDone(entry, record, arrays),
    ]


def made_entry(record: Record) -> Entry:
    """The entry that a made record is about."""
    ranges = {"alpha": FloatDistribution(0.5, 50.0, log=True), "margin": FloatDistribution(0.0, 1.0)}
    return Entry(
        key=hashlib.sha256(record.method.encode()).hexdigest(),
        method=Method(
            title=record.method_title,
            paper=Paper("A. Author", f"On {record.method}", "CVPR", 2019, "https://x.org"),
            build=None if record.method_kind == "floor" else objective,
            kind=record.method_kind,
            space={name: ranges[name] for name in record.published},
            published=record.published,
            name=record.method,
        ),
        protocol=Protocol(
            title=record.protocol_title, about="Small enough for a laptop.", name=record.protocol, folds=FOLDS,
            searches=max(len(record.searches), 1),
        ),
        protocol_digest=record.protocol_digest, dataset=record.dataset_name, dataset_slug=record.dataset,
        dataset_title=record.dataset_title, split=record.split, content=record.content,
        recall_at=tuple(record.recall_at),
        development=(record.development.classes, record.development.images),
        test=(record.test.classes, record.test.images), command=record.command,
    )  # fmt: skip


def objective(task: Task, *, alpha: float = 1.0, margin: float = 0.0) -> nn.Module:
    """Made methods search, and train nothing."""
    raise AssertionError("nothing is trained here")


def trial_events(entry: Entry, record: Record) -> Iterator[TrialDone]:
    for search, history in enumerate(record.searches):
        for number, trial in enumerate(history.trials):
            scores = trial.scores or [None] * FOLDS
            trainings = tuple(
                (training(entry, trial.values, fold, 0, search), trained(score, trial.status, number))
                for fold, score in enumerate(scores)
            )
            yield TrialDone(entry, search, number, trial.values, trial.status, trial.score, trainings)


def repetition_events(entry: Entry, record: Record, kind: str, runs: list[Run]) -> Iterator[RepetitionDone]:
    for seed in sorted({run.seed for run in runs}):
        own = [run for run in runs if run.seed == seed]
        folds = [run for run in own if run.fold is not None]
        joined = [run for run in own if run.fold is None]
        search = record.searches[folds[0].search] if folds[0].search is not None else None
        chosen = search.chosen if search else None
        values = search.trials[chosen].values if search and chosen is not None else record.published
        trainings = tuple(
            (
                training(entry, values, run.fold or 0, seed, kind),
                trained(run.validation["map_at_r"], "ok", seed),
            )
            for run in folds
        )
        measurements = tuple(
            (Measurement((cell.key,)), measured(run)) for (cell, _), run in zip(trainings, folds, strict=True)
        )
        whole = (
            (Measurement(tuple(cell.key for cell, _ in trainings)), measured(joined[0])) if joined else None
        )
        yield RepetitionDone(entry, kind, folds[0].search, seed, values, trainings, measurements, whole)


def training(entry: Entry, values: Mapping[str, Any], fold: int, seed: int, stream: object) -> Training:
    """A training's cell; `stream` keeps apart cells that share all else."""
    return Training(
        protocol=entry.protocol.name, protocol_digest=entry.protocol_digest, dataset=entry.dataset, split=entry.split,
        content=entry.content, recall_at=entry.recall_at,
        weights="", method=entry.method.name, source=str(stream), values=values, fold=fold, seed=seed,
    )  # fmt: skip


def trained(score: float | None, status: str, offset: int) -> TrainingResult:
    """A training that rose to `score` at its last epoch but one; without a score it diverged at once."""
    seconds = {"training": 2.5, "evaluation": 0.5, "total": 3.0 + offset / 10}
    if score is None:
        losses = ((1, float("nan")),)
        return TrainingResult(
            status, losses=losses, seconds=seconds, error="the loss is nan", traceback="at step 3"
        )
    shape = (0.5, 0.8, 0.92, 1.0, 0.97)
    return TrainingResult(
        status=status, curve=tuple((epoch, score * share) for epoch, share in enumerate(shape)),
        losses=tuple((epoch, 2.0 / (epoch + offset + 1)) for epoch in range(1, EPOCHS + 1)),
        best_epoch=3, score=score, validation={"map_at_r": score, "recall_at_1": min(1.0, score * 1.6)},
        steps=200, ended="cap", seconds=seconds, device="cpu",
    )  # fmt: skip


def measured(run: Run) -> MeasurementResult:
    """The measurement behind a made run."""
    return MeasurementResult("ok", run.metrics, run.queries, run.excluded, {"total": 0.25})
