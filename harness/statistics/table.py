"""A table of entries as its pairs see it: standard errors of all differences, observed and in each draw."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harness.statistics.outcomes import Floats
from harness.statistics.spread import Spread

#: Numbers of one block of draws held in memory at once.
BLOCK = 2_000_000
#: Standard errors below this (as a fraction) are rounding.
TINY = 1e-12


@dataclass(frozen=True, eq=False)
class Table:
    """The variance parts of n entries, and the P pairs of those whose parts are all known.

    means: (n,). classes: (C, n) each class's share in each mean. Variances are of means, in squared fractions.
    by_unit, residual, df: (n,) variance from units (repetitions or searches), from their interaction with
        classes (which the former contains), and the degrees of freedom of the first.
    loading: (n,) share of each entry's unit deviates that its seeds decide for all; 0 where unpaired.
    first, second: (P,) the entries of each pair.
    """

    means: Floats
    classes: Floats
    by_unit: Floats
    residual: Floats
    df: Floats
    loading: Floats
    first: npt.NDArray[np.int64]
    second: npt.NDArray[np.int64]

    def across(self, values: Floats) -> Floats:
        """(..., P) the first entry's value minus the second's, from (..., n)."""
        return np.asarray(values[..., self.first] - values[..., self.second])

    def errors(self, by_unit: Floats, by_class: Floats) -> Floats:
        """(..., P) standard errors of the pairs from (..., n) unit variances and (..., P) class variances."""
        i, j = self.first, self.second
        # SE^2 = s_seed^2/S (both entries) + s_class^2/C (of the difference) - s_resid^2/(S C) (both entries)
        shared = self.loading[i] * self.loading[j]
        units = by_unit[..., i] + by_unit[..., j]
        if shared.any():
            units -= 2 * shared * np.sqrt(by_unit[..., i] * by_unit[..., j])
        both = (1 - shared) * (self.residual[i] + self.residual[j])
        variance = units + by_class - np.minimum(both, np.minimum(units, by_class))
        return np.maximum(np.sqrt(np.maximum(variance, 0)), TINY)

    def statistics(self) -> Floats:
        """(P,) absolute differences in standard errors."""
        by_class = self.across(self.classes).var(axis=0, ddof=1) / len(self.classes)
        return np.asarray(np.abs(self.across(self.means)) / self.errors(self.by_unit, by_class))

    def draw(self, draws: int, rng: np.random.Generator) -> Iterator[Floats]:
        """Blocks (b, P) of the same statistics where no pair truly differs.

        Each draw has its own classes, its own unit deviates and its own estimates of both variances.
        """
        squares = self.across(self.classes) ** 2
        C, n = self.classes.shape
        block = max(1, BLOCK // max(len(self.first), C))
        for done in range(0, draws, block):
            b = min(block, draws - done)
            weights = rng.multinomial(C, np.full(C, 1 / C), size=b) / C
            moved = self.across(weights @ self.classes)
            by_class = (weights @ squares - moved**2) / (C - 1)
            # The unit variance is itself an estimate: each draw takes a truth that may have led to it, and
            # from that truth deviates and an estimate of its own. With the estimate for the truth, three
            # searches would be called different too often (6 to 7 % where 5 % are allowed).
            truth = self.by_unit * self.df / rng.chisquare(self.df, size=(b, n))
            moved += self.across(self._unit_deviates(truth, rng))
            estimate = truth * rng.chisquare(self.df, size=(b, n)) / self.df
            yield np.abs(moved) / self.errors(estimate, by_class)

    def _unit_deviates(self, truth: Floats, rng: np.random.Generator) -> Floats:
        """(b, n) what units move the means by; their interaction with classes comes with the classes."""
        own, common = rng.standard_normal(truth.shape), rng.standard_normal((len(truth), 1))
        mixed = np.sqrt(1 - self.loading**2) * own + self.loading * common
        return np.asarray(np.sqrt(np.maximum(truth - self.residual, 0)) * mixed)


def table_of(spreads: Sequence[Spread], loading: Floats) -> Table:
    """The table of entries with these spreads. An entry with an unknown part is in no pair."""
    by_unit = np.array([spread.unit_variance for spread in spreads])
    known = np.isfinite(by_unit + np.array([spread.class_variance for spread in spreads]))
    first, second = np.triu_indices(len(spreads), 1)
    usable = known[first] & known[second]
    return Table(
        means=np.array([spread.mean for spread in spreads]),
        classes=np.stack([spread.classes for spread in spreads], axis=1),
        by_unit=np.where(known, by_unit, 0.0),
        residual=np.array([spread.residual_variance for spread in spreads]),
        df=np.array([max(len(spread.units) - 1.0, 1.0) for spread in spreads]),
        loading=loading,
        first=first[usable],
        second=second[usable],
    )
