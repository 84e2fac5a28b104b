"""The statistics of the leaderboards, from records alone: what can be told apart, and how surely.

Every function says what it resamples and where it comes from. All metrics are fractions in [0, 1].
"""

from harness.splits import half_sets
from harness.statistics.comparison import Comparison, compare
from harness.statistics.halves import half_set_ratio, half_set_scores, measured_widening
from harness.statistics.importance import Importance, average_ranks, importance
from harness.statistics.intervals import Interval, seed_interval, two_way_interval
from harness.statistics.outcomes import Outcomes, outcomes_of
from harness.statistics.planning import probability_of_improvement, separable_difference
from harness.statistics.ranks import compact_letters, rank_intervals
from harness.statistics.searching import expected_maximum, incumbent_curve
from harness.statistics.spread import Spread, seed_correlation, spread_of

__all__ = [
    "Comparison",
    "Importance",
    "Interval",
    "Outcomes",
    "Spread",
    "average_ranks",
    "compact_letters",
    "compare",
    "expected_maximum",
    "half_set_ratio",
    "half_set_scores",
    "half_sets",
    "importance",
    "incumbent_curve",
    "measured_widening",
    "outcomes_of",
    "probability_of_improvement",
    "rank_intervals",
    "seed_correlation",
    "seed_interval",
    "separable_difference",
    "spread_of",
    "two_way_interval",
]
