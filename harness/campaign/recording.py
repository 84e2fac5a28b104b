"""From what an entry has come to, to its record: raw numbers only."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.campaign.choosing import Finalist
from harness.campaign.events import Entry, RepetitionDone, TrialDone
from harness.campaign.outcome import Outcome
from harness.campaign.prepare import Trunk
from harness.campaign.properties import matched_scores, property_arrays
from harness.campaign.shown import names_of, page_arrays, pictures_of
from harness.campaign.store import CellStore
from harness.campaign.tuning import published_values, search_space
from harness.cell import Measurement, MeasurementResult, TrainingResult
from harness.dataset import Dataset
from harness.engine.bench import TestRoles
from harness.method import Method
from harness.protocol import WORDS, distribution_json
from harness.record import Finalist as FinalistScores
from harness.record import PaperReference, Record, Run, SearchHistory, Side, Trial
from harness.splits import class_groups

Arrays = dict[str, npt.NDArray[Any]]


def make_record(
    entry: Entry,
    outcome: Outcome,
    test: TestRoles,
    store: CellStore,
    environment: Mapping[str, Any],
    trunk: Trunk,
    dataset: Dataset,
) -> tuple[Record, Arrays]:
    """The record of an entry and its arrays (see `harness.record.write_record` for their form)."""
    tuned = [r for r in outcome.repetitions if r.kind == "tuned"]
    published = [r for r in outcome.repetitions if r.kind == "published"]
    method, protocol = entry.method, entry.protocol
    record = Record(
        protocol=protocol.slug,
        status=outcome.status,
        why=outcome.why,
        published_why=outcome.published_why,
        key=entry.key,
        **_of_method(method, trunk),
        **_of_dataset(entry, dataset),
        protocol_title=protocol.title,
        protocol_digest=entry.protocol_digest,
        settings=_settings(entry),
        backbone=protocol.backbone or "",
        backbone_note=trunk.note,
        space={
            name: distribution_json(d) for name, d in search_space(method, protocol, entry.dataset).items()
        },
        published=published_values(method, protocol, entry.dataset),
        searches=[_search(outcome, s) for s in range(len(outcome.searches))],
        runs=[run for r in tuned for run in _runs(r)],
        published_runs=[run for r in published for run in _runs(r)],
        environment=dict(environment),
        seconds=_seconds(outcome),
        command=entry.command,
    )
    return record, _arrays(record, tuned, published, test, store, dataset)


def _of_method(method: Method, trunk: Trunk) -> dict[str, Any]:
    return {
        "method": method.slug,
        "method_title": method.title,
        "method_kind": method.kind,
        "method_source": method.source,
        "paper": PaperReference(**dataclasses.asdict(method.paper)),
        "caveat": "; ".join(filter(None, (method.caveat, trunk.caveat))),
        "ranked": method.ranked and not trunk.caveat,
    }


def _of_dataset(entry: Entry, dataset: Dataset) -> dict[str, Any]:
    return {
        "dataset": entry.dataset_slug,
        "dataset_name": entry.dataset,
        "dataset_title": entry.dataset_title,
        "split": entry.split,
        "content": entry.content,
        "partial": dataset.partial,
        "shareable": dataset.shareable,
        "recall_at": list(entry.recall_at),
        "development": Side(classes=entry.development[0], images=entry.development[1]),
        "test": Side(classes=entry.test[0], images=entry.test[1]),
        "test_classes": list(dataset.test.class_names),
    }


def _settings(entry: Entry) -> dict[str, Any]:
    """The protocol's fields as they held here; ranges of other methods and datasets are left out."""
    fields = dataclasses.asdict(dataclasses.replace(entry.protocol, spaces={}, per_dataset={}))
    kept = {k: v for k, v in fields.items() if k not in ("spaces", "per_dataset", *WORDS)}
    return {k: list(v) if isinstance(v, tuple) else v for k, v in kept.items()}


def _search(outcome: Outcome, search: int) -> SearchHistory:
    return SearchHistory(
        trials=[_trial(trial) for trial in outcome.searches[search]],
        finalists=[_finalist(f) for f in outcome.finalists[search]] if outcome.finalists else [],
        chosen=outcome.chosen[search] if outcome.chosen else None,
    )


def _finalist(finalist: Finalist) -> FinalistScores:
    return FinalistScores(trial=finalist.trial.number, scores=finalist.scores, score=finalist.score)


def _trial(trial: TrialDone) -> Trial:
    results = [r for _, r in trial.trainings]
    failed = trial.score is None
    return Trial(
        values=dict(trial.values),
        status=trial.status,
        scores=[] if failed else [r.score for r in results],
        score=trial.score,
        seconds=sum(r.seconds["total"] for r in results),
        error=next((r.error for r in results if r.error), ""),
    )


def _runs(repetition: RepetitionDone) -> list[Run]:
    """One run a fold, and the joined one."""
    runs = [
        Run(
            search=repetition.search,
            seed=repetition.seed,
            fold=training.fold,
            metrics=dict(measured.metrics),
            queries=measured.queries,
            excluded=measured.excluded,
            validation=dict(trained.validation),
            best_epoch=trained.best_epoch,
            steps=trained.steps,
            ended=trained.ended,
            curve=list(trained.curve),
            seconds=trained.seconds["total"] + measured.seconds["total"],
        )
        for (training, trained), (_, measured) in zip(
            repetition.trainings, repetition.measurements, strict=True
        )
    ]
    if repetition.joined is not None:
        _, joined = repetition.joined
        runs.append(
            Run(
                search=repetition.search, seed=repetition.seed, fold=None, metrics=dict(joined.metrics),
                queries=joined.queries, excluded=joined.excluded, seconds=joined.seconds["total"],
            )
        )  # fmt: skip
    return runs


def _seconds(outcome: Outcome) -> dict[str, float]:
    """Sums over the entry's cells, each counted once however often it was used."""
    cells: dict[str, TrainingResult | MeasurementResult] = {}
    for trial in (t for trials in outcome.searches for t in trials):
        cells |= {cell.key: result for cell, result in trial.trainings}
    for finalist in (f for finalists in outcome.finalists for f in finalists):
        cells |= {cell.key: result for cell, result in finalist.trainings}
    for repetition in outcome.repetitions:
        cells |= {cell.key: result for cell, result in repetition.trainings}
        cells |= {cell.key: result for cell, result in repetition.measurements}
        if repetition.joined is not None:
            cells[repetition.joined[0].key] = repetition.joined[1]
    trained: list[TrainingResult] = [r for r in cells.values() if isinstance(r, TrainingResult)]
    measured: list[MeasurementResult] = [r for r in cells.values() if isinstance(r, MeasurementResult)]
    return {
        "training": sum(r.seconds["training"] for r in trained),
        "evaluation": sum(r.seconds["evaluation"] for r in trained)
        + sum(r.seconds["total"] for r in measured),
        "total": sum(r.seconds["total"] for r in cells.values()),
    }


def _arrays(
    record: Record,
    tuned: Sequence[RepetitionDone],
    published: Sequence[RepetitionDone],
    test: TestRoles,
    store: CellStore,
    dataset: Dataset,
) -> Arrays:
    """Per-class sums of every metric for every run, all that the class bootstrap needs; and what pages show."""
    names = sorted(record.runs[0].metrics) if record.runs else []
    arrays: Arrays = {"metric_names": np.array(names, dtype=np.str_)}
    for prefix, repetitions in (("", tuned), ("published_", published)):
        cells = [cell for r in repetitions for cell in _measurements(r)]
        arrays |= {f"{prefix}{name}": array for name, array in _by_run(cells, names, test, store).items()}
    arrays.pop("published_class_counts")
    if tuned:
        arrays |= _of_first(tuned[0], record, names, test, store, dataset)
    return arrays


def _by_run(cells: Sequence[Measurement], names: Sequence[str], test: TestRoles, store: CellStore) -> Arrays:
    """`class_sums` (runs, metrics, groups), `class_counts` (groups,) and, where measured, `half_scores` (runs,
    metrics, sets): scores on half sets of the test classes with the gallery cut; nan where a run or metric has none."""
    groups = class_groups(test.queries.class_names)
    labels, number = groups[test.queries.labels], int(groups.max()) + 1
    sums = np.zeros((len(cells), len(names), number), np.float32)
    counts = np.zeros(number, np.int64)
    halves: dict[int, npt.NDArray[np.float32]] = {}
    for i, cell in enumerate(cells):
        outcomes = store.arrays(cell.key)
        own = labels[outcomes["query"]]
        counts = np.bincount(own, minlength=number)
        for m, name in enumerate(names):
            sums[i, m] = np.bincount(own, weights=outcomes[name], minlength=number)
        if "half_scores" in outcomes:
            halves[i] = _half_scores(outcomes, names, test.recall_at)
    found: Arrays = {"class_sums": sums, "class_counts": counts}
    if halves:
        absent = np.full_like(next(iter(halves.values())), np.nan)
        found["half_scores"] = np.stack([halves.get(i, absent) for i in range(len(cells))])
    return found


def _half_scores(outcomes: Arrays, names: Sequence[str], recall_at: Sequence[int]) -> npt.NDArray[np.float32]:
    """(metrics, sets) in the order of `names`. A measurement that scored not all of them scored Recall@K."""
    scores = outcomes["half_scores"]
    rows = names if len(scores) == len(names) else [f"recall_at_{k}" for k in recall_at]
    found = np.full((len(names), scores.shape[1]), np.nan, np.float32)
    for name, row in zip(rows, scores, strict=True):
        found[names.index(name)] = row
    return found


def _of_first(
    first: RepetitionDone,
    record: Record,
    names: Sequence[str],
    test: TestRoles,
    store: CellStore,
    dataset: Dataset,
) -> Arrays:
    """What pages show of the first repetition: its first fold's embedding, and every fold at the validation's size.

    `matched_scores` (folds, draws, metrics + 1): see `harness.campaign.properties.matched_scores`.
    """
    measured = [store.arrays(cell.key) for cell, _ in first.measurements]
    labels = test.queries.labels
    gallery = None if test.gallery is None else test.gallery.labels
    classes = record.development.classes // int(record.settings["folds"])
    matched = [matched_scores(m, labels, gallery, classes, names, record.recall_at) for m in measured]
    page = page_arrays(measured[0], test, record.split)
    properties = property_arrays(measured[0]["embeddings"], labels, page["map_index"])
    page |= properties | {"matched_scores": np.stack(matched)}
    page |= names_of(dataset, page)
    if not dataset.shareable:
        return page
    readers = {role: images.pictures.read for role, images in dataset.roles.items() if role != "development"}
    return page | pictures_of(readers, record.split, page)


def _measurements(repetition: RepetitionDone) -> Iterable[Measurement]:
    yield from (cell for cell, _ in repetition.measurements)
    if repetition.joined is not None:
        yield repetition.joined[0]
