"""Intervals of one entry: over its repetitions, and over repetitions (or searches) and test classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from harness.errors import RequestError
from harness.statistics.outcomes import Outcomes
from harness.statistics.spread import Spread, spread_of


@dataclass(frozen=True)
class Interval:
    """A mean and its confidence interval, as fractions. `low` and `high` are nan where the spread is unknown.

    resampled: what the interval covers, in words for the reader.
    units: how many repetitions (or independent searches) it rests on.
    """

    mean: float
    low: float
    high: float
    resampled: str
    units: int


def seed_interval(values: Sequence[float], confidence: float = 0.95) -> Interval:
    """Student's t interval of the mean over repetitions: mean +- t(n - 1) s / sqrt(n).

    Resampled: repetitions, with the search, the development classes and the test classes as they are, so it
    says nothing about other test classes and feeds no verdict. One value has no interval.
    values: (n,) fractions, one a repetition (the mean over its folds first).
    Source: Student, "The probable error of a mean", Biometrika 1908; as Musgrave et al., "A Metric Learning
    Reality Check", ECCV 2020, report it.
    """
    if not len(values):
        raise RequestError("an interval needs at least one repetition; there is none")
    sample = np.asarray(values, dtype=np.float64)
    n = len(sample)
    half = _half_width(float(sample.var(ddof=1)) / n, n - 1, confidence) if n > 1 else float("nan")
    mean = float(sample.mean())
    return Interval(
        mean, mean - half, mean + half, f"repetitions ({n}), given the search and these test classes", n
    )


def two_way_interval(outcomes: Outcomes, confidence: float = 0.95, widening: float = 1.0) -> Interval:
    """Interval of the mean for new repetitions and new test classes at once.

    SE^2 = s_seed^2 / S + s_class^2 / C - s_resid^2 / (S C), with Satterthwaite's degrees of freedom and
    Student's t.
    Resampled: repetitions and test classes; where the entry has several independent searches, searches take
    the place of repetitions: their means are what is independent, so their spread, with n_searches - 1
    degrees of freedom, holds the search's and the seeds' variance. Classes are weighted by their queries (a
    ratio estimate). The estimate is kept at no less than its larger part where the difference would fall
    below (a negative component counts as 0).
    widening: factor of the class part's standard error, for metrics that depend on the gallery's other
        classes (`half_set_ratio`).
    Source: Satterthwaite, "An approximate distribution of estimates of variance components", Biometrics 1946;
    crossed random seeds and items as in Owen, "The pigeonhole bootstrap", Annals of Applied Statistics 2007.
    """
    spread = spread_of(outcomes)
    variance, df = _total(spread, widening**2)
    half = _half_width(variance, df, confidence)
    U, C = len(spread.units), len(spread.classes)
    what = f"independent searches ({U})" if spread.by_search else f"repetitions ({U}), given one search,"
    words = (
        f"test classes ({C}); nothing is drawn"
        if outcomes.fixed and U == 1
        else f"{what} and test classes ({C})"
    )
    return Interval(spread.mean, spread.mean - half, spread.mean + half, words, U)


def _total(spread: Spread, class_factor: float) -> tuple[float, float]:
    """Variance of the mean and Satterthwaite's degrees of freedom; both nan where a part is unknown."""
    U, C = len(spread.units), len(spread.classes)
    by_unit, by_class = spread.unit_variance, spread.class_variance * class_factor
    if not np.isfinite(by_unit + by_class):
        return float("nan"), float("nan")
    both = min(spread.residual_variance, by_unit, by_class)
    variance = by_unit + by_class - both
    squares = by_class**2 / (C - 1)
    if U > 1:
        squares += by_unit**2 / (U - 1) + both**2 / ((U - 1) * (C - 1))
    return variance, variance**2 / squares if squares > 0 else float("inf")


def _half_width(variance: float, df: float, confidence: float) -> float:
    """t(df) times the standard error; 0 where there is no variance."""
    return 0.0 if variance == 0 else float(stdtrit(min(df, 1e9), (1 + confidence) / 2) * np.sqrt(variance))
