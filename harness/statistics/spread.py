"""Spread: where the variance of an entry comes from - its repetitions or searches, and the test classes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.statistics.outcomes import Floats, Outcomes

#: One-sided 1 % point of the normal: a correlation counts only where chance would hardly make it.
SURE = 2.326
#: Variances below this come from rounding.
ROUNDING = 1e-24


@dataclass(frozen=True, eq=False)
class Spread:
    """The two-way analysis of variance of one entry. Variances are of the entry's mean, in squared fractions.

    mean: the mean over units; with equally many repetitions a search, the mean over repetitions.
    units: (U,) means of the units that the method's randomness is resampled by: searches where there are
        several, else repetitions.
    labels, by_search: the units' searches or seeds, and which of the two they are.
    classes: (C,) each class's share in the mean, as deviations that sum to 0; only classes with queries.
    unit_variance: s_unit^2 / U, infinite where one unit leaves it unknown, 0 where nothing is drawn.
    class_variance: s_class^2 / C, infinite where there is one class.
    residual_variance: s_resid^2 / (U C), which both of the above contain.
    """

    mean: float
    units: Floats
    labels: tuple[int, ...]
    by_search: bool
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
    sums, labels, by_search = _units(outcomes)
    kept = outcomes.counts > 0
    sums, counts = sums[:, kept], outcomes.counts[kept]
    means = sums.sum(axis=1) / counts.sum()
    mean = float(means.mean())
    # z_sc = C (y_sc - m n_c) / N, so that the mean over classes is m_s - m.
    table = len(counts) * (sums - mean * counts) / counts.sum()
    by_class = table.mean(axis=0)
    U, C = table.shape
    residual = table - by_class - (means - mean)[:, None]
    freedom = (U - 1) * (C - 1)
    return Spread(
        mean=mean,
        units=means,
        labels=labels,
        by_search=by_search,
        classes=by_class,
        unit_variance=float(means.var(ddof=1)) / U if U > 1 else 0.0 if outcomes.fixed else np.inf,
        class_variance=float(by_class.var(ddof=1)) / C if C > 1 else np.inf,
        residual_variance=float((residual**2).sum()) / (freedom * U * C) if freedom else 0.0,
    )


def _units(outcomes: Outcomes) -> tuple[Floats, tuple[int, ...], bool]:
    """(U, C) sums and the labels of the units that are independent of each other, and whether they are searches.

    Repetitions of one search share its choice, so with several searches only the searches' means are
    independent.
    """
    searches = np.unique(outcomes.searches)
    if len(searches) == 1:
        order = np.argsort(outcomes.seeds, kind="stable")
        return outcomes.sums[order], tuple(outcomes.seeds[order].tolist()), False
    sums = np.stack([outcomes.sums[outcomes.searches == search].mean(axis=0) for search in searches])
    return sums, tuple(searches.tolist()), True


def _alike(spreads: Sequence[Spread]) -> list[int]:
    """The largest set of entries with the same units (the same seeds, or searches) and with spread."""
    groups: dict[tuple[bool, tuple[int, ...]], list[int]] = defaultdict(list)
    for position, spread in enumerate(spreads):
        if ROUNDING < spread.unit_variance < np.inf:
            groups[spread.by_search, spread.labels].append(position)
    return max(groups.values(), key=len, default=[])


def seed_correlation(spreads: Sequence[Spread]) -> float:
    """The mean correlation of the entries' units of one label (one seed), over all pairs of entries.

    Nothing is resampled. Of entries with the same units; nan for fewer than two entries or three units.
    """
    alike = _alike(spreads)
    if len(alike) < 2 or len(spreads[alike[0]].labels) < 3:
        return float("nan")
    correlations = np.corrcoef([spreads[position].units for position in alike])
    return float(correlations[np.triu_indices(len(alike), 1)].mean())


def loadings(spreads: Sequence[Spread], correlation: float, threshold: float) -> Floats:
    """(n,) how strongly each entry's units follow what seeds share: the correlation of a pair is the product.

    All 0, so that units count as unpaired, unless the correlation exceeds the threshold and what chance gives
    (for independent units its standard deviation is 1 / sqrt(pairs (U - 1))).
    """
    found, alike = np.zeros(len(spreads)), _alike(spreads)
    pairs = len(alike) * (len(alike) - 1) / 2
    if pairs and correlation > max(threshold, SURE / np.sqrt(pairs * (len(spreads[alike[0]].labels) - 1))):
        found[alike] = np.sqrt(correlation)
    return found
