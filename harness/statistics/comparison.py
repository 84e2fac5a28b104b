"""Every pair of a table compared at once, by one studentised max-T over bootstrap draws."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harness.errors import RequestError
from harness.statistics.outcomes import Floats, Outcomes
from harness.statistics.ranks import Bools, compact_letters, rank_intervals
from harness.statistics.spread import Spread, pairing, seed_correlation, spread_of

#: Seeds count as unpaired unless their pooled correlation exceeds this.
PAIRED_ABOVE = 0.3
#: Draws x pairs held in memory at once.
BLOCK = 2_000_000
#: Standard errors below this (as a fraction) are rounding.
TINY = 1e-12


@dataclass(frozen=True, eq=False)
class Comparison:
    """What a table's pairs allow one to say. Arrays are in the order of the entries given.

    difference: (n, n) mean of the row's entry minus the column's, fractions.
    p: (n, n) p-values adjusted for all pairs of the table; 1 on the diagonal and where a spread is unknown.
    different: (n, n) p <= 1 - confidence.
    rank_low, rank_high: (n,) simultaneous rank intervals, 1 for the best.
    letters: entries that cannot be told apart share a letter.
    best: (n,) no entry is told to be better.
    seed_correlation: of repetitions with one seed, over the pairs of the table; nan where it cannot be
        measured.
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
    searches: searches), as normal deviates with the entry's own variance, independent between entries unless
    repetitions with one seed correlate by more than 0.3. Each difference is divided by its two-way standard
    error (`two_way_interval`), which every draw estimates again; the step-down adjustment compares it with
    the largest of the draws.
    Source: Romano and Wolf, "Exact and approximate stepdown methods for multiple hypothesis testing", JASA
    2005, algorithm 4.1; p-values as in Romano and Wolf, Statistics and Probability Letters 2016.
    Raises RequestError where entries were not measured on the same queries.
    """
    _check(entries)
    spreads = [spread_of(outcomes) for outcomes in entries]
    means = np.array([spread.mean for spread in spreads])
    n = len(entries)
    correlation = seed_correlation(spreads)
    p = np.ones((n, n))
    table = _Table.of(spreads, pairing(spreads, correlation, PAIRED_ABOVE))
    if len(table.first):
        rng = np.random.default_rng(seed)
        p[table.first, table.second] = step_down(table.statistics(), table.draw(draws, rng))
        p = np.minimum(p, p.T)
    different = p <= 1 - confidence + 1e-12
    difference = means[:, None] - means
    low, high = rank_intervals(different & (difference > 0))
    order = np.argsort(-means, kind="stable")
    letters = compact_letters(different, order)
    return Comparison(difference, p, different, low, high, letters, low == 1, correlation, table.shared > 0)


def step_down(observed: Floats, drawn: Iterator[Floats]) -> Floats:
    """(P,) Romano and Wolf's adjusted p-values.

    observed: (P,) absolute statistics. drawn: blocks (b, P) of absolute statistics where every difference is
        0.
    """
    order = np.argsort(observed)
    exceeded, draws = np.zeros(len(observed)), 0
    for block in drawn:
        # The k-th smallest statistic is compared with the largest of those not yet rejected before it: the k
        # smallest.
        exceeded += (np.maximum.accumulate(block[:, order], axis=1) >= observed[order]).sum(axis=0)
        draws += len(block)
    raw = (1 + exceeded) / (1 + draws)
    adjusted = np.empty(len(observed))
    adjusted[order] = np.maximum.accumulate(raw[::-1])[::-1]
    return adjusted


@dataclass(frozen=True, eq=False)
class _Table:
    """The variance parts of a table. `first`, `second`: (P,) the entries of each pair of known spread."""

    spreads: Sequence[Spread]
    shared: float
    first: npt.NDArray[np.int64]
    second: npt.NDArray[np.int64]
    classes: Floats  # (C, n)
    by_unit: Floats  # (n,)
    residual: Floats  # (n,)
    df: Floats  # (n,)

    @classmethod
    def of(cls, spreads: Sequence[Spread], shared: float) -> _Table:
        known = np.array([np.isfinite(s.unit_variance + s.class_variance) for s in spreads], dtype=bool)
        first, second = np.triu_indices(len(spreads), 1)
        usable = known[first] & known[second]
        by_unit = np.array([s.unit_variance for s in spreads])
        return cls(
            spreads,
            shared,
            first[usable],
            second[usable],
            np.stack([s.classes for s in spreads], axis=1),
            np.where(np.isfinite(by_unit), by_unit, 0.0),
            np.array([s.residual_variance for s in spreads]),
            np.array([max(len(s.units) - 1, 1) for s in spreads], dtype=np.float64),
        )

    def errors(self, by_unit: Floats, by_class: Floats) -> Floats:
        """(..., P) standard errors of the pairs from (..., n) unit and (..., P) class variances."""
        i, j = self.first, self.second
        units = by_unit[..., i] + by_unit[..., j]
        if self.shared:
            units -= 2 * self.shared * np.sqrt(by_unit[..., i] * by_unit[..., j])
        both = (1 - self.shared) * (self.residual[i] + self.residual[j])
        variance = units + by_class - np.minimum(both, np.minimum(units, by_class))
        return np.maximum(np.sqrt(np.maximum(variance, 0)), TINY)

    def statistics(self) -> Floats:
        """(P,) absolute studentised differences."""
        means = np.array([s.mean for s in self.spreads])
        gaps = self.classes[:, self.first] - self.classes[:, self.second]
        errors = self.errors(self.by_unit, gaps.var(axis=0, ddof=1) / len(gaps))
        return np.asarray(np.abs(means[self.first] - means[self.second]) / errors)

    def draw(self, draws: int, rng: np.random.Generator) -> Iterator[Floats]:
        """Blocks (b, P) of absolute studentised deviations from the observed differences."""
        C, n = self.classes.shape
        squares = (self.classes[:, self.first] - self.classes[:, self.second]) ** 2
        block = max(1, BLOCK // max(len(self.first), C))
        for done in range(0, draws, block):
            b = min(block, draws - done)
            weights = rng.multinomial(C, np.full(C, 1 / C), size=b) / C
            moved = weights @ self.classes
            moved_pairs = moved[:, self.first] - moved[:, self.second]
            by_class = (weights @ squares - moved_pairs**2) / (C - 1)
            units = self._unit_deviates(b, rng)
            by_unit = self.by_unit * rng.chisquare(self.df, size=(b, n)) / self.df
            moved_pairs += units[:, self.first] - units[:, self.second]
            yield np.abs(moved_pairs) / self.errors(by_unit, by_class)

    def _unit_deviates(self, draws: int, rng: np.random.Generator) -> Floats:
        """(draws, n) what repetitions move the means by; their interaction with classes comes with the classes."""
        scale = np.sqrt(np.maximum(self.by_unit - self.residual, 0))
        own = rng.standard_normal((draws, len(scale)))
        if self.shared:
            own = np.sqrt(1 - self.shared) * own + np.sqrt(self.shared) * rng.standard_normal((draws, 1))
        return scale * own


def _check(entries: Sequence[Outcomes]) -> None:
    for outcomes in entries[1:]:
        if not np.array_equal(outcomes.counts, entries[0].counts):
            raise RequestError(
                f"{outcomes.name} and {entries[0].name} were not measured on the same queries; "
                "a table holds entries of one split, so run one of them again"
            )
