"""Spread: where the variance of an entry comes from - its repetitions or searches, and the test classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harness.statistics.outcomes import Floats, Outcomes

#: One-sided 1 % point of the normal: a correlation counts only where chance would hardly make it.
SURE = 2.326


@dataclass(frozen=True, eq=False)
class Spread:
    """The two-way analysis of variance of one entry. Variances are of the entry's mean, in squared fractions.

    mean: the mean over units; with equally many repetitions a search, the mean over repetitions.
    units: (U,) means of the units that the method's randomness is resampled by: searches where there are
        several, else repetitions.
    labels: (U,) the units' search or seed.
    classes: (C,) each class's share in the mean, as deviations that sum to 0; only classes with queries.
    unit_variance: s_unit^2 / U, infinite where one unit leaves it unknown, 0 where nothing is drawn.
    class_variance: s_class^2 / C, infinite where there is one class.
    residual_variance: s_resid^2 / (U C), which both of the above contain.
    """

    mean: float
    units: Floats
    labels: npt.NDArray[np.int64]
    classes: Floats
    unit_variance: float
    class_variance: float
    residual_variance: float


def spread_of(outcomes: Outcomes) -> Spread:
    """Split the variance of an entry's mean into units, classes and their interaction.

    Random-effects analysis of variance of a units x classes table (Searle, Casella and McCulloch, "Variance
    Components", 1992, 4.3). The mean over queries is a ratio over classes, sum of outcomes / sum of queries;
    its linearised class terms stand in the table (Cochran, "Sampling Techniques", 1977, 6.8): z_sc = C (y_sc
    - m n_c) / N.
    """
    sums, labels = _units(outcomes)
    kept = outcomes.counts > 0
    sums, counts = sums[:, kept], outcomes.counts[kept]
    means = sums.sum(axis=1) / counts.sum()
    mean = float(means.mean())
    # z_sc = C (y_sc - m n_c) / N, so that the mean over classes is m_s - m.
    table = len(counts) * (sums - mean * counts) / counts.sum()
    by_class = table.mean(axis=0)
    U, C = table.shape
    residual = table - by_class - (means - mean)[:, None]
    alone = U == 1
    return Spread(
        mean=mean,
        units=means,
        labels=labels,
        classes=by_class,
        unit_variance=0.0 if outcomes.fixed else np.inf if alone else float(means.var(ddof=1)) / U,
        class_variance=np.inf if C == 1 else float(by_class.var(ddof=1)) / C,
        residual_variance=0.0
        if alone or C == 1
        else float((residual**2).sum()) / ((U - 1) * (C - 1)) / (U * C),
    )


def _units(outcomes: Outcomes) -> tuple[Floats, npt.NDArray[np.int64]]:
    """(U, C) sums and (U,) labels of the units that are independent of each other.

    Repetitions of one search share its choice, so with several searches only the searches' means are
    independent.
    """
    searches = np.unique(outcomes.searches)
    if len(searches) == 1:
        return outcomes.sums, outcomes.seeds
    return np.stack(
        [outcomes.sums[outcomes.searches == search].mean(axis=0) for search in searches]
    ), searches


def seed_correlation(spreads: Sequence[Spread]) -> float:
    """The mean correlation of the entries' units of one label (one seed), over all pairs of entries.

    Nothing is resampled. Entries without spread say nothing; nan where fewer than two entries share three
    labels.
    """
    varied = [spread for spread in spreads if 0 < spread.unit_variance < np.inf]
    if len(varied) < 2:
        return float("nan")
    shared = sorted(set.intersection(*(set(spread.labels.tolist()) for spread in varied)))
    if len(shared) < 3:
        return float("nan")
    table = np.array([[spread.units[spread.labels == label].mean() for label in shared] for spread in varied])
    table = table[np.ptp(table, axis=1) > 0]
    if len(table) < 2:
        return float("nan")
    correlations = np.corrcoef(table)
    return float(correlations[np.triu_indices(len(table), 1)].mean())


def pairing(spreads: Sequence[Spread], correlation: float, threshold: float) -> float:
    """The correlation that comparisons may use: `correlation` where it exceeds the threshold, else 0.

    It must also be more than chance gives (independent units: standard deviation 1 / sqrt(pairs (U - 1))),
    and all entries with spread must have the same units.
    """
    varied = [spread for spread in spreads if 0 < spread.unit_variance < np.inf]
    if len({tuple(sorted(spread.labels.tolist())) for spread in varied}) != 1:
        return 0.0
    pairs = len(varied) * (len(varied) - 1) / 2
    chance = SURE / np.sqrt(max(pairs, 1) * (len(varied[0].labels) - 1))
    return correlation if correlation > max(threshold, chance) else 0.0
