"""How much a search's score followed one of its hyperparameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.statistics.outcomes import Floats

#: Fewer settings than this say nothing about any hyperparameter.
ENOUGH = 10
PERMUTATIONS = 999


@dataclass(frozen=True)
class Importance:
    """share: of the variance of the settings' ranks by score that one hyperparameter explains, in [0, 1].

    p: how often chance alone explains as much. trend: Spearman's rank correlation with the score (0 for categories).
    settings: how many it rests on.
    """

    share: float
    p: float
    trend: float
    settings: int


def importance(values: Sequence[Any], scores: Sequence[float], seed: int = 0) -> Importance | None:
    """What a hyperparameter explains of a search's scores, all others ignored; None for too few settings.

    Ranks of the scores are fitted by a parabola in the ranks of the values (a best value inside the range counts, and
    neither scale matters), or by the mean of each category; the share of variance explained is adjusted for the number
    of terms (Ezekiel 1930). p: by permutation of the scores.
    It is a main effect, as in functional ANOVA (Hutter, Hoos and Leyton-Brown, ICML 2014), without their forest, which
    needs more trials than searches here have. A search that looks where scores are high leaves values that depend on
    each other: what two hyperparameters share counts for both.
    """
    if len(values) < ENOUGH or len(set(map(str, values))) < 2:
        return None
    ranks = average_ranks(scores)
    design, trend = _design(values, ranks)
    shuffled = np.random.default_rng(seed).permuted(np.tile(ranks, (PERMUTATIONS, 1)), axis=1)
    share, *chance = _adjusted(design, np.vstack([ranks, shuffled]))
    p = (1 + int((np.array(chance) >= share - 1e-12).sum())) / (1 + PERMUTATIONS)
    return Importance(max(float(share), 0.0), p, trend, len(values))


def average_ranks(values: Sequence[float]) -> Floats:
    """(n,) ranks from 1; equal values share their mean rank."""
    _, index, counts = np.unique(
        np.asarray(values, dtype=np.float64), return_inverse=True, return_counts=True
    )
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[index])


def _design(values: Sequence[Any], ranks: Floats) -> tuple[Floats, float]:
    """(n, k) columns with an orthonormal span, the first constant; and Spearman's correlation."""
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        x = average_ranks(values)
        columns = np.stack([np.ones(len(x)), x, x**2], axis=1)
        trend = float(np.corrcoef(x, ranks)[0, 1]) if np.ptp(ranks) else 0.0
    else:
        words = [str(value) for value in values]
        columns = np.array(
            [[word == kind for kind in sorted(set(words))] for word in words], dtype=np.float64
        )
        trend = 0.0
    left, size, _ = np.linalg.svd(columns, full_matrices=False)
    return left[:, size > 1e-9 * size[0]], trend


def _adjusted(basis: Floats, ranks: Floats) -> Floats:
    """(m,) adjusted R squared of least-squares fits to each row of `ranks` (m, n); 0 where nothing varies."""
    centred = ranks - ranks.mean(axis=1, keepdims=True)
    total = (centred**2).sum(axis=1)
    n, k = basis.shape
    if n <= k or not total.all():
        return np.zeros(len(ranks))
    left = total - ((centred @ basis) ** 2).sum(axis=1)
    return np.asarray(1 - (left / (n - k)) / (total / (n - 1)))
