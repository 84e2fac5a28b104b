"""One entry's rows: means and intervals of every metric, from its record and the arrays beside it.

A row is a tuned entry, or its repetitions at the published values. All scores are fractions in [0, 1], all
times seconds; what cannot be said (of an incomplete entry, of a single repetition) is missing, never guessed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.errors import RequestError
from harness.publish.flags import flags
from harness.record import Record, Run
from harness.statistics import Outcomes, measured_widening, outcomes_of, seed_interval, two_way_interval

Arrays = Mapping[str, npt.NDArray[Any]]

#: The metrics of the Reality Check, in its order; the last one carries the verdicts.
STUDY = ("precision_at_1", "r_precision", "map_at_r")
VERDICT = "map_at_r"
#: One model at a time (mean over the folds' models), and the folds' embeddings joined into one.
VIEWS = ("separated", "joined")
TUNED, PUBLISHED = "tuned", "published"


def rows_of(record: Record, arrays: Arrays) -> Iterator[dict[str, Any]]:
    """An entry's rows; what is incomplete or failed has one, without a score."""
    facts = {
        "method": record.method, "title": record.method_title, "year": record.paper.year,
        "kind": record.method_kind, "ranked": record.ranked, "caveat": record.caveat,
        "status": record.status, "why": record.why, "published_why": record.published_why,
    }  # fmt: skip
    counts = {"variant": TUNED, "repetitions": _count(record.runs), "searches": len(record.searches)}
    tuned = facts | counts | {"flags": "; ".join(flags(record))} | _times(record)
    if record.status != "complete":
        yield tuned
        return
    yield tuned | _scores(record, arrays, TUNED)
    # Without ranges the published values are the tuned ones: one row says it.
    if record.published_runs and record.space:
        counts = {"variant": PUBLISHED, "repetitions": _count(record.published_runs), "searches": 0}
        yield facts | counts | {"flags": ""} | _scores(record, arrays, PUBLISHED)


def _count(runs: Sequence[Run]) -> int:
    return len({(run.search, run.seed) for run in runs})


def _times(record: Record) -> dict[str, float]:
    return {f"seconds_{part}": value for part, value in sorted(record.seconds.items())}


def _scores(record: Record, arrays: Arrays, variant: str) -> dict[str, float]:
    """Means and intervals of every metric in both views, under flat names (`separated_map_at_r_low`)."""
    runs = record.runs if variant == TUNED else record.published_runs
    found: dict[str, float] = {}
    for view in VIEWS:
        for metric in sorted({name for run in runs for name in run.metrics}):
            if values := values_of(runs, metric, view):
                interval = seed_interval(values)
                name = f"{view}_{metric}"
                found |= {
                    name: interval.mean,
                    f"{name}_seed_low": interval.low,
                    f"{name}_seed_high": interval.high,
                }
    for metric in (*STUDY, *(f"recall_at_{k}" for k in record.recall_at)):
        if (told := outcomes(record, arrays, variant, metric)) is not None:
            found |= _both(record, arrays, variant, metric, told)
    return found


def _both(record: Record, arrays: Arrays, variant: str, metric: str, told: Outcomes) -> dict[str, float]:
    """The interval over repetitions and classes; where half-sets were scored, widened by what they measured."""
    factor = measured_widening(*_side(record, arrays, variant), metric, told)
    name = f"separated_{metric}"
    interval = two_way_interval(told, widening=factor or 1.0)
    # A score is never below 0 or above 1, whatever Student's t allows.
    found = {f"{name}_low": max(interval.low, 0.0), f"{name}_high": min(interval.high, 1.0)}
    return found if factor is None else {**found, f"{name}_widening": factor}


def values_of(runs: Sequence[Run], metric: str, view: str) -> list[float]:
    """One value a repetition: the mean over its folds first, or the score of its joined embedding."""
    groups: dict[tuple[int | None, int], list[float]] = defaultdict(list)
    for run in runs:
        if (run.fold is None) == (view == "joined"):
            groups[run.search, run.seed].append(run.metrics[metric])
    return [float(np.mean(group)) for group in groups.values()]


def outcomes(record: Record, arrays: Arrays, variant: str, metric: str) -> Outcomes | None:
    """What the class bootstrap needs of one metric, or None where the record keeps no class sums of it."""
    record, arrays = _side(record, arrays, variant)
    if metric not in [str(name) for name in arrays.get("metric_names", ())] or not record.runs:
        return None
    if len(arrays["class_sums"]) != len(record.runs):
        raise RequestError(
            f"{record.method} on {record.dataset}: {len(arrays['class_sums'])} rows of {variant} class sums "
            f"for {len(record.runs)} runs; run the entry again"
        )
    return outcomes_of(record, arrays, metric)


def _side(record: Record, arrays: Arrays, variant: str) -> tuple[Record, Arrays]:
    """The record and its arrays as they are, or with the runs at the published values in their place."""
    if variant == TUNED:
        return record, arrays
    by_run = ("class_sums", "half_scores")
    shared = {name: array for name, array in arrays.items() if name not in by_run}
    own = {name: arrays[f"published_{name}"] for name in by_run if f"published_{name}" in arrays}
    published = record.model_copy(update={"runs": record.published_runs})
    return published, {"class_sums": np.empty(0), **shared, **own}
