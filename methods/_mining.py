"""Which pairs of an anchor are worth learning from: rules that several losses share.

All take a matrix of similarities s (B, R) with its positive and negative masks (B, R) bool.
"""

from __future__ import annotations

from torch import Tensor

from methods._pairs import row_max, row_min


def relative_pairs(s: Tensor, positive: Tensor, negative: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
    """Positives no more than `epsilon` above the anchor's hardest negative, and the reverse, as masks (B, R).

    Negatives are kept where s_ik + epsilon > min over positives, positives where s_ij - epsilon < max over
    negatives; both thresholds come from the unmined sets. An anchor without positives keeps no negatives, and
    one without negatives keeps no positives.
    """
    kept_negative = negative & (s + epsilon > row_min(s, positive))
    kept_positive = positive & (s - epsilon < row_max(s, negative))
    return kept_positive, kept_negative
