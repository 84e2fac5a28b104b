"""Half-sets of classes: how much wider an interval must be because the gallery would change too."""

from __future__ import annotations

import numpy as np

from harness.errors import RequestError
from harness.statistics.outcomes import Floats, Outcomes
from harness.statistics.ranks import Bools


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
