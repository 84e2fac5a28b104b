"""Simulated leaderboards with known truth, for the tests and the calibration of `harness.statistics`.

All methods of a table are equal in the population of classes and seeds; what differs is what a benchmark
draws: classes that suit one method better, seeds, and searches that chose well or badly. The variances are
measured ones: repetition sd of MAP@R 0.0011, class part of a paired standard error 0.0024 at 100 classes, and
a search's choice 0.008 (frozen features of birds).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri
from scipy.stats import binomtest

from harness.statistics import Outcomes, compare

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Setting:
    """How a simulated benchmark varies; all spreads are in fractions.

    seed_sd: of a repetition's mean, half of its variance from seeds x classes.
    search_sd: of what a search's choice adds to all its repetitions.
    paired_error: class part of the standard error of a difference of two methods.
    tails: degrees of freedom of the classes' effects (Student's t), infinite for normal ones.
    unequal: log-sd between methods of both seed_sd and search_sd.
    shared: correlation of repetitions with one seed between methods.
    skewed: classes of 1 to 20 queries (shops) instead of 41 to 60 (birds).
    """

    repetitions: int = 10
    searches: int = 1
    classes: int = 100
    seed_sd: float = 0.0011
    search_sd: float = 0.0
    paired_error: float = 0.0024
    tails: float = np.inf
    unequal: float = 0.0
    shared: float = 0.0
    skewed: bool = False


SETTINGS = {
    "as measured": Setting(),
    "no class suits one method": Setting(paired_error=0.0, seed_sd=0.004),
    "noisy seeds": Setting(seed_sd=0.006),
    "unequal noisy seeds": Setting(seed_sd=0.006, unequal=0.7),
    "heavy-tailed classes": Setting(tails=3, seed_sd=0.004),
    "three repetitions": Setting(repetitions=3, seed_sd=0.004),
    "24 classes, 5 repetitions": Setting(repetitions=5, classes=24, seed_sd=0.006, paired_error=0.006),
    "300 skewed classes": Setting(classes=300, skewed=True),
    "correlated seeds": Setting(shared=0.6, seed_sd=0.006),
    "barely correlated seeds": Setting(shared=0.3, seed_sd=0.006),
    "three searches": Setting(repetitions=6, searches=3, search_sd=0.008),
    "three unequal searches": Setting(repetitions=6, searches=3, search_sd=0.008, unequal=0.5),
}


def equal_table(rng: np.random.Generator, methods: int, setting: Setting) -> tuple[list[Outcomes], float]:
    """A table of methods that are equal in truth, and the true mean of each."""
    S, C = setting.repetitions, setting.classes
    counts = np.exp(rng.normal(1.5, 0.8, C)).round().clip(1) if setting.skewed else rng.integers(41, 61, C)
    difficulty = 0.5 + 0.18 * (rng.beta(2, 2, C) - 0.5) / np.sqrt(0.05)
    common = rng.standard_normal(S)
    searches = np.arange(S) % setting.searches
    table = []
    for number in range(methods):
        scale = np.exp(setting.unequal * rng.standard_normal())
        suits = _unit_effects(rng, C, setting.tails) * setting.paired_error * np.sqrt(C / 2)
        own = np.sqrt(setting.shared) * common + np.sqrt(1 - setting.shared) * rng.standard_normal(S)
        seeds = own * setting.seed_sd * scale * np.sqrt(0.5)
        both = rng.standard_normal((S, C)) * setting.seed_sd * scale * np.sqrt(0.5 * C)
        choice = (rng.standard_normal(setting.searches) * setting.search_sd * scale)[searches]
        share = difficulty + suits + (seeds + choice)[:, None] + both
        table.append(Outcomes(f"method {number}", share * counts, counts, searches, np.arange(S)))
    return table, 0.5


def _unit_effects(rng: np.random.Generator, size: int, tails: float) -> Floats:
    """Effects of mean 0 and variance 1."""
    if np.isinf(tails):
        return rng.standard_normal(size)
    return np.asarray(rng.standard_t(tails, size) / np.sqrt(tails / (tails - 2)))


def recall_table(rng: np.random.Generator, recalls: Sequence[float], repetitions: int = 10) -> list[Outcomes]:
    """Methods with these true Recall@1 on birds: 100 classes, 5,924 queries, four folds' models a repetition.

    Each query is found or not by each model, from its own difficulty, its class's, what suits the method, the
    repetition, and chance. Repetition sd near 0.004, class part of a paired standard error near 0.005.
    """
    counts = np.array([60] * 24 + [59] * 76)  # 5,924 queries
    of_query = np.repeat(np.arange(100), counts)
    difficulty = rng.normal(0, 1, len(of_query)) + rng.normal(0, 0.5, 100)[of_query]
    spread = np.sqrt(1 + 0.5**2 + 0.1**2 + 0.01**2 + 0.5**2)
    table = []
    for number, recall in enumerate(recalls):
        suits = rng.normal(0, 0.1, 100)[of_query]
        latent = difficulty + suits + spread * ndtri(recall) + rng.normal(0, 0.01, (repetitions, 1))
        found = rng.binomial(4, ndtr(latent / 0.5)) / 4
        sums = np.add.reduceat(found, np.r_[0, np.cumsum(counts)[:-1]], axis=1)
        seeds = np.arange(repetitions)
        table.append(Outcomes(f"method {number}", sums, counts, np.zeros_like(seeds), seeds))
    return table


def shifted(outcomes: Outcomes, gain: float) -> Outcomes:
    """The same entry, better by `gain` on every class."""
    return replace(outcomes, sums=outcomes.sums + gain * outcomes.counts)


def false_differences(
    setting: Setting, methods: int, simulations: int, seed: int = 1, draws: int = 999
) -> int:
    """In how many tables of equal methods any pair is called different."""
    rng = np.random.default_rng(seed)
    # Other draws for every table: so few, always the same, would move the level of all alike by 0.7 %.
    tables = (equal_table(rng, methods, setting)[0] for _ in range(simulations))
    return sum(
        bool(compare(table, draws=draws, seed=number).different.any()) for number, table in enumerate(tables)
    )


def found_differences(
    methods: int, simulations: int, gain: float = 0.02, seed: int = 2, draws: int = 999
) -> float:
    """The share of (best, other) pairs told apart, where one of `methods` is better by `gain` Recall@1."""
    rng = np.random.default_rng(seed)
    recalls = [0.56 + gain] + [0.56] * (methods - 1)
    tables = (recall_table(rng, recalls) for _ in range(simulations))
    found = (compare(table, draws=draws, seed=number).different for number, table in enumerate(tables))
    return float(np.mean([different[0, 1:].mean() for different in found]))


def rate(count: int, of: int) -> tuple[float, float]:
    """The exact 95 % interval of a rate (Clopper and Pearson)."""
    interval = binomtest(count, of).proportion_ci()
    return float(interval.low), float(interval.high)
