"""Half-sets of classes: how much wider an interval must be because the gallery would change too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from harness.errors import RequestError
from harness.splits import half_sets
from harness.statistics.outcomes import Floats, Outcomes, whole_repetitions
from harness.statistics.ranks import Bools

if TYPE_CHECKING:
    from harness.record import Record

#: Precision at 1 is Recall@1 under another name.
SAME = {"precision_at_1": "recall_at_1"}


def half_set_scores(outcomes: Outcomes, members: Bools) -> Floats:
    """(S, sets) the metric on the queries of each half-set's classes, the gallery whole.

    members: (sets, C) which classes are in which half-set.
    """
    inside = members.astype(np.float64)
    return np.asarray((outcomes.sums @ inside.T) / (inside @ outcomes.counts))


def half_set_ratio(cut: Floats, whole: Floats) -> float:
    """The factor by which an interval over test classes must be widened: at least 1.

    A bootstrap over test classes changes the queries but keeps every class in the gallery. Over half-sets of
    classes drawn without replacement, the standard deviation of a mean is its standard error over all classes
    (the delete-half jackknife); where the gallery is cut to the half-set, it also holds what other
    distractors would do. The ratio of the two is what the bootstrap leaves out. Resampled: test classes.
    cut, whole: (S, sets) scores of each repetition on each half-set, with the gallery cut to the half-set and
        with the gallery whole (`half_set_scores`); repetitions are averaged first. For a difference of two
        entries pass the differences.
    Source: Shao and Wu, "A general theory for jackknife variance estimation", Annals of Statistics 1989.
    """
    if cut.shape != whole.shape or cut.ndim != 2 or cut.shape[1] < 2:
        raise RequestError(
            f"half-set scores {cut.shape} and {whole.shape}; expected (repetitions, sets), sets > 1"
        )
    bare = float(whole.mean(axis=0).std(ddof=1))
    return max(1.0, float(cut.mean(axis=0).std(ddof=1)) / bare) if bare > 0 else 1.0


def measured_widening(
    record: Record, arrays: Mapping[str, npt.NDArray[Any]], metric: str, outcomes: Outcomes
) -> float | None:
    """`half_set_ratio` of a recorded entry's metric; None where its half-sets were not scored.

    arrays: with `half_scores` (runs, metrics, sets), the gallery cut to each of `half_sets(groups)`, in the order of
        `metric_names`. outcomes: of the same metric and the same runs (`outcomes_of`).
    """
    names = [str(name) for name in arrays["metric_names"]]
    for name in (metric, SAME.get(metric)):
        if "half_scores" in arrays and name in names:
            scores = np.asarray(arrays["half_scores"][:, names.index(name)], dtype=np.float64)
            cut = np.stack([scores[rows].mean(axis=0) for rows in whole_repetitions(record.runs).values()])
            scored = ~np.isnan(cut).any(axis=0)
            if scored.sum() > 1:
                members = half_sets(len(outcomes.counts), sets=cut.shape[1])[scored]
                return half_set_ratio(cut[:, scored], half_set_scores(outcomes, members))
    return None
