"""The formula that `ms`, `ms_miner` and `ms_all_pairs` share; they differ in which pairs enter and what is tuned."""

from torch import Tensor

from methods._mining import relative_pairs
from methods._pairs import masked_logsumexp, softplus


def multi_similarity(
    s: Tensor,
    positive: Tensor,
    negative: Tensor,
    *,
    alpha: float,
    beta: float,
    base: float,
    epsilon: float | None,
) -> Tensor:
    """(1/B) Σ_i l_i of Wang et al., CVPR 2019, eq. 13, from cosines s (B, R) and their masks (B, R) bool.

    epsilon: the miner's slack; an anchor of which nothing positive or nothing negative is kept counts as 0.
    None: no mining, all pairs enter.
    """
    if epsilon is not None:
        positive, negative = relative_pairs(s, positive, negative, epsilon)
    pull = softplus(masked_logsumexp(-alpha * (s - base), positive)) / alpha
    push = softplus(masked_logsumexp(beta * (s - base), negative)) / beta
    per_anchor = pull + push
    if epsilon is not None:
        per_anchor = per_anchor * (positive.any(-1) & negative.any(-1))
    return per_anchor.mean()
