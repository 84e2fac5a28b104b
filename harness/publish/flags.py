"""What to know before trusting an entry's number: how its trainings ended, and what its search chose."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from harness.record import Record, Run, SearchHistory

#: Share of trainings at the step cap above which an entry counts as not converged.
CAP_SHARE = 0.25
#: How near to an end of its range (as a share of the range) a chosen value is called "at the bound".
BOUND_SHARE = 0.02
#: A batch below this share of the paper's is told: batch sizes change which method is better.
BATCH_SHARE = 0.25


def flags(record: Record) -> tuple[str, ...]:
    """Short sentences about a tuned entry, none when there is nothing to say."""
    return (*_batch(record), *_endings(record.runs), *_bounds(record.space, record.searches))


def _batch(record: Record) -> list[str]:
    ours, papers = record.settings.get("batch_size"), record.paper.batch
    if not ours or papers is None or ours >= BATCH_SHARE * papers:
        return []
    return [f"batches of {ours}, below a quarter of its paper's {papers}"]


def _endings(runs: list[Run]) -> list[str]:
    trained = [run for run in runs if run.fold is not None and run.ended]
    if not trained:
        return []
    said = []
    capped = sum(run.ended == "cap" for run in trained) / len(trained)
    if capped > CAP_SHARE:
        said.append(f"not converged ({capped:.0%} of trainings ended at the step cap)")
    unmoved = sum(run.best_epoch == 0 for run in trained) / len(trained)
    if unmoved > 0:
        said.append(f"{unmoved:.0%} of trainings chose epoch 0")
    return said


def _bounds(space: Mapping[str, Mapping[str, Any]], searches: list[SearchHistory]) -> list[str]:
    chosen = [search.trials[search.chosen].values for search in searches if search.chosen is not None]
    said = []
    for name, distribution in space.items():
        ends = [bound_of(distribution, values[name]) for values in chosen if name in values]
        said += [f"{name} at its {end} bound" for end in ("lower", "upper") if end in ends]
    return said


def bound_of(distribution: Mapping[str, Any], value: Any) -> str:
    """`lower` or `upper` where a value lies within 2 % of that end of its range (on a log range: of its log).

    distribution: an Optuna distribution as plain data (`harness.protocol.distribution_json`); categories have
        no ends.
    """
    low, high = distribution.get("low"), distribution.get("high")
    if low is None or high is None or not low < high:
        return ""
    scale = math.log if distribution.get("log") else float
    share = (scale(value) - scale(low)) / (scale(high) - scale(low))
    if share <= BOUND_SHARE:
        return "lower"
    return "upper" if share >= 1 - BOUND_SHARE else ""
