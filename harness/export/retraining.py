"""One model of an entry trained again from its cell. Weights are not kept; the same cell gives the same digits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.campaign.campaign import Campaign
from harness.campaign.cells import new_training
from harness.campaign.events import Entry
from harness.cell import Training
from harness.engine.bench import Bench
from harness.engine.embedder import Embedder
from harness.engine.training import run_training
from harness.errors import BenchmarkError, RequestError
from harness.record import Record, Run


@dataclass(frozen=True, eq=False)
class Retrained:
    """A model of the entry's first repetition. same: whether it validates to the last digit as the recorded one."""

    embedder: Embedder
    training: Training
    run: Run
    validation: Mapping[str, float]
    same: bool


def retrained(campaign: Campaign, entry: Entry, record: Record, bench: Bench, fold: int) -> Retrained:
    """Train the model of the first repetition's `fold` (from 0) again.

    Raises RequestError for a fold that the record does not have, BenchmarkError where the training ends otherwise.
    """
    run = first_run(record, fold)
    values = chosen_values(record, run)
    training = new_training(entry, campaign.trunk.sha256, campaign.threads, values, fold, run.seed)
    result, embedder = run_training(training, entry.method, bench)
    if embedder is None or result.status != "ok":
        raise BenchmarkError(
            f"{entry.name}: the training ended with {result.status} ({result.error}), the recorded one did not; is "
            "this another machine, or another version of a library?"
        )
    return Retrained(embedder, training, run, result.validation, dict(result.validation) == run.validation)


def first_run(record: Record, fold: int) -> Run:
    """The first repetition's run of a fold."""
    runs = [run for run in record.runs if run.fold == fold]
    if not runs:
        folds = sorted({run.fold + 1 for run in record.runs if run.fold is not None})
        raise RequestError(f"--fold {fold + 1}: the record has folds {', '.join(map(str, folds))}")
    return min(runs, key=lambda run: run.seed)


def chosen_values(record: Record, run: Run) -> Mapping[str, Any]:
    """The hyperparameters that a run was trained with: its search's choice, or nothing where nothing is trained."""
    if run.search is None:
        return {}
    search = record.searches[run.search]
    assert search.chosen is not None, "a run has a search only where it chose"
    return search.trials[search.chosen].values
