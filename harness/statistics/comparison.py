"""Every pair of a table compared at once, by one studentised max-T over bootstrap draws."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harness.statistics.outcomes import Floats, Outcomes, same_queries
from harness.statistics.ranks import Bools, compact_letters, rank_intervals
from harness.statistics.spread import loadings, seed_correlation, spread_of
from harness.statistics.table import table_of

#: Seeds count as unpaired unless their pooled correlation exceeds this.
PAIRED_ABOVE = 0.3


@dataclass(frozen=True, eq=False)
class Comparison:
    """What a table's pairs allow one to say. Arrays are in the order of the entries given.

    difference: (n, n) mean of the row's entry minus the column's, fractions.
    p: (n, n) p-values adjusted for all pairs of the table; 1 on the diagonal and where a spread is unknown.
    different: (n, n) p <= 1 - confidence.
    rank_low, rank_high: (n,) simultaneous rank intervals, 1 for the best.
    letters: entries that cannot be told apart share a letter.
    best: (n,) no entry is told to be better.
    seed_correlation: of repetitions with one seed, over the pairs of the table; nan where it cannot be measured.
    paired: whether repetitions were compared as pairs because of it.
    """

    difference: Floats
    p: Floats
    different: Bools
    rank_low: npt.NDArray[np.int64]
    rank_high: npt.NDArray[np.int64]
    letters: list[str]
    best: Bools
    seed_correlation: float
    paired: bool


def compare(
    entries: Sequence[Outcomes], confidence: float = 0.95, draws: int = 9_999, seed: int = 0
) -> Comparison:
    """Test every pair of a table at one family-wise level, and say what follows for ranks.

    Resampled: test classes, the same draw for all entries, with replacement; and repetitions (with several
    searches: searches), as normal deviates with the entry's own variance, as Student's t has it: three or
    ten repetitions are too few to draw from. They are independent between entries unless repetitions with
    one seed correlate by more than 0.3. Each difference is divided by its two-way standard error
    (`two_way_interval`), which every draw estimates again; the step-down adjustment compares it with the
    largest of the draws. draws: the smallest p is 1 / (draws + 1), whatever the number of pairs.
    Source: Romano and Wolf, "Exact and approximate stepdown methods for multiple hypothesis testing", JASA
    2005, algorithm 4.1; p-values as in Romano and Wolf, Statistics and Probability Letters 2016.
    Raises RequestError where entries were not measured on the same queries.
    """
    same_queries(entries)
    spreads = [spread_of(outcomes) for outcomes in entries]
    means = np.array([spread.mean for spread in spreads])
    n = len(entries)
    correlation = seed_correlation(spreads)
    p = np.ones((n, n))
    table = table_of(spreads, loadings(spreads, correlation, PAIRED_ABOVE))
    if len(table.first):
        rng = np.random.default_rng(seed)
        p[table.first, table.second] = step_down(table.statistics(), table.draw(draws, rng))
        p = np.minimum(p, p.T)
    different = p <= 1 - confidence + 1e-12
    difference = means[:, None] - means
    low, high = rank_intervals(different & (difference > 0))
    order = np.argsort(-means, kind="stable")
    letters = compact_letters(different, order)
    paired = bool(table.loading.any())
    return Comparison(difference, p, different, low, high, letters, low == 1, correlation, paired)


def step_down(observed: Floats, drawn: Iterator[Floats]) -> Floats:
    """(P,) Romano and Wolf's adjusted p-values.

    observed: (P,) absolute statistics. drawn: blocks (b, P) of them where no pair truly differs.
    """
    order = np.argsort(observed)
    exceeded, draws = np.zeros(len(observed)), 0
    for block in drawn:
        # When the k-th smallest comes up for rejection, all larger ones are rejected: k are left in the maximum.
        exceeded += (np.maximum.accumulate(block[:, order], axis=1) >= observed[order]).sum(axis=0)
        draws += len(block)
    raw = (1 + exceeded) / (1 + draws)
    adjusted = np.empty(len(observed))
    adjusted[order] = np.maximum.accumulate(raw[::-1])[::-1]
    return adjusted
