"""Whether two groups of seeds may have one mean."""

from __future__ import annotations

from collections.abc import Sequence

from scipy import stats


def joint_interval(one: Sequence[float], other: Sequence[float], tests: int = 1) -> tuple[float, float]:
    """Welch's 95 % interval of the difference of means, over so many tests at once (Bonferroni)."""
    found = stats.ttest_ind(one, other, equal_var=False).confidence_interval(1 - 0.05 / tests)
    return float(found.low), float(found.high)
