"""How surely one entry beats another, and how small a difference more repetitions could show."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import nctdtrinc, stdtrit

from harness.errors import RequestError
from harness.statistics.outcomes import Floats, Outcomes, same_queries
from harness.statistics.spread import spread_of


def probability_of_improvement(a: npt.ArrayLike, b: npt.ArrayLike) -> float:
    """P(a repetition of A beats a repetition of B), ties counted half: U / (n_a n_b), Mann and Whitney's U.

    Nothing is resampled; test classes and searches are as they are. a, b: (n,) scores by repetition
    (`Outcomes.means`).
    Source: Agarwal et al., "Deep Reinforcement Learning at the Edge of the Statistical Precipice", NeurIPS
    2021, 4.3.
    """
    first, second = np.asarray(a, dtype=np.float64).ravel(), np.asarray(b, dtype=np.float64).ravel()
    if not first.size or not second.size:
        raise RequestError("the probability of improvement needs at least one repetition of each entry")
    gain = first[:, None] - second
    return float(((gain > 0) + 0.5 * (gain == 0)).mean())


def separable_difference(
    a: Outcomes,
    b: Outcomes,
    repetitions: int,
    confidence: float = 0.95,
    power: float = 0.8,
    searches: int | None = None,
) -> float:
    """The difference of the means that `repetitions` of each entry separate with this power, as a fraction.

    The smallest true difference that one two-sided test of this pair finds; a table's simultaneous tests need more.
    searches: of an entry that was searched more than once, how many it then has; None: as many as it has.
    Resampled: repetitions and test classes. Repetitions shrink the seeds' part alone: what the test classes
    and, with several searches, the number of searches leave unsure remains. nan where a part is unknown.
    Source: noncentral t with Satterthwaite's degrees of freedom (Cohen, "Statistical Power Analysis", 1988,
    2.5).
    """
    if repetitions < 2:
        raise RequestError(f"{repetitions} repetitions separate nothing; expected 2 or more")
    same_queries([a, b])
    first, second = spread_of(a), spread_of(b)
    C = len(first.classes)
    # The interaction of seeds and classes shrinks with the repetitions and is counted with the seeds.
    noise = first.residual_variance + second.residual_variance
    by_class = max(float((first.classes - second.classes).var(ddof=1)) / C - noise, 0.0) if C > 1 else np.inf
    by_unit = [_planned(outcomes, repetitions, searches) for outcomes in (a, b)]
    variance = by_class + sum(value for value, _ in by_unit)
    if not np.isfinite(variance):
        return float("nan")
    if variance == 0:
        return 0.0
    squares = by_class**2 / (C - 1) + sum(value**2 / df for value, df in by_unit)
    df = variance**2 / squares
    critical = stdtrit(df, (1 + confidence) / 2)
    return float(nctdtrinc(df, 1 - power, critical) * np.sqrt(variance))


def _planned(outcomes: Outcomes, repetitions: int, searches: int | None) -> tuple[float, float]:
    """The unit part of the variance of the mean with so many repetitions, and its degrees of freedom."""
    means = outcomes.means
    labels, index, sizes = np.unique(outcomes.searches, return_inverse=True, return_counts=True)
    H, S = len(labels), len(means)
    if outcomes.fixed and S == 1:
        return 0.0, np.inf
    if H == 1:
        return (float(means.var(ddof=1)) / repetitions if S > 1 else np.inf), repetitions - 1.0
    centres: Floats = np.bincount(index, weights=means) / sizes
    within = float(((means - centres[index]) ** 2).sum()) / (S - H) if S > H else 0.0
    # Nested analysis of variance: searches' means vary by sigma_search^2 + sigma_seed^2 / repetitions of each.
    search = max(float(centres.var(ddof=1)) - within * float((1 / sizes).mean()), 0.0)
    planned = H if searches is None else searches
    return search / planned + within / repetitions, planned - 1.0
